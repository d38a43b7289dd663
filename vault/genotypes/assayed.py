"""Places that a dataset's stewards declare to have been assayed: everything, or the intervals of a BED file.

Variant-only data list a site because somebody carries it. Unless it was declared, a panel view shows such a site only where somebody
released carries it: else the site itself would tell of a person who is not there (docs/design/disclosure.md §8.3).

    stored form of intervals = one line "CONTIG TAB START TAB END LF" each, 0-based and half-open, contigs by their normal names, sorted
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from policies.loci import Interval, Mask
from vault.errors import InputError
from vault.genotypes.contigs import find_assembly, normal_contig
from vault.genotypes.sites import Sites


@dataclass(frozen=True)
class Assayed:
    """Places declared as assayed. ``everything``: all that the files list, and all that they might have."""

    everything: bool = False
    places: Mask = field(default_factory=Mask)

    def union(self, other: Assayed) -> Assayed:
        """Union of two declarations."""
        return Assayed(self.everything or other.everything, self.places.union(other.places))

    def covers(self, sites: Sites) -> NDArray[np.bool_]:
        """bool[m]: every base of the site's REF was declared."""
        if self.everything or not self.places.intervals:
            return np.full(len(sites), self.everything)
        found = np.zeros(len(sites), np.bool_)
        ref_end = sites.pos + sites.ref_lengths() - 1
        for number, contig in enumerate(sites.contigs):
            own = self.places.on(normal_contig(contig))
            here = np.flatnonzero(sites.contig == number)
            if not own or not len(here):
                continue
            starts, ends = (np.array([getattr(place, side) for place in own], np.int64) for side in ("start", "end"))
            before = np.searchsorted(starts, sites.pos[here] - 1, "right") - 1  # last interval that starts no later than POS
            found[here] = (before >= 0) & (ends[np.maximum(before, 0)] >= ref_end[here])
        return found

    def text(self) -> str:
        """The stored form of the intervals."""
        return "".join(f"{place.contig}\t{place.start}\t{place.end}\n" for place in self.places.intervals)


NOTHING = Assayed()
EVERYTHING = Assayed(everything=True)


def from_intervals(intervals: Iterable[Interval], *, assembly: str, name: str) -> Assayed:
    """The declaration of a list called ``name`` in errors.

    Raises:
        InputError: ``assembly_mismatch``: an interval does not lie on the assembly.
    """
    own = find_assembly(assembly)
    listed = list(intervals)
    own.require_own((place.contig for place in listed), name=name)
    for place in listed:
        limit = own.limit(place.contig)
        if limit is None or place.end > limit:
            first, last = place.positions
            where = f"{place.contig}:{first}-{last}"
            raise InputError(
                "assembly_mismatch", f"{name}: {where:.80} does not lie on {own.name}", hint="give intervals of this assembly"
            )
    return Assayed(places=Mask.from_intervals(Interval(normal_contig(p.contig), p.start, p.end) for p in listed))


def from_text(text: str) -> Assayed:
    """The reverse of ``Assayed.text``."""
    rows = (line.split("\t") for line in text.splitlines())
    return Assayed(places=Mask(tuple(Interval(contig, int(start), int(end)) for contig, start, end in rows)))
