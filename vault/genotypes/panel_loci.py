"""Matching the loci of a panel with the sites of a dataset, and what a panel view shows of them regardless of carriers.

    locus                         names                                         fixes the site   names ALTs
    exact: position, REF (ALTs)   the record of that POS and REF that shares    yes              those that it lists
                                  an ALT, or lists or is listed none,
                                  or has a blanked ALT (``unanswered``)
    single position               every record with that POS                    yes              none
    interval                      every record with a position in it            no               none

An interval acts like a region inside the panel view: sites that no released person carries are left out. A locus fixes, and names, a site only
where that was declared as assayed, or somebody released carries what the locus lists (of one that lists no ALT: anything there); where
somebody released has a track, every exact locus fixes one, whether a part lists it or not. So which ALTs a record lists that nobody carries
who is released, or which were blanked, has no say in what a panel shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.contigs import normal_contig
from vault.genotypes.loci import Locus
from vault.genotypes.sites import Sites, TextColumn, site_ends


@dataclass(frozen=True)
class Match:
    """Of m sites and some loci: ``rows`` int64[k], the sites that a locus names, ascending; ``fixed`` bool[m]; ``named`` bool[alleles of
    all sites, REF first]; ``met`` bool[loci], which loci named a site; ``spelled`` bool[m]: a locus gives the site's REF.
    """

    rows: NDArray[np.int64]
    fixed: NDArray[np.bool_]
    named: NDArray[np.bool_]
    met: NDArray[np.bool_]
    spelled: NDArray[np.bool_]

    def names(self) -> NDArray[np.bool_]:
        """bool[m]: a locus names the site."""
        found = np.zeros(len(self.fixed), np.bool_)
        found[self.rows] = True
        return found


@dataclass(frozen=True)
class Told:
    """Knowledge of m sites that may be shown: ``declared`` bool[m], as assayed; ``carried`` bool[alleles of all sites, REF first], by people who are
    released. ``exact``: somebody's track answers every exact locus.
    """

    declared: NDArray[np.bool_]
    carried: NDArray[np.bool_]
    exact: bool = False

    def carries(self, sites: Sites, row: int, locus: Locus, offsets: NDArray[np.int64]) -> bool:
        """True if somebody carries an ALT of a site that the locus lists, or any where it lists none. ``offsets`` int64[m + 1]: of alleles."""
        carried = self.carried[offsets[row] + 1 : offsets[row + 1]]
        return bool(carried.any() if not locus.alts else carried[_listed(sites, row, locus)[1:]].any())


Declared = Callable[[Sites], NDArray[np.bool_]]
"""bool[m]: sites that were declared as assayed, of m that are given."""


@dataclass(frozen=True)
class _OnContig:
    """The k loci of one contig, by start.

    ``number`` int64[k]: their ordinals in the panel; ``start``, ``end`` int64[k]: 0-based, half-open; ``is_interval`` bool[k].
    """

    number: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    is_interval: NDArray[np.bool_]


class LocusIndex:
    """A panel's loci arranged for look-up: a panel may have a million and a dataset thousands of chunks."""

    def __init__(self, loci: Sequence[Locus]) -> None:
        self._loci = tuple(loci)
        by_contig: dict[str, list[int]] = {}
        for number, locus in enumerate(self._loci):
            by_contig.setdefault(normal_contig(locus.place.contig), []).append(number)
        self._contigs = {contig: self._arranged(numbers) for contig, numbers in by_contig.items()}

    def match(
        self,
        sites: Sites,
        ends: NDArray[np.int64] | None = None,
        *,
        told: Told | None = None,
    ) -> Match:
        """Match the loci with ``sites``, sorted by position within runs of one contig.

        ``ends`` int64[m]: their last positions, if known. ``told``: what may be shown of the sites; None: whatever a locus names.
        """
        offsets = np.zeros(len(sites) + 1, np.int64)
        np.cumsum(sites.n_alleles(), out=offsets[1:])
        chosen, fixed, spelled = (np.zeros(len(sites), np.bool_) for _ in range(3))
        named, met = np.zeros(int(offsets[-1]), np.bool_), np.zeros(len(self._loci), np.bool_)
        for rows, number in self._candidates(sites, site_ends(sites) if ends is None else ends):
            locus = self._loci[number]
            mine = [row for row in rows.tolist() if _shares(sites, row, locus)] if locus.ref else rows
            if told is not None and not locus.is_interval and not (told.exact and locus.ref):
                mine = [row for row in mine if told.declared[row] or told.carries(sites, row, locus, offsets)]
            chosen[mine] = True
            fixed[mine] |= not locus.is_interval
            met[number] |= len(mine) > 0
            spelled[mine] |= bool(locus.ref)
            for row in mine if locus.alts else ():
                named[offsets[row] : offsets[row + 1]] |= _listed(sites, row, locus)
        return Match(np.flatnonzero(chosen), fixed, named, met, spelled)

    def exact_sites(self, contigs: Sequence[str]) -> Sites:
        """A site for each place and REF of the exact loci on these contigs, with the ALTs of all that name it; by contig, in order."""
        alts: dict[tuple[int, int, str], list[str]] = {}
        for number, contig in enumerate(contigs):
            loci = self._contigs.get(normal_contig(contig))
            for locus in (self._loci[at] for at in loci.number.tolist()) if loci is not None else ():
                if locus.ref:
                    place = (number, locus.place.start + 1, locus.ref.upper())
                    alts.setdefault(place, []).extend(alt.upper() for alt in locus.alts)
        rows = sorted(alts)
        texts = [",".join([ref, *dict.fromkeys(alts[number, pos, ref])]).encode() for number, pos, ref in rows]
        names, nothing = TextColumn.from_items([b"."] * len(rows)), TextColumn.from_items([b""] * len(rows))
        on = np.array([number for number, _, _ in rows], np.int32)
        pos = np.array([pos for _, pos, _ in rows], np.int64)
        return Sites(tuple(contigs), on, pos, TextColumn.from_items(texts), names, names, nothing)

    def unanswered(self, sites: Sites, declared: Declared) -> NDArray[np.int64]:
        """int64[k]: rows of ``sites``, sorted as for ``match``, that nothing but a blanked ALT beside others answers a locus with, at places that were not declared.

        Which ALT it was nobody knows; its record has carriers of the others, which would be shown as if they had been asked for.
        """
        rows = _unsure(sites, declared)
        some = sites.take(rows)
        known = [b",".join(alt or b"." for alt in text.split(b",")) for text in some.alleles.items()]  # no locus lists "."
        left = np.ones(len(rows), np.bool_)
        left[self.match(replace(some, alleles=TextColumn.from_items(known))).rows] = False
        return rows[left]

    def named(self, sites: Sites, declared: Declared) -> Sites:
        """The sites, where an ALT was blanked with one that an exact locus lists in its place: what a locus asks about is public.

        Sites sorted as for ``match``. Beside other ALTs that is done at declared places alone.
        """
        rows = np.setdiff1d(np.flatnonzero(_have_blanks(sites)), _unsure(sites, declared))
        if not len(rows):
            return sites
        some = sites.take(rows)
        texts = some.alleles.items()
        for found, number in self._candidates(some, site_ends(some)):
            locus = self._loci[number]
            for row in found.tolist() if locus.alts else ():
                ref, *alts = texts[row].split(b",")
                wanted = [alt.upper().encode() for alt in locus.alts]
                if ref.upper() == locus.ref.upper().encode() and not {alt.upper() for alt in alts} & set(wanted):
                    texts[row] = b",".join([ref, *_filled(alts, wanted)])
        return replace(sites, alleles=sites.alleles.replace(rows, texts))

    def touching(
        self, contigs: Sequence[str], number: NDArray[np.int64], first: NDArray[np.int64], end: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """bool[runs]: a locus lies between ``first`` and ``end`` (int64[runs], 1-based) of the sites on ``contigs[number]``."""
        touched = np.zeros(len(number), np.bool_)
        for at, contig in enumerate(contigs):
            loci = self._contigs.get(normal_contig(contig))
            if loci is not None:
                runs = np.flatnonzero(number == at)
                reach = np.maximum.accumulate(loci.end)
                before = np.searchsorted(loci.start, end[runs], "left")  # loci that start before the run's end
                touched[runs] = (before > 0) & (reach[np.maximum(before - 1, 0)] >= first[runs])
        return touched

    def not_assayed(self, met: NDArray[np.bool_]) -> tuple[str, ...]:
        """The loci, in the panel's order, that fix a site and met none. An interval says nothing of what was assayed in it."""
        return tuple(
            locus.text for locus, seen in zip(self._loci, met.tolist(), strict=True) if not seen and not locus.is_interval
        )

    def _arranged(self, numbers: Sequence[int]) -> _OnContig:
        order = sorted(numbers, key=lambda n: self._loci[n].place.start)
        places = np.array([(n, self._loci[n].place.start, self._loci[n].place.end) for n in order], np.int64)
        number, start, end = np.ascontiguousarray(places.T)
        return _OnContig(number, start, end, np.array([self._loci[n].is_interval for n in order], np.bool_))

    def _candidates(self, sites: Sites, ends: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], int]]:
        """(rows int64[k], number of the locus) wherever a locus has any: those at its position, or of an interval those that reach into it."""
        edges = np.flatnonzero(np.diff(sites.contig, prepend=-1, append=-1)) if len(sites) else np.zeros(0, np.intp)
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            loci = self._contigs.get(normal_contig(sites.contigs[int(sites.contig[start])]))
            if loci is None:
                continue
            pos, reach = sites.pos[start:stop], np.maximum.accumulate(ends[start:stop])
            # pos and reach are 1-based: the position p lies in a locus where start < p <= end
            low = np.searchsorted(pos, loci.start, "right")
            low[loci.is_interval] = np.searchsorted(reach, loci.start[loci.is_interval], "right")
            high = np.searchsorted(pos, loci.end, "right")
            for at in np.flatnonzero(high > low).tolist():
                rows = np.arange(start + int(low[at]), start + int(high[at]))
                reaching = rows[ends[rows] > loci.start[at]] if loci.is_interval[at] else rows
                if len(reaching):
                    yield reaching, int(loci.number[at])


def _shares(sites: Sites, row: int, locus: Locus) -> bool:
    """The site has the locus's REF and one of its ALTs, or either has none; a blanked ALT may have been the locus's."""
    ref, *alts = _alleles(sites, row)
    return ref == locus.ref.upper() and (not locus.alts or not all(alts) or not alts or any(_listed(sites, row, locus)))


def _unsure(sites: Sites, declared: Declared) -> NDArray[np.int64]:
    """int64[k]: rows in which an ALT was blanked and another is left, at places that were not declared."""
    rows = np.flatnonzero(_have_blanks(sites))
    texts = sites.alleles.take(rows).items()
    some = rows[np.array([any(text.split(b",")[1:]) for text in texts], np.bool_)]
    return some[~declared(sites.take(some))] if len(some) else some


def _have_blanks(sites: Sites) -> NDArray[np.bool_]:
    """bool[m]: an ALT of the site was blanked."""
    data = np.append(sites.alleles.data, ord(","))
    comma = data == ord(",")
    ends = np.zeros(len(data), np.bool_)
    ends[sites.alleles.offsets[1:]] = True
    blank = np.flatnonzero(comma[:-1] & (comma[1:] | ends[1:]))
    found = np.zeros(len(sites), np.bool_)
    found[np.searchsorted(sites.alleles.offsets, blank, "right") - 1] = True
    return found


def _filled(alts: Sequence[bytes], wanted: Sequence[bytes]) -> list[bytes]:
    """The ALTs, blanked ones filled with the wanted ones, in order, as far as these go."""
    left = list(wanted)
    return [alt or (left.pop(0) if left else b"") for alt in alts]


def _listed(sites: Sites, row: int, locus: Locus) -> list[bool]:
    """For REF (never) and each ALT of the site whether the locus lists it."""
    wanted = {alt.upper() for alt in locus.alts}
    return [False, *(alt in wanted for alt in _alleles(sites, row)[1:])]


def _alleles(sites: Sites, row: int) -> list[str]:
    return sites.alleles[row].decode().upper().split(",")
