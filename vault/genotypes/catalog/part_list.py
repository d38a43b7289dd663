"""Listing of a dataset's parts, so that one can be named: by the first digits of its id."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from vault.errors import InputError
from vault.genotypes.catalog import personal_parts
from vault.genotypes.catalog.datasets import Dataset
from vault.ids import PartId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import LayoutMemberRow, PartRow, PersonalPartRow
from vault.storage.timestamps import from_micros, rfc3339

SHOWN_DIGITS = 12  # of a part's id; 48 bits tell the parts of any vault apart
LEAST_DIGITS = 4


AnyPart = PartRow | PersonalPartRow


@dataclass(frozen=True)
class PartSummary:
    """One line of ``dataset parts``: ``people`` whose calls it holds now; ``source`` is the SHA-256 of the imported files, if kept.

    ``compacted``: it is no import but made of imports of one person each. ``joined``: the compacted part in which the import's calls are, and all of its
    bytes.
    """

    part: str
    imported: str
    people: int
    sites: int
    stored_bytes: int
    source: str | None
    compacted: bool = False
    joined: str | None = None


def list_parts(vault: UnlockedVault, dataset: Dataset) -> list[PartSummary]:
    """Parts of a dataset in the order of import, and imports of one person that are in a compacted part by now."""
    members = (
        select(func.count()).select_from(LayoutMemberRow).where(LayoutMemberRow.layout_id == PartRow.layout_id).scalar_subquery()
    )
    query = select(PartRow, members).where(PartRow.dataset_id == dataset.dataset_id).order_by(PartRow.ordinal)
    with vault.books.read() as tx:
        rows: list[tuple[AnyPart, int]] = [(row, people) for row, people in tx.execute(query)]
        rows += [(row, 1) for row in personal_parts.live(tx, dataset.dataset_id)]
        rows += [(row, 1) for row in personal_parts.joined(tx, dataset.dataset_id)]
    return [_summary(row, people) for row, people in sorted(rows, key=lambda found: (found[0].ordinal, found[0].created))]


def _summary(row: AnyPart, people: int) -> PartSummary:
    joined = row.joined if isinstance(row, PersonalPartRow) else None
    return PartSummary(
        part=shown(row.part_id),
        imported=rfc3339(from_micros(row.created)),
        people=people,
        sites=row.n_sites,
        stored_bytes=row.total_bytes if joined is None else 0,
        source=row.source,
        compacted=isinstance(row, PartRow) and row.compacted is not None,
        joined=None if joined is None else shown(joined),
    )


def all_ids(vault: UnlockedVault, dataset: Dataset) -> list[PartId]:
    """Ids of a dataset's parts of both kinds, in order."""
    return [id_of(row) for row in _rows(vault, dataset)]


def by_id(vault: UnlockedVault, dataset: Dataset, given: str) -> AnyPart:
    """The part, or the import that is in a compacted part, whose id begins with the digits that are given. Raises InputError ``part_unknown``, ``part_ambiguous``."""
    every = _rows(vault, dataset, joined=True)
    found = [row for row in every if len(given) >= LEAST_DIGITS and row.part_id.hex().startswith(given.lower())]
    hint = f"genovault dataset parts {dataset.name} lists them"
    if not found:
        raise InputError("part_unknown", f"dataset {dataset.name} has no such part", hint=hint)
    if len(found) > 1:
        raise InputError("part_ambiguous", "several parts begin so", hint=hint)
    return found[0]


def id_of(row: AnyPart) -> PartId:
    """Id of a part's row."""
    return PartId(row.part_id)


def held_as(row: AnyPart) -> PartId:
    """The part that holds what a row tells of: of an import that was joined the compacted part."""
    joined = row.joined if isinstance(row, PersonalPartRow) else None
    return PartId(row.part_id if joined is None else joined)


def shown(part_id: bytes | PartId) -> str:
    """Id of a part as people see it."""
    return part_id.hex()[:SHOWN_DIGITS]


def _rows(vault: UnlockedVault, dataset: Dataset, *, joined: bool = False) -> list[AnyPart]:
    with vault.books.read() as tx:
        shared = tx.scalars(select(PartRow).where(PartRow.dataset_id == dataset.dataset_id)).all()
        found: list[AnyPart] = [*shared, *personal_parts.live(tx, dataset.dataset_id)]
        found += personal_parts.joined(tx, dataset.dataset_id) if joined else []
    return sorted(found, key=lambda row: row.ordinal)
