"""The lines that the sites of several parts make, and what of each part's calls stands in which line (docs/design/genotypes.md §1). Pure.

Most records of one place are written alike in all parts that have them; the others are settled by ``record_union``. Lines come by contig,
in the order in which the parts bring these, then by position; those of one place as their part has them, where parts meet by their texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.site_identity import family_keys, spelled
from vault.genotypes.sites import Sites, TextColumn
from vault.genotypes.store.line_texts import LineTexts, merged
from vault.genotypes.store.record_union import Alt, Copy, Line, References, SiteRecord, labels, unite

Carried = Callable[[int, NDArray[np.int64]], list[frozenset[int]]]
"""``carried(part, rows)``: for each of these rows of a part the allele numbers, REF left out, that people carry who are read."""


@dataclass(frozen=True)
class PartPlaces:
    """What becomes of a part's records: ``rows`` int64[k] stand as they are in ``lines`` int64[k]; ``put``: (line, calls)."""

    rows: NDArray[np.int64]
    lines: NDArray[np.int64]
    put: Sequence[tuple[int, Copy | References]]

    def touched(self) -> NDArray[np.int64]:
        """int64[j]: every line that has something of the part."""
        return np.concatenate([self.lines, np.array([line for line, _ in self.put], np.int64)])


@dataclass(frozen=True)
class SiteUnion:
    """The lines of several parts, and the places of each part's calls in them."""

    sites: Sites
    parts: Sequence[PartPlaces]


def unite_sites(parts: Sequence[Sites], carried: Carried) -> SiteUnion:
    """The lines of the parts' sites."""
    everything = Sites.concat(parts)
    edges = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(sites) for sites in parts], dtype=np.int64)])
    part = np.repeat(np.arange(len(parts)), np.diff(edges))
    runs = _Runs.of(everything, part)
    alike = runs.alike(everything)
    apart = runs.meet & ~alike
    plain = np.ones(len(everything), np.bool_)
    plain[runs.rows(apart)] = False
    leader = np.arange(len(everything))
    leader[runs.rows(alike)] = np.repeat(runs.order[runs.start[alike]], runs.size[alike])
    settled = _settled(everything, part, edges, [runs.rows_of(run) for run in np.flatnonzero(apart).tolist()], carried)
    leaders = np.flatnonzero(plain & (leader == np.arange(len(everything))))
    # in one place lines are either all plain, and keep the order of their part, or all settled
    members = (line.members[0] for line, _ in settled)
    first = np.concatenate([leaders, np.fromiter((edges[one.part] + one.row for one in members), np.int64, len(settled))])
    tie = np.concatenate([leaders, np.arange(len(settled))])
    by_place = np.lexsort((tie, everything.pos[first], everything.contig[first]))
    rank = np.empty(len(first), np.int64)
    rank[by_place] = np.arange(len(first))
    number = np.full(len(everything), -1, np.int64)
    number[leaders] = rank[: len(leaders)]
    changed = {int(number[row]): made for row, made in _retold(everything, runs, alike)}
    changed |= {int(rank[len(leaders) + at]): made for at, (_, made) in enumerate(settled)}
    put: list[list[tuple[int, Copy | References]]] = [[] for _ in parts]
    for at, (line, _) in enumerate(settled):
        row_of = int(rank[len(leaders) + at])
        for number_of_part, calls in line.calls.items():
            if isinstance(calls, Copy) and calls.unchanged and calls.record in line.members:
                number[edges[number_of_part] + calls.record.row] = row_of
            else:
                put[number_of_part].append((row_of, calls))
    number[plain] = number[leader[plain]]
    places = []
    for at in range(len(parts)):
        rows = np.flatnonzero(number[edges[at] : edges[at + 1]] >= 0)
        places.append(PartPlaces(rows, number[edges[at] + rows], put[at]))
    return SiteUnion(_with_texts(everything.take(first[by_place]), changed), places)


@dataclass(frozen=True)
class _Runs:
    """Runs of records of one contig and position: ``order`` int64[m] sorts the records, by part within a run; run i is
    ``order[start[i] : start[i] + size[i]]``. bool[runs]: ``meet``, several parts have records there; ``once``, each of them one.
    """

    order: NDArray[np.int64]
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    meet: NDArray[np.bool_]
    once: NDArray[np.bool_]

    @staticmethod
    def of(sites: Sites, part: NDArray[np.int64]) -> _Runs:
        """The runs of the sites of all parts, one part's behind another's."""
        m = len(sites)
        order = np.lexsort((np.arange(m), sites.pos, sites.contig))
        new = np.ones(m, np.bool_)
        new[1:] = (np.diff(sites.contig[order]) != 0) | (np.diff(sites.pos[order]) != 0)
        start = np.flatnonzero(new)
        size = np.diff(start, append=m)
        other = new | (np.diff(part[order], prepend=-1) != 0)
        distinct = np.add.reduceat(other, start, dtype=np.int64) if m else np.zeros(0, np.int64)
        return _Runs(order, start, size, distinct > 1, distinct == size)

    def rows(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """int64[k]: the records of the chosen runs, run after run."""
        return self.order[np.repeat(chosen, self.size)]

    def rows_of(self, run: int) -> NDArray[np.int64]:
        """int64[k]: the records of one run."""
        return self.order[self.start[run] : self.start[run] + self.size[run]]

    def alike(self, sites: Sites) -> NDArray[np.bool_]:
        """bool[runs]: parts meet, with one record each, written alike."""
        found = self.meet & self.once
        return self._same(found, sites.alleles) & self._same(found, sites.info)

    def differing(self, chosen: NDArray[np.bool_], column: TextColumn) -> NDArray[np.bool_]:
        """bool[runs]: of the chosen runs those in which the texts of a column differ."""
        return chosen & ~self._same(chosen, column)

    def _same(self, chosen: NDArray[np.bool_], column: TextColumn) -> NDArray[np.bool_]:
        """bool[runs]: the run is chosen, and the column says the same in all of it."""
        if not chosen.any():
            return chosen
        texts, size = column.take(self.rows(chosen)), self.size[chosen]
        start = np.cumsum(size) - size
        first, lengths = np.repeat(start, size), np.diff(texts.offsets)
        same = lengths == lengths[first]
        row = np.repeat(np.arange(len(texts)), np.where(same, lengths, 0))  # of each byte that there is another to compare with
        within = np.arange(len(row)) - np.searchsorted(row, row)
        same[row[texts.data[texts.offsets[row] + within] != texts.data[texts.offsets[first[row]] + within]]] = False
        found = chosen.copy()
        found[chosen] = np.logical_and.reduceat(same, start)
        return found


def _retold(sites: Sites, runs: _Runs, alike: NDArray[np.bool_]) -> list[tuple[int, LineTexts]]:
    """(first record, texts) of the runs that are alike but for names and filters."""
    differ = runs.differing(alike, sites.ids) | runs.differing(alike, sites.filters)
    rows = [runs.rows_of(run) for run in np.flatnonzero(differ).tolist()]
    return [(int(found[0]), merged(sites, found, sites.alleles[int(found[0])])) for found in rows]


def _settled(
    sites: Sites, part: NDArray[np.int64], edges: NDArray[np.int64], places: Sequence[NDArray[np.int64]], carried: Carried
) -> list[tuple[Line, LineTexts]]:
    """The lines of the places where the parts' records differ, place after place, and what they say."""
    if not places:
        return []
    rows = np.unique(np.concatenate(places))
    some = sites.take(rows)
    keys = dict(zip(rows.tolist(), family_keys(some), strict=True))
    written = dict(zip(rows.tolist(), (text.split(b",") for text in some.alleles.items()), strict=True))
    who: dict[int, frozenset[int]] = {}
    for at in np.unique(part[rows]).tolist():
        mine = rows[part[rows] == at]
        who.update(zip(mine.tolist(), carried(at, mine - edges[at]), strict=True))
    made: list[tuple[Line, LineTexts]] = []
    for place in places:
        families: dict[bytes, list[SiteRecord]] = {}
        for row in place.tolist():
            alts = labels(spelled(alt) for alt in written[row][1:])
            at = int(part[row])
            record = SiteRecord(at, row - int(edges[at]), alts, frozenset(alts[number - 1] for number in who[row]))
            families.setdefault(keys[row], []).append(record)
        here = [(line, _texts(sites, edges, line, written)) for family in families.values() for line in unite(family)]
        made += sorted(here, key=_by_text)
    return made


def _by_text(line: tuple[Line, LineTexts]) -> tuple[bytes, list[bytes], bytes, bytes]:
    """REF and carried ALTs first: what nobody carries is not shown and has no say in the order."""
    carried = frozenset[Alt]().union(*(record.carried for record in line[0].members))
    return line[1].alleles.split(b",")[0], [alt[0] for alt in line[0].alts if alt in carried], line[1].alleles, line[1].info


def _texts(sites: Sites, edges: NDArray[np.int64], line: Line, written: dict[int, list[bytes]]) -> LineTexts:
    rows = np.array([record.row + edges[record.part] for record in line.members], np.int64)
    alike = {b",".join(written[row]) for row in rows.tolist()}
    if len(alike) == 1 and (len(rows) == 1 or all(alt for alt, _ in line.members[0].alts)):
        return merged(sites, rows, alike.pop())
    ref = spelled(written[int(rows[0])][0])
    return merged(sites, rows, b",".join([ref, *(alt for alt, _ in line.alts)]))


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
