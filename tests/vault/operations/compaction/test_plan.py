"""Which parts are joined next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vault.operations.compaction.plan import FAN_IN, MAX_PEOPLE, Candidate, compaction_plan


def part(number: int, people: int = 1, *, first: int | None = None, tracked: bool = True) -> Candidate:
    begin = number * 10_000 if first is None else first
    return Candidate(b"%d" % number, number, frozenset(b"%d" % at for at in range(begin, begin + people)), tracked)


def ordinals(parts: list[Candidate]) -> dict[bytes, set[int]]:
    found: dict[bytes, set[int]] = {}
    for one in parts:
        for person in one.people:
            found.setdefault(person, set()).add(one.ordinal)
    return found


def planned(parts: list[Candidate], *, whole: bool = False) -> list[list[int]]:
    return [[one.ordinal for one in group] for group in compaction_plan(parts, ordinals(parts), whole=whole)]


def test_sixteen_parts_of_a_class_are_joined_and_fifteen_are_not():
    assert planned([part(n) for n in range(15)]) == []
    assert planned([part(n) for n in range(17)]) == [list(range(16))]
    assert planned([part(n, 16) for n in range(16)]) == [list(range(16))]
    assert planned([part(n, 2) for n in range(16)]) == [list(range(16))]
    assert planned([part(n, 4_096) for n in range(16)]) == []


def test_the_smallest_class_goes_first_and_alone():
    parts = [part(n, 16) for n in range(16)] + [part(20 + n) for n in range(33)]
    assert planned(parts) == [list(range(20, 36)), list(range(36, 52))]


def test_people_with_a_track_and_without_stay_apart():
    parts = [part(n, tracked=n % 2 == 0) for n in range(32)]
    assert planned(parts) == [list(range(0, 32, 2)), list(range(1, 32, 2))]


def test_a_person_is_in_a_group_once_and_keeps_the_order_of_the_imports():
    parts = [part(n) for n in range(1, 16)] + [part(16, first=10_000), part(17)]
    assert planned(parts) == [[*range(1, 16), 17]]
    # whose earlier import lies behind the group's first place may not be put before it
    late = [part(0), *(part(n) for n in range(2, 17)), part(20, first=170_000), part(21, first=170_000)]
    assert planned([*late, part(22)]) == [[0, *range(2, 17)]]


def test_an_import_that_holds_a_person_between_is_never_overtaken():
    parts = [part(n) for n in range(16)]
    places = ordinals(parts)
    places[b"%d" % (15 * 10_000)] |= {7}  # in a joint call that came between
    assert compaction_plan(parts, places) == []


def test_chromosome_after_chromosome_is_joined_person_by_person():
    """Five people came with three chromosomes each, one person after the other."""
    parts = [part(3 * who + nth, first=who) for who in range(16) for nth in range(3)]
    assert planned(parts) == [[3 * who + nth for who in range(16)] for nth in range(3)]


def test_all_of_it_leaves_as_few_as_there_can_be():
    parts = [part(n) for n in range(1000)]
    rounds = 0
    while groups := compaction_plan(parts, ordinals(parts), whole=True):
        rounds += 1
        for group in groups:
            joined = Candidate(
                group[0].part_id, group[0].ordinal, frozenset().union(*(one.people for one in group)), tracked=True
            )
            parts = [one for one in parts if one not in group] + [joined]
    assert (len(parts), rounds) == (1, 3)
    assert planned([*parts, part(2000)], whole=True) == []  # a thousand are not sealed again for one
    assert len(planned([*parts, *(part(2000 + n, 16) for n in range(4))], whole=True)) == 1


@given(st.lists(st.tuples(st.integers(1, 600), st.booleans(), st.integers(0, 40)), max_size=40), st.booleans())
def test_every_group_is_one_that_may_be(drawn, whole):
    parts = [part(n, size, first=first * 100, tracked=tracked) for n, (size, tracked, first) in enumerate(drawn)]
    seen: set[int] = set()
    places = ordinals(parts)
    for group in compaction_plan(parts, places, whole=whole):
        assert 1 < len(group) <= FAN_IN
        assert whole or len(group) == FAN_IN
        assert seen.isdisjoint(one.ordinal for one in group)
        seen.update(one.ordinal for one in group)
        assert len({one.tracked for one in group}) == 1
        everyone = [person for one in group for person in one.people]
        assert len(everyone) == len(set(everyone)) <= MAX_PEOPLE
        first = group[0].ordinal
        for one in group:  # in the order of the groups, which move what they join
            for person in one.people:
                assert not any(first <= at < one.ordinal for at in places[person])
                places[person] = {first if at == one.ordinal else at for at in places[person]}
