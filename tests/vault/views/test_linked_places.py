"""Sites that are linked with an excluded place, against r² worked out call by call."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.disclosure.view_profiles import Linkage
from policies.loci import Interval, Mask
from tests.support.gt_text import calls_of, sites_of
from tests.support.views import rows_of
from vault.genotypes.codec.allele_counts import count_calls
from vault.genotypes.loci import overlapping_rows
from vault.genotypes.sites import site_ends
from vault.genotypes.store.part_merge import Calls
from vault.views import linked_places as module
from vault.views.linked_places import linked_places

WINDOW = 100


def reading(records, rows, n, *, log=None):
    """Reads of calls in memory, in windows of two sites."""
    whole = Calls(sites_of(records), *calls_of(rows, n))

    def read(places, _n_sites):
        if log is not None:
            log.append(places)
        chosen = overlapping_rows(whole.sites, site_ends(whole.sites), places)
        for first in range(0, len(chosen), 2):
            parts = [rows_of(whole, row, row + 1) for row in chosen[first : first + 2].tolist()]
            texts = [rows[row] for row in chosen[first : first + 2].tolist()]
            calls = Calls(type(whole.sites).concat([part.sites for part in parts]), *calls_of(texts, n))
            yield calls, count_calls(calls.sites, calls.codes, calls.escapes)

    return read


def copies(text, alt):
    """Copies of an ALT, of two; None where the call is missing in part."""
    alleles = [] if text is None else text.replace("|", "/").split("/")
    if not alleles or "." in alleles or len(alleles) > 2:
        return None
    return sum(allele == str(alt) for allele in alleles) * (2 // len(alleles))


def rarer(row, alt):
    """Copies of the rarer of an ALT and all else, by the count of all alleles that are called."""
    called = [a for text in row if text for a in text.replace("|", "/").split("/") if a != "."]
    found = [copies(text, alt) for text in row]
    turned = called.count(str(alt)) * 2 > len(called)
    return [None if one is None else 2 - one if turned else one for one in found]


def r2_of(one, other, carriers):
    """r² by the words of the page; 0 where too few carry both."""
    pairs = [(x, y) for x, y in zip(one, other, strict=True) if x is not None and y is not None]
    if sum(x > 0 and y > 0 for x, y in pairs) < carriers:
        return 0.0
    x, y = np.array(pairs, float).T
    return 0.0 if x.std() == 0 or y.std() == 0 else float(np.corrcoef(x, y)[0, 1] ** 2)


def strongest(records, rows, excluded, linkage):
    """{position: its largest r² with an allele in the excluded place}."""
    found = {}
    for j, (_, pos, alleles) in enumerate(records):
        for i, (_, at, others) in enumerate(records):
            if not excluded.start < at <= excluded.end or abs(at - pos) > linkage.window:
                continue
            for a in range(1, others.count(",") + 1):
                for b in range(1, alleles.count(",") + 1):
                    r2 = r2_of(rarer(rows[i], a), rarer(rows[j], b), linkage.carriers)
                    found[pos] = max(found.get(pos, 0.0), r2)
    return found


CALLS = ["0/0", "0|1", "1|0", "1/1", "0/2", "1/2", "./.", "./1", "0", "1", None, "0/0/1"]


@st.composite
def neighbourhoods(draw):
    n = draw(st.integers(2, 70))
    first = [draw(st.sampled_from(CALLS)) for _ in range(n)]
    records, rows = [], []
    for i, pos in enumerate(sorted(draw(st.sets(st.integers(1, 400), min_size=2, max_size=7)))):
        kind = draw(st.sampled_from(["same", "turned", "mixed", "new"]))
        turned = str.maketrans("01", "10")
        row = {
            "same": first,
            "turned": [None if t is None else t.translate(turned) for t in first],
            "mixed": [draw(st.sampled_from([t, "0/0"])) for t in first],
            "new": [draw(st.sampled_from(CALLS)) for _ in range(n)],
        }[kind]
        alleles = draw(st.sampled_from(["A,C,G", "A,C,G,T"]))
        records.append(("22", pos, alleles))
        rows.append([*row[i % n :], *row[: i % n]] if kind == "new" else list(row))
    return n, records, rows


@settings(max_examples=60, deadline=None)
@given(neighbourhoods(), st.integers(1, 6), st.sampled_from([20, 50, 95]), st.booleans())
def test_sites_are_those_of_the_rule(case, carriers, percent, small):
    n, records, rows = case
    linkage = Linkage(percent, WINDOW, carriers)
    excluded = Interval("22", 150, 250)
    hidden = Mask((excluded,)).widened(20)
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(module, "BLOCK_BYTES", 1)
        found = linked_places(
            reading(records, rows, n), excluded=Mask((excluded,)), hidden=hidden, asked=None, linkage=linkage, n_people=n
        )
    positions = {pos for one in found for pos in range(one.start + 1, one.end + 1)}
    for pos, r2 in strongest(records, rows, excluded, linkage).items():
        if hidden.covers("22", pos):
            assert pos not in positions
        elif abs(r2 - percent / 100) > 1e-9:  # at the very edge the two ways of computing may differ
            assert (pos in positions) == (r2 > percent / 100)
    assert positions <= {pos for _, pos, _ in records}


LINKAGE = Linkage(20, WINDOW, 3)
TWO = [("22", 200, "A,C"), ("22", 260, "A,G"), ("22", 290, "A,G"), ("22", 320, "A,G")]
CARRIED = [["0|1"] * 4 + ["0|0"] * 6] * 4


def test_what_is_too_far_or_of_too_few_is_not_linked():
    place = Mask((Interval("22", 190, 210),))
    found = linked_places(reading(TWO, CARRIED, 10), excluded=place, hidden=place, asked=None, linkage=LINKAGE, n_people=10)
    assert [one.end for one in found] == [260, 290]
    few = Linkage(20, WINDOW, 5)
    assert linked_places(reading(TWO, CARRIED, 10), excluded=place, hidden=place, asked=None, linkage=few, n_people=10) == ()


def test_nothing_is_read_where_nothing_near_is_asked_for():
    place, log = Mask((Interval("22", 190, 210),)), []
    read = reading(TWO, CARRIED, 10, log=log)
    for asked in (Mask(), Mask((Interval("22", 400, 500),)), Mask((Interval("21", 200, 300),)), place):
        assert linked_places(read, excluded=place, hidden=place, asked=asked, linkage=LINKAGE, n_people=10) == ()
    assert linked_places(read, excluded=Mask(), hidden=Mask(), asked=None, linkage=LINKAGE, n_people=10) == ()
    assert log == []
    near = Mask((Interval("22", 250, 270),))
    assert [one.end for one in linked_places(read, excluded=place, hidden=place, asked=near, linkage=LINKAGE, n_people=10)] == [
        260
    ]
    assert max(one.end for places in log for one in places) <= 270
