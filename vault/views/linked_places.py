"""Places that are linked with an excluded one in the people of a release, and hidden for all of them (docs/design/disclosure.md §8.2, 8). Pure.

A site near an excluded place is hidden where an allele of it goes along with an allele in the place: r² of the numbers of copies, among the
released people who are called at both. The rarer side of each allele is looked at, and only where enough people carry both: of rare alleles
nothing is learnt this way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.disclosure.view_profiles import Linkage
from policies.loci import Interval, Mask
from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.compute.threads import over_rows
from vault.genotypes.contigs import normal_contig
from vault.genotypes.store.part_merge import Calls
from vault.views import linkage_kernels

BLOCK_BYTES = 1 << 26  # of the excluded place's alleles that are compared at once
WINDOW_CALLS = 1 << 24  # calls, so bytes, that are read at once

ReadPlaces = Callable[[tuple[Interval, ...], int], Iterator[tuple[Calls, AlleleCounts]]]
"""Calls of the released people at places, in windows of so many sites, and their counts."""


@dataclass(frozen=True)
class _Alleles:
    """Alleles with enough carriers, by contig: ``pos`` int64[k] ascending, ``bits`` uint64[k, 3, words]."""

    pos: NDArray[np.int64]
    bits: NDArray[np.uint64]


def linked_places(
    read: ReadPlaces, *, excluded: Mask, hidden: Mask, asked: Mask | None, linkage: Linkage, n_people: int
) -> tuple[Interval, ...]:
    """Positions of sites that are linked with an excluded place, on contigs by their normal names, one base each.

    Args:
        excluded: places that consents exclude, without a margin.
        hidden: what is hidden anyway. ``asked``: what may be shown at all; None: everything. Nothing else is compared, and without
            any of it near an excluded place nothing is read.
    """
    found: list[Interval] = []
    n_sites = max(1, WINDOW_CALLS // max(1, n_people))
    for place in excluded.intervals:
        near = Mask((place,)).widened(linkage.window).minus(hidden)
        if asked is not None:
            near = near.intersection(asked)
        if not near.intervals:
            continue
        within = Mask((place,)).intersection(near.widened(linkage.window))
        for block in _blocks(read(within.intervals, n_sites), linkage):
            for calls, counts in read(near.intervals, n_sites):
                found += _linked(block, calls, counts, linkage)
    return Mask.from_intervals(found).intervals


def _blocks(windows: Iterator[tuple[Calls, AlleleCounts]], linkage: Linkage) -> Iterator[_Alleles]:
    """Alleles of a place, as many at once as ``BLOCK_BYTES`` hold, but those of a window together."""
    held: list[_Alleles] = []
    size = 0
    for calls, counts in windows:
        alleles, _ = _alleles(calls, counts, linkage.carriers)
        if held and size + alleles.bits.nbytes > BLOCK_BYTES:
            yield _joined(held)
            held, size = [], 0
        if len(alleles.pos):
            held.append(alleles)
            size += alleles.bits.nbytes
    if held:
        yield _joined(held)


def _joined(held: list[_Alleles]) -> _Alleles:
    pos, bits = np.concatenate([one.pos for one in held]), np.concatenate([one.bits for one in held])
    order = np.argsort(pos, kind="stable")
    return _Alleles(pos[order], bits[order])


def _alleles(calls: Calls, counts: AlleleCounts, carriers: int) -> tuple[_Alleles, NDArray[np.intp]]:
    """ALTs that enough people may carry, or may lack, and the row of each intp[k]."""
    sizes = np.diff(counts.offsets)
    row = np.repeat(np.arange(len(sizes)), sizes)
    number = np.arange(len(row)) - counts.offsets[row]
    others = counts.counts * 2 > counts.an[row]  # the rarer side is what is left of the calls
    copies = np.where(others, counts.an[row] - counts.counts, counts.counts)
    chosen = np.flatnonzero((number > 0) & (copies >= carriers))
    order = chosen[np.argsort(calls.sites.pos[row[chosen]], kind="stable")]
    rows, n = row[order], calls.codes.shape[1]
    bits = np.zeros((len(order), 3, -(-n // 64)), np.uint64)
    codes, numbers, other = np.ascontiguousarray(calls.codes), number[order], others[order]

    def kernel(first: int, last: int) -> None:
        linkage_kernels.to_planes(codes, rows, numbers, other, first, last, bits)

    over_rows(kernel, len(order), work=len(order) * n)
    return _Alleles(np.ascontiguousarray(calls.sites.pos[rows]), bits), rows


def _linked(place: _Alleles, calls: Calls, counts: AlleleCounts, linkage: Linkage) -> Iterator[Interval]:
    near, rows = _alleles(calls, counts, linkage.carriers)
    linked = np.zeros(len(rows), np.bool_)

    def kernel(first: int, last: int) -> None:
        linkage_kernels.find_linked(
            place.bits,
            place.pos,
            near.bits,
            near.pos,
            first,
            last,
            linkage.window,
            linkage.carriers,
            linkage.percent / 100,
            linked,
        )

    over_rows(kernel, len(rows), work=len(rows) * len(place.pos))
    sites = calls.sites
    for at in np.unique(rows[linked]).tolist():
        pos = max(int(sites.pos[at]), 1)
        yield Interval(normal_contig(sites.contigs[int(sites.contig[at])]), pos - 1, pos)
