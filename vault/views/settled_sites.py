"""Sites of a view as they were settled on a whole cohort's calls, to show further calls of its people by them (docs/design/disclosure.md §8.2). Pure.

What is shown of somebody's calls depends on nothing but their calls and what was settled: their row is the same whoever else is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.call_codes import Codes, Escapes
from vault.genotypes.sites import Sites
from vault.views.call_rewriting import Rewriting
from vault.views.page_order import in_place
from vault.views.site_selection import Shown


@dataclass(frozen=True)
class SettledSites:
    """``shown`` of the lines that were read, ``holds`` bool[k]: the shown site keeps its phase; ``sites``: of the view, in its order."""

    shown: Shown
    holds: NDArray[np.bool_]
    sites: Sites
    order: NDArray[np.intp] | None  # intp[k]: shown sites in the order of the view; None: as they come
    assembly: str
    not_assayed: tuple[str, ...]

    @staticmethod
    def of(shown: Shown, holds: NDArray[np.bool_], sites: Sites, *, assembly: str, not_assayed: tuple[str, ...]) -> SettledSites:
        """Of the shown sites, whose contigs are numbered as the view numbers them."""
        order = in_place(sites)
        return SettledSites(shown, holds, sites if order is None else sites.take(order), order, assembly, not_assayed)

    def show(self, codes: Codes, escapes: Escapes) -> tuple[Codes, Escapes]:
        """Calls of the view, uint8[k, n]. ``codes`` uint8[m, n] and ``escapes``: of the lines that were read; they may be written to."""
        shown, kept = self._rewriting.of(np.require(codes, np.uint8, ["C", "W"]), escapes)
        if self.order is None:
            return shown, kept
        if not len(kept):
            return shown[self.order], kept
        place = np.empty(len(self.order), np.int64)
        place[self.order] = np.arange(len(self.order))
        kept = kept.take(np.lexsort((kept.sample, place[kept.site])))
        return shown[self.order], replace(kept, site=place[kept.site])

    @cached_property
    def _rewriting(self) -> Rewriting:
        """Made once: to make it costs more than to rewrite somebody's calls."""
        return Rewriting(self.shown, self.holds)


def columns_of(codes: Codes, escapes: Escapes, columns: NDArray[np.int64]) -> tuple[Codes, Escapes]:
    """Some of the columns of a view, int64[k] of different ones, in this order. ``codes`` uint8[m, n]."""
    place = np.full(codes.shape[1], -1, np.int64)
    place[columns] = np.arange(len(columns))
    kept = escapes.take(np.flatnonzero(place[escapes.sample] >= 0))
    kept = kept.take(np.lexsort((place[kept.sample], kept.site)))
    return np.ascontiguousarray(codes[:, columns]), replace(kept, sample=place[kept.sample])
