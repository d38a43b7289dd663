"""Numba kernels of ``linked_places``, called by its typed functions only.

An allele's calls are three rows of bits, one bit a person: called, carries a copy, carries two.
"""
# ruff: noqa: PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.call_codes import DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, PHASED_OFFSET
from vault.genotypes.compute.jit import RO, RW, kernel, popcount

_ONE = np.uint64(1)
_WORD = 63


@kernel(
    types.void(
        RO(types.uint8, 2), RO(types.int64), RO(types.int64), RO(types.boolean), types.int64, types.int64, RW(types.uint64, 3)
    )
)
def to_planes(codes: Any, rows: Any, alleles: Any, others: Any, first: Any, last: Any, out: Any) -> None:
    """Bits uint64[k, 3, words] of alleles ``first`` to ``last``: each of a row of ``codes`` uint8[m, n], or with ``others`` all of that row but it.

    A haploid carrier has two copies. Half-called calls, and those that fit no byte, are not called.
    """
    n = codes.shape[1]
    called, one, two = np.zeros(256, np.bool_), np.zeros(256, np.bool_), np.zeros(256, np.bool_)
    for k in range(first, last):
        called[:] = False
        one[:] = False
        two[:] = False
        for code in range(ESCAPE):
            if code >= HAPLOID_BASE:
                a = code - HAPLOID_BASE - 1
                b = a
            else:
                pair = code % PHASED_OFFSET
                a, b = pair // DIPLOID_STRIDE - 1, pair % DIPLOID_STRIDE - 1
            if a >= 0 and b >= 0:
                copies = (1 if a == alleles[k] else 0) + (1 if b == alleles[k] else 0)
                if others[k]:
                    copies = 2 - copies
                called[code] = True
                one[code] = copies > 0
                two[code] = copies > 1
        line = codes[rows[k]]
        out[k] = 0
        for j in range(n):
            bit = _ONE << np.uint64(j & _WORD)
            code = line[j]
            if called[code]:
                out[k, 0, j >> 6] |= bit
            if one[code]:
                out[k, 1, j >> 6] |= bit
            if two[code]:
                out[k, 2, j >> 6] |= bit


@kernel(
    types.void(
        RO(types.uint64, 3),
        RO(types.int64),
        RO(types.uint64, 3),
        RO(types.int64),
        types.int64,
        types.int64,
        types.int64,
        types.int64,
        types.float64,
        RW(types.boolean),
    )
)
def find_linked(
    inside: Any, at: Any, outside: Any, pos: Any, first: Any, last: Any, window: Any, carriers: Any, least: Any, linked: Any
) -> None:
    """Set ``linked[j]`` of alleles ``first`` to ``last`` of ``outside`` for those that are correlated with one of ``inside``: r² of copies is ``least``
    or more among people called at both, ``carriers`` people or more carry both, and they lie ``window`` bases or less apart.

    ``at``, ``pos``: positions, ascending.
    """
    words = inside.shape[2]
    for j in range(first, last):
        for i in range(np.searchsorted(at, pos[j] - window), np.searchsorted(at, pos[j] + window + 1)):
            both = 0
            for w in range(words):
                both += popcount(inside[i, 1, w] & outside[j, 1, w])
            if both < carriers:
                continue
            n, one_x, two_x, one_y, two_y, xy = 0, 0, 0, 0, 0, both
            for w in range(words):
                mine, other = inside[i, 0, w], outside[j, 0, w]
                n += popcount(mine & other)
                one_x += popcount(inside[i, 1, w] & other)
                two_x += popcount(inside[i, 2, w] & other)
                one_y += popcount(outside[j, 1, w] & mine)
                two_y += popcount(outside[j, 2, w] & mine)
                xy += popcount(inside[i, 1, w] & outside[j, 2, w])
                xy += popcount(inside[i, 2, w] & outside[j, 1, w])
                xy += popcount(inside[i, 2, w] & outside[j, 2, w])
            x, y = one_x + two_x, one_y + two_y
            covariance = float(n * xy - x * y)
            spread = float(n * (one_x + 3 * two_x) - x * x) * float(n * (one_y + 3 * two_y) - y * y)
            if spread > 0 and covariance * covariance >= least * spread:
                linked[j] = True
                break
