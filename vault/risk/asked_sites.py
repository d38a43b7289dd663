"""Calls of a request as they are read for its view, and beside them what was asked for: carried sites and their allele counts, before any mask.

Sites are counted where they are read with their calls. A view may read them all for its survey already: what is read from the beginning
again is counted anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.disclosure import count_classes
from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.sites import Sites
from vault.genotypes.store.part_merge import Calls
from vault.views.deidentify import CallSource, CallWindow
from vault.views.hidden_places import HiddenPlaces
from vault.views.masks import masked_sites

Classes = NDArray[np.int64]
"""int64[c]: number of ALTs in each of ``count_classes.NAMES``."""


def classes(counts: AlleleCounts) -> Classes:
    """ALTs by how many copies of each are carried."""
    is_alt = np.ones(len(counts.counts), np.bool_)
    is_alt[counts.offsets[:-1]] = False
    found = np.searchsorted(count_classes.FIRST, counts.counts[is_alt], "right") - 1
    return np.bincount(found, minlength=len(count_classes.FIRST)).astype(np.int64)


@dataclass
class MaskedSites:
    """Sites of a contig that somebody released carries: how many were ``asked`` for, and how many of them are ``masked``."""

    asked: int = 0
    masked: int = 0


class AskedSites:
    """A ``CallSource`` that counts what is read from it. ``hidden``: the places that the view masks.

    ``classes``: of everything that was asked for; ``by_contig``: by the contigs' names in the dataset.
    """

    def __init__(self, source: CallSource, hidden: HiddenPlaces) -> None:
        self._source, self._hidden = source, hidden
        self._begin()

    @property
    def n_sites(self) -> int:
        """At least as many as there are."""
        return self._source.n_sites

    @property
    def overlaps(self) -> bool:
        """True if counting may take as much memory as reading."""
        return self._source.overlaps

    @property
    def whole(self) -> CallWindow:
        """Everything as one window."""
        self._begin()
        return _Counted(self, self._source.whole)

    def windows(self, n_sites: int, /) -> Iterator[CallWindow]:
        """Everything, in windows of about so many sites."""
        self._begin()
        for window in self._source.windows(n_sites):
            yield _Counted(self, window)

    def add(self, sites: Sites, counts: AlleleCounts) -> None:
        """Count sites that were read."""
        self.classes += classes(counts)
        carried = counts.carried()
        masked = masked_sites(sites, self._hidden) & carried
        for number, name in enumerate(sites.contigs):
            here = sites.contig == number
            if here.any():
                tally = self.by_contig.setdefault(name, MaskedSites())
                tally.asked += int((carried & here).sum())
                tally.masked += int((masked & here).sum())

    def _begin(self) -> None:
        self.classes: Classes = np.zeros(len(count_classes.FIRST), np.int64)
        self.by_contig: dict[str, MaskedSites] = {}


@dataclass(frozen=True)
class _Counted:
    asked: AskedSites
    window: CallWindow

    def read(self) -> tuple[Calls, AlleleCounts]:
        calls, counts = self.window.read()
        self.asked.add(calls.sites, counts)
        return calls, counts

    def count(self) -> tuple[Sites, AlleleCounts]:
        return self.window.count()
