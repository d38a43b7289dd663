"""Runs of a text gathered into a text column."""
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from vault.genotypes.compute.jit import RO, RW, kernel


def gather(
    text: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Copy the runs ``text[starts[i]:ends[i]]`` one after another: data uint8[] and offsets int64[m + 1] of a text column."""
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(ends - starts, out=offsets[1:])
    data = np.empty(int(offsets[-1]), np.uint8)
    _gather(text, np.ascontiguousarray(starts), offsets, data)
    return data, offsets


@kernel(types.void(RO(types.uint8), RO(types.int64), RO(types.int64), RW(types.uint8)))
def _gather(text: Any, starts: Any, offsets: Any, data: Any) -> None:
    for i in range(len(starts)):
        shift = starts[i] - offsets[i]
        for k in range(offsets[i], offsets[i + 1]):
            data[k] = text[k + shift]
