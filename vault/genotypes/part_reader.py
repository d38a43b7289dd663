"""Reading a part back: chosen chunks, sites and people, opening only their blocks.

Who may be read is decided elsewhere: a caller without a subject's block key cannot open that subject's blocks.
"""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vault.crypto.envelope import open_blob
from vault.crypto.primitives import AesGcm
from vault.crypto.secret import Secret
from vault.errors import IntegrityError
from vault.genotypes.calls import Codes, Escapes
from vault.genotypes.code_numbers import Payload
from vault.genotypes.coding import Coding
from vault.genotypes.containers import container_broken, open_blocks, open_lengths
from vault.genotypes.parts import ChunkRecord, Owner, PartRecord, Place
from vault.genotypes.sites import Sites
from vault.genotypes.tables import PartDirectory, Region, SiteTable, find_chunks, find_rows, site_ends
from vault.ids import KeyId

GetRange = Callable[[str, int, int], Payload]
"""``get_range(name, offset, length)``: those bytes, fewer only if the object is shorter. Safe to call from several threads."""

TableKey = Callable[[KeyId], Secret]
"""The key of a site table, directory or length table by its id; raises where it was destroyed."""

CACHED_CHUNKS = 32  # opened site tables kept: about 1 MiB each
_FEW_SUBJECTS = 16  # reads of fewer people keep the length tables, so that the next such read costs one range


@dataclass
class _OpenChunk:
    """What stays of a chunk between reads: nothing that belongs to one subject."""

    sites: Sites
    coding: Coding
    starts: dict[int, NDArray[np.int64]] = field(default_factory=dict)

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        return site_ends(self.sites)


@functools.cache
def decoding_pool() -> Executor:
    """Where decoding runs beside the opening of blocks: two threads, started once for the process."""
    return ThreadPoolExecutor(2, thread_name_prefix="decode")


class _Group(NamedTuple):
    """Blocks to open of one group: ascending slots, the cipher and output column of each."""

    group: int
    slots: list[int]
    ciphers: list[AesGcm]
    columns: list[int]


class PartReader:
    """Reads one part. Safe to use from several threads.

    ``pool``: where decoding may run beside the opening of blocks; two threads are enough. Opened site tables and length tables
    are kept (``CACHED_CHUNKS`` of them) until another version of a chunk is brought by ``learn``, or until ``forget``.
    """

    def __init__(
        self,
        owner: Owner,
        part: PartRecord,
        chunks: Sequence[ChunkRecord],
        *,
        get_range: GetRange,
        table_key: TableKey,
        pool: Executor | None = None,
    ) -> None:
        self._owner, self._part, self._get, self._key, self._pool = owner, part, get_range, table_key, pool
        self._chunks = {chunk.ordinal: chunk for chunk in chunks}
        self._open: OrderedDict[int, _OpenChunk] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def part(self) -> PartRecord:
        """The record that it reads by."""
        return self._part

    def known(self, ordinal: int) -> ChunkRecord | None:
        """What it knows of a chunk."""
        return self._chunks.get(ordinal)

    def learn(self, chunks: Iterable[ChunkRecord]) -> None:
        """Take chunks' records; what was opened of an older version of a chunk is dropped."""
        with self._lock:
            for chunk in chunks:
                if self._chunks.get(chunk.ordinal) != chunk:
                    self._open.pop(chunk.ordinal, None)
                self._chunks[chunk.ordinal] = chunk

    @cached_property
    def directory(self) -> PartDirectory:
        """What each chunk covers.

        Raises:
            IntegrityError: ``site_table_malformed``, or what the envelope says of a broken seal.
        """
        part = self._part
        data = self._get(part.directory_name, 0, part.directory_bytes)
        key = self._key(part.directory_key_id)
        return PartDirectory.from_bytes(open_blob(key, self._owner.directory_binding(part.directory_key_id), bytes(data)))

    def sites(self, ordinal: int) -> Sites:
        """All sites of a chunk.

        Raises:
            IntegrityError: as ``directory``.
        """
        return self._chunk(ordinal).sites

    def ends(self, ordinal: int) -> NDArray[np.int64]:
        """int64[m]: the last position of each site of a chunk (``tables.site_ends``)."""
        return self._chunk(ordinal).ends

    def find(self, regions: Sequence[Region]) -> list[tuple[int, NDArray[np.int64]]]:
        """(chunk, its rows) for all sites overlapping the regions, in order; contigs spelled as the part does."""
        found = ((ordinal, find_rows(self.sites(ordinal), regions)) for ordinal in find_chunks(self.directory, regions))
        return [(ordinal, rows) for ordinal, rows in found if len(rows)]

    def read(
        self, chunks: Sequence[int], rows: Sequence[NDArray[np.int64] | None] | None, subjects: Sequence[Place]
    ) -> tuple[Sites, Codes, Escapes]:
        """Sites and calls: ``codes`` uint8[sites, subjects], subjects in the order given.

        ``rows``: for each chunk its ascending site numbers, None for all of them; None for all of every chunk.

        Raises:
            IntegrityError: ``block_broken``, ``block_malformed``, and as ``directory``.
        """
        from vault.genotypes.blocks import decode_chunk  # noqa: PLC0415 - kernels load with the first block, not with a list of datasets

        chosen = list(rows) if rows is not None else [None] * len(chunks)
        counts = [self._chunks[c].n_sites if r is None else len(r) for c, r in zip(chunks, chosen, strict=True)]
        edges = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64).tolist()
        codes = np.empty((edges[-1], len(subjects)), np.uint8)
        groups = _by_group(subjects)
        sites: list[Sites] = []
        pending: list[Future[Escapes] | Escapes] = []
        alone = self._pool if len(chunks) == 1 else None  # one chunk is split inside; several run beside each other
        for ordinal, picked, first, end in zip(chunks, chosen, edges, edges[1:], strict=False):
            chunk = self._chunk(ordinal)
            sites.append(chunk.sites if picked is None else chunk.sites.take(picked))
            payloads = self._payloads(ordinal, chunk, groups, len(subjects))
            part = codes[first:end]

            def decode(
                coding: Coding = chunk.coding,
                payloads: list[Payload] = payloads,
                picked: NDArray[np.int64] | None = picked,
                part: Codes = part,
            ) -> Escapes:
                return decode_chunk(coding, payloads, picked, pool=alone, out=part)[1]

            if self._pool is None or alone is not None:
                pending.append(decode())
            else:
                pending.append(self._pool.submit(decode))
        escapes = [p.result() if isinstance(p, Future) else p for p in pending]
        return Sites.concat(sites), codes, join_escapes(escapes, edges)

    def forget(self) -> None:
        """Drop every opened site table and length table."""
        with self._lock:
            self._open.clear()

    def _chunk(self, ordinal: int) -> _OpenChunk:
        with self._lock:
            if ordinal in self._open:
                self._open.move_to_end(ordinal)
                return self._open[ordinal]
        if ordinal not in self._chunks:
            raise IntegrityError("part_incomplete", "the books lack a chunk that the part has", hint="run genovault doctor")
        record = self._chunks[ordinal]
        sealed = self._get(record.table_name, 0, record.table_bytes)
        binding = self._owner.table_binding(ordinal, record.table_version, record.table_key_id)
        table = SiteTable.from_bytes(open_blob(self._key(record.table_key_id), binding, bytes(sealed)))
        if len(table.sites) != record.n_sites:
            raise IntegrityError("site_table_malformed", "the books count other sites than the sealed table has")
        opened = _OpenChunk(table.sites, Coding.from_bytes(table.coding))
        with self._lock:
            self._open[ordinal] = opened
            while len(self._open) > CACHED_CHUNKS:
                self._open.popitem(last=False)
        return opened

    def _payloads(self, ordinal: int, chunk: _OpenChunk, groups: Sequence[_Group], n: int) -> list[Payload]:
        """The payload of each subject, in the order wanted."""
        record = self._chunks[ordinal]
        key = self._key(self._part.length_key_id)
        payloads: list[Payload] = [b""] * n
        for group, slots, ciphers, columns in groups:
            if group >= len(record.containers) or slots[-1] >= record.containers[group].n_slots:
                raise IntegrityError("block_broken", "the books name a place that no container has", hint="run genovault doctor")
            ref, name = record.containers[group], record.container_names[group]
            owner = Owner(ref.vault_id, ref.dataset_id, ref.part_id)
            if (owner, ref.chunk, ref.group) != (self._owner, ordinal, group):
                raise container_broken(ref)
            start = chunk.starts.get(group)
            if start is None and len(slots) <= _FEW_SUBJECTS:
                start = chunk.starts[group] = open_lengths(ref, self._get(name, 0, ref.header_bytes), key)
            blocks = open_blocks(ref, partial(self._get, name), key, slots, ciphers, start=start)
            for column, block in zip(columns, blocks, strict=True):
                payloads[column] = block
        return payloads


def join_escapes(parts: Sequence[Escapes], first_row: Sequence[int]) -> Escapes:
    """Escapes of runs of sites, one run after another; run i's sites begin at row ``first_row[i]`` of the whole."""
    kept = [(e, row) for e, row in zip(parts, first_row, strict=False) if len(e)]
    if not kept:
        return Escapes.empty()
    lengths = np.concatenate([np.diff(e.offset) for e, _ in kept])
    return Escapes(
        np.concatenate([e.site + row for e, row in kept]),
        np.concatenate([e.sample for e, _ in kept]),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        np.concatenate([e.alleles for e, _ in kept]),
        np.concatenate([e.phased for e, _ in kept]),
    )


def _by_group(subjects: Sequence[Place]) -> list[_Group]:
    """What to open of each group that is asked for."""
    place = np.fromiter((s.group << 32 | s.slot for s in subjects), np.int64, len(subjects))
    order = np.argsort(place, kind="stable")
    edges = [0, *(np.flatnonzero(np.diff(place[order] >> 32)) + 1).tolist(), len(subjects)]
    found = []
    for a, b in pairwise(edges if len(subjects) else [0]):
        columns = order[a:b].tolist()
        slots = (place[order[a:b]] & 0xFFFFFFFF).tolist()
        found.append(_Group(subjects[columns[0]].group, slots, [AesGcm(subjects[c].block_key) for c in columns], columns))
    return found
