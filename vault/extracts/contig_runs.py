"""A view cut at the ends of its contigs, for one file each, in one pass over its pages."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from vault.errors import IntegrityError
from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.views.pages import OfView, Page, Paged


@dataclass(frozen=True)
class ContigRun(OfView):
    """The records of one contig as its writer takes them."""

    name: str
    n_sites: int
    _pages: Iterator[Page]

    def pages(self) -> Iterator[Page]:
        """The contig's records in order."""
        return self._pages


def contig_runs(view: Paged, *, without: Collection[str] = ()) -> Iterator[ContigRun]:
    """The view's contigs that have records, in order; each is written before the next one is asked for.

    ``without``: contigs that are left out, whether the view's pages show them or not.

    Raises:
        IntegrityError: ``sites_unsorted`` if a contig's records are not together; and what making a page raises.
    """
    pieces = _ContigPieces(view, {number for number, name in enumerate(view.summary.contigs) if name in without})
    for number, (name, n_sites) in enumerate(zip(view.summary.contigs, view.summary.contig_sites, strict=True)):
        if n_sites and name not in without:
            yield ContigRun(view, name, n_sites, pieces.of(number, n_sites))
    pieces.end()


class _ContigPieces:
    """The pages of a view, cut where a contig ends."""

    def __init__(self, view: Paged, without: Collection[int]) -> None:
        pieces = (piece for page in view.pages() for piece in _cut(page))
        self._left = (piece for piece in pieces if int(piece.sites.contig[0]) not in without)
        self._next: Page | None = None

    def of(self, number: int, n_sites: int) -> Iterator[Page]:
        """Pieces of contig ``number``, of ``n_sites`` records in all."""
        found = 0
        while found < n_sites:
            piece = next(self._left, None)
            if piece is None or int(piece.sites.contig[0]) != number:
                raise _unsorted()
            found += len(piece.sites)
            yield piece

    def end(self) -> None:
        """Look that nothing is left, and let the view look at what it gave."""
        if next(self._left, None) is not None:
            raise _unsorted()


def _cut(page: Page) -> Iterator[Page]:
    """The page's records of each contig. The pieces share its memory."""
    edges = [0, *(np.flatnonzero(np.diff(page.sites.contig)) + 1).tolist(), len(page.sites)]
    for first, last in pairwise(edges if edges[-1] else ()):
        sites = page.sites.take(np.arange(first, last))
        mine = np.flatnonzero((page.escapes.site >= first) & (page.escapes.site < last))
        escapes = page.escapes.take(mine)
        begin, end = page.counts.offsets[first], page.counts.offsets[last]
        counts = AlleleCounts(
            page.counts.offsets[first : last + 1] - begin,
            page.counts.counts[begin:end],
            page.counts.an[first:last],
            page.counts.flags[first:last],
        )
        yield Page(sites, page.codes[first:last], replace(escapes, site=escapes.site - first), counts)


def _unsorted() -> IntegrityError:
    return IntegrityError("sites_unsorted", "sites are not sorted by contig and position")
