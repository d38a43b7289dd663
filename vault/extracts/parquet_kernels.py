"""Call codes → columns of a table of calls, and their bits, compiled, without the GIL."""
# ruff: noqa: PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator"

from __future__ import annotations

from typing import Any

from numba import types

from vault.genotypes.compute.jit import RO, RW, kernel


@kernel(
    types.void(
        RO(types.uint8, 2),
        types.int64,
        types.int64,
        RO(types.uint32),
        RW(types.int16),
        RW(types.int16),
        RW(types.uint8),
        RW(types.uint8),
        RW(types.int64),
    )
)
def columns(codes: Any, first: Any, last: Any, table: Any, a1: Any, a2: Any, single: Any, phased: Any, found: Any) -> Any:
    """The calls of rows first..last, one behind another: ``a1`` and ``a2`` int16[k], -1 missing; ``single``, ``phased`` uint8[k], 0 or 1.

    ``table`` uint32[256] by code: first allele + 1, second + 1 in the next byte, then 1 for a call of one copy and 2 for a phased one.
    ``found`` int64[6]: missing of a1 and of a2, calls of one copy, phased ones, the largest allele of a1 and of a2.
    """
    at = 0
    no1, no2, ones, bars, top1, top2 = 0, 0, 0, 0, 0, 0
    for r in range(first, last):
        for j in range(codes.shape[1]):
            told = table[codes[r, j]]
            x = types.int64(told & 255) - 1
            y = types.int64((told >> 8) & 255) - 1
            one = (told >> 16) & 1
            bar = (told >> 17) & 1
            a1[at] = x
            a2[at] = y
            single[at] = one
            phased[at] = bar
            no1 += x < 0
            no2 += y < 0
            ones += one
            bars += bar
            top1 = max(top1, x)
            top2 = max(top2, y)
            at += 1
    found[0] = no1
    found[1] = no2
    found[2] = ones
    found[3] = bars
    found[4] = top1
    found[5] = top2


@kernel(types.int64(RO(types.int16), types.int64, RW(types.uint8)))
def pack_present(values: Any, width: Any, out: Any) -> Any:
    """The values that are not missing (-1), each in ``width`` bits, the lowest first; how many there are. ``out`` is filled up with 0."""
    held = types.uint64(0)
    filled = 0
    at = 0
    n = 0
    for k in range(len(values)):
        if values[k] >= 0:
            held |= types.uint64(values[k]) << types.uint64(filled)
            filled += width
            n += 1
            while filled >= 8:
                out[at] = held & types.uint64(255)
                held >>= types.uint64(8)
                filled -= 8
                at += 1
    if filled > 0:
        out[at] = held & types.uint64(255)
    return n
