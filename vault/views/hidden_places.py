"""Places of the genome that a view must not show, by whatever name a contig goes (docs/design/disclosure.md §8.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from policies.loci import END, Interval, Mask
from vault.errors import UsageError
from vault.genotypes.contigs import find_assembly, normal_contig

Bounds = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Starts and ends int64[k] of sorted intervals, half-open and 0-based, that neither overlap nor touch."""


@dataclass(frozen=True)
class HiddenPlaces:
    """``masks``, and all that lies outside any group of ``only``, on the data's ``assembly``.

    A contig that belongs to a chromosome without sharing its positions (alternate loci, patches, HLA alleles, an accession of another
    assembly) is hidden whole as soon as anything of the chromosome is, and a contig of no known chromosome as soon as anything is:
    it might hold what is hidden.
    """

    masks: tuple[Interval, ...] = ()
    only: tuple[Mask, ...] = ()
    assembly: str = ""
    _found: dict[str, Bounds] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if any(not 0 <= mask.start < mask.end for mask in self.masks):
            raise UsageError("interval_order", "an interval starts at 0 or above and ends behind its start")

    def __bool__(self) -> bool:
        return bool(self.masks or self.only)

    def and_places(self, more: tuple[Interval, ...]) -> HiddenPlaces:
        """These places and some more."""
        return HiddenPlaces((*self.masks, *more), self.only, self.assembly) if more else self

    def on(self, contig: str) -> Bounds:
        """The hidden intervals of one contig."""
        if contig not in self._found:
            self._found[contig] = _bounds(self._on(contig))
        return self._found[contig]

    def hides(self, contig: str, first: int, last: int) -> bool:
        """True if a position from ``first`` to ``last``, 1-based and both included, is hidden."""
        starts, ends = self.on(contig)
        nearest = int(np.searchsorted(starts, last, side="left")) - 1  # last interval that starts before the end
        return nearest >= 0 and int(ends[nearest]) >= first

    def _on(self, contig: str) -> Sequence[Interval]:
        if not self:
            return ()
        name, place = normal_contig(contig), find_assembly(self.assembly).place(contig)
        whole = Interval(name, 0, END)
        if not place.aligned:
            hidden = self.only or not place.chromosome or any(normal_contig(i.contig) == place.chromosome for i in self.masks)
            if hidden:
                return (whole,)
        found = [Interval(name, i.start, i.end) for i in self.masks if normal_contig(i.contig) == name]
        for group in self.only:
            allowed = Mask.from_intervals(
                Interval(name, i.start, i.end) for i in group.intervals if normal_contig(i.contig) == name
            )
            found += Mask((whole,)).minus(allowed).intervals
        return Mask.from_intervals(found).intervals


def _bounds(intervals: Sequence[Interval]) -> Bounds:
    table = np.array([(i.start, i.end) for i in intervals], np.int64).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()
