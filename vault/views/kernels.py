"""Numba kernels of the views: plain loops over arrays, called only by the typed functions of the modules named beside each.

Arguments come through ``vault.genotypes.compute.arrays.plain``, so that each kernel is compiled once. All release the GIL.
"""
# ruff: noqa: ANN001, ANN201, PLR0917, D103  (numba infers types and takes positional arguments; a kernel is one flat loop)
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.call_codes import (
    ABSENT,
    DIPLOID_STRIDE,
    HAPLOID_BASE,
    MAX_CODED_ALLELE,
    MISSING_DIPLOID,
    PHASED_OFFSET,
)

AS_IS, TRANSLATE, RENUMBER, BLANK = range(4)  # what ``arrange`` does with a row


def _tables() -> NDArray[np.uint8]:
    """uint8[2, 256]: what becomes of a code that keeps its alleles, with phase dropped (0) and kept (1)."""
    table = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    pair = np.arange(HAPLOID_BASE) % PHASED_OFFSET
    a, b = pair // DIPLOID_STRIDE, pair % DIPLOID_STRIDE
    table[0, :HAPLOID_BASE] = np.minimum(a, b) * DIPLOID_STRIDE + np.maximum(a, b)
    table[:, ABSENT] = MISSING_DIPLOID
    return table


_TABLES = _tables()


@numba.njit(nogil=True, cache=True)
def arrange(codes, rows, first, last, in_place, steps, holds, renumber, offsets, out):
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


@numba.njit(nogil=True, cache=True)
def drop_alleles(data, ends, rows, keep, offsets, out, out_ends):
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


@numba.njit(nogil=True, cache=True)
def differs(data, ends, flags):
    """``flags[i]``: item i is not the same as item i - 1."""
    for i in range(1, len(flags)):
        size = ends[i + 1] - ends[i]
        same = size == ends[i] - ends[i - 1]
        if same:
            for k in range(size):
                if data[ends[i] + k] != data[ends[i - 1] + k]:
                    same = False
                    break
        flags[i] = not same
