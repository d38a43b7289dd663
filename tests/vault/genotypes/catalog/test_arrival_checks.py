"""Samples of an import that need a look are counted as it comes; a gVCF of somebody else is told from one's own."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.held import Held
from tests.support.vcf_text import vcf
from tests.vault.genotypes.imports import refused
from vault.genotypes.catalog.arrival_checks import UNREMARKABLE, SampleChecks
from vault.operations.corrections import merging, sample_checks
from vault.subjects.sheet_import import import_sheet
from vault.subjects.subject_sheet import read_subject_sheet

GT = np.array(["0/0", "0/1", "1/1", "./."])
SITES = 900
DRAW = np.random.default_rng(3)
FREQUENCY = DRAW.uniform(0.05, 0.6, SITES)
ALTS = DRAW.binomial(2, FREQUENCY[:, None], (SITES, 4))  # of unrelated people
HEAD = "##fileformat=VCFv4.2\n##contig=<ID=2>\n##contig=<ID=X>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t"


def rows(alts: np.ndarray, contig: str) -> list[str]:
    return [f"{contig} {5_000_000 + 10 * n} A G {' '.join(GT[row])}" for n, row in enumerate(alts)]


def gvcf(sample: str, alts: np.ndarray, contig: str = "2") -> str:
    """One person's gVCF: blocks between the variants."""
    lines, last = [], 4_000_000
    for n, count in enumerate(alts.tolist()):
        pos = 5_000_000 + 10 * n
        if count:
            lines.append(f"{contig}\t{last + 1}\t.\tA\t<NON_REF>\t.\t.\tEND={pos - 1}\tGT:DP:GQ\t0/0:30:60")
            lines.append(f"{contig}\t{pos}\t.\tA\tG,<NON_REF>\t.\t.\t.\tGT:DP:GQ\t{GT[count]}:30:60")
            last = pos
    lines.append(f"{contig}\t{last + 1}\t.\tA\t<NON_REF>\t.\t.\tEND=6000000\tGT:DP:GQ\t0/0:30:60")
    return f"{HEAD}{sample}\n" + "\n".join(lines) + "\n"


@pytest.fixture
def held(tmp_path) -> Held:
    return Held.make(tmp_path)


def registered(held, **sexes: str) -> None:
    sheet = "sample_id,sex\n" + "".join(f"{name},{sex}\n" for name, sex in sexes.items())
    import_sheet(held.vault, read_subject_sheet(sheet.encode(), today=held.clock().date()))


def test_another_sex_and_few_calls_are_counted_at_import(held):
    registered(held, A="F", B="M", C="M", D="F")
    on_x = ALTS.copy()
    on_x[:, 1] = np.where(on_x[:, 1] > 0, 2, 0)  # B is a man; C is registered as one
    first = ALTS.copy()
    first[:300, 3] = 3
    report = held.load(held.write("a.vcf", vcf("A B C D", *rows(first, "2"), *rows(on_x, "X")).data))
    assert report.checks == SampleChecks(other_sex=1, few_calls=1)
    size = held.vault.trail.log.size()
    detail = next(held.vault.trail.detail(at) for at in reversed(range(size)) if held.entries(at)[0]["act"] == "dataset.import")
    assert detail["checks"] == {"other_sex": 1, "few_calls": 1}


def test_nothing_is_said_of_good_samples_or_of_who_is_not_known(held):
    registered(held, A="F", B="M")
    on_x = ALTS.copy()
    on_x[:, 1] = np.where(on_x[:, 1] > 0, 2, 0)
    report = held.load(held.write("a.vcf", vcf("A B C D", *rows(ALTS, "2"), *rows(on_x, "X")).data))
    assert report.checks == UNREMARKABLE


def test_a_few_snps_say_nothing(held):
    registered(held, A="F", B="M", C="M", D="F")
    report = held.load(held.write("a.vcf", vcf("A B C D", *rows(ALTS[:150], "2"), *rows(ALTS[:90], "X")).data))
    assert report.checks == UNREMARKABLE


def test_a_gvcf_shows_the_sex_too(held):
    registered(held, A="M", B="F")
    for name, at in (("A", 0), ("B", 1)):
        text = gvcf(name, ALTS[:, at]) + gvcf(name, ALTS[:, at], "X").split("\n", 4)[4]
        report = held.load(held.write(f"{name}.g.vcf", text), append=name == "B")
        assert report.checks == SampleChecks(other_sex=int(name == "A"))


def test_a_strangers_gvcf_is_not_taken_for_ones_own(held):
    """Two gVCFs share the sites alone at which both vary: there the kinship of strangers is near 0.39."""
    registered(held, A="F")
    held.load(held.write("a.g.vcf", gvcf("A", ALTS[:, 0])))
    stranger = held.write("x.g.vcf", gvcf("A", ALTS[:, 1]))
    refused(held, "sample_swap", stranger, append=True)
    refused(held, "sample_swap", stranger, name="other")
    refused(held, "sample_swap", stranger, replace="made again")
    noisy = ALTS[:, 0].copy()
    noisy[:20] = (noisy[:20] + 1) % 3
    assert held.load(held.write("b.g.vcf", gvcf("A", noisy)), name="other").matched == 1


@pytest.mark.parametrize("first", ["gvcf", "vcf"])
def test_of_a_gvcf_and_a_vcf_too(held, first):
    registered(held, A="F", B="M")
    files = {
        "gvcf": held.write("a.g.vcf", gvcf("A", ALTS[:, 0])),
        "vcf": held.write("a.vcf", vcf("A B", *rows(ALTS[:, :2], "2")).data),
    }
    swapped = {
        "gvcf": held.write("x.g.vcf", gvcf("A", ALTS[:, 1])),
        "vcf": held.write("x.vcf", vcf("B A", *rows(ALTS[:, :2], "2")).data),
    }
    second = "vcf" if first == "gvcf" else "gvcf"
    held.load(files[first])
    refused(held, "sample_swap", swapped[second], name="other")
    held.load(files[second], name="other")


def test_strangers_who_came_as_gvcfs_are_no_duplicates(held):
    for at, name in enumerate("ABCD"):
        held.load(held.write(f"{name}.g.vcf", gvcf(name, ALTS[:, at])), append=at > 0)
    held.load(held.write("E.g.vcf", gvcf("E", ALTS[:, 0])), append=True)
    found = sample_checks.check(held.vault, "cohort")
    assert found.pairs == 10
    assert [one.kind for one in found.suspicions] == ["duplicate"]
    assert merging.check(held.vault, "A", "E").calls[0].kinship == 0.5
