"""Counting without a matrix gives what counting the matrix gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.loci import Interval
from tests.vault.genotypes.chunks import MIXES, code_matrices, decode, mixed_codes, random_escapes
from tests.vault.genotypes.codec.test_encoder import encode
from tests.vault.genotypes.vaults import cohort_vcf, load, new_vault
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import IntegrityError
from vault.genotypes.catalog import datasets, panel_builder, parts
from vault.genotypes.catalog.dataset_reader import GenotypeReader
from vault.genotypes.codec.allele_counts import AlleleCounts, count_calls, count_fields
from vault.genotypes.codec.call_codes import ESCAPE
from vault.genotypes.codec.decoder import DecodePlan, count_chunk, decode_and_count, decode_chunk
from vault.genotypes.codec.payloads import Payloads
from vault.genotypes.codec.site_coding import Coding
from vault.genotypes.loci import Locus
from vault.genotypes.sites import Sites, TextColumn
from vault.genotypes.store.selections import PanelLoci, Selection

span = Interval.from_positions


def sites_with(m: int, alts: int) -> Sites:
    """m sites with the same number of ALTs each; which, nobody asks who counts."""
    some = [TextColumn.from_items([b"."] * m)] * 2
    alleles = TextColumn.from_items([b"A" + b",C" * alts] * m)
    return Sites(("1",), np.zeros(m, np.int32), np.arange(m) + 1, alleles, *some, TextColumn.from_items([b""] * m))


def assert_same(found: AlleleCounts, expected: AlleleCounts) -> None:
    assert np.array_equal(found.offsets, expected.offsets)
    assert np.array_equal(found.counts, expected.counts)
    assert np.array_equal(found.an, expected.an)
    assert np.array_equal(found.flags, expected.flags)


def all_ways(chunk, payloads, rows, sites, pool=None):
    """Counts of the calls, counts from the planes, and counts made beside the calls."""
    plan = DecodePlan.from_coding(Coding.from_bytes(chunk.coding), rows)
    joined = Payloads.join(payloads, len(plan.coding))
    return (
        lambda: count_calls(sites, *decode(chunk.coding, payloads, rows)),
        lambda: count_fields(plan, count_chunk(plan, joined, pool=pool), sites.n_alleles()),
        lambda: count_fields(plan, beside_the_calls(plan, joined, pool), sites.n_alleles()),
    )


def beside_the_calls(plan, joined, pool):
    """Counts made in the pass that writes the calls; those are what ``decode_chunk`` writes."""
    codes, escapes = decode_chunk(plan, joined)
    again = np.empty_like(codes)
    fields = decode_and_count(plan, joined, out=again, pool=pool)
    assert np.array_equal(again, codes)
    for name in ("site", "sample", "offset", "alleles", "phased"):
        assert np.array_equal(getattr(fields.escapes, name), getattr(escapes, name))
    return fields


@settings(max_examples=150, deadline=None)
@given(code_matrices(), st.data())
def test_any_calls_count_alike(matrix, data):
    codes, escapes = matrix
    chunk = encode(codes, escapes)
    m, n = codes.shape
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, m - 1)))), np.int64)
    columns = data.draw(st.permutations(range(n)))[: data.draw(st.integers(0, n))]
    payloads = [chunk.split()[c] for c in columns]
    slow, *others = all_ways(chunk, payloads, rows, sites_with(len(rows), data.draw(st.sampled_from([1, 2, 9, 300]))))
    try:
        expected = slow()
    except IntegrityError as error:
        for fast in others:
            with pytest.raises(IntegrityError) as refused:
                fast()
            assert refused.value.code == error.code == "call_outside_site"
    else:
        for fast in others:
            assert_same(fast(), expected)


@pytest.mark.parametrize("kind", MIXES)
def test_every_mix_counts_alike_over_strips_and_threads(kind):
    rng = np.random.default_rng(MIXES.index(kind))
    codes = mixed_codes(kind, rng, 2100, 700)
    chunk = encode(codes, random_escapes(codes, rng, max_allele=290))
    with ThreadPoolExecutor(2) as pool:
        slow, *others = all_ways(chunk, chunk.split(), None, sites_with(2100, 300), pool)
        for fast in others:
            assert_same(fast(), slow())


def test_what_the_calls_are_is_what_is_counted():
    codes = np.array([[12, 133, 243, ESCAPE, 0, 255]], np.uint8)  # 0/0, 0|0, haploid 0, an escape, ./., absent
    codes = np.repeat(codes, 8, axis=0)
    codes[1, 0] = 121 + 12 + 11  # 1|0
    rng = np.random.default_rng(3)
    escapes = random_escapes(codes, rng, max_allele=2)
    chunk = encode(codes, escapes)
    counts = all_ways(chunk, chunk.split(), None, sites_with(8, 1))[1]()
    called = escapes.alleles[escapes.offset[1] : escapes.offset[2]]
    assert counts.an[1] == 5 + (called >= 0).sum()
    assert counts.ac(1).tolist() == [1 + (called == 1).sum()]
    assert (counts.flags == 3).all()


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Three parts: other people with overlapping sites, and the same people on another contig."""
    folder = tmp_path_factory.mktemp("counts")
    opened = new_vault(folder)
    load(opened, folder, cohort_vcf(samples=20, contigs=("1", "2"), sites=12), "cohort")
    load(opened, folder, cohort_vcf(samples=9, contigs=("2", "3"), sites=15, prefix="T"), "cohort", append=True)
    load(opened, folder, cohort_vcf(samples=12, contigs=("4",), sites=5), "cohort", append=True)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(regions=(span("2", 100, 160), span("4", 110, 120))),
        Selection(regions=(span("9", 1, 2),)),
    ],
)
@pytest.mark.parametrize("chosen", [slice(None), slice(3, 11), slice(0, 0)])
def test_parts_are_counted_together(session, selection, chosen):
    dataset = datasets.by_name(session, "cohort")
    members = {s for part in parts.list_all(session, dataset.dataset_id) for s in parts.members(session, part)}
    subjects = sorted(members)[chosen]
    reader = GenotypeReader(session, dataset, subjects, session.keys.open_many(KeyPurpose.GENOTYPE, subjects))
    sites, counts = reader.count(selection)
    calls = reader.read(selection)
    assert sites.pos.tolist() == calls.sites.pos.tolist()
    assert sites.alleles.items() == calls.sites.alleles.items()
    assert_same(counts, count_calls(calls.sites, calls.codes, calls.escapes))
    again, beside = reader.choose(selection).whole.read()
    assert np.array_equal(again.codes, calls.codes)
    assert_same(beside, counts)


def test_a_panel_is_counted_from_its_own_blocks(session):
    dataset = datasets.by_name(session, "cohort")
    panel = panel_builder.create(session, dataset, "few", [Locus(span("1", 100, 100)), Locus(span("2", 110, 120))])
    selection = Selection(panel=PanelLoci(panel.panel_id, panel.index))
    part = parts.list_all(session, dataset.dataset_id)[0]
    subjects = sorted(parts.members(session, part))[:7]
    reader = GenotypeReader(session, dataset, subjects, session.keys.open_many(KeyPurpose.GENOTYPE, subjects))
    calls = reader.read(selection)
    assert_same(reader.count(selection)[1], count_calls(calls.sites, calls.codes, calls.escapes))


def test_a_call_that_two_parts_hold_is_counted_once(session, tmp_path):
    load(session, tmp_path, cohort_vcf(samples=20, contigs=("1",), sites=12, prefix="U"), "twice")
    load(session, tmp_path, cohort_vcf(samples=20, contigs=("1",), sites=3, prefix="U"), "twice", append=True)
    dataset = datasets.by_name(session, "twice")
    subjects = sorted(parts.members(session, parts.list_all(session, dataset.dataset_id)[0]))
    reader = GenotypeReader(session, dataset, subjects, session.keys.open_many(KeyPurpose.GENOTYPE, subjects))
    calls = reader.read(Selection())
    assert_same(reader.count(Selection())[1], count_calls(calls.sites, calls.codes, calls.escapes))
