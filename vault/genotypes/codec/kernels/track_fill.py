"""Kernel that fills in reference calls of many people from the bytes of their tracks. ``callable_track`` is the only caller.

Most of what a person has no record of is covered by two copies. So only the other sites are looked up, those between the stretches of a track
and those under one copy; what is left then is two copies, for all people of a row at once.
"""

# ruff: noqa: C901, PLR0912, PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="arg-type, assignment, operator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.format_constants import TRACK_BAND as BAND
from vault.genotypes.codec.format_constants import TRACK_BIN_SHIFT as BIN_SHIFT
from vault.genotypes.codec.format_constants import TRACK_HAPLOID as HAPLOID
from vault.genotypes.codec.kernels.track_bytes import read_interval
from vault.genotypes.compute.jit import RO, RW, bare_helper, helper, kernel

_SETTLED = 254  # no call code: there is none, and none is to be filled in


@helper
def _rest(rows: Any, columns: Any, two: Any, none: Any, codes: Any) -> None:
    """Put the call of two copies where there is none yet, and none where it was settled that there is none."""
    n = len(columns)
    low, high = (columns[0], columns[0] + n) if columns[n - 1] - columns[0] == n - 1 else (0, 0)
    for i in range(len(rows)):
        if high:
            here = codes[rows[i], low:high]
            for j in range(len(here)):
                here[j] = two if here[j] == none else none if here[j] == _SETTLED else here[j]
            continue
        for j in range(n):
            call = codes[rows[i], columns[j]]
            codes[rows[i], columns[j]] = two if call == none else none if call == _SETTLED else call


@helper
def _buckets(first: Any, shift: Any) -> Any:
    """int64[]: of each run of 2**shift bases from the first site's on the first site that begins no earlier."""
    table = np.empty(((first[len(first) - 1] - first[0]) >> shift) + 2, np.int64)
    at = 0
    for bucket in range(len(table)):
        begin = first[0] + (bucket << shift)
        while at < len(first) and first[at] < begin:
            at += 1
        table[bucket] = at
    return table


@bare_helper
def _from(first: Any, table: Any, shift: Any, base: Any) -> Any:
    """The first site that begins at a base or later."""
    if base <= first[0]:
        return 0
    if base > first[len(first) - 1]:
        return len(first)
    at = table[(base - first[0]) >> shift]
    while first[at] < base:
        at += 1
    return at


@bare_helper
def _settle(
    begin: Any, end: Any, inside: Any, column: Any, sites: Any, longest: Any, buckets: Any, none: Any, codes: Any
) -> None:
    """Settle the sites that have a base of a run and no call yet: ``inside`` it it is this one, at its edges none."""
    rows, first, last = sites
    table, shift = buckets
    at = _from(first, table, shift, begin - longest + 1)
    while at < len(first) and first[at] <= end:
        if last[at] >= begin and codes[rows[at], column] == none:
            codes[rows[at], column] = inside if first[at] >= begin and last[at] <= end else _SETTLED
        at += 1


@kernel(
    types.int64(
        RO(types.uint8),  # bytes of one bin behind another's
        RO(types.int64),  # where each begins, and the end
        RO(types.int64),  # version of each
        RO(types.int64),  # number of each
        RO(types.int64),  # whose each is, ascending, and of one person by number
        RO(types.int64),  # the columns of the people, ascending
        RO(types.int64),  # rows, by first base
        RO(types.int64),  # first and last base of each
        RO(types.int64),
        types.int64,
        RO(types.uint8),  # the call of 2 or 1 copies, and what stands for none
        RW(types.uint8, 2),
    )
)
def fill_people(
    data: Any,
    edges: Any,
    versions: Any,
    numbers: Any,
    owners: Any,
    columns: Any,
    rows: Any,
    first: Any,
    last: Any,
    at_least: Any,
    calls: Any,
    codes: Any,
) -> Any:
    """Write reference calls where there is none and every base of the site is confident, as ``covered_runs`` says. 0, or -1: a bin is malformed,
    and what was written is not to be read.
    """
    if len(rows) == 0 or len(columns) == 0:
        return 0
    longest, farthest = np.int64(1), np.int64(0)
    for i in range(len(rows)):
        longest, farthest = max(longest, last[i] - first[i] + 1), max(farthest, last[i])
    shift = 6
    while (first[len(first) - 1] - first[0]) >> shift > 4 * len(first):
        shift += 1
    sites, buckets = (rows, first, last), (_buckets(first, shift), shift)
    none, settled = calls[2], np.uint8(_SETTLED)
    piece = 0
    for person in range(len(columns)):
        column = columns[person]
        end = first[0] - 1  # of what is settled
        begin, copies = first[0], np.int64(0)  # of the stretch under one copy that ends there, if one does
        while piece < len(numbers) and owners[piece] == person:
            place, stop = edges[piece], edges[piece + 1]
            base, limit = numbers[piece] << BIN_SHIFT, (numbers[piece] + 1) << BIN_SHIFT
            opened, level = place, np.int64(0)
            if place == stop:
                return -1
            while place < stop:
                gap, length, level, place = read_interval(data, place, stop, versions[piece], place == opened, level)
                base += gap + length
                if length == 0 or base > limit:
                    return -1
                if (level & BAND) < at_least or base < first[0]:
                    continue
                low = base - length + 1
                apart = low > end + 1
                if copies and (apart or not level & HAPLOID):
                    _settle(begin, end, calls[1], column, sites, longest, buckets, none, codes)
                if apart:
                    _settle(end + 1, low - 1, settled, column, sites, longest, buckets, none, codes)
                if level & HAPLOID and (apart or not copies):
                    begin = low
                copies, end = level & HAPLOID, base
            piece += 1
        if copies:
            _settle(begin, end, calls[1], column, sites, longest, buckets, none, codes)
        if end < farthest:
            _settle(end + 1, farthest, settled, column, sites, longest, buckets, none, codes)
    _rest(rows, columns, calls[0], none, codes)
    return 0
