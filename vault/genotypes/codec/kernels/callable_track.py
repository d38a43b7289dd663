"""Kernels of a callable track: the lowest of overlapping intervals, whether runs of bases are covered, and a bin's bytes.

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
from vault.genotypes.codec.format_constants import TRACK_BIN_SHIFT as BIN_SHIFT
from vault.genotypes.codec.format_constants import TRACK_HAPLOID as HAPLOID
from vault.genotypes.compute.jit import RO, RW, helper, kernel

LEVELS: Final = 8
STRIP: Final = 64  # people whose codes are one line of a processor's cache
PAIR_BYTES: Final = 8  # at most: a gap of three bytes, a length and class of four

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


@helper
def _write(data: Any, at: Any, value: Any) -> Any:
    """Write a LEB128 number; the place behind it."""
    while value > 127:
        data[at] = (value & 127) | 128
        value >>= 7
        at += 1
    data[at] = value
    return at + 1


@kernel(types.int64(*_INTERVALS, RW(types.uint8), RW(types.int64), RW(types.int64)))
def write_bins(start: Any, end: Any, level: Any, data: Any, numbers: Any, ends: Any) -> Any:
    """Fill ``data`` with the pairs of one bin after another, ``numbers`` and ``ends`` with those of the bins; say how many bins."""
    bins, at, behind = 0, 0, 0  # behind: the first 0-based base that no pair has told of
    for i in range(len(start)):
        base, stop = start[i] - 1, end[i]
        while base < stop:
            number = base >> BIN_SHIFT
            if bins == 0 or numbers[bins - 1] != number:
                numbers[bins] = number
                bins += 1
                behind = number << BIN_SHIFT
            piece = min(stop, (number + 1) << BIN_SHIFT)
            at = _write(data, at, base - behind)
            at = _write(data, at, (piece - base) << 3 | np.int64(level[i]))
            ends[bins - 1] = at
            base, behind = piece, piece
    return bins


@helper
def _read(data: Any, at: Any) -> Any:
    """(value, place behind it) of a LEB128 number of at most four bytes, as short as can be; (-1, at) for anything else."""
    value = np.int64(0)
    for k in range(4):
        if at + k == len(data):
            return np.int64(-1), at
        value |= np.int64(data[at + k] & 127) << (7 * k)
        if data[at + k] < 128:
            return (value if k == 0 or data[at + k] else np.int64(-1)), at + k + 1
    return np.int64(-1), at


@helper
def _read_bin(data: Any, number: Any, found: Any, start: Any, end: Any, level: Any) -> Any:
    """As ``read_bin``."""
    base, stop = number << BIN_SHIFT, (number + 1) << BIN_SHIFT
    at, first = 0, found
    while at < len(data):
        gap, at = _read(data, at)
        if gap < 0:
            return -1
        pair, at = _read(data, at)
        if pair < 8 or not pair & BAND or base + gap + (pair >> 3) > stop:
            return -1
        start[found], end[found], level[found] = base + gap + 1, base + gap + (pair >> 3), pair & 7
        if gap == 0 and found > first and level[found] == level[found - 1]:
            return -1  # one interval, written as two
        base = end[found]
        found += 1
    return found if found > first else -1


@kernel(types.int64(RO(types.uint8), types.int64, types.int64, *_FILLED))
def read_bin(data: Any, number: Any, found: Any, start: Any, end: Any, level: Any) -> Any:
    """Append the intervals of a bin behind the ``found`` there are; how many there are then, or -1: malformed."""
    return _read_bin(data, number, found, start, end, level)


@kernel(types.int64(RO(types.uint8), RO(types.int64), RO(types.int64), RO(types.int64), *_FILLED, RW(types.int64)))
def read_people(data: Any, at: Any, numbers: Any, people: Any, start: Any, end: Any, level: Any, edges: Any) -> Any:
    """The intervals of many people's bins, person after person; how many, or -1: malformed.

    Piece i is ``data[at[i] : at[i + 1]]``, bin ``numbers[i]`` of ``people[i]``, ascending. ``edges``: where each person's begin, and the end.
    """
    found, person = 0, 0
    edges[0] = 0
    for i in range(len(numbers)):
        while person < people[i]:
            person += 1
            edges[person] = found
        found = _read_bin(data[at[i] : at[i + 1]], numbers[i], found, start, end, level)
        if found < 0:
            return -1
    while person < len(edges) - 1:
        person += 1
        edges[person] = found
    return found


@kernel(
    types.void(
        *_INTERVALS,
        RO(types.int64),  # edges of each person's intervals
        RO(types.int64),  # the columns of the people
        RO(types.int64),  # rows, by first base
        RO(types.int64),  # first and last base of each
        RO(types.int64),
        types.int64,
        RO(types.uint8),  # the call of 2 or 1 copies, and what stands for none
        RW(types.uint8, 2),
    )
)
def fill_people(
    start: Any,
    end: Any,
    level: Any,
    edges: Any,
    columns: Any,
    rows: Any,
    first: Any,
    last: Any,
    at_least: Any,
    calls: Any,
    codes: Any,
) -> None:
    """Write reference calls where there is none and every base of the run is confident, as ``covered_runs`` says.

    ``calls``: of two copies, of one, and of none. Some people at a time, whose codes of a row lie together in memory.
    """
    n = len(columns)
    for begin in range(0, n, STRIP):
        stop = min(n, begin + STRIP)
        now = edges[begin:stop].copy()  # of each person the first interval that ends no earlier than the run begins
        for i in range(len(rows)):
            for j in range(stop - begin):
                k, behind = now[j], edges[begin + j + 1]
                while k < behind and end[k] < first[i]:
                    k += 1
                now[j] = k
                if codes[rows[i], columns[begin + j]] != calls[2] or k == behind or start[k] > first[i]:
                    continue
                haploid = level[k] & HAPLOID
                while (level[k] & BAND) >= at_least and (level[k] & HAPLOID) == haploid:
                    if end[k] >= last[i]:
                        codes[rows[i], columns[begin + j]] = calls[1 if haploid else 0]
                        break
                    k += 1
                    if k == behind or start[k] != end[k - 1] + 1:
                        break
