"""Sites and alleles that a view shows, settled from allele counts, without the calls themselves (docs/design/disclosure.md §8, §11). Pure.

    1  mask      sites in masked intervals are left out; those that a panel fixes stay, ``./.`` for all
    2  trim      sites that no released subject carries go unless a panel fixes them, ALTs unless a panel names them; the rest is renumbered
    3  describe  ID only on opt-in, END and SVTYPE only beside an ALT that needs them (and an END that can be), contigs only where there are sites

A fixed site that is masked shows no ALT but the named ones: an ALT that only its carriers put there would tell of them. REF and ALT
keep the spelling of the dataset. Every site is settled by itself, so that a view may be settled in windows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.codec.format_constants import HAS_UNEVEN
from vault.genotypes.panel_loci import Match
from vault.genotypes.sites import Sites, TextColumn, ends_before_start
from vault.views import kernels
from vault.views.hidden_places import HiddenPlaces
from vault.views.masks import masked_sites


@dataclass(frozen=True)
class Profile:
    """A project's disclosure profile, as far as it shapes a view. The default keeps the least."""

    keep_phase: bool = False
    keep_ids: bool = False
    hidden: HiddenPlaces = field(default_factory=HiddenPlaces)


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


def settle(sites: Sites, counts: AlleleCounts, profile: Profile, match: Match | None = None) -> Shown:
    """Settle the shown sites and alleles. ``match``: sites and ALTs that the panel names, in a panel view."""
    masked = masked_sites(sites, profile.hidden)
    keep = (counts.counts > 0) & ~np.repeat(masked, np.diff(counts.offsets))
    keep[counts.offsets[:-1]] = True  # REF stays, carried or not
    shows = np.add.reduceat(keep, counts.offsets[:-1], dtype=np.int64) > 1 if len(sites) else np.zeros(0, np.bool_)
    rows = np.flatnonzero(shows if match is None else shows | match.fixed)
    if match is not None:
        keep |= match.named
    described = _describe(sites.take(rows), rows, keep=keep, counts=counts, profile=profile)
    return Shown(described, rows, masked[rows], counts, keep, _renumber(keep, counts))


def _renumber(keep: NDArray[np.bool_], counts: AlleleCounts) -> NDArray[np.int16]:
    """int16[alleles of all sites], beside ``counts.counts``: new number of each allele that is kept; of no meaning for the others."""
    before = np.cumsum(keep) - 1
    first = np.repeat(before[counts.offsets[:-1]], np.diff(counts.offsets))
    return (before - first).astype(np.int16)


def _describe(chosen: Sites, rows: NDArray[np.intp], *, keep: NDArray[np.bool_], counts: AlleleCounts, profile: Profile) -> Sites:
    m = len(chosen)
    alleles = chosen.alleles if keep.all() else _trim(chosen.alleles, rows, keep, counts.offsets)
    special = np.zeros(len(alleles.data) + 1, np.int64)
    np.cumsum(np.isin(alleles.data, np.frombuffer(b"<[]", np.uint8)), out=special[1:])  # symbolic, or a breakend
    needs_info = (special[alleles.offsets[1:]] > special[alleles.offsets[:-1]]) & ~ends_before_start(chosen)
    lengths = np.where(needs_info, np.diff(chosen.info.offsets), 0)
    info_offsets = np.zeros(m + 1, np.int64)
    np.cumsum(lengths, out=info_offsets[1:])
    info = chosen.info.data[np.repeat(needs_info, np.diff(chosen.info.offsets))] if m else chosen.info.data[:0]
    used, first_row, contig = np.unique(chosen.contig, return_index=True, return_inverse=True)
    appearance = np.argsort(first_row)
    return Sites(
        tuple(chosen.contigs[i] for i in used[appearance]),
        np.argsort(appearance).astype(np.int32)[contig],
        chosen.pos,
        alleles,
        chosen.ids if profile.keep_ids else TextColumn(np.full(m, ord("."), np.uint8), np.arange(m + 1)),
        chosen.filters,
        TextColumn(info, info_offsets),
    )


def _trim(alleles: TextColumn, rows: NDArray[np.intp], keep: NDArray[np.bool_], offsets: NDArray[np.int64]) -> TextColumn:
    """The alleles of ``rows`` without those not kept. ``keep`` and ``offsets`` are of all sites, ``alleles`` of the rows."""
    data = np.empty(len(alleles.data), np.uint8)
    ends = np.zeros(len(rows) + 1, np.int64)
    size = kernels.drop_alleles(np.ascontiguousarray(alleles.data, np.uint8), alleles.offsets, rows, keep, offsets, data, ends)
    return TextColumn(data[:size], ends)
