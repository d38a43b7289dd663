from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.gt_text import calls_of, sites_of, texts_of
from vault.errors import GenovaultError
from vault.genotypes.codec.allele_counts import count_calls
from vault.genotypes.codec.call_codes import ABSENT, Escapes
from vault.genotypes.store.part_merge import PartCalls, PartCounts, merge_counts, merge_parts


@dataclass(frozen=True)
class Row:
    """A record of a part as text; ``calls`` of the part's people, in their order."""

    pos: int
    alleles: str
    calls: tuple[str, ...]
    contig: str = "1"
    id: str = "."
    filter: str = "PASS"
    info: str = ""


def part(rows, columns):
    columns_of = {"ids": [r.id for r in rows], "filters": [r.filter for r in rows], "info": [r.info for r in rows]}
    codes, escapes = calls_of([r.calls for r in rows], len(columns))
    return PartCalls(
        sites_of([(r.contig, r.pos, r.alleles) for r in rows], **columns_of), codes, escapes, np.array(columns, np.int64)
    )


def merged(*parts, n):
    """The view's lines as text: (contig, pos, alleles, calls)."""
    sites, codes, escapes = merge_parts(parts, n)
    assert counted(parts, n) in (None, counts_of(sites, codes, escapes))
    places = zip(sites.contig.tolist(), sites.pos.tolist(), sites.alleles.items(), texts_of(codes, escapes), strict=True)
    return [(sites.contigs[c], pos, alleles.decode(), calls) for c, pos, alleles, calls in places]


def counted(parts, n):
    found = merge_counts([PartCounts(p.sites, count_calls(p.sites, p.codes, p.escapes), p.columns) for p in parts], n)
    return found and (found[0].alleles.items(), *(column.tolist() for column in vars(found[1]).values()))


def counts_of(sites, codes, escapes):
    return (sites.alleles.items(), *(column.tolist() for column in vars(count_calls(sites, codes, escapes)).values()))


def lines(*parts, n):
    return [(pos, alleles, " ".join(calls)) for _, pos, alleles, calls in merged(*parts, n=n)]


def test_one_part_passes_through():
    only = part([Row(5, "A,T", ("0/1", "0/0"))], [0, 1])
    sites, codes, _ = merge_parts([only], 2)
    assert sites is only.sites
    assert codes is only.codes


def test_a_subject_whose_part_lacks_a_site_is_absent_there():
    first = part([Row(5, "A,T", ("0/1", "1|1")), Row(9, "C,G", ("0/1", "0/0"))], [0, 1])
    second = part([Row(5, "A,T", ("1",)), Row(7, "G,T", ("0|1",))], [2])
    assert lines(first, second, n=3) == [(5, "A,T", "0/1 1|1 1"), (7, "G,T", "./. ./. 0|1"), (9, "C,G", "0/1 0/0 ./.")]
    assert merge_parts([first, second], 3)[1][1, 0] == ABSENT


def test_alts_are_united_and_calls_renumbered():
    one, other = part([Row(5, "A,T", ("0/1",))], [0]), part([Row(5, "A,C,T", ("1|2",))], [1])
    assert lines(one, other, n=2) == [(5, "A,C,T", "0/2 1|2")]
    assert lines(other, one, n=2) == [(5, "A,C,T", "0/2 1|2")]


def test_an_alt_that_nobody_carries_has_a_line_of_its_own_where_a_part_has_several_records():
    rows = [Row(5, "A,G,T", ("0/1", "0/0"), filter="q10"), Row(5, "A,AC", ("0/1", "0/0"))]
    asked = part([Row(5, "A,T,C", ())], [])  # of a panel: nobody's
    wanted = [(5, "A,AC", "0/1 0/0"), (5, "A,C", "./. 0/0"), (5, "A,G,", "0/1 0/0"), (5, "A,T", "./. 0/0")]
    assert sorted(lines(part(rows, [0, 1]), asked, n=2)) == wanted
    blanked = [Row(5, "A,G,", ("0/1", "0/0"), filter="q10"), rows[1]]
    assert sorted(lines(part(blanked, [0, 1]), asked, n=2)) == wanted


def test_alts_that_no_record_has_all_of_come_in_the_order_of_their_texts():
    one, other = part([Row(5, "A,T", ("0/1",))], [0]), part([Row(5, "A,G", ("1/1",))], [1])
    assert lines(one, other, n=2) == lines(other, one, n=2) == [(5, "A,G,T", "0/2 1/1")]


def test_a_reference_call_says_reference_whatever_its_record_lists():
    one, other = part([Row(5, "A,T", ("0/0", "./.", "0"))], [0, 1, 2]), part([Row(5, "A,G", ("1/1",))], [3])
    assert lines(one, other, n=4) == [(5, "A,G,T", "0/0 ./. 0 1/1")]


def test_a_record_without_alts_is_of_the_line_too():
    one, other = part([Row(5, "A", ("0/0",))], [0]), part([Row(5, "A,G", ("1/1",))], [1])
    assert lines(one, other, n=2) == [(5, "A,G", "0/0 1/1")]


def test_a_line_does_not_depend_on_what_was_blanked():
    mine = part([Row(5, "A,,T", ("0/2",))], [0])
    other = part([Row(5, "A,G,T", ("0/0", "0/2"))], [1, 2])
    assert lines(mine, other, n=3) == [(5, "A,G,T,", "0/2 0/0 0/2")]  # the empty ALT, which nobody carries, is not shown


def test_a_record_of_which_only_the_place_is_left_says_who_is_reference():
    mine, other = part([Row(5, "A,", ("0/0", "./."))], [0, 1]), part([Row(5, "A,G", ("0/1",))], [2])
    assert lines(mine, other, n=3) == [(5, "A,G,", "0/0 ./. 0/1")]


def test_lower_case_bases_are_bases():
    one, other = part([Row(5, "a,g", ("0/1",))], [0]), part([Row(5, "A,G,T", ("1/2",))], [1])
    assert lines(one, other, n=2) == [(5, "A,G,T", "0/1 1/2")]
    assert lines(one, one.__class__(one.sites, one.codes, one.escapes, np.array([1])), n=2) == [(5, "a,g", "0/1 0/1")]


def test_another_ref_is_another_line():
    one, other = part([Row(5, "AT,A", ("0/1",))], [0]), part([Row(5, "A,G", ("1/1",))], [1])
    assert lines(one, other, n=2) == [(5, "A,G", "./. 1/1"), (5, "AT,A", "0/1 ./.")]


def test_names_and_filters_are_those_of_all_in_any_order():
    one = part([Row(5, "A,T", ("0/1",), id="rs2", filter="q10"), Row(9, "A,T", ("0/1",), filter="PASS")], [0])
    other = part([Row(5, "A,T", ("0/1",), id="rs1;rs2", filter="PASS"), Row(9, "A,T", ("0/1",), id="rs9", filter=".")], [1])
    for parts in ([one, other], [other, one]):
        sites, _, _ = merge_parts(parts, 2)
        assert (sites.ids.items(), sites.filters.items()) == ([b"rs1;rs2", b"rs9"], [b"q10", b"PASS"])


def test_one_file_per_chromosome():
    one = part([Row(5, "A,T", ("0/1", "1/1"), contig="2")], [0, 1])
    two = part([Row(5, "A,T", ("0/0", "./1"))], [1, 0])
    assert merged(one, two, n=2) == [("2", 5, "A,T", ["0/1", "1/1"]), ("1", 5, "A,T", ["./1", "0/0"])]


def test_records_that_a_caller_keeps_apart_stay_apart():
    one = part([Row(5, "A,G", ("0|1", "0|0")), Row(5, "A,AT", ("0|1", "0|0"))], [0, 1])
    other = part([Row(5, "A,G", ("1|1",)), Row(5, "A,AT", ("0|1",))], [2])
    assert lines(one, other, n=3) == [(5, "A,AT", "0|1 0|0 0|1"), (5, "A,G", "0|1 0|0 1|1")]


def test_a_blanked_record_beside_another_still_says_who_is_reference():
    one = part([Row(5, "A,", ("0|0", "./.")), Row(5, "A,AT", ("0|1", "0|0"))], [0, 1])
    other = part([Row(5, "A,G", ("1|1",)), Row(5, "A,AT", ("0|1",))], [2])
    assert lines(one, other, n=3) == [(5, "A,AT", "0|1 0|0 0|1"), (5, "A,G", "0|0 ./. 1|1")]


def test_split_and_joined_records_that_do_not_fit_stay_apart_and_lose_no_call():
    split = part([Row(5, "A,G", ("0/1", "0/0")), Row(5, "A,T", ("1/0", "0/0"))], [0, 1])
    joined = part([Row(5, "A,G,T", ("1/2", "0/0"))], [2, 3])
    assert lines(split, joined, n=4) == [
        (5, "A,G", "0/1 0/0 ./. 0/0"),
        (5, "A,G,T", "./. 0/0 1/2 0/0"),
        (5, "A,T", "1/0 0/0 ./. 0/0"),
    ]


def test_records_repeated_in_a_part_stay_apart():
    twice = part([Row(5, "A,T", ("0/1",)), Row(5, "A,T", ("1/1",))], [0])
    once = part([Row(5, "A,T", ("1/1",))], [1])
    assert lines(twice, once, n=2) == [(5, "A,T", "0/1 1/1"), (5, "A,T", "1/1 ./.")]


def test_the_earlier_call_of_a_person_stands_unless_it_is_missing():
    first = part([Row(5, "A,G", ("0/1", "./.", "0|0"))], [0, 1, 2])
    second = part([Row(5, "A,G,T", ("2/2", "2/2", "."))], [0, 1, 2])
    assert lines(first, second, n=3) == [(5, "A,G,T", "0/1 2/2 0|0")]


def test_symbols_of_another_extent_are_another_line():
    one = part([Row(5, "G,<DEL>", ("0/1",), info="END=100;SVTYPE=DEL")], [0])
    other = part([Row(5, "G,<DEL>", ("1/1",), info="END=900")], [1])
    same = part([Row(5, "G,<DEL>", ("1/1",), info="END=100")], [1])
    assert lines(one, other, n=2) == [(5, "G,<DEL>", "0/1 ./."), (5, "G,<DEL>", "./. 1/1")]
    assert lines(one, same, n=2) == [(5, "G,<DEL>", "0/1 1/1")]
    assert merge_parts([same, replace(one)], 2)[0].info.items() == [b"END=100;SVTYPE=DEL"]


def test_calls_grow_into_escapes_where_alts_are_many():
    alts = [f"{'ACGT' * 3}{'A' * k}" for k in range(9)]
    one = part([Row(5, ",".join(["A", *alts, "T"]), ("0/10", "9|9", "1/2/10"))], [0, 1, 2])
    other = part([Row(5, ",".join(["A", "C", *alts]), ("1", "0/10"))], [3, 4])
    ((_, alleles, calls),) = lines(one, other, n=5)
    assert sorted(alleles.split(",")) == sorted(["A", "C", "T", *alts])
    listed = alleles.split(",")
    assert spelled_calls(calls.split(), listed) == ["A/T", f"{alts[8]}|{alts[8]}", f"{alts[0]}/{alts[1]}/T", "C", f"A/{alts[8]}"]


def test_a_call_outside_its_site_is_an_error():
    one, other = part([Row(5, "A,,T", ("0/1",))], [0]), part([Row(5, "A,G,T", ("0/1",))], [1])
    with pytest.raises(GenovaultError) as caught:
        merge_parts([one, other], 2)
    assert caught.value.code == "call_outside_site"


def test_no_parts_is_an_empty_view():
    sites, codes, escapes = merge_parts([], 3)
    assert (len(sites), codes.shape, len(escapes)) == (0, (0, 3), 0)
    assert len(merge_parts([part([], [0]), part([], [1])], 2)[2]) == len(Escapes.empty())


def spelled_calls(calls, listed):
    """Calls with bases in place of allele numbers."""
    return [re.sub(r"\d+", lambda number: listed[int(number[0])], call) for call in calls]


def shown(view):
    """What a region view shows of lines: no ALT that nobody carries, calls spelled out; all in the order of texts."""
    found = []
    for contig, pos, alleles, calls in view:
        listed = alleles.split(",")
        carried = {listed[int(number)] for call in calls for number in re.findall(r"\d+", call) if number != "0"}
        if carried:
            alts = sorted(carried)
            found.append((contig, pos, listed[0], alts, spelled_calls(calls, listed)))
    return sorted(found)


PEOPLE = 5
TEXTS = ("{a}/{b}", "{a}|{b}", "{a}", "0/0", "0|{a}")


@st.composite
def records(draw, columns, *, split):
    """A part's rows: at each place one record of a REF, or where it is ``split`` several of other ALTs, as callers and normalisers
    write them: who is missing in one of these is missing in all.
    """
    rows = []
    for pos in draw(st.sets(st.integers(1, 3), max_size=3)):
        for ref in draw(st.sets(st.sampled_from(["A", "AT"]), min_size=1)):
            alts = draw(st.lists(st.sampled_from(["G", "T", "C", "AC"]), unique=True, min_size=int(split), max_size=4))
            cuts = sorted(draw(st.sets(st.integers(1, max(1, len(alts) - 1))))) if split else []
            missing = [draw(st.booleans()) for _ in columns]
            for first, last in pairwise([0, *(cut for cut in cuts if cut < len(alts)), len(alts)]):
                number = st.integers(0, last - first)
                called = [draw(st.sampled_from(TEXTS)).format(a=draw(number), b=draw(number)) for _ in columns]
                calls = tuple("./." if gone else call for gone, call in zip(missing, called, strict=True))
                rows.append(Row(pos, ",".join([ref, *alts[first:last]]), calls))
    return sorted(rows, key=lambda row: row.pos)


@st.composite
def datasets(draw, *, split, apart=False):
    """Some parts: (rows, columns). ``apart``: nobody is in two."""
    left, parts = list(range(PEOPLE)), []
    for _ in range(draw(st.integers(2, 4))):
        columns = draw(st.lists(st.sampled_from(left), unique=True, min_size=1, max_size=3)) if left else []
        if apart:
            left = [person for person in left if person not in columns]
        if columns:
            parts.append((draw(records(columns, split=split)), columns))
    return parts


@settings(deadline=None, max_examples=150)
@given(datasets(split=False))
def test_merging_equals_a_dictionary_of_calls(parts):
    oracle: dict = {}
    for rows, columns in parts:
        for row in rows:
            listed = row.alleles.split(",")
            people = oracle.setdefault(("1", row.pos, listed[0]), {})
            for column, call in zip(columns, spelled_calls(row.calls, listed), strict=True):
                if not set(people.get(column, ".")) - set("./|"):
                    people[column] = call if column not in people or set(call) - set("./|") else people[column]
    wanted = []
    for (contig, pos, ref), people in oracle.items():
        calls = [people.get(person, "./.") for person in range(PEOPLE)]
        alts = {allele for call in calls for allele in re.split(r"[/|]", call)} - {".", ref}
        if alts:
            wanted.append((contig, pos, ref, alts, calls))
    found = shown(merged(*(part(*each) for each in parts), n=PEOPLE))
    assert [(*line[:3], set(line[3]), line[4]) for line in found] == sorted(wanted, key=lambda line: (line[:3], sorted(line[3])))


@settings(deadline=None, max_examples=150)
@given(st.booleans().flatmap(lambda split: datasets(split=split, apart=True)), st.data())
def test_neither_the_order_of_parts_nor_what_they_list_changes_a_line(parts, data):
    wanted = shown(merged(*(part(*each) for each in parts), n=PEOPLE))
    assert shown(merged(*(part(*each) for each in data.draw(st.permutations(parts))), n=PEOPLE)) == wanted
    less = [([blanked(row, data) for row in rows], columns) for rows, columns in parts]
    assert shown(merged(*(part(*each) for each in less), n=PEOPLE)) == wanted


def blanked(row, data):
    """A row without some ALTs that none of its people carries, as an erasure leaves it."""
    listed = row.alleles.split(",")
    carried = {int(number) for call in row.calls for number in re.findall(r"\d+", call)}
    gone = {at for at in range(1, len(listed)) if at not in carried and data.draw(st.booleans())}
    return replace(row, alleles=",".join("" if at in gone else allele for at, allele in enumerate(listed)))


@settings(deadline=None)
@given(datasets(split=True, apart=True))
def test_every_carried_allele_is_shown_once_for_each_record(parts):
    found = merged(*(part(*each) for each in parts), n=PEOPLE)
    for rows, columns in parts:
        for at, person in enumerate(columns):
            own = [spelled_calls([row.calls[at]], row.alleles.split(","))[0] for row in rows]
            own = sorted(call for call, row in zip(own, rows, strict=True) if set(row.calls[at]) - set("0./|"))
            theirs = [(spelled_calls([calls[person]], alleles.split(","))[0], calls[person]) for _, _, alleles, calls in found]
            assert sorted(call for call, numbers in theirs if set(numbers) - set("0./|")) == own
