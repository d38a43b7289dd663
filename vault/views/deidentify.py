"""From released subjects' calls to a view, in pages, so that no more than a few windows of calls are ever in memory
(docs/design/disclosure.md §8.2, §11).

    1  check    the people fit each other
    2  survey   once over the sites and their allele counts: ``site_selection`` settles what stays; the header and phase need to know of all of it
    3  pages    window after window: calls are read, sites with a rare ALT go (``rare_alleles``), what stays is settled from them, and
                ``call_rewriting`` makes them the view's

Phase is kept where the profile says so, and never across a masked gap. What fits one window is read once and surveyed from its calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vault.crypto.primitives import HmacSha256
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UsageError
from vault.genotypes.assayed import NOTHING, Assayed
from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.codec.call_codes import Codes, Escapes
from vault.genotypes.panel_loci import LocusIndex, Match, Told
from vault.genotypes.sites import Sites
from vault.genotypes.store.part_merge import Calls
from vault.ids import Pseudonym
from vault.views.call_rewriting import rewrite
from vault.views.header_summary import HeaderSummary
from vault.views.masks import Stretches, masked_sites
from vault.views.page_order import PageOrder, ordered
from vault.views.pages import Page
from vault.views.rare_alleles import rare_sites
from vault.views.released_bits import ReleasedBits
from vault.views.settled_sites import SettledSites
from vault.views.site_selection import Profile, Shown, in_order, settle
from vault.views.view import View

WINDOW_CALLS = 1 << 24  # calls, so bytes, that are read at once …
FEWEST_SITES = 512  # … but no fewer sites of however many people: each window goes through all of a chunk's blocks
WINDOW_SITES = 1 << 16  # sites that are counted at once


class CallWindow(Protocol):
    """Neighbouring sites: ``vault.genotypes.store.windows.Window``."""

    def read(self) -> tuple[Calls, AlleleCounts]:
        """Sites and calls, which belong to the caller, and how often each allele is carried."""

    def count(self) -> tuple[Sites, AlleleCounts]:
        """The same without the calls."""


class CallSource(Protocol):
    """Calls of all released subjects: ``vault.genotypes.store.windows.Choice``."""

    @property
    def n_sites(self) -> int:
        """At least as many as there are."""

    @property
    def overlaps(self) -> bool:
        """True if counting may take as much memory as reading."""

    @property
    def whole(self) -> CallWindow:
        """Everything as one window."""

    def windows(self, n_sites: int, /) -> Iterator[CallWindow]:
        """Everything, in windows of about so many sites."""


@dataclass(frozen=True)
class _Read:
    """A window's calls and what is shown of them."""

    calls: Calls
    shown: Shown


def row_order(release_key: bytes, pseudonyms: Sequence[Pseudonym]) -> NDArray[np.intp]:
    """intp[n]: index into ``pseudonyms`` of each row of the release, sorted by HMAC-SHA256 under the release's key."""
    mac = HmacSha256(Secret(release_key))
    tags = [mac.digest(name.encode()) for name in pseudonyms]
    return np.array(sorted(range(len(tags)), key=tags.__getitem__), np.intp)


class Deidentified:
    """The view of a source's calls, surveyed when it is made: from then on ``summary`` and ``not_assayed`` are known. What is
    asked for of it, pages or the view, is given once.

    ``source``: one column per released subject, in the order of ``pseudonyms``. ``panel``: whose view it is; ``assayed``: what its
    loci show whoever carries it; ``tracked``: somebody's track says what was assayed, so that every exact locus is shown. ``window_sites``:
    how many sites to read at once, if another number than suits the memory of a laptop.

    Raises:
        UsageError: ``view_parts``: a pseudonym appears twice, or there are not as many as columns.
        IntegrityError: ``call_outside_site`` if a call names an allele that its site does not list; and what the source raises.
    """

    def __init__(
        self,
        source: CallSource,
        pseudonyms: Sequence[Pseudonym],
        *,
        profile: Profile,
        assembly: str,
        panel: LocusIndex | None = None,
        assayed: Assayed = NOTHING,
        tracked: bool = False,
        window_sites: int | None = None,
    ) -> None:
        if len(set(pseudonyms)) != len(pseudonyms):
            raise UsageError("view_parts", "a pseudonym appears twice")
        self._pseudonyms, self._assembly = tuple(pseudonyms), assembly
        self._source, self._profile, self._panel, self._assayed = source, profile, panel, assayed
        self._tracked = tracked
        self._window_sites = window_sites or max(FEWEST_SITES, WINDOW_CALLS // max(1, len(pseudonyms)))
        self._stretches = Stretches()
        self._met: NDArray[np.bool_] | None = None
        self._only: _Read | None = None
        self._surveyed = HeaderSummary()
        self.bits = ReleasedBits(len(self._pseudonyms), assembly)  # of the pages that were made
        self._survey()

    @property
    def pseudonyms(self) -> tuple[Pseudonym, ...]:
        """Pseudonyms of the columns, in order."""
        return self._pseudonyms

    @property
    def assembly(self) -> str:
        """Assembly of the positions."""
        return self._assembly

    @cached_property
    def summary(self) -> HeaderSummary:
        """Names that the header has to define."""
        return self._surveyed if self._only is None else HeaderSummary().and_of(self._only.shown.sites)

    @property
    def is_read(self) -> bool:
        """True if all of it is in memory: what fits one window is read for the survey."""
        return self._only is not None

    @property
    def not_assayed(self) -> tuple[str, ...]:
        """The loci of the panel that the dataset has no site for ("contig:pos")."""
        return () if self._panel is None or self._met is None else self._panel.not_assayed(self._met)

    def pages(self) -> Iterator[Page]:
        """The view, page after page.

        Raises:
            IntegrityError: ``view_changed``: the calls are not those that were surveyed; and as when it was made.
        """
        summary, order = self.summary, PageOrder()
        left = summary.n_sites
        for read in self._reads():
            left -= len(read.shown.sites)
            source = read.calls.sites
            page = self._page(read)
            if len(source):
                name = source.contigs[int(source.contig[-1])]
                contig = summary.contigs.index(name) if name in summary.contigs else -1
                page = order.add(page, contig=contig, last=int(source.pos[-1]))
            yield page
        if left:
            raise IntegrityError("view_changed", "what is stored changed while the view was made", hint="ask again")
        rest = order.rest()
        if rest is not None:
            yield rest

    def counted(self) -> ReleasedBits:
        """Bits of the whole view. Pages of which none was asked for, because all files were there already, are made for it.

        Raises:
            IntegrityError: ``view_changed``.
        """
        if self.summary.n_sites and not self.bits.n_sites:
            for _ in self.pages():
                pass
        if self.bits.n_sites != self.summary.n_sites:
            raise IntegrityError("view_changed", "what is stored changed while the view was made", hint="ask again")
        return self.bits

    def settled(self) -> SettledSites:
        """The sites as they are settled, to show more of the same people by; for a view that was made with one window for everything.

        Raises:
            UsageError: ``view_parts``: it was surveyed in windows, or given already.
        """
        if self._only is None:
            raise UsageError("view_parts", "a view that was read in windows is settled by none of them")
        shown = self._only.shown
        sites = self.summary.numbered(shown.sites)
        return SettledSites.of(shown, self._holds(shown), sites, assembly=self._assembly, not_assayed=self.not_assayed)

    def view(self) -> View:
        """All of it in memory, at once; for a view that was made with one window for everything."""
        _ = self.summary  # known from now on: what was read is given away
        (read,) = self._reads()
        page = ordered(self._page(read))
        return View(self.pseudonyms, page.sites, page.codes, page.escapes, self.assembly, self.not_assayed)

    def _survey(self) -> None:
        if self._source.n_sites <= self._window_sites:
            self._only = self._read(self._source.whole)
            self._count_stretches(self._only.shown)
            return
        counted = self._profile.min_carriers <= 1  # who carries a rare allele is seen in the calls alone
        at_once = WINDOW_SITES if counted and not self._source.overlaps else min(WINDOW_SITES, self._window_sites)
        for window in self._source.windows(at_once):
            shown = self._settle(*window.count()) if counted else self._read(window).shown
            self._surveyed = self._surveyed.and_of(shown.sites)
            self._count_stretches(shown)

    def _count_stretches(self, shown: Shown) -> None:
        if self._profile.keep_phase:
            self._stretches.add(shown.sites.take(np.flatnonzero(~shown.masked)), self._profile.hidden)

    def _settle(self, sites: Sites, counts: AlleleCounts, rare: NDArray[np.bool_] | None = None) -> Shown:
        match = None if self._panel is None else self._matched(self._panel, sites, counts, rare)
        shown = settle(sites, counts, self._profile, match, self._panel, rare=rare)
        if self._panel is not None and match is not None:
            # a locus whose site was shortened to another place is met only by what is shown there
            stays = match.fixed[shown.rows].sum() == match.fixed.sum() and np.array_equal(shown.sites.pos, sites.pos[shown.rows])
            met = match.met if stays else self._panel.match(shown.sites.take(in_order(shown.sites))).met
            self._met = met if self._met is None else self._met | met
        return shown

    def _matched(self, panel: LocusIndex, sites: Sites, counts: AlleleCounts, rare: NDArray[np.bool_] | None) -> Match:
        """Loci that the panel names, as far as it is not in the dataset for the sake of people alone who are not released."""
        declared, carried = self._assayed.covers(sites), counts.counts > 0
        hidden = masked_sites(sites, self._profile.hidden)
        carried &= ~np.repeat(hidden if rare is None else hidden | rare, np.diff(counts.offsets))
        match = panel.match(sites, told=Told(declared, carried, exact=self._tracked))
        if self._tracked:  # what exact loci list is there for all alike
            return match
        return replace(match, named=match.named & (np.repeat(declared, np.diff(counts.offsets)) | carried))

    def _reads(self) -> Iterator[_Read]:
        if self._only is not None:
            only, self._only = self._only, None
            yield only
            return
        for window in self._source.windows(self._window_sites):
            yield self._read(window)

    def _read(self, window: CallWindow) -> _Read:
        calls, counts = window.read()
        if calls.codes.shape != (len(calls.sites), len(self.pseudonyms)) or calls.codes.dtype != np.uint8:
            raise UsageError("view_parts", "codes must be uint8 with one row per site and one column per pseudonym")
        rare = rare_sites(calls, counts, self._profile.min_carriers)
        return _Read(calls, self._settle(calls.sites, counts, rare))

    def _page(self, read: _Read) -> Page:
        codes, escapes = self._rewritten(read)
        counts = read.shown.shown_counts()
        self.bits.add(read.calls.sites.take(read.shown.rows), counts, codes, escapes)
        return Page(self.summary.numbered(read.shown.sites), codes, escapes, counts)

    def _rewritten(self, read: _Read) -> tuple[Codes, Escapes]:
        codes = np.require(read.calls.codes, np.uint8, ["C", "W"])  # may be rewritten in place
        return rewrite(read.shown, codes, read.calls.escapes, holds=self._holds(read.shown))

    def _holds(self, shown: Shown) -> NDArray[np.bool_]:
        """bool[k]: the shown site keeps its phase."""
        holds = np.full(len(shown.rows), self._profile.keep_phase)
        if self._profile.keep_phase:
            open_to_all = np.flatnonzero(~shown.masked)
            holds[open_to_all] = self._stretches.hold(shown.sites.take(open_to_all), self._profile.hidden)
        return holds
