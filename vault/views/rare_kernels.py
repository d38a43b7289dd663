"""Numba kernel of ``rare_alleles``, called by its typed function only."""
# ruff: noqa: C901, PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="arg-type, assignment, operator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.call_codes import DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, PHASED_OFFSET
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
        RO(types.uint8, 2),
        RO(types.int64),
        types.int64,
        types.int64,
        types.int64,
        RO(types.int64),
        RO(types.int64),
        RO(types.int64),
        RO(types.int16),
        RW(types.boolean),
    )
)
def find_rare(
    codes: Any,
    rows: Any,
    first: Any,
    last: Any,
    fewest: Any,
    offsets: Any,
    ends: Any,
    spans: Any,
    alleles: Any,
    found: Any,
) -> None:
    """Set ``found[r]`` of ``rows[first]`` to ``rows[last]`` where an ALT has a carrier and fewer than ``fewest``. Escapes of row r are
    ``ends[r]`` to ``ends[r + 1]``, each with its alleles at ``spans``.
    """
    calls = np.zeros(256, np.int64)
    for at in range(first, last):
        row = rows[at]
        size = offsets[row + 1] - offsets[row]
        people = np.zeros(size, np.int64)
        calls[:] = 0
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
            for k in range(spans[e], spans[e + 1]):
                known = alleles[k] <= 0 or alleles[k] >= size
                for before in range(spans[e], k):
                    known = known or alleles[before] == alleles[k]
                if not known:
                    people[alleles[k]] += 1
        for a in range(1, size):
            found[row] = found[row] or 0 < people[a] < fewest
