"""Which sites of a dataset the loci of a panel name, and what of them a panel view shows whoever carries it.

    locus                         names                                         fixes the site   names ALTs
    exact: position, REF (ALTs)   the record of that POS and REF that shares    yes              those that it lists
                                  an ALT, or lists or is listed none
    single position               every record with that POS                    yes              none
    interval                      every record with a position in it            no               none

An interval acts like a region inside the panel view: what nobody released carries is left out of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.contigs import normal_contig
from vault.genotypes.loci import Locus
from vault.genotypes.sites import Sites
from vault.genotypes.tables import site_ends


@dataclass(frozen=True)
class Match:
    """Of m sites and some loci: ``rows`` int64[k], the sites that a locus names, ascending; ``fixed`` bool[m]; ``named`` bool[alleles of
    all sites, REF first]; ``met`` bool[loci], which loci named a site.
    """

    rows: NDArray[np.int64]
    fixed: NDArray[np.bool_]
    named: NDArray[np.bool_]
    met: NDArray[np.bool_]
    loci: tuple[Locus, ...]

    def not_assayed(self) -> tuple[str, ...]:
        """The loci, in the panel's order, that fix a site and have none. An interval says nothing of what was assayed in it."""
        return tuple(
            locus.text for locus, met in zip(self.loci, self.met.tolist(), strict=True) if not met and not locus.is_interval
        )


@dataclass(frozen=True)
class _OnContig:
    """The loci of one contig by first position: ``number`` int64[k] counts them in the panel."""

    number: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


class LocusIndex:
    """A panel's loci arranged for look-up: a panel may have a million and a dataset thousands of chunks."""

    def __init__(self, loci: Sequence[Locus]) -> None:
        self._loci = tuple(loci)
        by_contig: dict[str, list[int]] = {}
        for number, locus in enumerate(self._loci):
            by_contig.setdefault(normal_contig(locus.contig), []).append(number)
        self._contigs = {contig: self._arranged(numbers) for contig, numbers in by_contig.items()}

    def match(self, sites: Sites) -> Match:
        """What the loci name of ``sites`` (sorted by position within runs of one contig)."""
        offsets = np.zeros(len(sites) + 1, np.int64)
        np.cumsum(sites.n_alleles(), out=offsets[1:])
        chosen, fixed = np.zeros(len(sites), np.bool_), np.zeros(len(sites), np.bool_)
        named, met = np.zeros(int(offsets[-1]), np.bool_), np.zeros(len(self._loci), np.bool_)
        ends = site_ends(sites)
        for first, last, number in self._candidates(sites, ends):
            locus = self._loci[number]
            for row in range(first, last):
                if locus.is_interval:
                    hit = int(ends[row]) >= locus.first
                elif locus.ref:
                    listed = _exact(sites, row, locus)
                    hit = listed is not None
                    if listed:
                        named[offsets[row] + 1 : offsets[row + 1]] |= listed
                else:
                    hit = int(sites.pos[row]) == locus.first
                chosen[row] |= hit
                fixed[row] |= hit and not locus.is_interval
                met[number] |= hit
        return Match(np.flatnonzero(chosen), fixed, named, met, self._loci)

    def touching(
        self, contigs: Sequence[str], number: NDArray[np.int64], first: NDArray[np.int64], end: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """bool[runs]: a locus lies between ``first`` and ``end`` of the run of sites on contig ``contigs[number]``."""
        touched = np.zeros(len(number), np.bool_)
        for at, contig in enumerate(contigs):
            loci = self._contigs.get(normal_contig(contig))
            if loci is not None:
                runs = np.flatnonzero(number == at)
                reach = np.maximum.accumulate(loci.last)
                before = np.searchsorted(loci.first, end[runs], "right")  # loci that begin at or before the run's end
                touched[runs] = (before > 0) & (reach[np.maximum(before - 1, 0)] >= first[runs])
        return touched

    def _arranged(self, numbers: Sequence[int]) -> _OnContig:
        order = sorted(numbers, key=lambda n: self._loci[n].first)
        first, last = ([getattr(self._loci[n], end) for n in order] for end in ("first", "last"))
        return _OnContig(np.array(order, np.int64), np.array(first, np.int64), np.array(last, np.int64))

    def _candidates(self, sites: Sites, ends: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
        """(first row, row behind the last, locus) wherever a locus may name a site."""
        edges = np.flatnonzero(np.diff(sites.contig, prepend=-1, append=-1)) if len(sites) else np.zeros(0, np.intp)
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            loci = self._contigs.get(normal_contig(sites.contigs[int(sites.contig[start])]))
            if loci is None:
                continue
            reach = np.maximum.accumulate(ends[start:stop])
            low = start + np.searchsorted(reach, loci.first, "left")
            high = start + np.searchsorted(sites.pos[start:stop], loci.last, "right")
            some = np.flatnonzero(high > low)
            yield from zip(low[some].tolist(), high[some].tolist(), loci.number[some].tolist(), strict=True)


def _exact(sites: Sites, row: int, locus: Locus) -> list[bool] | None:
    """For each ALT of the site whether the locus lists it; None: the site is not the locus's."""
    if int(sites.pos[row]) != locus.first:
        return None
    ref, *alts = sites.alleles[row].decode().upper().split(",")
    wanted = {alt.upper() for alt in locus.alts}
    listed = [alt in wanted for alt in alts]
    return listed if ref == locus.ref.upper() and (not wanted or not alts or any(listed)) else None
