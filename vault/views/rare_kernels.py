"""Numba kernel of ``rare_alleles``, called by its typed function only."""
# ruff: noqa: C901, PLR0912, PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="arg-type, assignment, operator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.call_codes import DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, MISSING_DIPLOID, PHASED_OFFSET
from vault.genotypes.compute.jit import RO, RW, helper, kernel


@helper
def _alleles_of(code: Any) -> Any:
    """Both alleles of a call code, -1 for missing or none."""
    if code >= ESCAPE:
        return -1, -1
    if code >= HAPLOID_BASE:
        return code - HAPLOID_BASE - 1, -1
    pair = code % PHASED_OFFSET
    return pair // DIPLOID_STRIDE - 1, pair % DIPLOID_STRIDE - 1


@kernel(
    types.void(
        RW(types.uint8, 2),
        types.int64,
        types.int64,
        types.int64,
        RO(types.int64),
        RO(types.int64),
        RO(types.int64),
        RO(types.int64),
        RO(types.int16),
        RW(types.boolean),
        RW(types.boolean),
    )
)
def blank_rare(
    codes: Any,
    first: Any,
    last: Any,
    fewest: Any,
    offsets: Any,
    ends: Any,
    sample: Any,
    spans: Any,
    alleles: Any,
    gone: Any,
    blanked: Any,
) -> None:
    """At rows ``first`` to ``last`` make every call ./. that has an ALT of fewer than ``fewest`` people, until there is none; set
    ``blanked[r]`` where there was one. Escapes of row r are ``ends[r]`` to ``ends[r + 1]``, each with its ``sample`` and its alleles
    at ``spans``; ``gone`` is set for those that became ./. too.
    """
    calls = np.zeros(256, np.int64)
    lost = np.zeros(256, np.bool_)
    for row in range(first, last):
        size = offsets[row + 1] - offsets[row]
        people = np.zeros(size, np.int64)
        rare = np.zeros(size, np.bool_)
        while True:
            calls[:] = 0
            people[:] = 0
            for code in codes[row]:
                calls[code] += 1
            for code in range(ESCAPE):
                if calls[code]:
                    a, b = _alleles_of(code)
                    if 0 < a < size:
                        people[a] += calls[code]
                    if 0 < b < size and b != a:
                        people[b] += calls[code]
            for e in range(ends[row], ends[row + 1]):
                if not gone[e]:
                    for k in range(spans[e], spans[e + 1]):
                        known = alleles[k] <= 0 or alleles[k] >= size
                        for before in range(spans[e], k):
                            known = known or alleles[before] == alleles[k]
                        if not known:
                            people[alleles[k]] += 1
            some = False
            for a in range(1, size):
                rare[a] = 0 < people[a] < fewest
                some = some or rare[a]
            if not some:
                break
            blanked[row] = True
            for code in range(ESCAPE):
                a, b = _alleles_of(code)
                lost[code] = (0 < a < size and rare[a]) or (0 < b < size and rare[b])
            for j in range(codes.shape[1]):
                if lost[codes[row, j]]:
                    codes[row, j] = MISSING_DIPLOID
            for e in range(ends[row], ends[row + 1]):
                if not gone[e]:
                    for k in range(spans[e], spans[e + 1]):
                        if 0 < alleles[k] < size and rare[alleles[k]]:
                            gone[e] = True
                    if gone[e]:
                        codes[row, sample[e]] = MISSING_DIPLOID
