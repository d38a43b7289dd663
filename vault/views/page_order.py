"""Pages put back into the order of positions after trimmed alleles moved some sites on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.codec.call_codes import join_escapes
from vault.genotypes.sites import Sites
from vault.views.pages import Page
from vault.views.site_selection import in_order


class PageOrder:
    """Sorts page after page, and holds back sites that belong behind some of the next page's."""

    def __init__(self) -> None:
        self._held: Page | None = None

    def add(self, page: Page, *, contig: int, last: int) -> Page:
        """Return the sites that come before all further pages' in order.

        ``contig``, ``last``: number of the contig (-1: none of the view) and position of the last site that the page was made of;
        no further page has one before it there.
        """
        whole = page if self._held is None else _joined(self._held, page)
        self._held = None
        whole = ordered(whole)
        beyond = (whole.sites.contig == contig) & (whole.sites.pos > last)
        if beyond.any():
            self._held = taken(whole, np.flatnonzero(beyond))
            whole = taken(whole, np.flatnonzero(~beyond))
        return whole

    def rest(self) -> Page | None:
        """The sites held back last."""
        held, self._held = self._held, None
        return held


def ordered(page: Page) -> Page:
    """The page by contig and position; sites of one position stay as they come."""
    rows = in_place(page.sites)
    return page if rows is None else taken(page, rows)


def in_place(sites: Sites) -> NDArray[np.intp] | None:
    """intp[k]: the sites by contig and position, those of one position as they come; None where they are so already."""
    back = (np.diff(sites.pos) < 0) & (np.diff(sites.contig) == 0)
    if not back.any() and bool((np.diff(sites.contig) >= 0).all()):
        return None
    return in_order(sites)


def taken(page: Page, rows: NDArray[np.intp]) -> Page:
    """The chosen sites, in the order given."""
    place = np.full(len(page.sites), -1, np.int64)
    place[rows] = np.arange(len(rows))
    here = np.flatnonzero(place[page.escapes.site] >= 0)
    here = here[np.lexsort((page.escapes.sample[here], place[page.escapes.site[here]]))]
    escapes = page.escapes.take(here)
    return Page(page.sites.take(rows), page.codes[rows], replace(escapes, site=place[escapes.site]), _counts(page.counts, rows))


def _joined(first: Page, second: Page) -> Page:
    return Page(
        Sites.concat([first.sites, second.sites]),
        np.concatenate([first.codes, second.codes]),
        join_escapes([first.escapes, second.escapes], [0, len(first.sites)]),
        AlleleCounts.concat([first.counts, second.counts]),
    )


def _counts(counts: AlleleCounts, rows: NDArray[np.intp]) -> AlleleCounts:
    sizes = np.diff(counts.offsets)[rows]
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    source = np.repeat(counts.offsets[:-1][rows] - offsets[:-1], sizes) + np.arange(offsets[-1])
    return AlleleCounts(offsets, counts.counts[source], counts.an[rows], counts.flags[rows])
