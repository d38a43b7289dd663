"""Records of several parts by their place: which parts meet there, and where they say the same. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.sites import Sites, TextColumn


@dataclass(frozen=True)
class PlaceRuns:
    """Runs of records of one contig and position: ``order`` int64[m] sorts the records, by part within a run; run i is
    ``order[start[i] : start[i] + size[i]]``. bool[runs]: ``meet``, several parts have records there; ``once``, each of them one.
    """

    order: NDArray[np.int64]
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    meet: NDArray[np.bool_]
    once: NDArray[np.bool_]

    @staticmethod
    def of(sites: Sites, part: NDArray[np.int64]) -> PlaceRuns:
        """The runs of the sites of all parts, one part's behind another's."""
        m = len(sites)
        order = np.lexsort((np.arange(m), sites.pos, sites.contig))
        new = np.ones(m, np.bool_)
        new[1:] = (np.diff(sites.contig[order]) != 0) | (np.diff(sites.pos[order]) != 0)
        start = np.flatnonzero(new)
        size = np.diff(start, append=m)
        other = new | (np.diff(part[order], prepend=-1) != 0)
        distinct = np.add.reduceat(other, start, dtype=np.int64) if m else np.zeros(0, np.int64)
        return PlaceRuns(order, start, size, distinct > 1, distinct == size)

    def rows(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """int64[k]: the records of the chosen runs, run after run."""
        return self.order[np.repeat(chosen, self.size)]

    def rows_of(self, run: int) -> NDArray[np.int64]:
        """int64[k]: the records of one run."""
        return self.order[self.start[run] : self.start[run] + self.size[run]]

    def alike(self, sites: Sites) -> NDArray[np.bool_]:
        """bool[runs]: parts meet, with one record each, written alike."""
        found = self.meet & self.once
        return self.same(found, sites.alleles) & self.same(found, sites.info)

    def differing(self, chosen: NDArray[np.bool_], column: TextColumn) -> NDArray[np.bool_]:
        """bool[runs]: of the chosen runs those in which the texts of a column differ."""
        return chosen & ~self.same(chosen, column)

    def same(self, chosen: NDArray[np.bool_], column: TextColumn) -> NDArray[np.bool_]:
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
