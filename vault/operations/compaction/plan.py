"""Choice of the parts that are joined next (docs/design/genotypes.md §16). Pure.

Parts are of a *class* by their number of people: one; up to 16; up to 256; up to 4,096, which are not joined any more. Sixteen parts of a class
make one of the next, so a person's blocks are sealed again three times at most, however many people come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

FAN_IN = 16
MAX_PEOPLE = 4_096  # of a compacted part: 16 to the power of 3
LOOK_AHEAD = 4_096  # parts that are looked at for one group


@dataclass(frozen=True)
class Candidate:
    """A part that may be joined with others: of one person, or compacted before. ``ordinal``: its place among the dataset's parts."""

    part_id: bytes
    ordinal: int
    people: frozenset[bytes]
    tracked: bool
    stored_bytes: int = 0

    @property
    def size_class(self) -> int:
        """0 of one person, 1 of up to 16, 2 of up to 256, 3 of up to 4,096."""
        least, found = 1, 0
        while len(self.people) > least:
            least, found = least * FAN_IN, found + 1
        return found


Ordinals = Mapping[bytes, Iterable[int]]
"""Person → places of all parts of the dataset that they are in, of whichever kind."""

Group = tuple[Candidate, ...]
"""Parts to be joined, by their places; the new part takes the first's."""


def compaction_plan(candidates: Sequence[Candidate], ordinals: Ordinals, *, whole: bool = False) -> list[Group]:
    """Groups of parts to be joined now, one after the other.

    A group has no person twice, no person with a track beside one without, and changes nobody's order of imports: no other part of a
    person of a part lies between the first part's place and that part's. ``whole``: a group may be smaller than 16 and of several
    classes, so that repeating it leaves as few parts as there can be; but no part is sealed again for less than a sixteenth of its people.
    Otherwise groups are of the smallest class that has 16 parts.
    """
    if whole:
        return _groups(candidates, ordinals, whole=True)
    for size_class in sorted({one.size_class for one in candidates}):
        found = _groups([one for one in candidates if one.size_class == size_class], ordinals, whole=False)
        if found:
            return found
    return []


def _groups(candidates: Sequence[Candidate], ordinals: Ordinals, *, whole: bool) -> list[Group]:
    places = {person: set(at) for person, at in ordinals.items()}
    groups: list[Group] = []
    for tracked in (True, False):
        left = sorted((one for one in candidates if one.tracked == tracked), key=lambda one: (one.size_class, one.ordinal))
        while left:
            group = _group(left, places)
            if len(group) == FAN_IN or (whole and len(group) > 1):
                groups.append(tuple(sorted(group, key=lambda one: one.ordinal)))
                _move(groups[-1], places)
                gone = {one.part_id for one in group}
                left = [one for one in left if one.part_id not in gone]
            else:
                left = left[1:]
    return groups


def _group(left: Sequence[Candidate], places: Mapping[bytes, set[int]]) -> list[Candidate]:
    """The first of these parts, with those that may be joined with it."""
    group = [left[0]]
    people = set(left[0].people)
    for one in left[1:LOOK_AHEAD]:
        if len(group) == FAN_IN:
            break
        fits = len(people) + len(one.people) <= MAX_PEOPLE and len(one.people) <= FAN_IN * len(people)
        if fits and people.isdisjoint(one.people) and _in_order([*group, one], places):
            group.append(one)
            people |= one.people
    return group


def _in_order(group: Sequence[Candidate], places: Mapping[bytes, set[int]]) -> bool:
    """True if each part may take the first one's place: none of its people has another part from there to its own."""
    first = min(one.ordinal for one in group)
    return not any(first <= at < one.ordinal for one in group for person in one.people for at in places.get(person, ()))


def _move(group: Group, places: dict[bytes, set[int]]) -> None:
    """Tell that the people of a group have their parts in the first one's place."""
    for one in group:
        for person in one.people:
            places[person] = {group[0].ordinal if at == one.ordinal else at for at in places.get(person, {one.ordinal})}
