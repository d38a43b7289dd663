"""Rendering and compressing on all threads, writing in order: the pipeline that the VCF and BCF writers share."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from vault.extracts import bgzf
from vault.extracts.csi import Index
from vault.genotypes.compute.threads import THREADS
from vault.genotypes.sites import Sites

BATCH_BYTES = 1 << 22  # rendered by one task: 64 members, small beside a page
AHEAD = 2 * THREADS  # batches that wait to be written, so that threads have work while the next page is made


class Scratch(threading.local):
    """Memory that a thread writes batch after batch into: fresh pages would cost more than the text that fills them."""

    def __init__(self) -> None:
        self._memory = np.empty(0, np.uint8)

    def take(self, size: int) -> NDArray[np.uint8]:
        """uint8[size], valid until this thread's next call."""
        if len(self._memory) < size:
            self._memory = np.empty(size + size // 4, np.uint8)
        return self._memory[:size]


class Records(Protocol):
    """The records of one page. ``ends`` int64[m]: their last positions."""

    @property
    def sites(self) -> Sites:
        """Sites of the records."""

    @property
    def ends(self) -> NDArray[np.int64]:
        """int64[m]: last position of each record, 1-based."""

    def render(self, first: int, last: int, scratch: Scratch) -> tuple[memoryview, NDArray[np.int64]]:
        """Bytes of records first..last, and int64[last - first]: where each begins."""


@dataclass(frozen=True)
class _RecordBatch:
    """Neighbouring records, of one page or of several."""

    pieces: tuple[tuple[Records, int, int], ...]

    def render(self, scratch: Scratch) -> tuple[memoryview, NDArray[np.int64]]:
        """Bytes of the records, and int64[records]: the offset of each, in bytes."""
        if len(self.pieces) == 1:
            records, first, last = self.pieces[0]
            return records.render(first, last, scratch)
        texts, starts, at = [], [], 0
        for records, first, last in self.pieces:
            data, mine = records.render(first, last, scratch)
            texts.append(bytes(data))  # the scratch is the next piece's
            starts.append(mine + at)
            at += len(data)
        return memoryview(b"".join(texts)), np.concatenate(starts)

    def add_to(self, index: Index, offsets: NDArray[np.uint64]) -> None:
        """``offsets`` uint64[records + 1] as ``Index.add`` takes them."""
        at = 0
        for records, first, last in self.pieces:
            sites, rows = records.sites, slice(first, last)
            mine = offsets[at : at + last - first + 1]
            index.add(sites.contig[rows], sites.pos[rows], records.ends[rows], mine)
            at += last - first


def _batches(pages: Iterable[Records], size: int) -> Iterator[_RecordBatch]:
    """All records, ``size`` at a time wherever a page ends, so that the file does not depend on how the view was cut."""
    pieces: list[tuple[Records, int, int]] = []
    room = size
    for records in pages:
        first, n = 0, len(records.sites)
        while first < n:
            last = min(n, first + room)
            pieces.append((records, first, last))
            room -= last - first
            first = last
            if not room:
                yield _RecordBatch(tuple(pieces))
                pieces, room = [], size
    if pieces:
        yield _RecordBatch(tuple(pieces))


@dataclass(frozen=True)
class RenderedRun:
    """Whole BGZF members of neighbouring records. ``positions`` int64[records]: where each begins in the text."""

    members: bgzf.BgzfMembers
    positions: NDArray[np.int64]
    batch: _RecordBatch

    def add_to(self, index: Index, at: int) -> None:
        """Index the records, the members lying at file offset ``at``."""
        end = np.uint64(at + len(self.members.data) << 16)
        self.batch.add_to(index, np.append(self.members.virtual(self.positions, at), end))


def rendered_runs(pages: Iterable[Records], *, record_bytes: int) -> Iterator[RenderedRun]:
    """Render and compress records, of about ``record_bytes`` each, on all threads; the runs in order. Further pages are made meanwhile."""
    scratch = Scratch()

    def work(batch: _RecordBatch) -> RenderedRun:
        data, starts = batch.render(scratch)
        return RenderedRun(bgzf.compress(data), starts, batch)

    waiting: deque[Future[RenderedRun]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for batch in _batches(pages, max(1, BATCH_BYTES // record_bytes)):
            waiting.append(pool.submit(work, batch))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def write_runs(file: BinaryIO, pages: Iterable[Records], index: Index, *, record_bytes: int, at: int) -> None:
    """Write the runs of some records from file offset ``at``, then the EOF member. What was written is added to ``index``."""
    for run in rendered_runs(pages, record_bytes=record_bytes):
        file.write(run.members.data)
        run.add_to(index, at)
        at += len(run.members.data)
    file.write(bgzf.EOF_BLOCK)
