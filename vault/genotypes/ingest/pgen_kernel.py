"""pgenlib's allele numbers → call codes, compiled, without the GIL."""
# ruff: noqa: PLR0917 - a kernel takes flat arguments

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from vault.genotypes.codec.call_codes import (
    DIPLOID_STRIDE,
    ESCAPE,
    HAPLOID_BASE,
    MAX_CODED_ALLELE,
    MISSING_DIPLOID,
    MISSING_HAPLOID,
    PHASED_OFFSET,
    Codes,
)
from vault.genotypes.compute.jit import RO, RW, kernel


def encode(
    alleles: NDArray[np.int32],
    phased: NDArray[np.uint8],
    haploid: NDArray[np.bool_],
    n_alleles: NDArray[np.int64],
    codes: Codes,
    *,
    carried: bool,
) -> tuple[int, bool]:
    """Fill ``codes`` uint8[m, n]; (row of the first call that cannot be or -1, phase to carry into the next call).

    ``alleles`` int32[m, 2n], negative where missing; ``phased`` uint8[m, n]; ``haploid`` bool[m, n]: a homozygous or missing call is of
    one chromosome. Calls of alleles over 9 become ESCAPE. ``carried``: how homozygous calls are written until a variant has others.
    """
    state = np.array([carried], np.uint8)
    wrong = int(_encode(alleles, phased, haploid.view(np.uint8), np.ascontiguousarray(n_alleles), state, codes))
    return wrong, bool(state[0])


@kernel(
    types.int64(RO(types.int32, 2), RO(types.uint8, 2), RO(types.uint8, 2), RO(types.int64), RW(types.uint8), RW(types.uint8, 2))
)
def _encode(alleles: Any, phased: Any, haploid: Any, n_alleles: Any, carried: Any, codes: Any) -> Any:
    for i in range(codes.shape[0]):
        different = 0
        with_phase = 0
        for j in range(codes.shape[1]):
            a, b = alleles[i, 2 * j], alleles[i, 2 * j + 1]
            if a >= n_alleles[i] or b >= n_alleles[i] or (a < 0) != (b < 0):
                return i
            if a != b:
                different += 1
                with_phase += phased[i, j]
        if different:
            carried[0] = 1 if with_phase == different else 0
        for j in range(codes.shape[1]):
            a, b = alleles[i, 2 * j], alleles[i, 2 * j + 1]
            if a < 0:
                codes[i, j] = MISSING_HAPLOID if haploid[i, j] else MISSING_DIPLOID
            elif a > MAX_CODED_ALLELE or b > MAX_CODED_ALLELE:
                codes[i, j] = ESCAPE
            elif a == b and haploid[i, j]:
                codes[i, j] = HAPLOID_BASE + 1 + a
            else:
                bar = phased[i, j] if a != b else carried[0]
                codes[i, j] = (a + 1) * DIPLOID_STRIDE + b + 1 + PHASED_OFFSET * bar
    return -1
