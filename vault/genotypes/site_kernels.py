"""Kernels over the columns of sites. ``vault.genotypes.sites`` is the only caller."""

# ruff: noqa: PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator"

from __future__ import annotations

from typing import Any

from numba import types

from vault.genotypes.compute.jit import RO, RW, kernel
from vault.limits import MAX_POSITION


@kernel(
    types.void(
        RO(types.int64), RO(types.uint8), RO(types.int64), RO(types.uint8), RO(types.int64), RW(types.int64), RW(types.boolean)
    )
)
def ends_of(pos: Any, allele_data: Any, allele_offsets: Any, info_data: Any, info_offsets: Any, ends: Any, backward: Any) -> None:
    """Last position of each site, and whether its END lies before its own position."""
    for i in range(len(pos)):
        length = 0
        for p in range(allele_offsets[i], allele_offsets[i + 1]):
            if allele_data[p] == 44:  # ","
                break
            length += 1
        ends[i] = pos[i] + max(length, 1) - 1
        p, stop = info_offsets[i], info_offsets[i + 1]
        # "END=" is first where there is one (Sites)
        if stop - p > 4 and info_data[p] == 69 and info_data[p + 1] == 78 and info_data[p + 2] == 68 and info_data[p + 3] == 61:
            value = 0
            p += 4
            while p < stop and 48 <= info_data[p] <= 57:
                value = min(value * 10 + info_data[p] - 48, MAX_POSITION)
                p += 1
            backward[i] = value < pos[i]
            ends[i] = max(ends[i], value)
