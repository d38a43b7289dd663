"""Threads for kernels: these release the GIL, so that two of them keep two processors busy."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import pairwise

THREADS = 2  # the reference machine's cores; more would serve larger ones and starve a shared one
SPLIT_AT = 1 << 20  # calls: below this a second thread costs more than it saves


@functools.cache
def decoding_pool() -> Executor:
    """The pool that decodes beside the opening of blocks; started once for the process."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="decode")


@functools.cache
def _halves() -> Executor:
    return ThreadPoolExecutor(THREADS - 1, thread_name_prefix="rows")  # its jobs wait for nothing, so that it never locks up


def over_rows(kernel: Callable[[int, int], object], rows: int, *, work: int) -> None:
    """Run ``kernel(first, last)`` over 0..rows, in one go or in parts at once where ``work`` (calls) is worth it."""
    if work < SPLIT_AT or rows < THREADS:
        kernel(0, rows)
        return
    bounds = [rows * i // THREADS for i in range(THREADS + 1)]
    others = [_halves().submit(kernel, a, b) for a, b in pairwise(bounds[1:])]
    kernel(0, bounds[1])
    for other in others:
        other.result()
