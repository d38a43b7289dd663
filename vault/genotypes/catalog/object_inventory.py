"""Every object that the books name, with what it must look like: for backups and for finding damage and orphans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from vault.genotypes.catalog.row_mapping import counts_from_row
from vault.storage.book_tables import (
    ChunkRow,
    ContainerRow,
    ErasingChunkRow,
    LeaseRow,
    PanelBuildRow,
    PanelContainerRow,
    PartRow,
    PersonalPartRow,
)
from vault.storage.database import Transaction


@dataclass(frozen=True)
class Stored:
    """One object as the books name it."""

    name: str
    size: int  # bytes
    sha256: bytes


def named_objects(tx: Transaction) -> Iterator[Stored]:
    """Directories, carrier counts, site tables, containers, personal parts and panel blocks, in no order that means anything."""
    columns = (
        (PartRow.directory_object, PartRow.directory_bytes, PartRow.directory_sha256),
        (ChunkRow.table_object, ChunkRow.table_bytes, ChunkRow.table_sha256),
        (ContainerRow.object, ContainerRow.total_bytes, ContainerRow.sha256),
        (PanelBuildRow.table_object, PanelBuildRow.table_bytes, PanelBuildRow.table_sha256),
        (PanelContainerRow.object, PanelContainerRow.total_bytes, PanelContainerRow.sha256),
    )
    for part in tx.scalars(select(PartRow)):
        if (counts := counts_from_row(part)) is not None:
            yield Stored(counts.name, counts.n_bytes, counts.sha256)
    queries = [select(*names) for names in columns]
    own = select(PersonalPartRow.object, PersonalPartRow.total_bytes, PersonalPartRow.sha256)
    for query in (*queries, own.where(PersonalPartRow.joined.is_(None))):  # the objects of joined ones were retired
        for row in tx.execute(query.execution_options(yield_per=1_000)):
            yield Stored(*row)


def being_written(tx: Transaction) -> tuple[str, ...]:
    """Object prefixes under a lease or an unfinished erasure; not orphans."""
    moving = tx.execute(select(ErasingChunkRow.new_object, ErasingChunkRow.old_object)).all()
    return (*tx.scalars(select(LeaseRow.prefix)), *(name for row in moving for name in row if name))


def table_keys(tx: Transaction) -> list[tuple[str, bytes]]:
    """(collection, key id) of every key that a directory, carrier counts, a site table, length table or panel build is sealed under."""
    parts = tx.execute(select(PartRow.directory_key_id, PartRow.length_key_id)).all()
    counts = tx.scalars(select(PartRow.counts_key_id).where(PartRow.counts_key_id.is_not(None))).all()
    builds = tx.execute(select(PanelBuildRow.table_key_id, PanelBuildRow.length_key_id)).all()
    chunks = tx.scalars(select(ChunkRow.table_key_id)).all()
    found = [("directory", row.directory_key_id) for row in parts] + [("lengths", row.length_key_id) for row in parts]
    found += [("carrier-counts", key_id) for key_id in counts if key_id is not None]
    found += [("site-table", key_id) for key_id in chunks]
    return found + [("panel", key_id) for row in builds for key_id in row]
