"""Sites and alleles that a view shows, settled from allele counts, without the calls themselves (docs/design/disclosure.md §8, §11). Pure.

    1  mask      sites in masked intervals are left out, and those with a rare ALT; those that a panel fixes stay, ``./.`` for all
    2  trim      sites that no released subject carries go unless a panel fixes them, ALTs unless a panel names them; the rest is renumbered
    3  describe  alleles in their shortest spelling where an ALT went, texts by allow-lists, contigs only where there are sites (``site_description``)

A fixed site that is masked shows no ALT but the named ones: an ALT that only its carriers put there would tell of them. REF and ALT
keep the spelling of the dataset where all ALTs stay or a panel spells them. A trimmed site that no longer overlaps what was asked for goes.
Every site is settled by itself, so that a view may be settled in windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from policies.loci import Interval
from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.codec.format_constants import HAS_UNEVEN
from vault.genotypes.loci import overlapping_rows
from vault.genotypes.panel_loci import Match
from vault.genotypes.sites import Sites, site_ends
from vault.views.hidden_places import HiddenPlaces
from vault.views.masks import masked_sites
from vault.views.site_description import Described, describe


@dataclass(frozen=True)
class Profile:
    """A project's disclosure profile, as far as it shapes a view. The default keeps the least, but filters.

    ``min_carriers``: fewest released people who carry an ALT that anybody carries, of a site that is shown. ``regions``: what was asked for.
    """

    keep_phase: bool = False
    keep_ids: bool = False
    keep_filters: bool = True
    min_carriers: int = 1
    hidden: HiddenPlaces = field(default_factory=HiddenPlaces)
    regions: tuple[Interval, ...] | None = None


class LocusMatcher(Protocol):
    """Panel whose loci a view shows: ``vault.genotypes.panel_loci.LocusIndex``."""

    def match(self, sites: Sites, /) -> Match:
        """The sites that its loci name."""


@dataclass(frozen=True)
class Shown:
    """The result of ``settle`` for m sites.

    ``sites``: as the view describes them, k of them; ``rows`` intp[k]: which of the m; ``masked`` bool[k]: missing for all.
    ``counts``: who carries what of the m sites; beside it ``keep`` bool: the alleles that stay (of rows that do), and ``renumber``
    int16: the new number of each that stays, of no meaning for the others.
    """

    sites: Sites
    rows: NDArray[np.intp]
    masked: NDArray[np.bool_]
    counts: AlleleCounts
    keep: NDArray[np.bool_]
    renumber: NDArray[np.int16]

    def moved(self) -> NDArray[np.bool_]:
        """bool[k]: the site has a carried allele whose number changes."""
        offsets = self.counts.offsets
        old = np.arange(len(self.renumber)) - np.repeat(offsets[:-1], np.diff(offsets))
        changed = (old != self.renumber) & (self.counts.counts > 0)
        return np.logical_or.reduceat(changed, offsets[:-1])[self.rows] if len(self.rows) else np.zeros(0, np.bool_)

    def shown_counts(self) -> AlleleCounts:
        """Allele counts of the k shown sites, equal to counts over the calls of the view."""
        counts, sizes = self.counts, np.diff(self.counts.offsets)
        stays = np.zeros(len(sizes), np.bool_)
        stays[self.rows] = True
        chosen = self.keep & np.repeat(stays, sizes)
        offsets = np.zeros(len(self.rows) + 1, np.int64)
        if len(self.rows):
            np.cumsum(np.add.reduceat(chosen, counts.offsets[:-1], dtype=np.int64)[self.rows], out=offsets[1:])
        called = ~self.masked
        return AlleleCounts(
            offsets,
            counts.counts[chosen] * np.repeat(called, np.diff(offsets)),
            counts.an[self.rows] * called,
            counts.flags[self.rows] & np.uint8(HAS_UNEVEN) * called,
        )


def settle(
    sites: Sites,
    counts: AlleleCounts,
    profile: Profile,
    match: Match | None = None,
    panel: LocusMatcher | None = None,
    *,
    rare: NDArray[np.bool_] | None = None,
) -> Shown:
    """Settle the shown sites and alleles. ``match``: sites and ALTs that the ``panel`` names, in a panel view. ``rare`` bool[m]: sites
    with an ALT of too few people, which go, or are missing for all where a panel fixes them.
    """
    masked = masked_sites(sites, profile.hidden)
    if rare is not None:
        masked |= rare
    keep = (counts.counts > 0) & ~np.repeat(masked, np.diff(counts.offsets))
    keep[counts.offsets[:-1]] = True  # REF stays, carried or not
    shows = np.add.reduceat(keep, counts.offsets[:-1], dtype=np.int64) > 1 if len(sites) else np.zeros(0, np.bool_)
    rows = np.flatnonzero(shows if match is None else (shows & match.names()) | match.fixed)
    if match is not None:
        keep |= match.named
    spelled = np.zeros(len(rows), np.bool_) if match is None else match.spelled[rows]
    described = _described(sites, rows, keep, spelled, counts=counts, profile=profile)
    if described.trimmed.any():
        outside = np.flatnonzero(described.trimmed & ~_asked(described.sites, profile.regions, panel))
        if len(outside):
            rows, spelled = np.delete(rows, outside), np.delete(spelled, outside)
            described = _described(sites, rows, keep, spelled, counts=counts, profile=profile)
    return Shown(described.sites, rows, masked[rows], counts, keep, _renumber(keep, counts))


def _described(
    sites: Sites,
    rows: NDArray[np.intp],
    keep: NDArray[np.bool_],
    spelled: NDArray[np.bool_],
    *,
    counts: AlleleCounts,
    profile: Profile,
) -> Described:
    stays = np.zeros(len(sites), np.bool_)
    stays[rows] = True
    kept = keep[np.repeat(stays, np.diff(counts.offsets))]
    return describe(
        sites.take(rows),
        kept,
        spelled,
        keep_ids=profile.keep_ids,
        keep_filters=profile.keep_filters,
        assembly=profile.hidden.assembly,
    )


def _asked(sites: Sites, regions: Sequence[Interval] | None, panel: LocusMatcher | None) -> NDArray[np.bool_]:
    """bool[k]: the site as it is shown is one that was asked for, by regions or a panel; by neither: everything was."""
    if panel is None and regions is None:
        return np.ones(len(sites), np.bool_)
    asked, order = np.zeros(len(sites), np.bool_), in_order(sites)
    ordered = sites.take(order)
    if panel is not None:
        asked[order[panel.match(ordered).rows]] = True
        return asked
    ends = site_ends(ordered)
    for number, name in enumerate(sites.contigs):
        rows = np.flatnonzero(ordered.contig == number)
        here = replace(ordered.take(rows), contigs=(name,), contig=np.zeros(len(rows), np.int32))
        asked[order[rows[overlapping_rows(here, ends[rows], regions or ())]]] = True
    return asked


def in_order(sites: Sites) -> NDArray[np.intp]:
    """intp[k]: the sites by contig and position, those of one position as they come."""
    return np.lexsort((sites.pos, sites.contig))


def _renumber(keep: NDArray[np.bool_], counts: AlleleCounts) -> NDArray[np.int16]:
    """int16[alleles of all sites], beside ``counts.counts``: new number of each allele that is kept; of no meaning for the others."""
    before = np.cumsum(keep) - 1
    first = np.repeat(before[counts.offsets[:-1]], np.diff(counts.offsets))
    return (before - first).astype(np.int16)
