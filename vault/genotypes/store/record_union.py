"""Records of one family (``site_identity``) that several parts have, and the lines of a view that they make. Pure.

    no part has two records    one line with the ALTs of all: a call of allele 0 says REF, whichever ALTs its record lists (VCF 4.3 §1.6.2, GT)
    a part has several         records are joined by the ALTs that people carry who are read, so that what callers and normalisers keep apart
                               (a SNV and an insertion, ``bcftools norm -m-``) stays apart; what is listed and not carried has a line for
                               each ALT; where a part has no record in a line, its people's reference calls in its other records stand there

So a line does not depend on ALTs that nobody carries who is read, on what a table lists since an erasure, or on the order of the parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from vault.limits import MAX_ALTS

Alt = tuple[bytes, int]
"""An ALT as it is spelled, and how often the record lists the same before it; a blanked ALT is empty."""

BLANKED: Alt = (b"", 0)

GONE = -1
"""Number of an allele that the line has not: nobody carries it."""


@dataclass(frozen=True)
class SiteRecord:
    """A part's record: ``row`` of the part, its ALTs, and which of them people carry who are read."""

    part: int
    row: int
    alts: tuple[Alt, ...]
    carried: frozenset[Alt]

    @property
    def named(self) -> tuple[Alt, ...]:
        """The ALTs that were not blanked."""
        return tuple(alt for alt in self.alts if alt[0])


@dataclass(frozen=True)
class Copy:
    """A record's calls, put in a line. ``numbers``: the new number of each allele, REF first."""

    record: SiteRecord
    numbers: tuple[int, ...]

    @property
    def unchanged(self) -> bool:
        """True if every allele keeps its number."""
        return self.numbers == tuple(range(len(self.numbers)))


@dataclass(frozen=True)
class References:
    """Reference calls, put in a line of which a part has no record: each person's first in ``records``, none if missing in ``listing``."""

    records: Sequence[SiteRecord]
    listing: Sequence[SiteRecord]


@dataclass(frozen=True)
class Line:
    """A line of a view: ``members``, the records that it is made of; ``calls`` by part."""

    alts: tuple[Alt, ...]
    members: Sequence[SiteRecord]
    calls: Mapping[int, Copy | References]


def labels(alts: Iterable[bytes]) -> tuple[Alt, ...]:
    """The ALTs of a record, told apart where two are spelled alike."""
    seen: dict[bytes, int] = {}
    found = []
    for alt in alts:
        found.append((alt, seen.get(alt, 0)))
        seen[alt] = seen.get(alt, 0) + 1
    return tuple(found)


def unite(records: Sequence[SiteRecord]) -> list[Line]:
    """The lines that the records of one family make, those of a part in its order."""
    parts = {record.part for record in records}
    if len(parts) == 1:
        return [_line(record.alts, [record]) for record in records]
    if len(parts) == len(records):
        alts = _union(records)
        if len(alts) <= MAX_ALTS:
            return [_line(alts, records)]
    return [_completed(line, records) for line in _joined(records)]


def _line(alts: tuple[Alt, ...], members: Sequence[SiteRecord]) -> Line:
    return Line(alts, members, {record.part: _copy(record, alts) for record in members})


def _completed(line: Line, records: Sequence[SiteRecord]) -> Line:
    """The line with reference calls of the people of whose parts it has no record."""
    others: dict[int, list[SiteRecord]] = {}
    for record in records:
        if record.part not in line.calls:
            others.setdefault(record.part, []).append(record)
    return Line(line.alts, line.members, {**line.calls, **{part: _references(line, mine) for part, mine in others.items()}})


def _references(line: Line, mine: Sequence[SiteRecord]) -> Copy | References:
    """Reference calls that stand in a line, of a part's records, named or not: an erasure may have blanked the ALT that one listed."""
    listing = [record for record in mine if not set(record.named).isdisjoint(line.alts)]
    silent = [record for record in mine if not record.carried]
    if len(listing) == 1 and not listing[0].carried:
        return _copy(listing[0], line.alts)
    if silent and not listing:
        return _copy(silent[0], line.alts)
    return References([*silent, *(record for record in mine if record.carried)], listing)


def _joined(records: Sequence[SiteRecord]) -> list[Line]:
    """Lines of records, of each part one at most: by carried ALTs, and one for each ALT that is listed and that nobody carries. What a record
    lists beside the carried ones is in their line as if it had been blanked.
    """
    groups: list[list[SiteRecord]] = []
    for found in _connected([record for record in records if record.carried]):
        if len({record.part for record in found}) == len(found):
            groups.append(found)
        else:
            groups += _alike((record, record.carried) for record in found)
    made = [_line(_union(_as_carried(members)), members) for members in groups]
    carried = frozenset[Alt]().union(*(record.carried for record in records))
    silent = sorted({alt for record in records for alt in record.named} - carried)
    made += [_uncarried(alt, [record for record in records if alt in record.alts]) for alt in silent]
    return made or [_line(_union(members), members) for members in _alike((record, frozenset()) for record in records)]


def _as_carried(members: Sequence[SiteRecord]) -> list[SiteRecord]:
    carried = frozenset[Alt]().union(*(record.carried for record in members))
    return [replace(record, alts=tuple(alt if alt in carried else BLANKED for alt in record.alts)) for record in members]


def _uncarried(alt: Alt, listing: Sequence[SiteRecord]) -> Line:
    """The line of an ALT that nobody carries: of each part its first record that lists it; of those in which others are carried the reference
    calls are put in later (``_completed``).
    """
    first = {record.part: record for record in reversed(listing) if not record.carried}
    members = [record for record in listing if first.get(record.part) is record]
    return _line((alt,), members) if members else Line((alt,), listing[:1], {})


def _connected(records: Sequence[SiteRecord]) -> list[list[SiteRecord]]:
    groups: list[tuple[set[Alt], list[SiteRecord]]] = []
    for record in records:
        touching = [group for group in groups if not group[0].isdisjoint(record.carried)]
        groups = [group for group in groups if group[0].isdisjoint(record.carried)]
        alts = set(record.carried).union(*(group[0] for group in touching))
        groups.append((alts, [*(one for group in touching for one in group[1]), record]))
    return [found for _, found in groups]


def _alike(records: Iterable[tuple[SiteRecord, frozenset[Alt]]]) -> list[list[SiteRecord]]:
    """Records with the same key together; of those that a part has twice, the first with the others' first and so on."""
    groups: dict[tuple[frozenset[Alt], int], list[SiteRecord]] = {}
    seen: dict[tuple[int, frozenset[Alt]], int] = {}
    for record, key in records:
        nth = seen[record.part, key] = seen.get((record.part, key), -1) + 1
        groups.setdefault((key, nth), []).append(record)
    return list(groups.values())


def _copy(record: SiteRecord, alts: Sequence[Alt]) -> Copy:
    if record.alts == alts:
        return Copy(record, tuple(range(len(alts) + 1)))
    place = {alt: at for at, alt in enumerate(alts, 1) if alt != BLANKED}
    return Copy(record, (0, *(place.get(alt, GONE) for alt in record.alts)))


def _union(records: Sequence[SiteRecord]) -> tuple[Alt, ...]:
    """The ALTs of all, in the order of the records where these agree, else in that of their texts; where one was blanked, an empty one
    behind them: views spell a record anew of which an ALT is not shown.
    """
    if len(records) == 1:
        return records[0].alts
    named = _named(records)
    return (*named, BLANKED) if any(len(record.named) < len(record.alts) for record in records) else named


def _named(records: Sequence[SiteRecord]) -> tuple[Alt, ...]:
    every = {alt for record in records for alt in record.named}
    agreed = _agreed([record.named for record in records], len(every))
    if agreed is not None:
        return agreed
    shown = [tuple(alt for alt in record.named if alt in record.carried) for record in records]
    carried = {alt for alts in shown for alt in alts}
    first = _agreed(shown, len(carried))
    return (*(first if first is not None else sorted(carried)), *sorted(every - carried))


def _agreed(lists: Sequence[tuple[Alt, ...]], size: int) -> tuple[Alt, ...] | None:
    """The list that has all of the others, each in its order; None if there is none."""
    whole = next((alts for alts in lists if len(alts) == size), None)
    if whole is None:
        return None
    place = {alt: at for at, alt in enumerate(whole)}
    ordered = all(a < b for alts in lists for a, b in zip([place[x] for x in alts], [place[x] for x in alts[1:]], strict=False))
    return whole if ordered else None
