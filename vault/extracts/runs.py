"""Rendering and compressing on all threads, writing in order: the pipeline that the VCF and BCF writers share."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from vault.extracts import bgzf
from vault.genotypes.threads import THREADS

BATCH_BYTES = 1 << 22  # rendered by one task: 64 members, small beside the view


class Scratch(threading.local):
    """Memory that a thread writes batch after batch into: fresh pages would cost more than the text that fills them."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)

    def take(self, size: int) -> NDArray[np.uint8]:
        """uint8[size], valid until this thread's next call."""
        if len(self._memory) < size:
            self._memory = np.empty(size + size // 4, np.uint8)
        return self._memory[:size]


def write_runs(
    file: BinaryIO,
    batches: Iterator[tuple[int, int]],
    render: Callable[[int, int, Scratch], tuple[memoryview, NDArray[np.int64]]],
    *,
    at: int,
) -> NDArray[np.uint64]:
    """Render and compress batches on all threads, write them in order from file offset ``at``, then the EOF member.

    ``render(first, last, scratch)`` gives the bytes of records first..last and where each begins. Returns uint64[records + 1]: virtual
    offset of each record and of the end.
    """
    scratch = Scratch()

    def work(batch: tuple[int, int]) -> tuple[bgzf.Run, NDArray[np.int64]]:
        data, starts = render(*batch, scratch)
        return bgzf.compress(data), starts

    offsets: list[NDArray[np.uint64]] = []
    waiting: deque[Future[tuple[bgzf.Run, NDArray[np.int64]]]] = deque()

    def finish() -> None:
        nonlocal at
        run, starts = waiting.popleft().result()
        offsets.append(run.virtual(starts, at))
        file.write(run.data)
        at += len(run.data)

    with ThreadPoolExecutor(THREADS) as pool:
        for batch in batches:
            waiting.append(pool.submit(work, batch))
            if len(waiting) > 2 * THREADS:
                finish()
        while waiting:
            finish()
    file.write(bgzf.EOF_BLOCK)
    return np.concatenate([*offsets, np.array([at << 16], np.uint64)])
