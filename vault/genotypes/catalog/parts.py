"""Parts in the books, and readers of parts that a session keeps between reads.

A kept reader holds opened site tables (which belong to no one person) and the keys of tables, no block and no block key. Before each
use it is held against the books: a part whose directory was rewritten gets a new reader, a chunk whose site table was rewritten is
opened anew, so an erasure in this or another process is never read past.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from sqlalchemy import BindParameter, Row, bindparam, select

from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UnavailableError
from vault.genotypes.catalog import part_members, personal_parts
from vault.genotypes.catalog.row_mapping import (
    chunk_fields,
    chunk_from_row,
    container_fields,
    owner_from_row,
    part_fields,
    part_from_row,
)
from vault.genotypes.compute.threads import decoding_pool
from vault.genotypes.store.part_reader import PartReader
from vault.genotypes.store.part_records import ChunkRecord, PartRecord, TrackRecord
from vault.genotypes.store.selections import Chosen, Selection, choose_rows
from vault.genotypes.store.site_tables import TRACKS_FROM
from vault.ids import DatasetId, KeyId, PartId, SubjectId
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.base import bulk_insert
from vault.storage.book_tables import ChunkRow, ContainerRow, ErasingChunkRow, PartRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros


class TableKeys:
    """Keys of site tables, directories and length tables, fetched once; a ``part_reader.TableKey``."""

    def __init__(self, vault: UnlockedVault) -> None:
        self._open = vault.keys.open_ids
        self._keys: dict[bytes, Secret] = {}

    def __call__(self, key_id: KeyId) -> Secret:
        """A key that was fetched."""
        return self._keys[key_id]

    def fetch(self, key_ids: Iterable[KeyId]) -> None:
        """Fetch keys. Raises IntegrityError ``key_missing`` when one is destroyed."""
        wanted = [key_id for key_id in key_ids if key_id not in self._keys]
        if wanted:
            self._keys.update(self._open(KeyPurpose.SITE_TABLE, wanted))


@dataclass(frozen=True)
class OpenPart:
    """A part's row, its reader and the keys that this opens tables with."""

    row: PartRow
    reader: PartReader
    keys: TableKeys

    @property
    def part_id(self) -> PartId:
        """The part."""
        return self.reader.part.part_id


# Statements are made once: a first read of a panel takes less time than putting one of them together.
_PART: BindParameter[bytes] = bindparam("part")
_ORDINALS: BindParameter[int] = bindparam("ordinals", expanding=True)
_CHUNK, _CONTAINER, _PENDING = ChunkRow.__table__.c, ContainerRow.__table__.c, ErasingChunkRow.__table__.c
_PARTS = select(PartRow).where(PartRow.dataset_id == bindparam("dataset")).order_by(PartRow.ordinal)
_ERASING = select(_PENDING.ordinal).where(_PENDING.part_id == _PART)
_CHUNKS = select(ChunkRow.__table__).where(_CHUNK.part_id == _PART, _CHUNK.ordinal.in_(_ORDINALS)).order_by(_CHUNK.ordinal)
_CONTAINERS = (
    select(ContainerRow.__table__)
    .where(_CONTAINER.part_id == _PART, _CONTAINER.chunk.in_(_ORDINALS))
    .order_by(_CONTAINER.chunk, _CONTAINER.group_no)
)

_OPEN_PARTS: Cache[dict[PartId, OpenPart]] = Cache(dict)
_LOCK = threading.Lock()


def list_all(vault: UnlockedVault, dataset_id: DatasetId) -> list[PartRow]:
    """The dataset's parts in order."""
    with vault.books.read() as tx:
        return list(tx.scalars(_PARTS, {"dataset": dataset_id}))


def all_part_ids(vault: UnlockedVault, dataset_id: DatasetId) -> set[bytes]:
    """Ids of the dataset's parts that are not one person's own: another set than before where any was compacted."""
    with vault.books.read() as tx:
        return set(tx.scalars(select(PartRow.part_id).where(PartRow.dataset_id == dataset_id)))


def members(vault: UnlockedVault, part: PartRow, subjects: Sequence[SubjectId] | None = None) -> dict[SubjectId, tuple[int, int]]:
    """(group, slot) of those of the subjects (None: of all) whose blocks the part holds. Raises IntegrityError ``members_altered``."""
    with vault.books.read() as tx:
        found = part_members.places(tx, part.layout_id, subjects)
        part_members.require(vault, tx, part.layout_id, found.keys(), None if subjects is None else set(subjects))
    return found


class MemberPlaces:
    """Places of some subjects in parts; each layout is looked up once, when it is first asked for."""

    def __init__(self, vault: UnlockedVault, subjects: Sequence[SubjectId]) -> None:
        self._vault, self._subjects = vault, subjects
        self._found: dict[bytes, dict[SubjectId, tuple[int, int]]] = {}

    def of(self, part: PartRow) -> dict[SubjectId, tuple[int, int]]:
        """(group, slot) of those of the subjects whose blocks the part holds."""
        if part.layout_id not in self._found:
            self._found[part.layout_id] = members(self._vault, part, self._subjects)
        return self._found[part.layout_id]


def all_places(vault: UnlockedVault, part: PartRow) -> list[tuple[int, int]]:
    """Every (group, slot) of a part, also of people who were erased since."""
    query = select(ContainerRow.group_no, ContainerRow.n_slots).where(
        ContainerRow.part_id == part.part_id, ContainerRow.chunk == 0
    )
    with vault.books.read() as tx:
        return [(group, slot) for group, n_slots in tx.execute(query) for slot in range(n_slots)]


def add_part(
    tx: Transaction,
    vault: UnlockedVault,
    dataset_id: DatasetId,
    part: PartRecord,
    chunks: Sequence[ChunkRecord],
    *,
    assayed: str | None = None,
    source: str | None = None,
) -> None:
    """Name a written part's objects in the books, in the caller's transaction.

    ``assayed``: as ``declared_assays.keep`` says. ``source``: digest of the files it came from.
    """
    ordinal = personal_parts.next_ordinal(tx, dataset_id)
    _add(tx, vault, (part, chunks), dataset_id=dataset_id, ordinal=ordinal, assayed=assayed, source=source)


def add_compacted(
    tx: Transaction,
    vault: UnlockedVault,
    dataset_id: DatasetId,
    part: PartRecord,
    chunks: Sequence[ChunkRecord],
    *,
    tracks: Sequence[TrackRecord],
    kind: str,
    ordinal: int,
) -> None:
    """Name a written compacted part's objects in the books, in the place ``ordinal`` among the dataset's parts. ``kind``: of ``part.compacted``."""
    _add(tx, vault, (part, chunks), dataset_id=dataset_id, ordinal=ordinal, compacted=kind)
    found = (container_fields(track, part_id=part.part_id, chunk=TRACKS_FROM + track.number) for track in tracks)
    bulk_insert(tx, ContainerRow, list(chain.from_iterable(found)))


def _add(tx: Transaction, vault: UnlockedVault, written: tuple[PartRecord, Sequence[ChunkRecord]], **said: object) -> None:
    part, chunks = written
    tx.add(PartRow(**part_fields(part), **said, members_sha256=b"", layout_id=b"", created=to_micros(vault.clock())))
    tx.flush()
    rows = [
        {"part_id": part.part_id, "ordinal": chunk.ordinal, "table_version": chunk.table_version, **chunk_fields(chunk)}
        for chunk in chunks
    ]
    bulk_insert(tx, ChunkRow, rows)
    containers = (container_fields(chunk, part_id=part.part_id, chunk=chunk.ordinal) for chunk in chunks)
    bulk_insert(tx, ContainerRow, list(chain.from_iterable(containers)))


def open_parts(vault: UnlockedVault, dataset_id: DatasetId) -> list[OpenPart]:
    """The dataset's parts in order, as the books now have them; they know no chunk, or what an earlier read taught them (``learn``)."""
    return [open_part(vault, row) for row in list_all(vault, dataset_id)]


def contigs(vault: UnlockedVault, dataset_id: DatasetId) -> list[str]:
    """Contigs of a dataset as its files spell them, in the order in which they came; nobody's own part is opened for it."""
    with vault.books.read() as tx:
        personal = personal_parts.contigs_of(tx, dataset_id)
    shared = (name for part in open_parts(vault, dataset_id) for name in part.reader.directory.contigs)
    return list(dict.fromkeys([*shared, *personal]))


def open_part(vault: UnlockedVault, row: PartRow, *, keep: bool = True) -> OpenPart:
    """Open one part: its directory and length keys, no block. ``keep=False``: apart from the readers that the session keeps.

    Raises:
        IntegrityError: ``key_missing``.
    """
    record = part_from_row(row)
    with _LOCK:
        kept = vault.caches.get(_OPEN_PARTS) if keep else {}
        found = kept.get(record.part_id)
        if found is None or found.reader.part != record:
            owner = owner_from_row(vault.vault_id, row)
            keys = TableKeys(vault)
            keys.fetch([record.directory_key_id, record.length_key_id])
            reader = PartReader(owner, record, [], get_range=vault.objects.get_range, table_key=keys, pool=decoding_pool())
            found = kept[record.part_id] = OpenPart(row, reader, keys)
    return replace(found, row=row)  # whose layout is another since somebody left this part alone


def forget(vault: UnlockedVault) -> None:
    """Let go of every reader that is kept for the session."""
    with _LOCK:
        vault.caches.drop(_OPEN_PARTS)


def learn(vault: UnlockedVault, part: OpenPart, ordinals: Sequence[int], *, erasing: bool = False) -> None:
    """Bring the reader's chunks up to what the books have.

    Raises:
        UnavailableError: ``erasure_pending``: a site table may list what only an erased person carried (not with ``erasing``).
        IntegrityError: ``key_missing``.
    """
    row, reader = part.row, part.reader
    wanted = {"part": row.part_id, "ordinals": list(ordinals)}
    with vault.books.read() as tx:
        pending = set(tx.scalars(_ERASING, wanted))
        if not erasing and not pending.isdisjoint(ordinals):
            raise UnavailableError(
                "erasure_pending",
                "an erasure is still being carried out on this data",
                hint="genovault doctor says how to finish it",
            )
        chunks = tx.execute(_CHUNKS, wanted).all()
        if len(chunks) != len(ordinals):
            raise _incomplete() if tx.get(PartRow, row.part_id) else changed()
        stale = [chunk for chunk in chunks if _is_news(reader.known(chunk.ordinal), chunk)]
        if not stale:
            return
        containers: dict[int, list[Row[*tuple[Any, ...]]]] = {chunk.ordinal: [] for chunk in stale}
        for container in tx.execute(_CONTAINERS, {**wanted, "ordinals": list(containers)}):
            containers[container.chunk].append(container)
    if not all(containers.values()):
        raise _incomplete()
    owner = owner_from_row(vault.vault_id, row)
    learned = [
        chunk_from_row(
            owner,
            chunk,
            containers[chunk.ordinal],
            ordinal=chunk.ordinal,
            table_version=chunk.table_version,
            length_key_id=row.length_key_id,
        )
        for chunk in stale
    ]
    part.keys.fetch([chunk.table_key_id for chunk in learned])
    reader.learn(learned)


def choose_chunks(vault: UnlockedVault, part: PartRow, selection: Selection) -> tuple[PartReader, Chosen]:
    """A reader of the chunks of a part that hold chosen sites, and which those are. Opens no block."""
    found = open_part(vault, part)
    wanted = selection.chunks(found.reader.directory)
    learn(vault, found, wanted)
    return found.reader, choose_rows(found.reader, selection, wanted)


def open_for_erasure(vault: UnlockedVault, part: PartRow, ordinals: Sequence[int]) -> PartReader:
    """A reader of some chunks of a part, those that an erasure has yet to blank among them: for erasure itself.

    Whatever the session kept of parts goes: it may list what the erased person carried.
    """
    forget(vault)
    apart = open_part(vault, part, keep=False)
    learn(vault, apart, ordinals, erasing=True)
    return apart.reader


def _is_news(known: ChunkRecord | None, chunk: Row[*tuple[Any, ...]]) -> bool:
    return known is None or (known.table_version, known.table_key_id) != (chunk.table_version, chunk.table_key_id)


def changed() -> UnavailableError:
    """A part is gone that was there when the access began: it was removed, or compacted."""
    return UnavailableError("dataset_changed", "the dataset was changed meanwhile", hint="try again")


def _incomplete() -> IntegrityError:
    return IntegrityError("part_incomplete", "the books lack chunks that a part has", hint="run genovault doctor")
