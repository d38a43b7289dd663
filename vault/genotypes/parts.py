"""Parts: one import's chunks, written while the file is still being parsed.

Objects that a part consists of (docs/formats/genotypes.md §1): for each chunk a sealed site table and one container per group of
subjects; one sealed directory. Their names are random. ``part_records`` are what the books keep; SQL and object stores are the
caller's. Nothing is shared between two parts.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from vault.crypto.envelope import seal_blob
from vault.crypto.primitives import sha256
from vault.errors import UsageError
from vault.genotypes.call_rows import CallRows
from vault.genotypes.calls import Escapes
from vault.genotypes.extents import site_ends
from vault.genotypes.part_records import ChunkRecord, Owner, PartRecord, Place
from vault.genotypes.sealing import ChunkSealer, NewTableKey, Put
from vault.genotypes.sites import Sites
from vault.genotypes.tables import PartDirectory
from vault.ids import RandomBytes
from vault.limits import CHUNK_SITES

if TYPE_CHECKING:
    from vault.genotypes.blocks import ChunkEncoder

_QUEUE = 4  # batches that may wait to be encoded
_CHUNKS = 2  # chunks that are being sealed or wait for it, while the next one is encoded


_Waiting = deque[Future["Future[ChunkRecord] | None"]]


class Batch(Protocol):
    """What a reader of genotype files yields (``ingest.source.SiteBatch``). The arrays must not be reused afterwards."""

    @property
    def sites(self) -> Sites:
        """The m sites; positions ascend within a contig, and a contig does not come back."""

    @property
    def rows(self) -> CallRows:
        """The calls of the m sites in all sample columns."""

    @property
    def escapes(self) -> Escapes:
        """The calls that the rows mark ESCAPE."""


class PartWriter:
    """Writes one part. Use as a context manager: leaving it early drops what was not yet written; the objects already put are
    the caller's to sweep.

    ``places``: one per sample column of the batches, in their order.

    Raises:
        UsageError: ``part_places``: no columns, or groups and slots that do not run from 0 without a gap.
    """

    def __init__(
        self,
        owner: Owner,
        places: Sequence[Place],
        *,
        put: Put,
        new_table_key: NewTableKey,
        random: RandomBytes,
        chunk_sites: int = CHUNK_SITES,
    ) -> None:
        self._owner, self._new_key, self._random, self._chunk_sites = owner, new_table_key, random, chunk_sites
        self._n = len(places)
        self._sealer = ChunkSealer(owner, places, put=put, new_table_key=new_table_key, random=random)
        self._encoding = ThreadPoolExecutor(1, thread_name_prefix="part-encoder")
        self._sealing = ThreadPoolExecutor(1, thread_name_prefix="part-sealer")
        self._room = threading.BoundedSemaphore(_QUEUE)
        self._chunk_room = threading.BoundedSemaphore(_CHUNKS)
        self._failed = False
        # what the caller's thread knows: where the file is
        self._contig, self._last, self._filled = "", 0, 0
        self._seen: set[str] = set()
        # what the encoding thread holds: the open chunk
        self._encoder: ChunkEncoder | None = None
        self._sites: list[Sites] = []
        # what the sealing thread holds: the directory so far
        self._contigs: dict[str, int] = {}
        self._rows: list[tuple[int, int, int, int, int]] = []
        self._record: PartRecord | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._failed = self._failed or kind is not None
        self._encoding.shutdown(wait=True, cancel_futures=True)  # first: it may be waiting for the other one
        self._sealing.shutdown(wait=True, cancel_futures=True)

    def write(self, batches: Iterable[Batch]) -> Iterator[ChunkRecord]:
        """Take the batches; yield each chunk's record once its objects are put. The directory is written at the end.

        While the next batch is parsed, one thread encodes and another finishes, seals and puts the chunk before; at most a few
        batches and two chunks wait.

        Raises:
            UsageError: ``part_places``: a batch with another number of columns. ``part_order``: positions that go back or a
                contig that comes back (readers of files refuse those, with the line).
            and whatever ``batches``, ``put`` and ``new_table_key`` raise.
        """
        waiting: _Waiting = deque()
        sealed: deque[Future[ChunkRecord]] = deque()
        for batch in batches:
            if batch.rows.shape != (len(batch.sites), self._n):
                raise UsageError("part_places", "a batch does not have one column for each place")
            for first, end, contig in _contig_runs(batch.sites):
                self._take_run(batch, first, end, contig, waiting)
            while waiting and waiting[0].done():
                _move(waiting, sealed)
            while sealed and sealed[0].done():
                yield sealed.popleft().result()
        self._close(waiting)
        while waiting:
            _move(waiting, sealed)
        while sealed:
            yield sealed.popleft().result()
        self._record = self._sealing.submit(self._write_directory).result()

    def finish(self) -> PartRecord:
        """The part's record, after ``write`` has come to its end.

        Raises:
            UsageError: ``part_unfinished``.
        """
        if self._record is None:
            raise UsageError("part_unfinished", "the part is not written to its end")
        return self._record

    def _take_run(self, batch: Batch, first: int, end: int, contig: str, waiting: _Waiting) -> None:
        """Queue a batch's sites of one contig, cut where chunks end."""
        if contig != self._contig:
            self._close(waiting)
            if contig in self._seen:
                raise UsageError("part_order", "a contig comes back after another one")
            self._seen.add(contig)
            self._contig, self._last = contig, 0
        pos = batch.sites.pos[first:end]
        if int(pos[0]) < self._last or (np.diff(pos) < 0).any():
            raise UsageError("part_order", "positions go back within a contig")
        self._last = int(pos[-1])
        while first < end:
            stop = min(end, first + self._chunk_sites - self._filled)
            waiting.append(self._submit(partial(self._encode, batch, first, stop)))
            self._filled += stop - first
            first = stop
            if self._filled == self._chunk_sites:
                self._close(waiting)

    def _close(self, waiting: _Waiting) -> None:
        if self._filled:
            waiting.append(self._submit(self._close_chunk))
            self._filled = 0

    def _submit(self, job: Callable[[], Future[ChunkRecord] | None]) -> Future[Future[ChunkRecord] | None]:
        self._room.acquire()

        def run() -> Future[ChunkRecord] | None:
            try:
                return None if self._failed else job()
            except BaseException:
                self._failed = True
                raise
            finally:
                self._room.release()

        return self._encoding.submit(run)

    def _encode(self, batch: Batch, first: int, end: int) -> None:
        from vault.genotypes.blocks import ChunkEncoder  # noqa: PLC0415 - kernels load with the first batch, not with a list of datasets

        if self._encoder is None:
            self._encoder = ChunkEncoder(self._n, capacity=self._chunk_sites)
        whole = end - first == len(batch.sites)
        self._sites.append(batch.sites if whole else batch.sites.take(np.arange(first, end)))
        self._encoder.add(batch.rows.run(first, end), batch.escapes if whole else slice_escapes(batch.escapes, first, end))

    def _close_chunk(self) -> Future[ChunkRecord] | None:
        encoder, pieces = self._encoder, self._sites
        if encoder is None:
            return None
        self._encoder, self._sites = None, []
        self._chunk_room.acquire()

        def run() -> ChunkRecord:
            try:
                return self._write_chunk(encoder, pieces)
            except BaseException:
                self._failed = True
                raise
            finally:
                self._chunk_room.release()

        return self._sealing.submit(run)

    def _write_chunk(self, encoder: ChunkEncoder, pieces: Sequence[Sites]) -> ChunkRecord:
        encoded = encoder.finish()
        sites = _on_one_contig(pieces)
        ordinal = len(self._rows)
        contig = self._contigs.setdefault(sites.contigs[0], len(self._contigs))
        ends = int(site_ends(sites).max())
        self._rows.append((contig, int(sites.pos[0]), int(sites.pos[-1]), ends, len(sites)))
        return self._sealer.seal(ordinal, sites, encoded)

    def _write_directory(self) -> PartRecord:
        directory = PartDirectory.of(tuple(self._contigs), self._rows)
        key_id, key = self._new_key()
        data = seal_blob(key, self._owner.directory_binding(key_id), directory.to_bytes(), random=self._random)
        name = self._sealer.store("directory", data)
        return PartRecord(
            part_id=self._owner.part_id,
            n_subjects=self._n,
            n_sites=int(directory.n_sites.sum()),
            n_chunks=len(directory),
            total_bytes=self._sealer.stored_bytes,
            directory_name=name,
            directory_bytes=len(data),
            directory_sha256=sha256(data),
            directory_key_id=key_id,
            length_key_id=self._sealer.length_key_id,
        )


def _move(waiting: _Waiting, sealed: deque[Future[ChunkRecord]]) -> None:
    """Take the first job's end off: a chunk that went on to be sealed, or nothing."""
    handed_over = waiting.popleft().result()
    if handed_over is not None:
        sealed.append(handed_over)


def slice_escapes(escapes: Escapes, first: int, end: int) -> Escapes:
    """The escapes of sites ``first`` to ``end``, counted from ``first``."""
    a, b = np.searchsorted(escapes.site, [first, end]).tolist()
    low, high = int(escapes.offset[a]), int(escapes.offset[b])
    return Escapes(
        escapes.site[a:b] - first,
        escapes.sample[a:b],
        escapes.offset[a : b + 1] - low,
        escapes.alleles[low:high],
        escapes.phased[low:high],
    )


def _contig_runs(sites: Sites) -> list[tuple[int, int, str]]:
    """(first, end, contig name) of each run of sites on one contig."""
    if not len(sites):
        return []
    edges = [0, *(np.flatnonzero(np.diff(sites.contig)) + 1).tolist(), len(sites)]
    return [(a, b, sites.contigs[int(sites.contig[a])]) for a, b in pairwise(edges)]


def _on_one_contig(pieces: Sequence[Sites]) -> Sites:
    """The pieces as one, with a dictionary of the one contig that they lie on."""
    name = pieces[0].contigs[int(pieces[0].contig[0])]
    joined = Sites.concat(pieces) if len(pieces) > 1 else pieces[0]
    return replace(joined, contigs=(name,), contig=np.zeros(len(joined), np.int32))
