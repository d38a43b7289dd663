"""Imports of people who are here already: the same, others', nothing new; names that say nothing."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from tests.support.held import Held
from tests.support.outside import tool
from tests.support.vcf_text import vcf
from tests.vault.genotypes.imports import refused
from vault.genotypes.catalog import call_comparison, part_list
from vault.genotypes.catalog.datasets import by_name
from vault.genotypes.codec.call_codes import diploid, haploid
from vault.genotypes.sites import Sites, TextColumn

ROWS = [f"22 {100 + n} A G" for n in range(20)]


def file(held, name, samples, *rows):
    return held.write(name, vcf(samples, *rows).data)


def patterned(people: int, *, sites: int = 260, flips: int = 0, seed: int = 7, contig: str = "22") -> list[str]:
    """Rows of common SNPs with random calls of some people; ``flips``: calls of each that differ from those of the same seed."""
    draw = np.random.default_rng(seed)
    alts = draw.binomial(2, draw.uniform(0.2, 0.8, sites)[:, None], (sites, people))
    alts[:flips] = (alts[:flips] + 1) % 3
    texts = np.array(["0/0", "0/1", "1/1"])
    return [f"{contig} {1000 + 10 * n} A G {' '.join(texts[row])}" for n, row in enumerate(alts)]


def n_parts(held):
    return len(part_list.list_parts(held.vault, by_name(held.vault, "cohort")))


def kept(held):
    """What is held, but for the log, in which every import is an entry."""
    return {name: size for name, size in held.traces().items() if not name.startswith("audit_")}


@pytest.fixture
def held(tmp_path) -> Held:
    return Held.make(tmp_path)


def test_calls_that_are_here_already_are_counted(held):
    held.load(file(held, "a.vcf", "A B", "22 100 A G 0|1 ./.", "22 200 C T,G 1|2 0/0", "22 300 G C 0/1 0/1"))
    again = file(held, "b.vcf", "B A", "22 100 A G 0/1 1|0", "22 200 C G,T 0/0 1/2", "22 400 G C 0/1 0/1")
    report = held.load(again, append=True)
    assert (report.already.same, report.already.different, report.nothing_new) == (3, 0, False)


def test_one_copy_is_as_two_and_a_few_differences_are_taken(held):
    held.load(file(held, "a.vcf", "A", *(f"{row} 1/1" for row in ROWS)))
    calls = ["1", *["1/1"] * 17, "0/1", "./."]
    report = held.load(file(held, "b.vcf", "A", *(f"{r} {c}" for r, c in zip(ROWS, calls, strict=True))), append=True)
    assert (report.already.same, report.already.different) == (18, 1)


def test_the_same_batch_again_leaves_nothing(held):
    first = file(held, "a.vcf", "A B", "22 100 A G 0|1 ./.", "22 200 C T 1|1 0/0")
    held.load(first)
    for name, rows in (
        ("again.vcf", first.read_bytes()),
        ("other.vcf", vcf("B A", "22 100 A G . 0/1", "22 200 C T 0|0 1/1").data),
    ):
        before = kept(held)
        report = held.load(held.write(name, rows), append=True)
        assert (report.nothing_new, report.new, report.stored_bytes) == (True, 0, 0)
        assert kept(held) == before
        assert held.entries()[-1]["outcome"] == "done"
    assert held.load(file(held, "more.vcf", "A B", "22 100 A G 0|1 0/0", "22 200 C T 1|1 0/0"), append=True).already.same == 3
    assert n_parts(held) == 2


def test_another_persons_calls_are_refused(held):
    held.load(file(held, "a.vcf", "A B", "22 100 A G 0|1 ./.", "22 200 C T 1|1 0/0", "22 300 C T 1|1 0/0"))
    other = file(held, "b.vcf", "A B", "22 100 A G 1|1 0/0", "22 200 C T 0|1 0/0")
    error = refused(held, "calls_differ", other, append=True)
    assert "2 of 2 variants" in error.message
    assert held.load(other, append=True, accept=True).already.different == 2
    assert n_parts(held) == 2


def test_a_swapped_sample_is_told_by_its_kinship(held):
    held.load(file(held, "a.vcf", "A B", *patterned(2)))
    swapped = file(held, "b.vcf", "B A", *patterned(2), "22 900000 A G 0/1 0/1")
    assert "2 samples" in refused(held, "sample_swap", swapped, append=True).message
    close = file(held, "c.vcf", "A B", *patterned(2, flips=5), "22 900000 A G 0/1 0/1")
    assert held.load(close, append=True).already.different == 10


def test_a_swap_is_seen_across_datasets(held):
    held.load(file(held, "a.vcf", "A B", *patterned(2)))
    maps = held.write("map.csv", "sample,subject\nX,A\n")
    other = file(held, "x.vcf", "X", *patterned(1, seed=8))
    refused(held, "sample_swap", other, name="array", sample_map=maps)


@pytest.mark.parametrize("name", ["default", "SAMPLE", "TUMOR", "normal", "unknown", "Sample_Name", "NA", "."])
def test_a_name_that_says_nothing_is_a_person_of_its_own(held, name):
    one, two = (file(held, f"{n}.vcf", name, f"22 {n} A G 0/1") for n in (100, 200))
    first = held.load(one)
    second = held.load(two, append=True)
    assert (first.unnamed, second.unnamed, second.new) == (1, 1, 1)
    assert held.load(one, append=True).nothing_new
    refused(held, "samples_unknown", two, append=True, unknown="refuse")


def test_a_number_is_not_matched_by_itself_and_a_sheet_says_whose_it_is(held):
    held.load(file(held, "a.vcf", "1 2", "22 100 A G 0/1 0/0"))
    other = file(held, "b.vcf", "1 2", "22 200 A G 0/1 0/0")
    refused(held, "sample_name_meaningless", other, append=True)
    assert held.load(other, append=True, namespace="second").new == 2
    assert held.load(other, append=True, sample_map=held.write("m.csv", "sample,subject\n1,sample:1\n2,sample:2\n")).matched == 2


def table(*rows: tuple[int, str]) -> Sites:
    pos = np.array([p for p, _ in rows], np.int64)
    empty = TextColumn.from_items([b"."] * len(rows))
    alleles = TextColumn.from_items([a.encode() for _, a in rows])
    return Sites(("22",), np.zeros(len(rows), np.int32), pos, alleles, empty, empty, TextColumn.from_items([b""] * len(rows)))


def test_alleles_are_compared_by_their_bases():
    mine, theirs = table((1, "A,G"), (2, "A,C,T"), (3, "A,G")), table((1, "A,G,T"), (2, "a,T"), (3, "C,G"))
    shared = call_comparison.shared_sites(mine, theirs)
    assert shared.mine.tolist() == [0, 1]
    codes = np.array([[diploid(0, 1, phased=False)], [diploid(0, 2, phased=True)]], np.uint8)
    other = np.array([[diploid(2, 0, phased=False)], [diploid(1, 0, phased=False)]], np.uint8)
    state, tally = call_comparison.compare(shared, codes, other)
    assert state.tolist() == [[call_comparison.DIFFERENT], [call_comparison.SAME]]
    assert (int(tally.told[0]), int(tally.unlike[0])) == (2, 1)
    assert [int(a) for a in call_comparison.pairs(np.array([haploid(1), 253, 255], np.uint8))[0]] == [1, -1, -1]


@pytest.mark.long
def test_kinship_is_plink2s(tmp_path):
    rows = patterned(6, sites=2_000, contig="1")
    (tmp_path / "a.vcf").write_bytes(vcf("A B C D E F", *rows).data)
    run = [tool("plink2"), "--vcf", "a.vcf", "--make-king", "square", "--out", "k"]
    subprocess.run(run, cwd=tmp_path, check=True, capture_output=True)
    judged = np.loadtxt(tmp_path / "k.king")
    texts = {"0/0": diploid(0, 0, phased=False), "0/1": diploid(0, 1, phased=False), "1/1": diploid(1, 1, phased=False)}
    codes = np.array([[texts[c] for c in row.split()[4:]] for row in rows], np.uint8)
    sites = table(*((int(row.split()[1]), "A,G") for row in rows))
    shared = call_comparison.shared_sites(sites, sites)
    for other in range(6):
        theirs = np.repeat(codes[:, [other]], 6, axis=1)
        kinship = call_comparison.compare(shared, codes, theirs)[1].kinship()
        others = [at for at in range(6) if at != other]
        assert np.allclose(kinship[others], judged[other][others], atol=1e-5)
