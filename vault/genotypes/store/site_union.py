"""The lines that the sites of several parts make, and what of each part's calls stands in which line (docs/design/genotypes.md §1). Pure.

Most records of one place are written alike in all parts that have them; the others are settled by ``record_union``. Lines come by contig,
in the order in which the parts bring these, then by position; those of one place as their part has them, where parts meet by their texts.

A compacted part is many people's imports: where it has several records of a place, or meets another part that is not written alike, each of its
people (those who have the same records and carry the same of them, together) counts as a part of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.site_identity import family_keys, spelled
from vault.genotypes.sites import Sites
from vault.genotypes.store.line_texts import LineTexts, merged
from vault.genotypes.store.place_runs import PlaceRuns
from vault.genotypes.store.record_union import Alt, Copy, Line, References, SiteRecord, labels, unite

Carried = Callable[[int, NDArray[np.int64]], list[frozenset[int]]]
"""``carried(part, rows)``: for each of these rows of a part the allele numbers, REF left out, that people carry who are read."""

_NO_ROWS = np.zeros(0, np.int64)


@dataclass(frozen=True)
class OwnRecords:
    """Some people of a compacted part who have the same ``rows`` of one place and carry the same of each. ``columns`` int64[k]: of the part."""

    rows: tuple[int, ...]
    carried: tuple[frozenset[int], ...]
    columns: NDArray[np.int64]


Owners = Callable[[int, NDArray[np.int64]], Sequence[OwnRecords] | None]
"""``owners(part, rows)``: who has which of these rows (of one place) of a compacted part; None of a part that is one import."""


def _one_import(_part: int, _rows: NDArray[np.int64]) -> None:
    """``Owners`` where no part is compacted."""


class Put(NamedTuple):
    """Calls put in a line: a copied record's or reference calls, of some columns int64[k] of the part (None: of all)."""

    line: int
    calls: Copy | References
    columns: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class PartPlaces:
    """Places of a part's records in the lines: ``rows`` int64[k] stand as they are in ``lines`` int64[k]; the others are ``put``."""

    rows: NDArray[np.int64]
    lines: NDArray[np.int64]
    put: Sequence[Put]

    def touched(self) -> NDArray[np.int64]:
        """int64[j]: every line that has something of the part."""
        return np.concatenate([self.lines, np.array([put.line for put in self.put], np.int64)])


@dataclass(frozen=True)
class SiteUnion:
    """The lines of several parts, and the places of each part's calls in them."""

    sites: Sites
    parts: Sequence[PartPlaces]


def unite_sites(
    parts: Sequence[Sites], carried: Carried, owners: Owners = _one_import, compacted: Sequence[int] = ()
) -> SiteUnion:
    """The lines of the parts' sites. ``compacted``: numbers of the parts that ``owners`` tells of."""
    everything = Sites.concat(parts)
    edges = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(sites) for sites in parts], dtype=np.int64)])
    part = np.repeat(np.arange(len(parts)), np.diff(edges))
    runs = PlaceRuns.of(everything, part)
    alike = runs.alike(everything)
    apart = runs.meet & ~alike
    apart |= ~runs.meet & (runs.size > 1) & np.isin(part[runs.order[runs.start]], compacted)
    plain = np.ones(len(everything), np.bool_)
    plain[runs.rows(apart)] = False
    leader = np.arange(len(everything))
    leader[runs.rows(alike)] = np.repeat(runs.order[runs.start[alike]], runs.size[alike])
    tables = _Tables(everything, part, edges, carried, owners)
    settled = tables.settled([runs.rows_of(run) for run in np.flatnonzero(apart).tolist()])
    leaders = np.flatnonzero(plain & (leader == np.arange(len(everything))))
    # in one place lines are either all plain, and keep the order of their part, or all settled
    members = (line.members[0] for line, _ in settled)
    first = np.concatenate([leaders, np.fromiter(map(tables.row, members), np.int64, len(settled))])
    tie = np.concatenate([leaders, np.arange(len(settled))])
    by_place = np.lexsort((tie, everything.pos[first], everything.contig[first]))
    rank = np.empty(len(first), np.int64)
    rank[by_place] = np.arange(len(first))
    number = np.full(len(everything), -1, np.int64)
    number[leaders] = rank[: len(leaders)]
    changed = {int(number[row]): made for row, made in _retold(everything, runs, alike)}
    changed |= {int(rank[len(leaders) + at]): made for at, (_, made) in enumerate(settled)}
    put: list[list[Put]] = [[] for _ in parts]
    for at, (line, _) in enumerate(settled):
        row_of = int(rank[len(leaders) + at])
        for number_of_part, calls in line.calls.items():
            own = tables.own.get(number_of_part)
            if own is not None:
                put[own[0]].append(Put(row_of, calls, own[1]))
            elif isinstance(calls, Copy) and calls.unchanged and calls.record in line.members:
                number[edges[number_of_part] + calls.record.row] = row_of
            else:
                put[number_of_part].append(Put(row_of, calls))
    number[plain] = number[leader[plain]]
    places = []
    for at in range(len(parts)):
        rows = np.flatnonzero(number[edges[at] : edges[at + 1]] >= 0)
        places.append(PartPlaces(rows, number[edges[at] + rows], put[at]))
    return SiteUnion(_with_texts(everything.take(first[by_place]), changed), places)


def _retold(sites: Sites, runs: PlaceRuns, alike: NDArray[np.bool_]) -> list[tuple[int, LineTexts]]:
    """(first record, texts) of the runs that are alike but for names and filters."""
    differ = runs.differing(alike, sites.ids) | runs.differing(alike, sites.filters)
    rows = [runs.rows_of(run) for run in np.flatnonzero(differ).tolist()]
    return [(int(found[0]), merged(sites, found, sites.alleles[int(found[0])])) for found in rows]


class _Tables:
    """The records of all parts, and those of compacted ones by who has them: ``own``, number of a part of their own → (part, columns)."""

    def __init__(self, sites: Sites, part: NDArray[np.int64], edges: NDArray[np.int64], carried: Carried, owners: Owners) -> None:
        self._sites, self._part, self._edges, self._carried, self._owners = sites, part, edges, carried, owners
        self.own: dict[int, tuple[int, NDArray[np.int64]]] = {}

    def row(self, record: SiteRecord) -> int:
        """Row of a record among the sites of all parts."""
        part = self.own[record.part][0] if record.part in self.own else record.part
        return int(self._edges[part]) + record.row

    def settled(self, places: Sequence[NDArray[np.int64]]) -> list[tuple[Line, LineTexts]]:
        """The lines of the places where the parts' records differ, place after place, and what they say."""
        if not places:
            return []
        rows = np.unique(np.concatenate(places))
        some = self._sites.take(rows)
        keys = dict(zip(rows.tolist(), family_keys(some), strict=True))
        written = dict(zip(rows.tolist(), (text.split(b",") for text in some.alleles.items()), strict=True))
        alts = {row: labels(spelled(alt) for alt in text[1:]) for row, text in written.items()}
        made: list[tuple[Line, LineTexts]] = []
        for owned in self._records(places, alts):
            families: dict[bytes, list[SiteRecord]] = {}
            for record in owned.records:
                families.setdefault(keys[self.row(record)], []).append(record)
            here = [(line, self._texts(line, written)) for family in families.values() for line in unite(family)]
            made += sorted(here, key=_by_row if owned.one_person else _by_text)
        return made

    def _records(self, places: Sequence[NDArray[np.int64]], alts: Mapping[int, tuple[Alt, ...]]) -> Iterator[_PlaceRecords]:
        """The records of each place, those of compacted parts once for each of their people who differ."""
        who = self._imports(places)
        for place in places:
            found: list[SiteRecord] = []
            own: list[OwnRecords] = []
            number = self._part[place]
            for at in dict.fromkeys(number.tolist()):
                mine = place[number == at]
                owners = self._owners(at, mine - self._edges[at])
                if owners is None:
                    found += [
                        SiteRecord(at, row - int(self._edges[at]), alts[row], frozenset(alts[row][n - 1] for n in who[row]))
                        for row in mine.tolist()
                    ]
                for one in owners or ():
                    own.append(one)
                    found += self._of_their_own(at, one, alts)
            by_row = sorted(found, key=lambda record: (self.row(record), record.part))
            yield _PlaceRecords(by_row, len(own) == 1 and len(own[0].columns) == 1 and len(found) == len(own[0].rows))

    def _of_their_own(self, part: int, one: OwnRecords, alts: Mapping[int, tuple[Alt, ...]]) -> Iterator[SiteRecord]:
        """Records of some people of a compacted part, as of a part with the next number behind all parts."""
        number = len(self._edges) - 1 + len(self.own)
        self.own[number] = (part, one.columns)
        for row, numbers in zip(one.rows, one.carried, strict=True):
            listed = alts[row + int(self._edges[part])]
            yield SiteRecord(number, row, listed, frozenset(listed[n - 1] for n in numbers))

    def _imports(self, places: Sequence[NDArray[np.int64]]) -> dict[int, frozenset[int]]:
        """Alleles that people carry of each record of a part that is one import."""
        rows = np.unique(np.concatenate(places))
        found: dict[int, frozenset[int]] = {}
        for at in np.unique(self._part[rows]).tolist():
            if self._owners(at, _NO_ROWS) is None:
                mine = rows[self._part[rows] == at]
                found.update(zip(mine.tolist(), self._carried(at, mine - self._edges[at]), strict=True))
        return found

    def _texts(self, line: Line, written: Mapping[int, list[bytes]]) -> LineTexts:
        rows = np.array(list(dict.fromkeys(map(self.row, line.members))), np.int64)
        alike = {b",".join(written[row]) for row in rows.tolist()}
        if len(alike) == 1 and line.alts == line.members[0].alts:
            return merged(self._sites, rows, alike.pop())
        ref = spelled(written[int(rows[0])][0])
        return merged(self._sites, rows, b",".join([ref, *(alt for alt, _ in line.alts)]))


@dataclass(frozen=True)
class _PlaceRecords:
    """The records of one place, in order. ``one_person``: all of them are of one person's import, whose order they keep."""

    records: Sequence[SiteRecord]
    one_person: bool


def _by_row(line: tuple[Line, LineTexts]) -> int:
    return line[0].members[0].row


def _by_text(line: tuple[Line, LineTexts]) -> tuple[bytes, list[bytes], bytes, bytes]:
    """REF and carried ALTs first: what nobody carries is not shown and has no say in the order."""
    carried = frozenset[Alt]().union(*(record.carried for record in line[0].members))
    return line[1].alleles.split(b",")[0], [alt[0] for alt in line[0].alts if alt in carried], line[1].alleles, line[1].info


def _with_texts(sites: Sites, changed: dict[int, LineTexts]) -> Sites:
    rows = np.array(sorted(changed), np.int64)
    told = [changed[row] for row in rows.tolist()]
    return Sites(
        sites.contigs,
        sites.contig,
        sites.pos,
        sites.alleles.replace(rows, [text.alleles for text in told]),
        sites.ids.replace(rows, [text.ids for text in told]),
        sites.filters.replace(rows, [text.filters for text in told]),
        sites.info.replace(rows, [text.info for text in told]),
    )
