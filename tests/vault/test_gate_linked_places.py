"""Sites that are linked with a place that somebody excludes leave no view of anybody; whatever is asked for, in whatever way."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from tests.support.held import Held
from tests.support.outside import tool
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import reference_data
from vault.consent import recording
from vault.extracts.genotype_files import FileChoice
from vault.genotypes.catalog import datasets, panel_builder
from vault.genotypes.loci import parse_loci
from vault.views import linked_places

N = 120
GENE = 44_908_684  # rs429358 of APOE, GRCh38
NAMES = [f"S{at:03}" for at in range(N)]


def calls(random, like=None, errors=0.0):
    """Haplotypes as GTs; ``like``: those of another site, some of them turned."""
    if like is None:
        return random.random((N, 2)) < 0.3
    return like ^ (random.random((N, 2)) < errors)


@pytest.fixture(scope="module")
def file():
    random = np.random.default_rng(1)
    gene = calls(random)
    far, near = calls(random, gene, 0.02), calls(random, gene, 0.02)
    rows = [
        (GENE - 2_100_000, far),  # beyond the window
        (GENE - 700_000, far),
        (GENE - 690_000, calls(random)),
        (GENE, gene),
        (GENE + 400_000, near),  # within the margin
        (GENE + 600_000, ~calls(random, gene, 0.05)),  # the other allele goes along
        (GENE + 600_010, calls(random)),
    ]
    lines = [
        f"19 {pos} A G " + " ".join(f"{int(a)}|{int(b)}" for a, b in haplotypes.tolist())
        for pos, haplotypes in sorted(rows, key=lambda row: row[0])
    ]
    return vcf(" ".join(NAMES), *lines).data


UNLINKED = [GENE - 2_100_000, GENE - 690_000, GENE + 600_010]
LINKED = [GENE - 700_000, GENE + 600_000]


@pytest.fixture
def held(tmp_path, file):
    held = Held.make(tmp_path)
    held.load(held.write("c.vcf", file), assayed="all")
    held.everyone_consents()
    held.project("demo")
    held.project("plain", profile="distance-only@1")
    yield held
    held.vault.close()


def positions(held, project="demo", **asked):
    return gate.view(held.vault, project=project, dataset="cohort", **asked).sites.pos.tolist()


def test_linked_sites_are_hidden_of_everybody_once_somebody_excludes(held, monkeypatch):
    reads = []
    real = linked_places.linked_places
    monkeypatch.setattr(linked_places, "linked_places", lambda *a, **k: (reads.append(k), real(*a, **k))[1])
    assert len(positions(held)) == 7
    assert reads == []  # nobody excludes anything: nothing is looked at
    recording.withdraw(held.vault, NAMES[5], scope="loci:APOE")
    assert positions(held) == UNLINKED
    assert positions(held, "plain") == sorted([*UNLINKED, *LINKED])
    assert len(reads) == 1
    for first, last in ((GENE - 700_000, GENE - 690_000), (GENE + 600_000, GENE + 600_010)):
        asked = [f"19:{first}-{last}"]
        assert positions(held, regions=asked) == [pos for pos in UNLINKED if first <= pos <= last]


def test_a_panel_s_linked_locus_is_missing_for_everybody(held):
    loci = parse_loci(f"19\t{LINKED[0] - 1}\t{LINKED[0]}\n19\t{UNLINKED[1] - 1}\t{UNLINKED[1]}\n".encode(), name="loci")
    panel_builder.create(held.vault, datasets.by_name(held.vault, "cohort"), "p", loci)
    before = gate.view(held.vault, project="demo", dataset="cohort", panel="p")
    recording.withdraw(held.vault, NAMES[5], scope="loci:APOE")
    view = gate.view(held.vault, project="demo", dataset="cohort", panel="p")
    assert view.sites.pos.tolist() == before.sites.pos.tolist()
    assert (view.genotypes[0] == -1).all()
    assert (before.genotypes[0] >= 0).all()
    assert (view.genotypes[1] >= 0).all()
    assert not view.phased[0].any()


def test_files_say_the_same_in_one_and_by_contig(held):
    recording.withdraw(held.vault, NAMES[5], scope="loci:APOE")
    for name, choice in (("one", FileChoice("vcf")), ("several", FileChoice("bcf", by_contig=True))):
        folder = held.extract("demo", out=name, choice=choice)
        (path,) = [*folder.glob("*.vcf.gz"), *folder.glob("*.bcf")]
        query = [tool("bcftools"), "query", "-f", "%POS\\n", str(path)]
        found = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
        assert [int(pos) for pos in found] == UNLINKED


def test_tags_of_a_sensitive_site_are_hidden_without_looking(held):
    recording.withdraw(held.vault, NAMES[5], scope="loci:APOE")
    own = f'{{"version": "own", "source": "s", "date": "2026-01-01", "assemblies": {{"GRCh38": {{"APOE": {{"sites": ["19:{GENE}"], "tags": ["chr19:{UNLINKED[0]}"]}}}}}}}}'
    reference_data.load(held.vault, reference_data.TAGS, own, version="own")
    assert positions(held) == UNLINKED[1:]
    assert UNLINKED[0] in positions(held, "plain")


def test_too_few_people_tell_of_no_linkage(tmp_path, file):
    held = Held.make(tmp_path)
    held.load(held.write("c.vcf", file))
    held.everyone_consents()
    for name in NAMES[30:]:
        recording.withdraw(held.vault, name)
    held.project("demo")
    recording.withdraw(held.vault, NAMES[5], scope="loci:APOE")
    assert positions(held) == sorted([*UNLINKED, *LINKED])
    held.vault.close()
