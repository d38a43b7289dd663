"""Masked intervals of a disclosure profile, and the sites that lie in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from policies.loci import Interval
from vault.errors import UsageError
from vault.genotypes.contigs import normal_contig
from vault.genotypes.sites import Sites, site_ends


def masked_sites(sites: Sites, masks: Sequence[Interval]) -> NDArray[np.bool_]:
    """bool[m]: the site overlaps a masked interval with any position from POS to its end (docs/design/disclosure.md §8.2, rule 1).

    Raises:
        UsageError: ``interval_order``: a mask is empty or starts below 0.
    """
    hit = np.zeros(len(sites), np.bool_)
    if not masks or not len(sites):
        return hit
    ends = site_ends(sites)
    for number, starts, stops in _merged(sites, masks):
        here = sites.contig == number
        nearest = np.searchsorted(starts, ends[here], side="left") - 1  # last interval that starts before the site's end
        hit[here] = (nearest >= 0) & (stops[np.maximum(nearest, 0)] >= sites.pos[here])
    return hit


class Stretches:
    """The stretches into which masks cut each contig, and how many sites a view shows in each (docs/design/disclosure.md §8.2, rule 4).

    Phase must not bridge a masked gap, and GT alone cannot say "phased, but not with what lies before the gap". So of a contig's
    stretches the one with the most sites keeps its phase (the first of equals), and the others lose theirs. Give unmasked sites only.
    """

    def __init__(self) -> None:
        self._sizes: dict[str, NDArray[np.int64]] = {}

    def add(self, sites: Sites, masks: Sequence[Interval]) -> None:
        """Count sites that are shown."""
        for contig, _, stretch, n_stretches in _stretches(sites, masks):
            sizes = self._sizes.setdefault(contig, np.zeros(n_stretches, np.int64))
            sizes += np.bincount(stretch, minlength=n_stretches)

    def hold(self, sites: Sites, masks: Sequence[Interval]) -> NDArray[np.bool_]:
        """bool[m]: where phase may be kept, of sites that were counted, once all are."""
        holds = np.ones(len(sites), np.bool_)
        for contig, here, stretch, _ in _stretches(sites, masks):
            holds[here] = stretch == self._sizes[contig].argmax()
        return holds


def _stretches(sites: Sites, masks: Sequence[Interval]) -> Iterator[tuple[str, NDArray[np.intp], NDArray[np.intp], int]]:
    """(contig, its rows intp[k], the stretch intp[k] of each, number of stretches) of each contig that has both sites and masks."""
    for number, starts, _ in _merged(sites, masks):
        here = np.flatnonzero(sites.contig == number)
        yield sites.contigs[number], here, np.searchsorted(starts, sites.pos[here], side="left"), len(starts) + 1


def _merged(sites: Sites, masks: Sequence[Interval]) -> list[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """(contig number, starts int64[k], ends int64[k]) of each contig that has both sites and masks.

    The k intervals are sorted, half-open and 0-based, and neither overlap nor touch. "chr22" and "22" are one contig.
    """
    if any(not 0 <= mask.start < mask.end for mask in masks):
        raise UsageError("interval_order", "an interval starts at 0 or above and ends behind its start")
    result = []
    for number, name in enumerate(sites.contigs):
        mine = sorted((i.start, i.end) for i in masks if normal_contig(i.contig) == normal_contig(name))
        joined: list[list[int]] = []
        for start, end in mine:
            if joined and start <= joined[-1][1]:
                joined[-1][1] = max(joined[-1][1], end)
            else:
                joined.append([start, end])
        if joined and (sites.contig == number).any():
            bounds = np.array(joined, np.int64)
            result.append((number, bounds[:, 0].copy(), bounds[:, 1].copy()))
    return result
