"""Rare alleles do not show: their carriers are missing, and the view is what it would be of calls without them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gt_text import calls_of, sites_of, texts_of
from tests.support.vcf_text import genotypes
from tests.support.views import CallsInMemory, MarkedPanel
from vault.genotypes.assayed import EVERYTHING, NOTHING
from vault.views.deidentify import Deidentified
from vault.views.site_selection import Profile


def made(records, rows, fewest, *, pages=None, fixed=None, named=None, assayed=EVERYTHING, **profile):
    n = len(rows[0])
    places = {(contig, pos): list(named.get(i, ())) for i, (contig, pos, _) in enumerate(records)} if named else {}
    panel = None if fixed is None else MarkedPanel(frozenset(records[i][:2] for i in fixed), places)
    return Deidentified(
        CallsInMemory(sites_of(records), *calls_of(rows, n), max_sites=pages or 1 << 30),
        tuple(f"p1{i}" for i in range(n)),
        profile=Profile(keep_phase=True, min_carriers=fewest, **profile),
        assembly="GRCh38",
        panel=panel,
        assayed=assayed,
        window_sites=pages or max(1, len(records)),
    )


def shown(opened):
    view = opened.view()
    return list(zip(view.sites.pos.tolist(), view.sites.alleles.items(), texts_of(view.codes, view.escapes), strict=True))


def alts_of(text):
    return {int(a) for a in re.split(r"[/|]", text or ".") if a not in {".", "0"}}


def without(rows, fewest):
    """The same calls, those of rare ALTs missing, until there is none; call by call."""
    result = []
    for given_row in rows:
        row = list(given_row)
        while True:
            people = [alt for call in row for alt in alts_of(call)]
            rare = {alt for alt in people if people.count(alt) < fewest}
            if not rare:
                break
            row = ["./." if alts_of(call) & rare else call for call in row]
        result.append(row)
    return result


def test_a_rare_alt_is_missing_and_its_site_goes():
    records = [("22", 5, "A,C"), ("22", 9, "A,G"), ("22", 11, "A,C,T")]
    rows = [["0|1", "0|0", "0|0"], ["0|1", "1|1", "0|0"], ["1|0", "0|1", "0|2"]]
    assert shown(made(records, rows, 2)) == [(9, b"A,G", ["0|1", "1|1", "0|0"]), (11, b"A,C", ["1|0", "0|1", "./."])]


def test_somebody_who_loses_a_rare_alt_is_no_carrier_of_the_other_one_either():
    assert shown(made([("22", 5, "A,C,T")], [["1/2", "0/1", "0/1"]], 3)) == []
    assert shown(made([("22", 5, "A,C,T")], [["1/2", "0/1", "0/1"]], 2)) == [(5, b"A,C", ["./.", "0/1", "0/1"])]


def test_two_copies_are_one_person():
    assert shown(made([("22", 5, "A,C")], [["1|1", "0|0"]], 2)) == []


def test_a_long_ref_goes_with_a_rare_deletion():
    found = shown(made([("22", 5, "ACC,A,ACG")], [["0|1", "0|2", "2|0"]], 2))
    assert found == [(7, b"C,G", ["./.", "0|1", "1|0"])]


def test_a_site_that_a_panel_fixes_is_missing_for_everybody():
    records, rows = [("22", 5, "A,C"), ("22", 9, "A,G"), ("22", 11, "A,G")], [["0|1", "0|0"], ["0|0", "0|0"], ["0|1", "1|1"]]
    found = shown(made(records, rows, 2, fixed={0, 1, 2}, named={0: [1], 1: [1], 2: [1]}))
    assert found == [(5, b"A,C", ["./.", "./."]), (9, b"A,G", ["0|0", "0|0"]), (11, b"A,G", ["0|1", "1|1"])]


def test_a_panel_s_site_is_not_there_for_the_sake_of_a_rare_carrier():
    records, rows = [("22", 5, "A,C"), ("22", 9, "A,G")], [["0|1", "0|0"], ["0|1", "1|1"]]
    found = shown(made(records, rows, 2, fixed={0, 1}, named={0: [1], 1: [1]}, assayed=NOTHING))
    assert [site[:2] for site in found] == [(9, b"A,G")]


def test_filters_are_left_out_where_the_rules_say_so():
    opened = made([("22", 5, "A,C")], [["0|1"]], 1, keep_filters=False)
    assert opened.view().sites.filters.items() == [b"."]


@st.composite
def cohorts(draw):
    n, m = draw(st.integers(1, 12)), draw(st.integers(1, 6))
    records, rows = [], []
    for i in range(m):
        alts = draw(st.sampled_from([0, 1, 1, 2, 3, 11]))
        spelled = ["A" * k + "C" for k in range(1, alts + 1)] if alts > 3 else list("CGT"[:alts])
        records.append(("22" if i < m // 2 else "X", 10 + 3 * i, ",".join(["A", *spelled])))
        rows.append([draw(st.one_of(genotypes(alts + 1), st.none())) for _ in range(n)])
    return records, rows


@settings(max_examples=80, deadline=None)
@given(cohorts(), st.integers(1, 6), st.sampled_from([None, 1, 2]))
def test_a_view_is_that_of_calls_without_the_rare_ones(cohort, fewest, pages):
    records, rows = cohort
    expected = shown(made(records, without(rows, fewest), 1))
    assert shown(made(records, rows, fewest)) == expected
    paged = made(records, rows, fewest, pages=pages)
    texts = [text for page in paged.pages() for text in texts_of(page.codes, page.escapes)]
    assert texts == [row for _, _, row in expected]
    plain = made(records, without(rows, fewest), 1)
    list(plain.pages())
    assert paged.counted().mean == pytest.approx(plain.counted().mean)
    assert np.array_equal(paged.counted().sites().keys, plain.counted().sites().keys)


@settings(max_examples=80, deadline=None)
@given(cohorts(), st.integers(2, 6))
def test_no_rare_alt_shows_and_its_carriers_are_never_reference(cohort, fewest):
    records, rows = cohort
    before = {(pos, alt): row for pos, alleles, row in shown(made(records, rows, 1)) for alt in alleles.split(b",")[1:]}
    after = {}
    for pos, alleles, row in shown(made(records, rows, fewest)):
        for number, alt in enumerate(alleles.split(b",")[1:], 1):
            assert sum(number in alts_of(call) for call in row) >= fewest
            after[pos, alt] = row
        whole = next(row for (at, _), row in before.items() if at == pos)
        for had, has in zip(whole, row, strict=True):
            assert has == "./." or len(alts_of(had)) == len(alts_of(has))
    more = {(pos, alt) for pos, alleles, _ in shown(made(records, rows, fewest + 1)) for alt in alleles.split(b",")[1:]}
    assert more <= set(after) <= set(before)  # a larger number shows nothing that a smaller one hides
