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


def without(records, rows, fewest):
    """The records and calls that stay: those of which no ALT is carried by fewer, except by nobody."""
    people = [[alt for call in row for alt in alts_of(call)] for row in rows]
    kept = [i for i, found in enumerate(people) if all(found.count(alt) >= fewest for alt in found)]
    return [records[i] for i in kept], [rows[i] for i in kept]


def test_a_site_with_a_rare_alt_goes_whole_and_nobody_is_missing_for_it():
    records = [("22", 5, "A,C"), ("22", 9, "A,G"), ("22", 11, "A,C,T"), ("22", 15, "A,C,T")]
    rows = [["0|1", "0|0", "0|0"], ["0|1", "1|1", "0|0"], ["1|0", "0|1", "0|2"], ["1|0", "0|1", "."]]
    assert shown(made(records, rows, 2)) == [(9, b"A,G", ["0|1", "1|1", "0|0"]), (15, b"A,C", ["1|0", "0|1", "."])]


def test_two_copies_are_one_person():
    assert shown(made([("22", 5, "A,C")], [["1|1", "0|0"]], 2)) == []
    assert shown(made([("22", 5, "A,C,G")], [["1|1|1", "0|2", "2|0"]], 2)) == []


def test_a_site_that_a_panel_fixes_is_missing_for_everybody():
    records = [("22", 5, "A,C"), ("22", 9, "A,G"), ("22", 11, "A,G"), ("22", 15, "A,C,G")]
    rows = [["0|1", "0|0"], ["0|0", "0|0"], ["0|1", "1|1"], ["1|2", "0|1"]]
    found = shown(made(records, rows, 2, fixed={0, 1, 2, 3}, named={0: [1], 1: [1], 2: [1], 3: [1]}))
    assert found[:3] == [(5, b"A,C", ["./.", "./."]), (9, b"A,G", ["0|0", "0|0"]), (11, b"A,G", ["0|1", "1|1"])]
    assert found[3] == (15, b"A,C", ["./.", "./."])


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
def test_a_view_is_that_of_the_records_without_rare_alts(cohort, fewest, pages):
    records, rows = cohort
    left = without(records, rows, fewest)
    expected = shown(made(*left, 1)) if left[0] else []
    assert shown(made(records, rows, fewest)) == expected
    paged = made(records, rows, fewest, pages=pages)
    texts = [text for page in paged.pages() for text in texts_of(page.codes, page.escapes)]
    assert texts == [row for _, _, row in expected]
    if left[0]:
        plain = made(*left, 1)
        list(plain.pages())
        assert paged.counted().mean == pytest.approx(plain.counted().mean)
        assert np.array_equal(paged.counted().sites().keys, plain.counted().sites().keys)


@settings(max_examples=80, deadline=None)
@given(cohorts(), st.integers(2, 6), st.booleans())
def test_no_rare_alt_shows_and_no_call_is_missing_for_it(cohort, fewest, of_a_panel):
    records, rows = cohort
    panel = {"fixed": set(range(len(records)))} if of_a_panel else {}
    before = {pos: row for pos, _, row in shown(made(records, rows, 1, **panel))}
    seen = shown(made(records, rows, fewest, **panel))
    for pos, alleles, row in seen:
        for number in range(1, alleles.count(b",") + 1):
            assert sum(number in alts_of(call) for call in row) >= fewest
        missing = set(row) == {"./."}  # of everybody alike, where a panel fixes the site
        assert (of_a_panel and missing) or row == before[pos]
    more = {pos for pos, _, row in shown(made(records, rows, fewest + 1, **panel)) if set(row) != {"./."}}
    assert more <= {pos for pos, _, _ in seen} <= set(before)  # a larger number shows nothing that a smaller one hides
