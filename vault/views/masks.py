"""Sites of a view that lie in hidden places, and the stretches of contigs between those."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.mates import mates_of
from vault.genotypes.sites import Sites, site_extents
from vault.views.hidden_places import HiddenPlaces


def masked_sites(sites: Sites, hidden: HiddenPlaces) -> NDArray[np.bool_]:
    """bool[m]: the site speaks of a base in a hidden place: from POS to its end, or as a mate (docs/design/disclosure.md §8.2, rule 1).

    A site that does not say how far it reaches is masked where anything of its contig is hidden, one joined to some place of a contig
    where anything of that is, and one that may speak of any place where anything is. POS 0, before the first base, counts as that.
    """
    hit = np.zeros(len(sites), np.bool_)
    if not hidden or not len(sites):
        return hit
    extents = site_extents(sites)
    first, last = np.maximum(sites.pos, 1), np.maximum(extents.ends, 1)
    for number, starts, stops in _hidden(sites, hidden):
        here = sites.contig == number
        nearest = np.searchsorted(starts, last[here], side="left") - 1  # last interval that starts before the site's end
        hit[here] = (nearest >= 0) & (stops[np.maximum(nearest, 0)] >= first[here])
        hit[here] |= extents.endless[here]
    mates = mates_of(sites)
    lost = extents.joined.copy()
    lost[mates.rows] = False
    hit |= lost | extents.unplaced
    for row, contig, start, stop, sure in zip(
        mates.rows.tolist(), mates.contigs, mates.first.tolist(), mates.last.tolist(), mates.sure.tolist(), strict=True
    ):
        hit[row] |= hidden.hides(contig, max(start, 1), max(stop, 1)) if sure else len(hidden.on(contig)[0]) > 0
    return hit


class Stretches:
    """The stretches into which masks cut each contig, and how many sites a view shows in each (docs/design/disclosure.md §8.2, rule 4).

    Phase must not bridge a masked gap, and GT alone cannot say "phased, but not with what lies before the gap". So of a contig's
    stretches the one with the most sites keeps its phase (the first of equals), and the others lose theirs. Give unmasked sites only.
    """

    def __init__(self) -> None:
        self._sizes: dict[str, NDArray[np.int64]] = {}

    def add(self, sites: Sites, hidden: HiddenPlaces) -> None:
        """Count sites that are shown."""
        for contig, _, stretch, n_stretches in _stretches(sites, hidden):
            sizes = self._sizes.setdefault(contig, np.zeros(n_stretches, np.int64))
            sizes += np.bincount(stretch, minlength=n_stretches)

    def hold(self, sites: Sites, hidden: HiddenPlaces) -> NDArray[np.bool_]:
        """bool[m]: where phase may be kept, of sites that were counted, once all are."""
        holds = np.ones(len(sites), np.bool_)
        for contig, here, stretch, _ in _stretches(sites, hidden):
            holds[here] = stretch == self._sizes[contig].argmax()
        return holds


def _stretches(sites: Sites, hidden: HiddenPlaces) -> Iterator[tuple[str, NDArray[np.intp], NDArray[np.intp], int]]:
    """(contig, its rows intp[k], the stretch intp[k] of each, number of stretches) of each contig that has both sites and masks."""
    for number, starts, _ in _hidden(sites, hidden):
        here = np.flatnonzero(sites.contig == number)
        yield sites.contigs[number], here, np.searchsorted(starts, sites.pos[here], side="left"), len(starts) + 1


def _hidden(sites: Sites, hidden: HiddenPlaces) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
    """(contig number, starts int64[k], ends int64[k]) of each contig that has both sites and hidden places."""
    for number, name in enumerate(sites.contigs):
        starts, ends = hidden.on(name)
        if len(starts) and (sites.contig == number).any():
            yield number, starts, ends
