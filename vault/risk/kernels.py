"""Numba kernels of ``people_tally`` and ``kin_pairs``, called by their typed functions only."""
# ruff: noqa: PLR0917 - a kernel is one loop nest over arrays, which numba takes by position

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.call_codes import ABSENT, MISSING_DIPLOID, MISSING_HAPLOID, PHASED_OFFSET
from vault.genotypes.compute.jit import RO, RW, kernel, popcount

TOGETHER = 8  # people whose bits stay in the processor's cache while everybody else's pass


@kernel(types.void(RO(types.uint8, 2), types.int64, types.int64, RO(types.uint64), RW(types.uint64), RW(types.uint64)))
def add_marks(codes: Any, first: Any, last: Any, factors: Any, records: Any, gaps: Any) -> Any:
    """Add rows ``first`` to ``last`` of ``codes`` uint8[m, n] to each person's marks uint64[n]: Σ factor·code, and Σ factor over missing calls."""
    for r in range(first, last):
        factor = factors[r]
        for j in range(codes.shape[1]):
            code = codes[r, j]
            records[j] += factor * np.uint64(code)
            missing = code in (MISSING_DIPLOID, PHASED_OFFSET, MISSING_HAPLOID, ABSENT)
            gaps[j] += factor if missing else np.uint64(0)


@kernel(
    types.void(
        RO(types.uint64, 2),
        RO(types.uint64, 2),
        RO(types.uint64, 2),
        types.int64,
        types.int64,
        RO(types.float64),
        RW(types.int64),
        RW(types.int64),
    )
)
def count_pairs(refs: Any, hets: Any, alts: Any, first: Any, last: Any, cuts: Any, pairs: Any, nearest: Any) -> Any:
    """Count pairs of people by the first of ``cuts``, which descend, that their kinship reaches: those of blocks ``first`` to ``last`` with
    everybody before. ``refs``, ``hets``, ``alts`` uint64[n, w]: a bit for each site. ``nearest`` int64[n]: of each person the lowest.
    """
    n, words = refs.shape
    for block in range(first, last):
        for j in range(n):
            for i in range(max(block * TOGETHER, j + 1), min((block + 1) * TOGETHER, n)):
                apart = same = het_i = het_j = 0
                for w in range(words):
                    ref_i, het_a, alt_i = refs[i, w], hets[i, w], alts[i, w]
                    ref_j, het_b, alt_j = refs[j, w], hets[j, w], alts[j, w]
                    apart += popcount((ref_i & alt_j) | (alt_i & ref_j))
                    same += popcount(het_a & het_b)
                    het_i += popcount(het_a & (ref_j | het_b | alt_j))
                    het_j += popcount(het_b & (ref_i | het_a | alt_i))
                least = min(het_i, het_j)
                if least > 0:
                    # Σ(xᵢ - xⱼ)² = one for each site where one is heterozygous and the other is not, four for opposite homozygotes
                    kinship = 0.5 - (het_i + het_j - 2 * same + 4 * apart) / (4.0 * least)
                    for degree in range(len(cuts)):
                        if kinship > cuts[degree]:
                            pairs[degree] += 1
                            nearest[i] = min(nearest[i], degree)
                            nearest[j] = min(nearest[j], degree)
                            break
