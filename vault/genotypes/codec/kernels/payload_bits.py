"""Kernels that turn events, sorted by site, into each subject's payload: gap-coded planes and raw rows (docs/formats/genotypes.md §3)."""

# ruff: noqa: C901, PLR0912, PLR0915, PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator, unreachable"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.compute.jit import RO, RW, kernel, store_u64

_U0, _U1 = np.uint64(0), np.uint64(1)
_B3 = np.uint64(3)


@kernel(types.void(RO(types.uint32), RO(types.int64), RO(types.int64), RW(types.int64)))
def count_events(events: Any, row_end: Any, order: Any, count: Any) -> None:
    """``count[j + 1]`` = events of subject j in the rows named by ``order``."""
    for g in range(len(order)):
        row = order[g]
        for e in range(row_end[row], row_end[row + 1]):
            count[np.int64(events[e] & np.uint32(0xFFFFFF)) + 1] += 1


@kernel(types.void(RO(types.uint32), RO(types.int64), RO(types.int64), RW(types.int64), RW(types.uint32)))
def sort_events(events: Any, row_end: Any, order: Any, fill: Any, by_subject: Any) -> None:
    """Events by subject, each ``place | value << 24``, places ascending. ``fill[j]`` starts as subject j's first index."""
    for g in range(len(order)):
        row = order[g]
        for e in range(row_end[row], row_end[row + 1]):
            j = np.int64(events[e] & np.uint32(0xFFFFFF))
            by_subject[fill[j]] = np.uint32(g) | (events[e] & np.uint32(0xFF000000))
            fill[j] += 1


@kernel(
    types.void(
        RO(types.uint32), RO(types.int64), RO(types.int64), RO(types.uint8), RO(types.uint8), RW(types.uint8), RW(types.int64)
    )
)
def measure(by_subject: Any, first: Any, class_end: Any, plane: Any, default: Any, shift: Any, bits: Any) -> None:
    """Bits of each subject's gap-coded part under the best of three parameter shifts.

    ``class_end[k]``: end of the places whose parameter is k. ``plane``, ``default``: of each place.
    """
    n_classes = len(class_end)
    for j in range(len(shift)):
        best = np.int64(-1)
        for choice in range(3):
            total = np.int64(0)
            e = first[j]
            place = np.int64(0)
            for k in range(n_classes):
                end = class_end[k]
                if place == end:
                    continue
                used = max(k + choice - 1, 0)
                while e < first[j + 1]:
                    at = np.int64(by_subject[e] & np.uint32(0xFFFFFF))
                    if at >= end:
                        break
                    total += ((at - place) >> used) + 1 + used
                    if plane[at] == 2:
                        total += 1 if (by_subject[e] >> np.uint32(24)) == default[at] else 9
                    place = at + 1
                    e += 1
                total += (end - place + (np.int64(1) << used) - 1) >> used
                place = end
            if best < 0 or total < best:
                best = total
                shift[j] = choice
        bits[j] = best


@kernel(
    types.void(
        RO(types.uint32),
        RO(types.int64),
        RO(types.int64),
        RO(types.uint8),
        RO(types.uint8),
        RO(types.uint8),
        RO(types.int64),
        RW(types.uint8),
    )
)
def write_gaps(by_subject: Any, first: Any, class_end: Any, plane: Any, default: Any, shift: Any, start: Any, out: Any) -> None:
    """Write each subject's gap-coded part at byte ``start[j]`` of ``out`` (which has 16 spare bytes behind the last)."""
    n_classes = len(class_end)
    for j in range(len(shift)):
        at_byte = start[j]
        acc = _U0
        held = np.int64(0)
        e = first[j]
        place = np.int64(0)
        for k in range(n_classes):
            end = class_end[k]
            if place == end:
                continue
            used = max(k + np.int64(shift[j]) - 1, 0)
            while True:
                more = False
                at = end
                if e < first[j + 1]:
                    at = np.int64(by_subject[e] & np.uint32(0xFFFFFF))
                    more = at < end
                if more:
                    run = at - place
                    unary = run >> used
                else:
                    run = end - place
                    unary = (run + (np.int64(1) << used) - 1) >> used
                while unary > 0:
                    step = min(unary, 32)
                    acc |= ((_U1 << np.uint64(step)) - _U1) << np.uint64(held)
                    held += step
                    unary -= step
                    if held >= 32:
                        store_u64(out, at_byte, acc & np.uint64(0xFFFFFFFF))
                        at_byte += 4
                        acc >>= np.uint64(32)
                        held -= 32
                if not more:
                    break
                acc |= np.uint64(run & ((np.int64(1) << used) - 1)) << np.uint64(held + 1)
                held += 1 + used
                if held >= 32:
                    store_u64(out, at_byte, acc & np.uint64(0xFFFFFFFF))
                    at_byte += 4
                    acc >>= np.uint64(32)
                    held -= 32
                if plane[at] == 2:
                    value = np.uint64(by_subject[e] >> np.uint32(24))
                    if value == np.uint64(default[at]):
                        held += 1
                    else:
                        acc |= (_U1 | (value << _U1)) << np.uint64(held)
                        held += 9
                    if held >= 32:
                        store_u64(out, at_byte, acc & np.uint64(0xFFFFFFFF))
                        at_byte += 4
                        acc >>= np.uint64(32)
                        held -= 32
                place = at + 1
                e += 1
            place = end
        while held > 0:
            out[at_byte] = np.uint8(acc & np.uint64(0xFF))
            at_byte += 1
            acc >>= np.uint64(8)
            held -= 8


@kernel(types.void(RO(types.uint64, 2), types.int64, RO(types.int64), RW(types.uint8)))
def write_raw(raw_rows: Any, n_raw: Any, start: Any, out: Any) -> None:
    """Transpose the raw rows: subject j's fields, four sites a byte, at byte ``start[j]`` of ``out``."""
    n = len(start)
    for quad in range((n_raw + 3) // 4):
        rows = min(4, n_raw - 4 * quad)
        for j in range(n):
            value = _U0
            for i in range(rows):
                value |= ((raw_rows[4 * quad + i, j >> 5] >> np.uint64(2 * (j & 31))) & _B3) << np.uint64(2 * i)
            out[start[j] + quad] = np.uint8(value)
