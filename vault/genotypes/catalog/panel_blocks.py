"""Panel builds: the blocks of a panel over one part, in the books, and their validity (docs/design/genotypes.md §9).

A build is one chunk over every site of the part that the panel names, so one small sealed block per subject, in the part's own groups
and slots. Its keys derive from (genotype key, build). It holds nothing that the part does not: it may go at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BindParameter, bindparam, delete, select

from vault.crypto.key_wrapping import KeyPurpose
from vault.genotypes.catalog.row_mapping import chunk_fields, chunk_from_row, container_fields
from vault.genotypes.compute.threads import decoding_pool
from vault.genotypes.store.chunk_sealer import ChunkSealer
from vault.genotypes.store.part_reader import PartReader
from vault.genotypes.store.part_records import ChunkRecord, Owner, PartRecord
from vault.genotypes.store.selections import PanelLoci
from vault.genotypes.store.site_redaction import shown
from vault.ids import DatasetId, KeyId, PartId
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.base import bulk_insert
from vault.storage.book_tables import ChunkRow, ErasingChunkRow, PanelBuildRow, PanelContainerRow, PartRow
from vault.storage.database import Transaction
from vault.storage.stored_types import total
from vault.storage.timestamps import to_micros

# Made once: a first read of a panel takes less time than putting the statement together.
_PART: BindParameter[bytes] = bindparam("part")
_VERSIONS = select(total(ChunkRow.table_version)).where(ChunkRow.part_id == _PART).scalar_subquery()
_ERASING = select(ErasingChunkRow.ordinal).where(ErasingChunkRow.part_id == _PART).exists()
_STANDING = select(PanelBuildRow.build_id, PanelBuildRow.table_key_id).where(
    PanelBuildRow.panel_id == bindparam("panel"),
    PanelBuildRow.part_id == _PART,
    # made of the part's site tables as they are, and no erasure is about to change them
    PanelBuildRow.table_versions == _VERSIONS,
    ~_ERASING,
)
_BUILD: BindParameter[bytes] = bindparam("build")
_BUILD_ROW = (
    select(PanelBuildRow, PartRow.dataset_id)
    .join(PartRow, PartRow.part_id == PanelBuildRow.part_id)
    .where(PanelBuildRow.build_id == _BUILD)
)
_CONTAINERS = select(PanelContainerRow).where(PanelContainerRow.build_id == _BUILD).order_by(PanelContainerRow.group_no)

_READERS: Cache[dict[tuple[bytes, bytes], PartReader]] = Cache(dict)
"""Readers by panel and part: opened site tables and keys of tables, no block and no block key. Of a build only its table may change."""


def find(vault: UnlockedVault, part_id: PartId, panel_id: bytes) -> PartReader | None:
    """A reader of a panel's build over a part, unless there is none, or the part's site tables were rewritten since or are about to be.

    The build is the reader's one chunk, of ordinal 0, and the reader's part id is the build's: block keys derive from it.
    The books are asked each time; what they name may be open already.

    Raises:
        IntegrityError: ``key_missing``.
    """
    with vault.books.read() as tx:
        standing = tx.execute(_STANDING, {"panel": panel_id, "part": part_id}).first()
    kept = vault.caches.get(_READERS)
    reader = kept.pop((panel_id, part_id), None)
    if standing is None:
        return None
    if reader is None or _names(reader) != tuple(standing):
        reader = open_build(vault, standing.build_id)
    kept[panel_id, part_id] = reader
    return reader


def forget(vault: UnlockedVault) -> None:
    """Let go of every reader that is kept for the session."""
    vault.caches.drop(_READERS)


def table_versions(tx: Transaction, part_id: PartId) -> int:
    """Sum of the part's table versions; it grows whenever a site table is rewritten, and a build of another sum is stale."""
    return int(tx.scalar(select(total(ChunkRow.table_version)).where(ChunkRow.part_id == part_id)) or 0)


def add(
    tx: Transaction,
    vault: UnlockedVault,
    *,
    panel_id: bytes,
    part_id: PartId,
    versions: int,
    sealer: ChunkSealer,
    chunk: ChunkRecord,
) -> None:
    """Name a build's objects in the books."""
    build_id = chunk.containers[0].part_id
    row = PanelBuildRow(
        build_id=build_id,
        panel_id=panel_id,
        part_id=part_id,
        table_versions=versions,
        total_bytes=sealer.stored_bytes,
        length_key_id=sealer.length_key_id,
        created=to_micros(vault.clock()),
        **chunk_fields(chunk),
    )
    tx.add(row)
    tx.flush()
    bulk_insert(tx, PanelContainerRow, container_fields(chunk, build_id=build_id))


def of_parts(vault: UnlockedVault, part_ids: Iterable[PartId]) -> list[bytes]:
    """Ids of all builds over these parts, readable or not."""
    with vault.books.read() as tx:
        return list(tx.scalars(select(PanelBuildRow.build_id).where(PanelBuildRow.part_id.in_(list(part_ids)))))


def of_place(vault: UnlockedVault, panel_id: bytes, part_id: PartId) -> list[bytes]:
    """The build of a panel over a part, readable or not: none or one."""
    place = (PanelBuildRow.panel_id == panel_id, PanelBuildRow.part_id == part_id)
    with vault.books.read() as tx:
        return list(tx.scalars(select(PanelBuildRow.build_id).where(*place)))


def remove(vault: UnlockedVault, build_ids: Sequence[bytes]) -> None:
    """Destroy builds: first the books forget them, then their keys go, then their objects. Doing it twice does no harm."""
    with vault.books.write() as tx:
        tx.execute(delete(PanelContainerRow).where(PanelContainerRow.build_id.in_(build_ids)))
        tx.execute(delete(PanelBuildRow).where(PanelBuildRow.build_id.in_(build_ids)))
    forget(vault)
    vault.keys.destroy([KeyPurpose.PANEL], build_ids)
    for build_id in build_ids:
        vault.objects.delete([name for name, _ in vault.objects.list(build_id.hex())])


def open_build(vault: UnlockedVault, build_id: bytes) -> PartReader:
    """A reader of a build, stale or not. Raises IntegrityError ``key_missing``."""
    with vault.books.read() as tx:
        row, dataset_id = tx.execute(_BUILD_ROW, {"build": build_id}).one()
        owner, record, chunk = _records(vault, DatasetId(dataset_id), row, tx.scalars(_CONTAINERS, {"build": build_id}).all())
    keys = vault.keys.open_ids(KeyPurpose.PANEL, [record.length_key_id, chunk.table_key_id])
    return PartReader(owner, record, [chunk], get_range=vault.objects.get_range, table_key=keys.__getitem__, pool=decoding_pool())


def _names(reader: PartReader) -> tuple[bytes, bytes]:
    """Build and key of the table that a reader reads."""
    chunk = reader.known(0)
    return reader.part.part_id, chunk.table_key_id if chunk is not None else b""


def told_rows(reader: PartReader, panel: PanelLoci) -> NDArray[np.int64] | None:
    """int64[k]: rows of a build that were not blanked, and that the panel asks for; None for all of them."""
    sites = reader.sites(0)
    rows = panel.answered(sites, shown(sites))
    return None if len(rows) == len(sites) else rows


def _records(
    vault: UnlockedVault, dataset_id: DatasetId, row: PanelBuildRow, containers: Sequence[PanelContainerRow]
) -> tuple[Owner, PartRecord, ChunkRecord]:
    owner = Owner(vault.vault_id, dataset_id, PartId(row.build_id))
    chunk = chunk_from_row(owner, row, containers, ordinal=0, table_version=1, length_key_id=row.length_key_id)
    record = PartRecord(
        part_id=owner.part_id,
        n_subjects=sum(c.n_slots for c in containers),
        n_sites=row.n_sites,
        n_chunks=1,
        total_bytes=row.total_bytes,
        directory_name="",  # one chunk needs no directory
        directory_bytes=0,
        directory_sha256=b"",
        directory_key_id=KeyId(b""),
        length_key_id=KeyId(row.length_key_id),
    )
    return owner, record, chunk
