"""Reading a part back: chosen chunks, sites and people, opening only their blocks.

Decisions are made elsewhere: a caller without a subject's block key cannot open that subject's blocks (docs/design/genotypes.md §6).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from vault.crypto.envelope import open_blob
from vault.crypto.secret import Secret
from vault.errors import IntegrityError
from vault.genotypes.codec.allele_counts import AlleleCounts, count_fields
from vault.genotypes.codec.call_codes import Codes, Escapes, join_escapes
from vault.genotypes.codec.carrier_counts import CarrierCounts
from vault.genotypes.codec.format_constants import Payload
from vault.genotypes.codec.site_coding import Coding
from vault.genotypes.sites import Sites, site_ends
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.containers import container_broken, open_blocks, open_lengths
from vault.genotypes.store.part_records import ChunkRecord, Owner, PartRecord
from vault.genotypes.store.site_tables import PartDirectory, SiteTable
from vault.ids import KeyId

if TYPE_CHECKING:
    from vault.genotypes.codec.decoder import DecodePlan, FieldCounts
    from vault.genotypes.codec.payloads import Payloads

GetRange = Callable[[str, int, int], Payload]
"""``get_range(name, offset, length)``: those bytes, fewer only if the object is shorter. Safe to call from several threads."""

TableKey = Callable[[KeyId], Secret]
"""The key of a site table, directory or length table by its id; raises where it was destroyed."""

FIRST_VERSION = 1  # of a site table, as it is imported
CACHED_CHUNKS = 32  # opened site tables kept: about 1 MiB each
_AHEAD = 4  # chunks that may be open and wait to be decoded
_FEW_SUBJECTS = 16  # reads of fewer people keep the length tables, so that the next such read costs one range


@dataclass
class _OpenChunk:
    """The part of a chunk that is kept between reads: subject-independent, so safe to cache."""

    sites: Sites
    coding: Coding
    starts: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    _whole: DecodePlan | None = None

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """int64[m]: the last position of each site, 1-based."""
        return site_ends(self.sites)

    def plan(self, rows: NDArray[np.int64] | None) -> DecodePlan:
        from vault.genotypes.codec.decoder import DecodePlan  # noqa: PLC0415 - kernels load with the first block, not with a list of datasets

        if rows is not None:
            return DecodePlan.from_coding(self.coding, rows)
        if self._whole is None:
            self._whole = DecodePlan.from_coding(self.coding)
        return self._whole


R = TypeVar("R")
Work = Callable[[int, "DecodePlan", "Payloads"], R]
"""Work on the i-th chunk that is read, done while the chunks after it are opened."""

Held = dict[int, "Payloads"]
"""The opened blocks of a chunk that is read in pieces, by its ordinal, for one access: one chunk's at most."""

_NO_COLUMNS = np.zeros(0, np.int64)


class PartReader:
    """Reads one part. Safe to use from several threads.

    ``directory``: of a part that has none as an object. ``pool``: where decoding may run beside the opening of blocks; two threads are
    enough. Opened site tables and length tables
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
        directory: PartDirectory | None = None,
    ) -> None:
        self._owner, self._part, self._get, self._key, self._pool = owner, part, get_range, table_key, pool
        self._directory = directory
        self._chunks = {chunk.ordinal: chunk for chunk in chunks}
        self._open: OrderedDict[int, _OpenChunk] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def part(self) -> PartRecord:
        """The record that it reads by."""
        return self._part

    def known(self, ordinal: int) -> ChunkRecord | None:
        """The record of a chunk; None if it has none yet."""
        return self._chunks.get(ordinal)

    def was_rewritten(self, ordinal: int) -> bool:
        """True if the site table of a chunk was rewritten since the import: only then may it have blanked sites."""
        return self._chunks[ordinal].table_version > FIRST_VERSION

    def learn(self, chunks: Iterable[ChunkRecord]) -> None:
        """Take chunks' records; what was opened of an older version of a chunk is dropped."""
        with self._lock:
            for chunk in chunks:
                if self._chunks.get(chunk.ordinal) != chunk:
                    self._open.pop(chunk.ordinal, None)
                self._chunks[chunk.ordinal] = chunk

    @cached_property
    def directory(self) -> PartDirectory:
        """The extent of each chunk.

        Raises:
            IntegrityError: ``site_table_malformed``, or what the envelope says of a broken seal.
        """
        if self._directory is not None:
            return self._directory
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
        """int64[m]: the last position of each site of a chunk, 1-based (``sites.site_ends``)."""
        return self._chunk(ordinal).ends

    def contig(self, ordinal: int) -> str | None:
        """The contig that all sites of a chunk are on; None of a part without a directory, whose one chunk may have several."""
        if not self._part.directory_name and self._directory is None:
            return None
        return self.directory.contigs[int(self.directory.contig[ordinal])]

    def read(
        self,
        chunks: Sequence[int],
        rows: Sequence[NDArray[np.int64] | None] | None,
        access: BlockAccess,
        *,
        held: Held | None = None,
    ) -> tuple[Sites, Codes, Escapes]:
        """Sites and calls: ``codes`` uint8[sites, columns of the access].

        ``rows``: for each chunk its ascending site numbers, None for all of them; None for all of every chunk. ``held``: keeps the
        blocks of a chunk of which only some rows are read, for the next read of it with the same access.

        Raises:
            IntegrityError: ``block_broken``, ``block_malformed``, and as ``directory``.
        """
        from vault.genotypes.codec.decoder import decode_chunk  # noqa: PLC0415 - kernels load with the first block, not with a list of datasets

        chosen, edges = self._shape(chunks, rows)
        codes = np.empty((edges[-1], access.size), np.uint8)

        def decode(at: int, plan: DecodePlan, payloads: Payloads) -> Escapes:
            return decode_chunk(plan, payloads, pool=self._pool, out=codes[edges[at] : edges[at + 1]])[1]

        found = list(self._each(chunks, chosen, access, decode, held))
        return Sites.concat([sites for sites, _ in found]), codes, join_escapes([escapes for _, escapes in found], edges)

    def read_and_count(
        self,
        chunks: Sequence[int],
        rows: Sequence[NDArray[np.int64] | None] | None,
        access: BlockAccess,
        *,
        held: Held | None = None,
    ) -> tuple[Sites, Codes, Escapes, AlleleCounts]:
        """Sites, call codes uint8[m, n], escapes and allele counts: ``read`` and ``count`` in one pass over the blocks.

        Arguments and errors are those of ``read``.
        """
        from vault.genotypes.codec.decoder import decode_and_count  # noqa: PLC0415 - as in ``read``

        chosen, edges = self._shape(chunks, rows)
        codes = np.empty((edges[-1], access.size), np.uint8)

        def decode(at: int, plan: DecodePlan, payloads: Payloads) -> tuple[DecodePlan, FieldCounts]:
            return plan, decode_and_count(plan, payloads, out=codes[edges[at] : edges[at + 1]], pool=self._pool)

        found = list(self._each(chunks, chosen, access, decode, held))
        escapes = join_escapes([fields.escapes for _, (_, fields) in found], edges)
        return Sites.concat([sites for sites, _ in found]), codes, escapes, _counts(found)

    def count(
        self,
        chunks: Sequence[int],
        rows: Sequence[NDArray[np.int64] | None] | None,
        access: BlockAccess,
        *,
        held: Held | None = None,
    ) -> tuple[Sites, AlleleCounts]:
        """Sites, and how often the people of the access carry each of their alleles, which no matrix of calls is made for.

        Arguments as ``read``.

        Raises:
            IntegrityError: as ``read``, and ``call_outside_site`` if a call names an allele that its site does not list.
        """
        from vault.genotypes.codec.decoder import count_chunk  # noqa: PLC0415 - as in ``read``

        def count(_: int, plan: DecodePlan, payloads: Payloads) -> tuple[DecodePlan, FieldCounts]:
            return plan, count_chunk(plan, payloads, pool=self._pool)

        found = list(self._each(chunks, self._shape(chunks, rows)[0], access, count, held))
        return Sites.concat([sites for sites, _ in found]), _counts(found)

    def count_carriers(self, ordinal: int, access: BlockAccess, *, listed: bool = True) -> CarrierCounts:
        """Number of people of the access who carry each ALT of a chunk. ``listed``: an allele that its site does not list is refused.

        Raises:
            IntegrityError: as ``count``.
        """
        from vault.genotypes.codec.decoder import count_chunk  # noqa: PLC0415 - as in ``read``

        def count(_: int, plan: DecodePlan, payloads: Payloads) -> tuple[DecodePlan, FieldCounts]:
            return plan, count_chunk(plan, payloads, pool=self._pool)

        ((sites, (plan, fields)),) = self._each([ordinal], [None], access, count, None)
        if listed:
            count_fields(plan, fields, sites.n_alleles())
        return CarrierCounts.from_fields(plan, fields)

    def forget(self) -> None:
        """Drop every opened site table and length table."""
        with self._lock:
            self._open.clear()

    def _shape(
        self, chunks: Sequence[int], rows: Sequence[NDArray[np.int64] | None] | None
    ) -> tuple[list[NDArray[np.int64] | None], list[int]]:
        """(rows int64[k] of each chunk, None for all; the row of the whole at which each chunk begins, and the end)."""
        chosen: list[NDArray[np.int64] | None] = list(rows) if rows is not None else [None] * len(chunks)
        sizes = [self._chunks[c].n_sites if r is None else len(r) for c, r in zip(chunks, chosen, strict=True)]
        return chosen, [0, *accumulate(sizes)]

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

    def _each(
        self,
        chunks: Sequence[int],
        rows: Sequence[NDArray[np.int64] | None],
        access: BlockAccess,
        work: Work[R],
        held: Held | None,
    ) -> Iterator[tuple[Sites, R]]:
        """Sites and what the work gives, chunk by chunk. All blocks are opened before the first is given.

        What needs Python's lock is done here: a thread of the pool that wants it waits until a whole container is open.
        """
        pending: list[tuple[Sites, R | Future[R]]] = []
        for at, (ordinal, picked) in enumerate(zip(chunks, rows, strict=True)):
            chunk = self._chunk(ordinal)
            sites = chunk.sites if picked is None else chunk.sites.take(picked)
            payloads = held.get(ordinal) if held else None
            if payloads is None:
                if held is not None:
                    held.clear()  # before the next are opened
                payloads = self._open_blocks(ordinal, chunk, access)
                if held is not None and picked is not None:
                    held[ordinal] = payloads
            job = partial(work, at, chunk.plan(picked), payloads)
            if at >= _AHEAD and isinstance(slowest := pending[at - _AHEAD][1], Future):
                wait([slowest])
            pending.append((sites, job() if len(chunks) == 1 or self._pool is None else self._pool.submit(job)))
        for sites, found in pending:
            yield sites, found.result() if isinstance(found, Future) else found

    def _open_blocks(self, ordinal: int, chunk: _OpenChunk, access: BlockAccess) -> Payloads:
        """The payloads of the access's columns, with their lengths in bytes.

        Raises:
            IntegrityError: ``block_broken``.
        """
        from vault.genotypes.codec.payloads import Payloads  # noqa: PLC0415 - as in ``read``

        record = self._chunks[ordinal]
        key = self._key(self._part.length_key_id)
        pieces: list[bytes] = []
        lengths, columns = [], []
        for wanted in access.groups:
            group = wanted.group
            if group >= len(record.containers) or int(wanted.slots[-1]) >= record.containers[group].n_slots:
                raise IntegrityError("block_broken", "the books name a place that no container has", hint="run genovault doctor")
            ref, name = record.containers[group], record.container_names[group]
            owner = Owner(ref.vault_id, ref.dataset_id, ref.part_id)
            if (owner, ref.chunk, ref.group) != (self._owner, ordinal, group):
                raise container_broken(ref)
            start = chunk.starts.get(group)
            if start is None and len(wanted) <= _FEW_SUBJECTS:
                start = chunk.starts[group] = open_lengths(ref, self._get(name, 0, ref.header_bytes), key)
            blocks, found = open_blocks(ref, partial(self._get, name), key, wanted, start=start)
            pieces += blocks
            lengths.append(found)
            columns.append(wanted.columns)
        sizes, placed = np.concatenate([_NO_COLUMNS, *lengths]), np.concatenate([_NO_COLUMNS, *columns])
        return Payloads.join(pieces, record.n_sites, lengths=sizes, columns=placed)


def _counts(found: Sequence[tuple[Sites, tuple[DecodePlan, FieldCounts]]]) -> AlleleCounts:
    return AlleleCounts.concat([count_fields(plan, fields, sites.n_alleles()) for sites, (plan, fields) in found])
