"""Records that were shortened to a later position, in order over the edges of windows, and gone where they are no longer asked for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.loci import Interval
from tests.support.carried import shown
from tests.support.gt_text import calls_of, sites_of, texts_of
from tests.support.views import CallsInMemory
from vault.genotypes.loci import Locus
from vault.genotypes.panel_loci import LocusIndex
from vault.views.deidentify import Deidentified
from vault.views.site_selection import Profile

LONG = "ACGTACGT"  # whose deletion is not released


def source(records, rows):
    """A dataset of (contig, pos, alleles) and GT texts; the last person is not released, so only their ALTs are left over."""
    return CallsInMemory(sites_of(records), *calls_of(rows, len(rows[0])))


def view(records, rows, *, size, profile=None, panel=None):
    made = Deidentified(
        source(records, rows),
        [f"demo1{at}" for at in range(len(rows[0]))],
        profile=profile or Profile(),
        assembly="GRCh38",
        panel=panel,
        window_sites=size,
    )
    found = [
        (page.sites.contigs[page.sites.contig[row]], int(page.sites.pos[row]), page.sites.alleles[row].decode(), calls)
        for page in made.pages()
        for row, calls in enumerate(texts_of(page.codes, page.escapes))
    ]
    return found, made


def test_what_moved_stands_behind_what_it_passed():
    records = [("22", 10, f"{LONG},A,ACGTTCGT"), ("22", 12, "G,T"), ("22", 13, "T,C"), ("22", 20, "C,A"), ("X", 5, "A,C")]
    rows = [["0/2", "0/0"], ["0/1", "0/0"], ["0/1", "0/1"], ["0/1", "1/1"], ["0/1", "0/0"]]
    for size in (1, 2, 3, 100):
        found, made = view(records, rows, size=size)
        assert [(contig, pos, alleles) for contig, pos, alleles, _ in found] == [
            ("22", 12, "G,T"), ("22", 13, "T,C"), ("22", 14, "A,T"), ("22", 20, "C,A"), ("X", 5, "A,C"),
        ]  # fmt: skip
        assert [calls for *_, calls in found][2] == ["0/1", "0/0"]
        assert made.summary.n_sites == 5


def test_the_last_record_may_move():
    found, _ = view([("22", 10, f"{LONG},A,ACGTTCGT")], [["0/2"]], size=1)
    assert [(pos, alleles) for _, pos, alleles, _ in found] == [(14, "A,T")]


@pytest.mark.parametrize(("region", "positions"), [((0, 100), [14]), ((13, 14), [14]), ((9, 13), []), ((14, 100), [])])
def test_one_that_left_the_region_is_not_shown(region, positions):
    profile = Profile(regions=(Interval("chr22", *region),))
    found, made = view([("22", 10, f"{LONG},A,ACGTTCGT")], [["0/2"]], size=1, profile=profile)
    assert [pos for _, pos, *_ in found] == positions
    assert made.summary.n_sites == len(positions)


def test_one_that_left_the_position_of_a_panel_is_as_if_it_were_not_there():
    records, rows = [("22", 10, f"{LONG},A,ACGTTCGT"), ("22", 14, "A,G")], [["0/2"], ["0/0"]]
    at = {pos: Locus(Interval.from_positions("22", pos, pos)) for pos in (10, 14)}
    wide, exact = Locus(Interval("22", 8, 30)), Locus(Interval.from_positions("22", 10, 10), LONG, ("ACGTTCGT",))

    def asked(*loci):
        found, made = view(records, rows, size=1, panel=LocusIndex(loci))
        return [(pos, alleles) for _, pos, alleles, _ in found], made.not_assayed

    assert asked(at[10]) == ([], ("22:10",))
    assert asked(at[10], at[14]) == ([(14, "A,T")], ("22:10",))
    assert asked(wide) == ([(14, "A,T")], ())
    assert asked(exact) == ([(10, f"{LONG},ACGTTCGT")], ())


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 7))
def test_windows_put_together_are_what_the_texts_say(data, size):
    alleles = ["A,C", "ACGT,A,ACTT,ACG", "ACGTACGT,A,ACGTACGA,ACGTTCGT", "AC,A,ACC"]
    places = data.draw(
        st.lists(st.tuples(st.sampled_from(["21", "22"]), st.integers(1, 12), st.sampled_from(alleles)), max_size=12)
    )
    records = sorted(places)
    calls = st.sampled_from(["0/0", "0/1", "./.", "1/1"]) | st.sampled_from(["0/2", "2/3", "0/3"])
    rows = []
    for _, _, text in records:
        most = text.count(",")
        drawn = data.draw(st.lists(calls, min_size=2, max_size=2))
        rows.append([call if all(a == "." or int(a) <= most for a in call.split("/")) else "0/0" for call in drawn])
    found = view(records, rows, size=size)[0] if records else []
    told = (
        (c, str(p), ".", t.split(",")[0], ",".join(t.split(",")[1:]), "PASS", row)
        for (c, p, t), row in zip(records, rows, strict=True)
    )
    expected = [(row[0], int(row[1]), f"{row[3]},{row[4]}", row[8:]) for text in told if (row := shown(text))]
    assert found == sorted(expected, key=lambda row: row[:2])
