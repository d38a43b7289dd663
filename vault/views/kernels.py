"""Numba kernels of the views: loops over C-contiguous arrays, called by the typed functions of ``vault.views`` only."""
# ruff: noqa: PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from vault.genotypes.codec.call_codes import (
    ABSENT,
    DIPLOID_STRIDE,
    HAPLOID_BASE,
    MAX_CODED_ALLELE,
    MISSING_DIPLOID,
    PHASED_OFFSET,
)
from vault.genotypes.compute.jit import RO, RW, kernel

AS_IS, TRANSLATE, RENUMBER, BLANK = range(4)  # steps of ``arrange``, one a row


def _tables() -> NDArray[np.uint8]:
    """uint8[2, 256]: new code of each call code, its alleles kept, with phase dropped (row 0) and kept (row 1)."""
    table = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    pair = np.arange(HAPLOID_BASE) % PHASED_OFFSET
    a, b = pair // DIPLOID_STRIDE, pair % DIPLOID_STRIDE
    table[0, :HAPLOID_BASE] = np.minimum(a, b) * DIPLOID_STRIDE + np.maximum(a, b)
    table[:, ABSENT] = MISSING_DIPLOID
    return table


_TABLES = _tables()


@kernel(
    types.void(
        RO(types.uint8, 2),
        RO(types.int64),
        types.int64,
        types.int64,
        types.boolean,
        RO(types.uint8),
        RO(types.boolean),
        RO(types.int16),
        RO(types.int64),
        RW(types.uint8, 2),
    )
)
def arrange(
    codes: Any, rows: Any, first: Any, last: Any, in_place: Any, steps: Any, holds: Any, renumber: Any, offsets: Any, out: Any
) -> Any:
    """Rewrite rows ``rows[first:last]`` of ``codes`` uint8[m, n] into ``out`` uint8[k, n], each by its step; ``renumber`` beside ``offsets``."""
    table = np.empty(256, np.uint8)
    for r in range(first, last):
        line = codes[rows[r]]
        target = out[r]
        step = steps[r]
        if step == BLANK:
            target[:] = MISSING_DIPLOID
            continue
        if step == AS_IS:
            if not in_place:
                target[:] = line
            continue
        held = 1 if holds[r] else 0
        table[:] = _TABLES[held]
        if step == RENUMBER:
            base = offsets[rows[r]]
            alleles = min(offsets[rows[r] + 1] - base, MAX_CODED_ALLELE + 1)
            for a in range(-1, alleles):
                new_a = renumber[base + a] if a >= 0 else -1
                table[HAPLOID_BASE + a + 1] = HAPLOID_BASE + new_a + 1
                for b in range(-1, alleles):
                    new_b = renumber[base + b] if b >= 0 else -1
                    code = (a + 1) * DIPLOID_STRIDE + b + 1
                    table[code] = _TABLES[held, (new_a + 1) * DIPLOID_STRIDE + new_b + 1]
                    table[PHASED_OFFSET + code] = _TABLES[held, PHASED_OFFSET + (new_a + 1) * DIPLOID_STRIDE + new_b + 1]
        for j in range(len(target)):
            target[j] = table[line[j]]


@kernel(
    types.int64(
        RO(types.uint8), RO(types.int64), RO(types.int64), RO(types.boolean), RO(types.int64), RW(types.uint8), RW(types.int64)
    )
)
def drop_alleles(data: Any, ends: Any, rows: Any, keep: Any, offsets: Any, out: Any, out_ends: Any) -> Any:
    """Copy the kept alleles of each row, the commas before them too; returns the bytes written."""
    size = 0
    for r in range(len(rows)):
        allele = offsets[rows[r]]
        for p in range(ends[r], ends[r + 1]):
            comma = data[p] == 44  # ","
            if comma:
                allele += 1
            if keep[allele]:
                out[size] = data[p]
                size += 1
        out_ends[r + 1] = size
    return size


@kernel(types.void(RO(types.uint8), RO(types.int64), RW(types.boolean)))
def differs(data: Any, ends: Any, flags: Any) -> Any:
    """Set ``flags[i]`` to whether item i of a text column differs from item i - 1; ``flags[0]`` stays."""
    for i in range(1, len(flags)):
        size = ends[i + 1] - ends[i]
        same = size == ends[i] - ends[i - 1]
        if same:
            for k in range(size):
                if data[ends[i] + k] != data[ends[i - 1] + k]:
                    same = False
                    break
        flags[i] = not same
