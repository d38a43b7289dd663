"""The book of datasets: parts, their chunks and members in SQL. ``reader`` reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from vault.errors import InputError
from vault.ids import DatasetId, PartId, SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.base import bulk_insert
from vault.storage.book_tables import ChunkRow, ContainerRow, DatasetRow, PartMemberRow, PartRow
from vault.storage.bulk_columns import insert_columns
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

if TYPE_CHECKING:  # a list of datasets needs no arrays
    from vault.genotypes.store.part_records import ChunkRecord, PartRecord


@dataclass(frozen=True)
class Dataset:
    """One imported call set on one assembly."""

    dataset_id: DatasetId
    name: str
    assembly: str


@dataclass(frozen=True)
class DatasetSummary:
    """One line of ``dataset list``: nothing that depends on a single person."""

    name: str
    assembly: str
    parts: int
    subjects: int
    sites: int
    stored_bytes: int


def by_name(vault: UnlockedVault, name: str) -> Dataset:
    """A dataset by its name. Raises InputError ``dataset_unknown``."""
    with vault.books.read() as tx:
        row = tx.scalars(select(DatasetRow).where(DatasetRow.name == name)).one_or_none()
    if row is None:
        raise InputError("dataset_unknown", f"there is no dataset {name}", hint="genovault dataset list")
    return Dataset(DatasetId(row.dataset_id), row.name, row.assembly)


def list_all(vault: UnlockedVault) -> list[DatasetSummary]:
    """All datasets, by name."""
    with vault.books.read() as tx:
        rows = tx.scalars(select(DatasetRow).order_by(DatasetRow.name)).all()
        return [_summary(tx, row) for row in rows]


def add_part(tx: Transaction, vault: UnlockedVault, dataset: Dataset, part: PartRecord, chunks: Sequence[ChunkRecord]) -> None:
    """Name a written part's objects in the books, in the caller's transaction."""
    ordinal = tx.scalar(select(func.count()).select_from(PartRow).where(PartRow.dataset_id == dataset.dataset_id)) or 0
    row = PartRow(
        part_id=part.part_id,
        dataset_id=dataset.dataset_id,
        ordinal=ordinal,
        n_subjects=part.n_subjects,
        n_sites=part.n_sites,
        n_chunks=part.n_chunks,
        total_bytes=part.total_bytes,
        directory_object=part.directory_name,
        directory_bytes=part.directory_bytes,
        directory_sha256=part.directory_sha256,
        directory_key_id=part.directory_key_id,
        length_key_id=part.length_key_id,
        created=to_micros(vault.clock()),
    )
    tx.add(row)
    tx.flush()
    bulk_insert(tx, ChunkRow, [_chunk_fields(part.part_id, chunk) for chunk in chunks])
    bulk_insert(tx, ContainerRow, [fields for chunk in chunks for fields in _container_fields(part.part_id, chunk)])


def add_members(tx: Transaction, part_id: PartId, members: Mapping[SubjectId, tuple[int, int]]) -> None:
    """Record each subject's (group, slot) in a part."""
    subjects = sorted(members)
    groups, slots = ([members[subject][at] for subject in subjects] for at in (0, 1))
    insert_columns(tx, PartMemberRow, {"part_id": part_id, "subject_id": subjects, "group_no": groups, "slot": slots})


def _chunk_fields(part_id: PartId, chunk: ChunkRecord) -> dict[str, object]:
    return {
        "part_id": part_id,
        "ordinal": chunk.ordinal,
        "n_sites": chunk.n_sites,
        "table_version": chunk.table_version,
        "table_object": chunk.table_name,
        "table_bytes": chunk.table_bytes,
        "table_sha256": chunk.table_sha256,
        "table_key_id": chunk.table_key_id,
    }


def _container_fields(part_id: PartId, chunk: ChunkRecord) -> list[dict[str, object]]:
    return [
        {
            "container_id": ref.container_id,
            "part_id": part_id,
            "chunk": chunk.ordinal,
            "group_no": ref.group,
            "n_slots": ref.n_slots,
            "nonce": ref.nonce8,
            "header_bytes": ref.header_bytes,
            "total_bytes": ref.total_bytes,
            "object": name,
            "sha256": ref.sha256,
        }
        for ref, name in zip(chunk.containers, chunk.container_names, strict=True)
    ]


def _summary(tx: Transaction, row: DatasetRow) -> DatasetSummary:
    parts = tx.execute(
        select(func.count(), func.sum(PartRow.n_sites), func.sum(PartRow.total_bytes)).where(PartRow.dataset_id == row.dataset_id)
    ).one()
    members = select(func.count(PartMemberRow.subject_id.distinct())).join(PartRow, PartRow.part_id == PartMemberRow.part_id)
    subjects = tx.scalar(members.where(PartRow.dataset_id == row.dataset_id)) or 0
    return DatasetSummary(row.name, row.assembly, int(parts[0]), subjects, int(parts[1] or 0), int(parts[2] or 0))
