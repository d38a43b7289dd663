"""Intervals inside are 0-based and half-open; what is written out counts from 1 with both ends. Every use against plain positions."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.loci import Interval, Mask, parse_region
from tests.support.gt_text import sites_of
from vault.errors import InputError, UsageError
from vault.genotypes.loci import Locus, overlapping_rows, parse_loci
from vault.genotypes.sites import site_ends
from vault.genotypes.store.selections import Selection
from vault.genotypes.store.site_tables import PartDirectory, find_chunks
from vault.views.hidden_places import HiddenPlaces
from vault.views.masks import masked_sites

positions = st.integers(1, 40).flatmap(lambda first: st.tuples(st.just(first), st.integers(first, first + 6)))
records = st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["A,C", "ACG,A", "ACGTA,A"])), max_size=8).map(sorted)


@given(positions)
def test_positions_come_back(span):
    interval = Interval.from_positions("22", *span)
    assert interval.positions == span
    assert interval.end - interval.start == span[1] - span[0] + 1
    assert parse_region(f"22:{span[0]}-{span[1]}") == interval


@given(positions, st.integers(1, 50))
def test_an_interval_holds_its_positions(span, position):
    assert Mask((Interval.from_positions("22", *span),)).covers("22", position) == (span[0] <= position <= span[1])


@given(positions)
def test_bed_and_text_name_the_same_positions(span):
    (locus,) = parse_loci(f"22\t{span[0] - 1}\t{span[1]}\n".encode(), name="x")
    assert locus.place.positions == span
    assert locus.text == (f"22:{span[0]}" if span[0] == span[1] else f"22:{span[0]}-{span[1]}")
    assert locus.is_interval == (span[0] < span[1])


@settings(deadline=None)
@given(records, st.lists(positions, max_size=3))
def test_sites_overlap_regions_as_plain_positions_do(rows, spans):
    sites = sites_of([("22", pos, alleles) for pos, alleles in rows])
    regions = [Interval.from_positions("22", *span) for span in spans]
    wanted = {at for span in spans for at in range(span[0], span[1] + 1)}
    hit = [bool(wanted & set(range(pos, pos + alleles.index(",")))) for pos, alleles in rows]
    assert masked_sites(sites, HiddenPlaces(tuple(regions))).tolist() == hit
    if rows:
        ends = site_ends(sites)
        assert overlapping_rows(sites, ends, regions).tolist() == np.flatnonzero(hit).tolist()
        first, last, end = rows[0][0], rows[-1][0], int(ends.max())
        directory = PartDirectory.from_rows(("22",), [(0, first, last, end, len(rows))])
        assert find_chunks(directory, regions) == ([0] if any(a <= end and b >= first for a, b in spans) else [])
        whole = Selection(regions=tuple(regions)).whole(directory)
        assert whole.tolist() == [any(a <= first and last <= b for a, b in spans)]


@pytest.mark.parametrize("span", [(4, 4), (5, 4), (-1, 4)])
def test_a_mask_without_positions_is_refused(span):
    with pytest.raises(UsageError) as refused:
        masked_sites(sites_of([("22", 5, "A,C")]), HiddenPlaces((Interval("22", *span),)))
    assert refused.value.code == "interval_order"


def test_a_panel_is_stored_with_both_ends_from_one():
    stored = '{"contig": "chr1", "first": 100, "last": 102, "ref": "", "alts": [], "name": "x"}'
    locus = Locus(Interval("chr1", 99, 102), name="x")
    assert json.dumps(locus.as_dict()) == stored
    assert Locus.from_dict(json.loads(stored)) == locus


def test_an_exact_site_comes_back_from_its_stored_form():
    (locus,) = parse_loci(b"contig\tpos\tref\talt\tid\nX\t7\tA\tC,G\trs7\n", name="x")
    assert (locus.place, locus.text) == (Interval("X", 6, 7), "X:7")
    assert Locus.from_dict(json.loads(json.dumps(locus.as_dict()))) == locus


LISTS = {
    "bed": b"chr1\t99\t100\nchr1\t199\t200\n",
    "tsv": b"contig\tpos\nchr1\t100\nchr1\t200\n",
    "vcf": b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\nchr1\t100\t.\tA\tC\nchr1\t200\t.\tA\tC\n",
    "windows": b"contig\tpos\r\nchr1\t100\r\nchr1\t200\r\n",
}


@pytest.mark.parametrize("kind", LISTS)
def test_a_byte_order_mark_is_no_part_of_the_first_contig(kind):
    plain, marked = (parse_loci(mark + LISTS[kind], name="x") for mark in (b"", b"\xef\xbb\xbf"))
    assert plain == marked
    assert [locus.text for locus in marked] == ["chr1:100", "chr1:200"]


def test_a_list_in_utf_16_is_named_as_such():
    with pytest.raises(InputError, match="UTF-16") as refused:
        parse_loci(LISTS["bed"].decode().encode("utf-16"), name="x.bed")
    assert refused.value.code == "loci_malformed"


@pytest.mark.parametrize("row", ["22\t160\tA\tG\trs1", "22\t160\t.\tA\tG"])
def test_a_table_that_names_no_columns_is_told_how_to(row):
    with pytest.raises(InputError, match="first line names its columns: contig, pos, ref, alt, id") as refused:
        parse_loci(f"{row}\n".encode(), name="x.tsv")
    assert refused.value.code == "loci_malformed"
