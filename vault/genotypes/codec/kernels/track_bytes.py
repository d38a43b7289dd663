"""Kernels over the bytes of a track's bins (docs/formats/genotypes.md §10). A level is as in ``kernels.callable_track``."""

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
from vault.genotypes.compute.jit import RO, RW, bare_helper, helper, kernel, load_u64, trailing_zeros

TOKEN_BYTES: Final = 8  # at most: a length and kind of three bytes, a gap and class of four
PAIRS: Final = 1  # version of a bin of pairs; the other one is of tokens

BEHIND: Final = 8  # bytes of anything behind what is read

_CUT, _FREE = 0, 3  # kinds of tokens; 1 and 2 are next to the interval before, in another band
_FIRST = 3  # the level that is before the first interval of a bin


@helper
def _write(data: Any, at: Any, value: Any) -> Any:
    """Write a LEB128 number; the place behind it."""
    while value > 127:
        data[at] = (value & 127) | 128
        value >>= 7
        at += 1
    data[at] = value
    return at + 1


@helper
def _kind(gap: Any, level: Any, before: Any) -> Any:
    """The kind of token of an interval, by the level of the one before."""
    if gap == 1 and level == before:
        return _CUT
    if gap or level == before or (level ^ before) & HAPLOID:
        return _FREE
    return level & BAND if level & BAND < before & BAND else (level & BAND) - 1


@kernel(
    types.int64(RO(types.int64), RO(types.int64), RO(types.uint8), RW(types.uint8), RW(types.int64), RW(types.int64)),
)
def write_bins(start: Any, end: Any, level: Any, data: Any, numbers: Any, ends: Any) -> Any:
    """Fill ``data`` with the tokens of one bin after another, ``numbers`` and ``ends`` with those of the bins; say how many bins."""
    bins, at, behind = 0, 0, 0  # behind: the first 0-based base that no token has told of
    before = np.int64(_FIRST)
    for i in range(len(start)):
        base, stop, own = start[i] - 1, end[i], np.int64(level[i])
        while base < stop:
            number = base >> BIN_SHIFT
            if bins == 0 or numbers[bins - 1] != number:
                numbers[bins] = number
                bins += 1
                behind, before = number << BIN_SHIFT, np.int64(_FIRST)
            piece = min(stop, (number + 1) << BIN_SHIFT)
            kind = _kind(base - behind, own, before)
            at = _write(data, at, (piece - base) << 2 | kind)
            if kind == _FREE:
                at = _write(data, at, (base - behind) << 3 | own)
            ends[bins - 1] = at
            base, behind, before = piece, piece, own
    return bins


@bare_helper
def _read(data: Any, at: Any, stop: Any) -> Any:
    """(value, place behind it) of a LEB128 number of at most four bytes, as short as can be; (-1, at) for anything else.

    Without a branch for each byte: whether a length takes one or two of them is as good as chance.
    """
    word = load_u64(data, at)
    ends = ~word & np.uint64(0x80808080)
    if ends == np.uint64(0):
        return np.int64(-1), at
    size = (trailing_zeros(ends) >> 3) + 1
    low = np.int64(word & np.uint64(0x7F7F7F7F))
    value = (low & 0x7F) | (low & 0x7F00) >> 1 | (low & 0x7F0000) >> 2 | (low & 0x7F000000) >> 3
    value &= (np.int64(1) << 7 * size) - 1
    if at + size > stop or (size > 1 and value >> 7 * (size - 1) == 0):
        return np.int64(-1), at
    return value, at + size


@bare_helper
def read_interval(data: Any, at: Any, stop: Any, version: Any, first: Any, before: Any) -> Any:
    """(gap, length, level, place behind it) of the interval at ``at``; a length of 0 if it is malformed.

    ``first``: of its bin; ``before``: the level of the one before it in the bin. ``data`` has ``BEHIND`` more bytes.
    """
    bad = np.int64(0), np.int64(0), np.int64(0), at
    value, at = _read(data, at, stop)
    if value < 0:
        return bad
    before = np.int64(_FIRST) if first else before
    gap, length, level = value, value >> 2, before
    if version == PAIRS:
        value, at = _read(data, at, stop)
        length, level = value >> 3, value & 7
        if value < 8:
            return bad
    else:
        kind = value & 3
        gap = np.int64(1)
        if kind == _FREE:
            value, at = _read(data, at, stop)
            gap, level = value >> 3, value & 7
            if value < 0 or _kind(gap, level, before) != _FREE:
                return bad
        elif kind != _CUT:
            gap, level = np.int64(0), before & HAPLOID | (kind if kind < before & BAND else kind + 1)
    if not level & BAND or (gap == 0 and level == before and not first):  # one interval, written as two
        return bad
    return gap, length, level, at


@kernel(types.int64(RO(types.uint8), types.int64, types.int64, types.int64, RW(types.int64), RW(types.int64), RW(types.uint8)))
def read_bin(data: Any, version: Any, number: Any, found: Any, start: Any, end: Any, level: Any) -> Any:
    """Append the intervals of a bin behind the ``found`` there are; how many there are then, or -1: malformed."""
    base, stop = number << BIN_SHIFT, (number + 1) << BIN_SHIFT
    at, first, before = 0, found, np.int64(_FIRST)
    while at < len(data):
        gap, length, before, at = read_interval(data, at, len(data), version, found == first, before)
        if length == 0 or base + gap + length > stop:
            return -1
        start[found], end[found], level[found] = base + gap + 1, base + gap + length, before
        base = end[found]
        found += 1
    return found if found > first else -1
