"""Sample checks: duplicates, swaps and sexes are found, and kinship is that of plink2."""

from __future__ import annotations

import csv
import io
import subprocess

import numpy as np
import pytest

from tests.support.held import Held
from tests.support.outside import tool
from tests.support.vcf_text import vcf
from vault.genotypes.catalog import pairwise_kinship
from vault.operations.corrections import sample_checks
from vault.subjects.references import ReferenceIndex, resolve
from vault.subjects.sheet_import import import_sheet
from vault.subjects.subject_sheet import read_subject_sheet

PEOPLE = 12
GT = np.array(["0/0", "0/1", "1/1", "./."])


def drawn(sites: int, people: int, *, seed: int) -> np.ndarray:
    """ALT counts of unrelated people at common SNPs."""
    draw = np.random.default_rng(seed)
    return draw.binomial(2, draw.uniform(0.3, 0.7, sites)[:, None], (sites, people))


def rows(alts: np.ndarray, contig: str = "1") -> list[str]:
    return [f"{contig} {5_000_000 + 10 * n} A G {' '.join(GT[row])}" for n, row in enumerate(alts)]


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """People of whom P00 and P01 are one, P02's second part is P03's, P04 has few calls, and P05 is no man."""
    held = Held.make(tmp_path_factory.mktemp("checked"))
    names = [f"P{at:02}" for at in range(PEOPLE)]
    sexes = {name: "FM"[at % 2] for at, name in enumerate(names)}
    sheet = "sample_id,sex\n" + "".join(f"{name},{sex}\n" for name, sex in sexes.items())
    import_sheet(held.vault, read_subject_sheet(sheet.encode(), today=held.clock().date()))
    alts, on_x = drawn(600, PEOPLE, seed=1), drawn(300, PEOPLE, seed=2)
    alts[:, 1] = alts[:, 0]
    men = np.array([sex == "M" for sex in sexes.values()])
    men[5] = False
    on_x[:, men] = np.where(on_x[:, men] > 0, 2, 0)
    first = alts.copy()
    first[:200, 4] = 3
    held.load(held.write("a.vcf", vcf(" ".join(names), *rows(first), *rows(on_x, "X")).data))
    again = np.stack([alts[:, 3], alts[:, 6]], axis=1)
    held.load(held.write("b.vcf", vcf("P02 P06", *rows(again)).data), append=True, accept=True)
    size = held.vault.trail.log.size()
    return held, sample_checks.check(held.vault, "cohort"), size


def handle(held, name: str) -> str:
    return ReferenceIndex(held.vault).handle(resolve(held.vault, name))


def test_what_is_wrong_is_found_and_nothing_else(checked):
    held, report, _ = checked
    pair = {handle(held, "P00"), handle(held, "P01")}
    found = {(one.kind, frozenset({one.subject, one.other} - {""})) for one in report.suspicions}
    assert found == {
        ("duplicate", frozenset(pair)),
        ("swap", frozenset({handle(held, "P02")})),
        ("sex", frozenset({handle(held, "P05")})),
        ("few_calls", frozenset({handle(held, "P04")})),
    }
    assert report.people == PEOPLE
    assert report.pairs == PEOPLE * (PEOPLE - 1) // 2


def test_the_list_names_handles_and_the_log_one_access(checked):
    held, report, size = checked
    listed = list(csv.DictReader(io.StringIO(report.as_csv())))
    assert len(listed) == len(report.suspicions) == 4
    assert all(one["subject"].startswith("s-") for one in listed)
    intent, entry = held.entries(size)
    assert (intent["act"], intent["outcome"], intent["subj"]) == ("dataset.check", "intent", entry["subj"])
    assert (entry["act"], entry["outcome"], entry["counts"]["subjects"]) == ("dataset.check", "done", PEOPLE)
    assert (entry["refers"], entry["subj"]["n"]) == (intent["id"], PEOPLE)
    assert held.vault.trail.detail(size + 1)["duplicate"] == 1


def test_kinship_is_that_of_plink2(tmp_path):
    alts = drawn(900, 7, seed=3)
    alts[:, 1] = np.where(np.arange(900) < 450, alts[:, 0], alts[:, 1])  # related by half
    alts[::7, 2] = 3
    (tmp_path / "a.vcf").write_bytes(vcf("A B C D E F G", *rows(alts)).data)
    run = [tool("plink2"), "--vcf", "a.vcf", "--make-king", "square", "--out", "k", "--threads", "1"]
    subprocess.run(run, cwd=tmp_path, check=True, capture_output=True)
    judged = np.loadtxt(tmp_path / "k.king")
    dosage = np.where(alts == 3, pairwise_kinship.MISSING, alts).astype(np.int8)
    ((_, phi, shared),) = pairwise_kinship.kinship(dosage)
    others = ~np.eye(7, dtype=bool)
    assert np.allclose(phi[others], judged[others], atol=2e-5)
    assert shared[2, 2] == (alts[:, 2] != 3).sum()
