"""Kernels that map places of a payload to rows and bits of the fields, before any payload is read. ``decoder.DecodePlan`` is the only caller."""

# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.format_constants import GOLOMB
from vault.genotypes.compute.jit import RO, RW, kernel

UNWANTED = -1  # of a place's target


@kernel(types.void(RO(types.int64), RW(types.uint8)))
def close_references(reference: Any, wanted: Any) -> None:
    """Mark, beside the wanted sites, every site they are XOR-ed with. ``reference[s]`` < s, or -1."""
    for s in range(len(wanted) - 1, -1, -1):
        if wanted[s] and reference[s] >= 0:
            wanted[reference[s]] = 1


@kernel(types.int64(RO(types.uint8, 2), RO(types.int32), RW(types.int64), RW(types.int32)))
def aim(classes: Any, row: Any, class_end: Any, target: Any) -> Any:
    """Target of a one at each place: ``2 * row + bit`` of the fields, UNWANTED, or ``-2 - site`` for an exception.

    ``row[site]``: row of the fields, -1 where not wanted. Fills ``class_end`` (the places of each parameter lie together, by row) and
    as much of ``target`` as there are places; returns how many of them are to be read: all where exceptions could matter, else up to
    the last one wanted.
    """
    class_end[:] = 0
    for site in range(len(classes)):
        for plane in range(3):
            if classes[site, plane] >= GOLOMB:
                class_end[classes[site, plane] - GOLOMB] += 1
    next_place = np.empty(len(class_end), np.int64)
    total = 0
    for k in range(len(class_end)):
        next_place[k] = total
        total += class_end[k]
        class_end[k] = total
    last = 0
    for site in range(len(classes)):
        for plane in range(3):
            if classes[site, plane] < GOLOMB:
                continue
            k = classes[site, plane] - GOLOMB
            place = next_place[k]
            next_place[k] += 1
            if plane == 2:
                target[place] = -2 - site
                last = total
            elif row[site] >= 0:
                target[place] = 2 * row[site] + 1 - plane
                last = max(last, place + 1)
            else:
                target[place] = UNWANTED
    return last
