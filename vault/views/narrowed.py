"""A view narrowed to places: of what was de-identified as a whole, the records that reach into them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from policies.loci import Interval
from vault.genotypes.contigs import normal_contig
from vault.genotypes.sites import site_ends
from vault.views.page_order import taken
from vault.views.pages import OfView, Page, Paged


@dataclass(frozen=True)
class Narrowed(OfView):
    """The records of a view that overlap ``places``, whose contigs are in the compared spelling."""

    places: tuple[Interval, ...]

    @staticmethod
    def of(view: Paged, places: tuple[Interval, ...]) -> Paged:
        """The view itself where it is not narrowed."""
        return Narrowed(view, places) if places else view

    def pages(self) -> Iterator[Page]:
        """The records in order."""
        return map(self._narrowed, self._view.pages())

    def _narrowed(self, page: Page) -> Page:
        sites = page.sites
        kept, ends = np.zeros(len(sites), np.bool_), site_ends(sites)
        for number, name in enumerate(map(normal_contig, sites.contigs)):
            here = sites.contig == number
            for place in self.places:
                if normal_contig(place.contig) == name:
                    kept |= here & (ends > place.start) & (sites.pos <= place.end)
        return taken(page, np.flatnonzero(kept))
