"""Datasets by name, as SQL has them. It loads no arrays: ``dataset list`` is answered at once. ``parts`` has what they hold.

A dataset without a part is one that was removed: its row stays, because requests and panels tell of it, and nothing finds it.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Subquery, func, or_, select, true, union

from vault.errors import InputError
from vault.genotypes.catalog import part_members, personal_parts
from vault.ids import DatasetId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow, PartRow, PersonalPartRow
from vault.storage.database import Transaction
from vault.storage.stored_types import total

_SHARED = select(PartRow.part_id).where(PartRow.dataset_id == DatasetRow.dataset_id).exists()
HELD = or_(_SHARED, DatasetRow.contigs.is_not(None))  # contigs: of personal parts, until the dataset is removed


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


def all_named(vault: UnlockedVault) -> list[Dataset]:
    """Every dataset that holds a part, by name."""
    with vault.books.read() as tx:
        rows = tx.scalars(select(DatasetRow).where(HELD).order_by(DatasetRow.name)).all()
    return [Dataset(DatasetId(row.dataset_id), row.name, row.assembly) for row in rows]


def list_all(vault: UnlockedVault) -> list[DatasetSummary]:
    """All datasets, by name."""
    with vault.books.read() as tx:
        rows = tx.scalars(select(DatasetRow).where(HELD).order_by(DatasetRow.name)).all()
        return [_summary(tx, row) for row in rows]


def members(dataset_id: bytes) -> Subquery:
    """Subquery of the people of a dataset, each once, as ``subject_id``."""
    own = select(PersonalPartRow.subject_id).where(PersonalPartRow.state == personal_parts.LIVE)
    return union(part_members.of_dataset(dataset_id), own.where(PersonalPartRow.dataset_id == dataset_id)).subquery()


def _summary(tx: Transaction, row: DatasetRow) -> DatasetSummary:
    parts = sites = stored = 0
    for table, live in ((PartRow, true()), (PersonalPartRow, PersonalPartRow.state == personal_parts.LIVE)):
        totals = select(func.count(), total(table.n_sites), total(table.total_bytes))
        found = tx.execute(totals.where(table.dataset_id == row.dataset_id, live)).one()
        parts, sites, stored = parts + int(found[0]), sites + int(found[1] or 0), stored + int(found[2] or 0)
    subjects = tx.scalar(select(func.count()).select_from(members(row.dataset_id))) or 0
    return DatasetSummary(row.name, row.assembly, parts, subjects, sites, stored)
