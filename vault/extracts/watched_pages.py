"""A view that tells how much of it was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vault.views.pages import OfView, Page


@dataclass(frozen=True)
class WatchedPages(OfView):
    """A view that tells how many of its sites were written: all of a page's once the next is asked for."""

    _progress: Callable[[int, int], None]
    _before: int  # sites that were written before

    def pages(self) -> Iterator[Page]:
        """The records in order."""
        done = self._before
        for page in self._view.pages():
            yield page
            done += len(page.sites)
            self._progress(done, self.summary.n_sites)
