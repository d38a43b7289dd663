"""Loci against sites, compared with a plain double loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.loci import Interval
from tests.support.gt_text import sites_of
from vault.genotypes.loci import Locus
from vault.genotypes.panel_loci import LocusIndex, Told
from vault.genotypes.sites import Sites, site_ends

span = Interval.from_positions


def oracle(sites: Sites, loci):
    """(chosen rows, fixed rows, {(row, ALT)} named, numbers of the loci met), from the definitions in words."""
    ends = site_ends(sites).tolist()
    chosen, fixed, named, met = set(), set(), set(), set()
    for number, locus in enumerate(loci):
        for row in range(len(sites)):
            contig, pos = sites.contigs[sites.contig[row]], int(sites.pos[row])
            ref, *alts = sites.alleles[row].decode().split(",")
            first, last = locus.place.positions
            if contig.removeprefix("chr") != locus.place.contig.removeprefix("chr"):
                continue
            if locus.ref:
                shared = {alt for alt in alts if alt.upper() in {a.upper() for a in locus.alts}}
                mine = bool(shared) or not locus.alts or not alts or "" in alts  # a blanked ALT may have been the locus's
                hit = pos == first and ref.upper() == locus.ref.upper() and mine
                named |= {(row, alt) for alt in shared if hit}
            elif first == last:
                hit = pos == first
            else:
                hit = pos <= last and ends[row] >= first
            if hit:
                chosen.add(row)
                met.add(number)
                if locus.ref or first == last:
                    fixed.add(row)
    return sorted(chosen), sorted(fixed), named, sorted(met)


def plain(sites, loci):
    found = LocusIndex(loci).match(sites)
    alleles = [(row, allele) for row in range(len(sites)) for allele in sites.alleles[row].decode().split(",")]
    named = {alleles[at] for at in np.flatnonzero(found.named).tolist()}
    return found.rows.tolist(), np.flatnonzero(found.fixed).tolist(), named, np.flatnonzero(found.met).tolist()


records = st.tuples(
    st.sampled_from(["1", "2", "X"]),
    st.integers(1, 30),
    st.sampled_from(["A", "A,C", "A,C,G", "AT,A", "ATTTT,A", "a,c", "A,<DEL>", "A,*", "A,", "A,,G"]),
)
LISTED = [("", ()), ("", ()), ("A", ()), ("A", ("C",)), ("a", ("C", "T")), ("AT", ("A",)), ("A", ("<DEL>",))]
places = st.tuples(st.sampled_from(["1", "chr2", "chrX", "7"]), st.integers(1, 32), st.integers(0, 6), st.sampled_from(LISTED))


@settings(max_examples=300, deadline=None)
@given(st.lists(records, max_size=12), st.lists(places, max_size=8), st.integers(0, 40))
def test_agrees_with_the_plain_double_loop(rows, wanted, deletion):
    rows.sort(key=lambda r: (["1", "2", "X"].index(r[0]), r[1]))
    info = [f"END={pos + deletion};SVTYPE=DEL" if "<" in alleles else "" for _, pos, alleles in rows]
    sites = sites_of(rows, info=info)
    loci = [Locus(span(c, p, p if ref else p + width), ref, alts) for c, p, width, (ref, alts) in wanted]
    chosen, fixed, named, met = oracle(sites, loci)
    assert plain(sites, loci) == (chosen, fixed, named, met)

    index = LocusIndex(loci)
    if rows:  # one chunk per contig: it is looked at whenever it has a row
        ends = site_ends(sites)
        for number, contig in enumerate(sites.contigs):
            mine = np.flatnonzero(sites.contig == number)
            one, first, end = np.zeros(1, np.int64), sites.pos[mine[:1]], ends[mine].max(keepdims=True)
            assert index.touching([contig], one, first, end)[0] or not set(chosen) & set(mine.tolist())


def test_what_is_not_assayed_is_told_of_loci_that_fix_a_site_only():
    sites = sites_of([("22", 5, "A,C")])
    loci = [
        Locus(span("22", 5, 5), "A", ("G",)),
        Locus(span("22", 5, 5)),
        Locus(span("22", 6, 6)),
        Locus(span("22", 7, 90)),
        Locus(span("chr22", 5, 5), "A", ("C",)),
    ]
    index = LocusIndex(loci)
    assert index.not_assayed(index.match(sites).met) == ("22:5", "22:6")


def test_no_loci_and_no_sites():
    assert plain(sites_of([]), [Locus(span("22", 5, 5))]) == ([], [], set(), [])
    assert plain(sites_of([("22", 5, "A,C")]), []) == ([], [], set(), [])


@pytest.mark.parametrize("spelling", ["22", "chr22", "CHR22"])
def test_contigs_compare_without_their_prefix(spelling):
    assert plain(sites_of([("chr22", 5, "A,C")]), [Locus(span(spelling, 5, 5))])[0] == [0]


def test_a_blanked_alt_is_named_as_a_locus_names_it():
    sites = sites_of([("1", 5, "A,"), ("1", 5, "A,,T"), ("1", 6, "A,G"), ("1", 7, "A,,"), ("1", 8, "A,"), ("1", 9, "C,")])
    loci = [
        Locus(span("1", 5, 5), "A", ("g",)),
        Locus(span("1", 6, 6), "A", ("T",)),
        Locus(span("1", 7, 7), "A", ("G", "T", "C")),
        Locus(span("1", 8, 8)),
        Locus(span("1", 9, 9), "A", ("G",)),
    ]
    everywhere = lambda some: np.ones(len(some), np.bool_)  # noqa: E731
    named = LocusIndex(loci).named(sites, everywhere)
    assert named.alleles.items() == [b"A,G", b"A,G,T", b"A,G", b"A,G,T", b"A,", b"C,"]
    assert LocusIndex(loci).named(sites.take([2]), everywhere).alleles.items() == [b"A,G"]


def test_a_blanked_alt_beside_another_answers_a_locus_at_declared_places_alone():
    sites = sites_of([("1", 5, "A,C,"), ("1", 6, "A,"), ("1", 7, "A,G,"), ("1", 8, "A,C,")])
    loci = [*(Locus(span("1", pos, pos), "A", ("G",)) for pos in (5, 6, 7)), Locus(span("1", 8, 8))]
    nowhere = lambda some: np.zeros(len(some), np.bool_)  # noqa: E731
    everywhere = lambda some: np.ones(len(some), np.bool_)  # noqa: E731
    index = LocusIndex(loci)
    assert index.unanswered(sites, nowhere).tolist() == [0]
    assert index.unanswered(sites, everywhere).tolist() == []
    assert index.named(sites, nowhere).alleles.items() == [b"A,C,", b"A,G", b"A,G,", b"A,C,"]
    assert index.named(sites, everywhere).alleles.items()[0] == b"A,C,G"


@pytest.mark.parametrize(("carried", "rows"), [({(0, 1)}, [0, 2]), ({(0, 2)}, [2]), ({(1, 1)}, [1, 2]), (set(), [2])])
def test_a_locus_that_was_not_declared_names_what_is_carried_of_what_it_lists(carried, rows):
    sites = sites_of([("1", 5, "A,G,T"), ("1", 6, "A,C"), ("1", 7, "A,C")])
    loci = [Locus(span("1", 5, 5), "A", ("G", "C")), Locus(span("1", 6, 6)), Locus(span("1", 7, 7), "A", ("C",))]
    alleles = [(row, allele) for row, n in enumerate((3, 2, 2)) for allele in range(n)]
    told = Told(np.array([False, False, True]), np.array([one in carried for one in alleles], np.bool_))
    found = LocusIndex(loci).match(sites, told=told)
    assert found.rows.tolist() == np.flatnonzero(found.fixed).tolist() == rows
    assert np.flatnonzero(found.met).tolist() == rows
    assert LocusIndex(loci).match(sites, told=replace(told, exact=True)).rows.tolist() == sorted({0, 2} | set(rows))
