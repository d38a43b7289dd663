"""De-identification against an oracle that works on GT texts, call by call."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.loci import Interval, Mask
from tests.support.gt_text import calls_of, sites_of, texts_of
from tests.support.vcf_text import genotypes
from tests.support.views import CallsInMemory, MarkedPanel, allele_counts
from vault.errors import IntegrityError, UsageError
from vault.genotypes.assayed import EVERYTHING, NOTHING, Assayed
from vault.genotypes.codec.call_codes import Escapes
from vault.views.deidentify import Deidentified, row_order
from vault.views.hidden_places import HiddenPlaces
from vault.views.site_selection import Profile
from vault.views.view import View

span = Interval.from_positions


def hidden(*masks):
    return HiddenPlaces(masks, assembly="GRCh38")


def names(n):
    return tuple(f"p1{i}" for i in range(n))


def panel_of(records, fixed, named):
    """A panel that fixes the sites numbered ``fixed``; ``named`` {site number: its ALT numbers that a locus names}."""
    place = {i: (contig, pos) for i, (contig, pos, _) in enumerate(records)}
    return MarkedPanel(
        frozenset(place[i] for i in fixed if i in place), {place[i]: alts for i, alts in named.items() if i in place}
    )


def deidentified(
    records, rows, *, fixed=None, named=None, profile=None, pages=None, assayed=EVERYTHING, **columns
) -> Deidentified:
    """``pages``: sites a window; None: all in one."""
    n = len(rows[0]) if rows else 2
    return Deidentified(
        CallsInMemory(sites_of(records, **columns), *calls_of(rows, n), max_sites=pages or 1 << 30),
        names(n),
        profile=profile or Profile(keep_phase=True),
        assembly="GRCh38",
        panel=None if fixed is None else panel_of(records, fixed, named or {}),
        assayed=assayed,
        window_sites=pages or max(1, len(records)),
    )


def view_of(records, rows, **options) -> View:
    return deidentified(records, rows, **options).view()


def shown(view):
    return list(zip(view.sites.pos.tolist(), view.sites.alleles.items(), texts_of(view.codes, view.escapes), strict=True))


def test_a_region_view_drops_sites_that_nobody_released_carries():
    view = view_of([("22", 5, "A,C"), ("22", 9, "A,G"), ("22", 11, "A")], [["0|0", "./."], ["0|1", "0|0"], ["0|0", "0|0"]])
    assert shown(view) == [(9, b"A,G", ["0|1", "0|0"])]


def test_alts_that_nobody_released_carries_are_trimmed_and_the_rest_renumbered():
    view = view_of([("22", 5, "A,C,G,T")], [["0|2", "3/2", ".|3", "3", "."]])
    assert shown(view) == [(5, b"A,G,T", ["0|1", "2/1", ".|2", "2", "."])]


def test_an_escaped_call_is_renumbered_and_becomes_an_ordinary_one_where_it_fits():
    alleles = "A," + ",".join("A" * i + "C" for i in range(1, 13))
    view = view_of([("22", 5, alleles)], [["12|0", "11/12/0", "12"]])
    assert [row for _, _, row in shown(view)] == [["2|0", "1/2/0", "2"]]
    assert len(view.escapes) == 1
    assert view.codes[0, 0] != 253


def test_missing_stays_missing_and_an_unassayed_call_is_missing_too():
    view = view_of([("22", 5, "A,C")], [["0/1", ".", "./.", ".|.", None, "./1"]])
    assert shown(view)[0][2] == ["0/1", ".", "./.", ".|.", "./.", "./1"]
    assert 255 not in view.codes


def test_dropping_phase_sorts_alleles_missing_first():
    view = view_of([("22", 5, "A,C,G")], [["1|0", "2/1", "1|.", "2", "2|0/1|."]], profile=Profile())
    assert shown(view)[0][2] == ["0/1", "1/2", "./1", "2", "./0/1/2"]


def test_a_panel_view_keeps_fixed_sites_and_named_alts_whoever_carries_them():
    records = [("22", 5, "A,C,G,T"), ("22", 9, "A,<DEL>"), ("22", 11, "A"), ("22", 12, "A,C"), ("22", 13, "A,C,G")]
    rows = [["0|0", "0|3"], ["./.", "0|0"], ["0|0", "."], ["0|0", "0|0"], ["0|0", "2|0"]]
    info = ["", "END=20;SVTYPE=DEL", "", "", ""]
    view = view_of(records, rows, fixed={0, 1, 2}, named={0: [1], 1: [1]}, info=info)
    assert shown(view) == [
        (5, b"A,C,T", ["0|0", "0|2"]),
        (9, b"A,<DEL>", ["./.", "0|0"]),
        (11, b"A", ["0|0", "."]),
        (13, b"A,G", ["0|0", "1|0"]),
    ]
    assert view.sites.info.items() == [b"", b"END=20;SVTYPE=DEL", b"", b""]


@pytest.mark.parametrize("assayed", [NOTHING, Assayed(places=Mask((Interval("22", 9, 11), Interval("X", 0, 99))))])
def test_a_site_that_only_people_carry_who_are_not_released_shows_where_it_was_declared(assayed):
    records = [
        ("22", 5, "A,C"),
        ("22", 8, "ACG,A"),
        ("22", 10, "AG,C"),
        ("22", 11, "A,C"),
        ("22", 11, "AT,C"),
        ("22", 20, "A,C,G"),
    ]
    rows = [["0|0", "./."]] * 5 + [["0|1", "0|0"]]
    view = view_of(records, rows, fixed=set(range(6)), named={0: [1], 3: [1], 5: [1, 2]}, assayed=assayed)
    declared = [(10, b"AG"), (11, b"A,C")] if assayed is not NOTHING else []
    assert [site[:2] for site in shown(view)] == [*declared, (20, b"A,C")]  # nobody released has the listed G


def test_what_is_hidden_is_never_said_to_be_carried():
    records, rows = [("22", 9, "A,C"), ("22", 30, "A,C")], [["0|1"], ["0|1"]]
    view = view_of(records, rows, profile=MASK, fixed={0, 1}, named={0: [1], 1: [1]}, assayed=NOTHING)
    assert [site[:2] for site in shown(view)] == [(30, b"A,C")]


def test_a_fixed_site_that_no_locus_names_alts_of_may_be_left_without_alts():
    view = view_of([("22", 5, "A,C,<DEL>")], [["0/0", "./."]], fixed={0}, info=["END=9;SVTYPE=DEL"])
    assert shown(view) == [(5, b"A", ["0/0", "./."])]
    assert view.sites.info.items() == [b""]


def test_a_masked_fixed_site_shows_only_the_alts_that_a_locus_names():
    records, rows = [("22", 9, "A,C,G"), ("22", 10, "A,C")], [["0|2", "0|1"], ["0|1", "1|1"]]
    view = view_of(records, rows, profile=MASK, fixed={0, 1}, named={0: [1]})
    assert shown(view) == [(9, b"A,C", ["./.", "./."]), (10, b"A", ["./.", "./."])]


def test_a_masked_site_that_is_not_fixed_leaves_a_panel_view_too():
    assert shown(view_of([("22", 9, "A,C")], [["0|1"]], profile=MASK, fixed=set())) == []


MASK = Profile(keep_phase=True, hidden=hidden(span("chr22", 8, 10)))
MASKED = [("22", 5, "A,C"), ("22", 7, "AT,A"), ("22", 9, "A,G"), ("22", 11, "A,G"), ("22", 12, "A,G")]
MASKED_ROWS = [["1|0", "0"], ["1|0", "1"], ["0|1", "0"], ["1|0", "1"], ["1|1", "0|1|1"]]


def test_masked_sites_leave_a_region_view_with_anything_that_reaches_into_the_mask():
    assert shown(view_of(MASKED, MASKED_ROWS, profile=MASK)) == [
        (5, b"A,C", ["0/1", "0"]),  # the shorter side of the gap loses its phase
        (11, b"A,G", ["1|0", "1"]),
        (12, b"A,G", ["1|1", "0|1|1"]),
    ]


def test_masked_sites_that_a_panel_fixes_are_missing_for_everybody():
    view = view_of(MASKED, MASKED_ROWS, profile=MASK, fixed=set(range(5)))
    assert [row for _, _, row in shown(view)] == [["0/1", "0"], ["./.", "./."], ["./.", "./."], ["1|0", "1"], ["1|1", "0|1|1"]]


def test_a_mask_elsewhere_leaves_phase_alone():
    profile = Profile(
        keep_phase=True,
        hidden=hidden(span("21", 8, 10), span("22", 1, 2), span("22", 90, 99)),
    )
    assert shown(view_of([("22", 5, "A,C"), ("22", 20, "A,C")], [["1|0"], ["1|0"]], profile=profile))[1][2] == ["1|0"]


def test_a_symbolic_allele_that_ends_in_the_mask_is_masked():
    profile = Profile(hidden=hidden(span("22", 500, 500)))
    view = view_of([("22", 5, "A,<DEL>")], [["0|1"]], profile=profile, info=["END=500;SVTYPE=DEL"])
    assert len(view.sites) == 0


def test_ids_on_opt_in_only_and_filters_without_their_names():
    columns = {"ids": ["rs7"], "filters": ["q10;s50"]}
    plain = view_of([("22", 5, "A,C")], [["0|1"]], **columns)
    opted = view_of([("22", 5, "A,C")], [["0|1"]], profile=Profile(keep_ids=True), **columns)
    assert (plain.sites.ids.items(), opted.sites.ids.items()) == ([b"."], [b"rs7"])
    assert plain.sites.filters.items() == [b"not_passed"]


def test_end_and_svtype_go_with_the_alt_that_needed_them():
    view = view_of([("22", 5, "A,C,<DEL>"), ("22", 6, "A,<DEL>")], [["0|1"], ["0|1"]], info=["END=9;SVTYPE=DEL", "END=8"])
    assert (view.sites.alleles.items(), view.sites.info.items()) == ([b"A,C", b"A,<DEL>"], [b"", b"END=8"])


def test_an_end_before_the_start_is_dropped():
    view = view_of([("22", 5, "A,<DEL>"), ("22", 6, "A,N[22:9[")], [["0|1"], ["0|1"]], info=["END=4;SVTYPE=DEL", "SVTYPE=BND"])
    assert view.sites.info.items() == [b"SVTYPE=DEL", b"SVTYPE=BND"]


def test_only_contigs_with_sites_are_named():
    view = view_of([("21", 5, "A,C"), ("22", 5, "A,C"), ("X", 5, "A,C")], [["0|0"], ["0|1"], ["0|0"]])
    assert (view.sites.contigs, view.sites.contig.tolist()) == (("22",), [0])


def test_row_order_is_keyed_and_independent_of_the_input_order():
    people = [f"demo1{i}" for i in range(50)]
    first = [people[i] for i in row_order(b"a" * 32, people)]
    assert [people[::-1][i] for i in row_order(b"a" * 32, people[::-1])] == first
    assert sorted(first) == sorted(people)
    assert [people[i] for i in row_order(b"b" * 32, people)] != first
    assert first != people


@pytest.mark.parametrize("people", [names(1), ("a", "a")])
def test_people_that_do_not_fit_the_calls_are_refused(people):
    source = CallsInMemory(sites_of([("22", 5, "A,C")]), *calls_of([["0|1", "1"]], 2))
    with pytest.raises(UsageError) as caught:
        Deidentified(source, people, profile=Profile(), assembly="x")
    assert caught.value.code == "view_parts"


@pytest.mark.parametrize("call", ["0|2", "2", "0/0/2"])
def test_a_call_that_its_site_cannot_have_is_an_integrity_error(call):
    with pytest.raises(IntegrityError) as caught:
        view_of([("22", 5, "A,C")], [["0|1", call]])
    assert caught.value.code == "call_outside_site"


def test_an_unused_code_is_an_integrity_error():
    source = CallsInMemory(sites_of([("22", 5, "A,C")]), np.array([[254]], np.uint8), Escapes.empty())
    with pytest.raises(IntegrityError):
        Deidentified(source, names(1), profile=Profile(), assembly="x")


@st.composite
def cohorts(draw):
    n = draw(st.integers(1, 70))
    m = draw(st.integers(0, 6))
    records, rows = [], []
    for i in range(m):
        alts = draw(st.sampled_from([0, 1, 1, 2, 3, 9, 10, 12]))
        records.append(
            (
                "22" if i < m // 2 else "X",
                10 + 3 * i,
                "A," * bool(alts) + ",".join("A" * k + "C" for k in range(1, alts + 1)) or "A",
            )
        )
        pool = draw(st.lists(genotypes(alts + 1), min_size=1, max_size=4))
        pool = [*pool, None]
        rows.append([draw(st.sampled_from(pool)) if j < 8 else pool[j % len(pool)] for j in range(n)])
    masks = draw(st.lists(st.tuples(st.sampled_from(["22", "chrX"]), st.integers(8, 30), st.integers(0, 4)), max_size=2))
    return n, records, rows, tuple(span(c, p, p + w) for c, p, w in masks)


@st.composite
def panels(draw):
    """Which sites a panel fixes and which ALTs of them it names; None: a region view."""
    if draw(st.booleans()):
        return None
    fixed = draw(st.sets(st.integers(0, 5)))
    return fixed, {i: draw(st.sets(st.integers(1, 12))) for i in fixed}


def oracle(records, rows, *, masks, panel, keep_phase):
    """The same rules on texts: [(pos, alleles, texts)]. Follows docs/design/disclosure.md §11 literally."""
    out = []
    fixed, named = panel or (set(), {})
    for i, ((contig, pos, spelled), row) in enumerate(zip(records, rows, strict=True)):
        alleles = spelled.split(",")
        last = pos + len(alleles[0]) - 1
        masked = any(m.contig.removeprefix("chr") == contig and pos <= m.positions[1] and last >= m.positions[0] for m in masks)
        carried = {int(a) for text in row if text for a in re.split(r"[/|]", text) if a != "."} | {0}
        if i not in fixed and (masked or len(carried) == 1):
            continue
        known = {a for a in named.get(i, ()) if a < len(alleles)}
        kept = sorted({0} | known | (set() if masked else carried))
        texts = []
        for call in row:
            text = "./." if call is None or masked else call
            texts.append(re.sub(r"\d+", lambda hit, new=kept: str(new.index(int(hit[0]))), text))
        gaps = sum(m.contig.removeprefix("chr") == contig and m.positions[0] <= pos for m in _join(masks))
        out.append((contig, pos, [alleles[a] for a in kept], texts, masked, gaps))
    sizes: dict[tuple[str, int], int] = {}
    for contig, _, _, _, masked, gaps in out:
        if not masked:
            sizes[contig, gaps] = sizes.get((contig, gaps), 0) + 1
    result = []
    for contig, pos, alleles, texts, _, gaps in out:
        best = (
            max((size, -gap) for (name, gap), size in sizes.items() if name == contig)
            if any(k[0] == contig for k in sizes)
            else (0, 0)
        )
        if not keep_phase or -best[1] != gaps:
            texts = [_sorted(text) for text in texts]  # noqa: PLW2901  # the oracle's plain words
        result.append((pos, ",".join(alleles).encode(), texts))
    return result


def _join(masks):
    joined = []
    for mask in sorted(masks, key=lambda m: (m.contig, m.start)):
        if joined and joined[-1].contig == mask.contig and mask.start <= joined[-1].end:
            joined[-1] = Interval(mask.contig, joined[-1].start, max(joined[-1].end, mask.end))
        else:
            joined.append(mask)
    return joined


def _sorted(text):
    return "/".join(sorted(re.split(r"[/|]", text), key=lambda a: -1 if a == "." else int(a)))


@settings(max_examples=60, deadline=None)
@given(cohorts(), panels(), st.booleans())
def test_agrees_with_the_oracle(cohort, panel, keep_phase):
    _, records, rows, masks = cohort
    fixed, named = panel or (None, None)
    view = view_of(records, rows, fixed=fixed, named=named, profile=Profile(keep_phase=keep_phase, hidden=hidden(*masks)))
    assert shown(view) == oracle(records, rows, masks=masks, panel=panel, keep_phase=keep_phase)
    again, escaped = calls_of(texts_of(view.codes, view.escapes), len(view.pseudonyms))  # calls are in their one canonical form
    assert np.array_equal(again, view.codes)
    assert np.array_equal(escaped.alleles, view.escapes.alleles)
    counts = allele_counts(view)
    for i, (_, alleles, texts) in enumerate(shown(view)):
        called = [int(a) for text in texts for a in re.split(r"[/|]", text) if a != "."]
        assert counts.an[i] == len(called)
        assert counts.ac(i).tolist() == [called.count(a) for a in range(1, alleles.count(b",") + 1)]


@settings(max_examples=60, deadline=None)
@given(cohorts(), panels(), st.booleans(), st.integers(1, 5))
def test_pages_put_together_are_the_view(cohort, panel, keep_phase, size):
    _, records, rows, masks = cohort
    fixed, named = panel or (None, None)
    options = {"fixed": fixed, "named": named, "profile": Profile(keep_phase=keep_phase, hidden=hidden(*masks))}
    view, paged = view_of(records, rows, **options), deidentified(records, rows, **options, pages=size)
    pages = list(paged.pages())
    assert paged.summary == deidentified(records, rows, **options).summary
    assert [record for page in pages for record in shown(page)] == shown(view)
    assert all(page.sites.contigs == view.sites.contigs == paged.summary.contigs for page in pages)
    assert [c for page in pages for c in page.sites.contig.tolist()] == view.sites.contig.tolist()
    for name in ("an", "counts"):
        joined = [x for page in pages for x in getattr(page.counts, name).tolist()]
        assert joined == getattr(allele_counts(view), name).tolist()
    for name in ("ids", "filters", "info"):
        assert [x for page in pages for x in getattr(page.sites, name).items()] == getattr(view.sites, name).items()


def test_calls_that_are_not_those_surveyed_end_the_pages():
    class Changing(CallsInMemory):
        def windows(self, n_sites):
            yield from list(super().windows(n_sites))[: 2 if n_sites > 1 else 1]

    source = Changing(sites_of([("22", 5, "A,C"), ("22", 6, "A,C")]), *calls_of([["0|1"], ["0|1"]], 1))
    view = Deidentified(source, names(1), profile=Profile(), assembly="x", window_sites=1)
    with pytest.raises(IntegrityError) as caught:
        list(view.pages())
    assert caught.value.code == "view_changed"


def test_bits_are_of_the_whole_view_whether_its_pages_were_asked_for_or_not():
    """Else an extract that goes on with all its files there would leave uncounted."""
    given = [("22", 5, "A,C"), ("22", 9, "A,G")], [["0|1", "0|0"], ["1|1", "0|1"]]
    asked = deidentified(*given)
    asked.view()
    assert deidentified(*given).counted().mean == asked.counted().mean > 0
