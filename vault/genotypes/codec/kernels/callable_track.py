"""Kernels of a callable track: the lowest of overlapping intervals, and whether runs of bases are covered.

``callable_track`` is the only caller. A level is a band of 1 to 3, with 4 added where the person has one copy; 0 is not confident.
"""

# ruff: noqa: PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="arg-type, assignment, operator"

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types

from vault.genotypes.codec.format_constants import TRACK_BAND as BAND
from vault.genotypes.codec.format_constants import TRACK_HAPLOID as HAPLOID
from vault.genotypes.compute.jit import RO, RW, helper, kernel

LEVELS: Final = 8

_INTERVALS = (RO(types.int64), RO(types.int64), RO(types.uint8))
_FILLED = (RW(types.int64), RW(types.int64), RW(types.uint8))


@helper
def _winner(active: Any) -> Any:
    """The level of a base under these intervals: the lowest; 0 under one that is not confident, or under one copy and two."""
    if active[0] or active[HAPLOID]:
        return 0
    lowest = 0
    for level in range(LEVELS - 1, 0, -1):
        if active[level]:
            if lowest and (lowest ^ level) & HAPLOID:
                return 0
            lowest = level
    return lowest


@kernel(types.int64(*_INTERVALS, RO(types.int64), *_FILLED))
def lowest_levels(start: Any, end: Any, level: Any, by_end: Any, out_start: Any, out_end: Any, out_level: Any) -> Any:
    """Fill ``out`` with the confident intervals and say how many. ``start`` is sorted; ``by_end`` is the order of the ends; room: 2k."""
    active = np.zeros(LEVELS, np.int64)
    opened, closed, found, now, since = 0, 0, 0, 0, 0
    while closed < len(start):
        at = end[by_end[closed]] + 1
        if opened < len(start) and start[opened] < at:
            at = start[opened]
        if now and at > since:
            if found and out_level[found - 1] == now and out_end[found - 1] + 1 == since:
                out_end[found - 1] = at - 1
            else:
                out_start[found], out_end[found], out_level[found] = since, at - 1, now
                found += 1
        while opened < len(start) and start[opened] == at:
            active[level[opened] & (LEVELS - 1)] += 1
            opened += 1
        while closed < len(start) and end[by_end[closed]] + 1 == at:
            active[level[by_end[closed]] & (LEVELS - 1)] -= 1
            closed += 1
        now, since = _winner(active), at
    return found


@kernel(types.void(*_INTERVALS, RO(types.int64), RO(types.int64), types.int64, RW(types.uint8)))
def covered_runs(start: Any, end: Any, level: Any, first: Any, last: Any, at_least: Any, copies: Any) -> None:
    """For each run of bases 2 or 1 less: 1 where two copies are confident at every base, 2 where one copy is, else 0."""
    for i in range(len(first)):
        copies[i] = 0
        low, high = 0, len(start)  # the last interval that starts no later than the run
        while low < high:
            middle = (low + high) >> 1
            if start[middle] <= first[i]:
                low = middle + 1
            else:
                high = middle
        k = low - 1
        if k < 0 or end[k] < first[i] or last[i] < first[i]:
            continue
        haploid = level[k] & HAPLOID
        while (level[k] & BAND) >= at_least and (level[k] & HAPLOID) == haploid:
            if end[k] >= last[i]:
                copies[i] = 2 if haploid else 1
                break
            k += 1
            if k == len(start) or start[k] != end[k - 1] + 1:
                break
