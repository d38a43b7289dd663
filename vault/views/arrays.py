"""What every kernel's wrapper needs: arrays of one exact type, and rows split over the cores.

Numba compiles a kernel anew for a read-only or strided array, which costs a second in the middle of a request. Wrappers pass
each array through ``plain`` and so call a kernel with one type only. Kernels release the GIL; ``over_rows`` runs one on two threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_T = TypeVar("_T", bound=np.generic)

THREADS = 2  # the reference machine's cores; more would serve larger ones and starve a shared one
SPLIT_AT = 1 << 20  # calls: below this a second thread costs more than it saves


def plain(array: NDArray[Any], dtype: type[_T]) -> NDArray[_T]:
    """The array itself if C-contiguous, writable and of this dtype, else a copy that is."""
    return np.require(array, dtype, ["C", "W"])


def over_rows(kernel: Callable[[int, int], object], rows: int, *, work: int) -> None:
    """Run ``kernel(first, last)`` over 0..rows, in one go or in two halves at once where ``work`` (calls) is worth it."""
    if work < SPLIT_AT or rows < THREADS:
        kernel(0, rows)
        return
    bounds = [rows * i // THREADS for i in range(THREADS + 1)]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(kernel, bounds[:-1], bounds[1:]))
