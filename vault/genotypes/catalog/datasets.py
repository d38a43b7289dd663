"""Datasets by name, as SQL has them. It loads no arrays: ``dataset list`` is answered at once. ``parts`` has what they hold.

A dataset without a part is one that was removed: its row stays, because requests and panels tell of it, and nothing finds it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from vault.errors import InputError
from vault.ids import DatasetId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow, PartMemberRow, PartRow
from vault.storage.database import Transaction
from vault.storage.stored_types import total

HELD = select(PartRow.part_id).where(PartRow.dataset_id == DatasetRow.dataset_id).exists()


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
        row = tx.scalars(select(DatasetRow).where(DatasetRow.name == name, HELD)).one_or_none()
    if row is None:
        raise InputError("dataset_unknown", f"there is no dataset {name}", hint="genovault dataset list")
    return Dataset(DatasetId(row.dataset_id), row.name, row.assembly)


def list_all(vault: UnlockedVault) -> list[DatasetSummary]:
    """All datasets, by name."""
    with vault.books.read() as tx:
        rows = tx.scalars(select(DatasetRow).where(HELD).order_by(DatasetRow.name)).all()
        return [_summary(tx, row) for row in rows]


def _summary(tx: Transaction, row: DatasetRow) -> DatasetSummary:
    parts = tx.execute(
        select(func.count(), total(PartRow.n_sites), total(PartRow.total_bytes)).where(PartRow.dataset_id == row.dataset_id)
    ).one()
    members = select(func.count(PartMemberRow.subject_id.distinct())).join(PartRow, PartRow.part_id == PartMemberRow.part_id)
    subjects = tx.scalar(members.where(PartRow.dataset_id == row.dataset_id)) or 0
    return DatasetSummary(row.name, row.assembly, int(parts[0]), subjects, int(parts[1] or 0), int(parts[2] or 0))
