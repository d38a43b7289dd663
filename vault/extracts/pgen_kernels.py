"""Call codes → pgenlib's allele numbers, compiled, without the GIL: the way back of ``vault.genotypes.ingest.pgen_kernel``."""
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
        RO(types.uint64),
        RO(types.uint8),
        RW(types.uint64, 2),
        RW(types.uint8, 2),
        RW(types.int64),
    )
)
def spread(codes: Any, first: Any, last: Any, pairs: Any, kinds: Any, alleles: Any, phased: Any, found: Any) -> Any:
    """Calls of rows first..last: ``alleles`` uint64[last - first, n], two int32 each, and ``phased`` uint8[last - first, n].

    ``pairs`` uint64[256] and ``kinds`` uint8[256] by code: 1 phased, 2 a half-call, 4 a call of one copy, 8 heterozygous and unphased. The calls of
    each kind are added to ``found`` int64[4].
    """
    bars, halves, singles, loose = 0, 0, 0, 0
    for r in range(first, last):
        for j in range(codes.shape[1]):
            kind = kinds[codes[r, j]]
            alleles[r - first, j] = pairs[codes[r, j]]
            phased[r - first, j] = kind & 1
            bars += kind & 1
            halves += (kind >> 1) & 1
            singles += (kind >> 2) & 1
            loose += kind >> 3
    found[0] += bars
    found[1] += halves
    found[2] += singles
    found[3] += loose
