"""Exact frequency tables that were given: each once, sealed with the cohort that it is of, and what may be given beside them.

The difference of two tables is a table of the people in whom their cohorts differ. So a table is held against all that were given in the
vault, of whatever project, dataset and sites: linked sites tell as much as the same ones. Rows are a collection: none goes back or
away alone.

    blob   JSON {"n", "people": base64 of ids, "calls": hex, "masks": hex, "alleles": [as asked], "rows": [[allele, frequency]] or null, …}

After an erasure the table is forgotten, the person leaves its cohort, and that somebody did is counted: what left has left, and the next
table must not be this one without them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from policies.disclosure import cells, nats, tables
from policies.disclosure.nats import Micronats
from vault.access.disclosure import families
from vault.access.projects import Project
from vault.audit.bands import band
from vault.errors import RefusedError
from vault.ids import ID_BYTES, DatasetId, SubjectId, new_id
from vault.session.row_faults import row_faults
from vault.session.sealed_records import SealedRecord
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.storage.disclosure_tables import FrequencyTableRow

SEALED = SealedRecord("frequency_table")
TABLE = FrequencyTableRow.__tablename__

_Row = FrequencyTableRow


@dataclass(frozen=True)
class TableCohort:
    """Cohort of a table: ``people``, and digests of where their calls are and of what is masked for them, 32 bytes each."""

    people: frozenset[SubjectId]
    calls: bytes
    masks: bytes


@dataclass(frozen=True)
class StoredTable:
    """A table as it was given; ``rows``: allele and frequency as written, None once somebody of the dataset is erased.

    ``n``: people of its cohort, of whom ``gone`` were erased since. ``alleles``: all that were asked for. ``made``: microseconds since 1970 UTC.
    """

    project_id: bytes
    dataset_id: DatasetId
    panel_id: bytes
    made: int
    cohort: TableCohort
    n: int
    gone: int
    alleles: tuple[str, ...]
    rows: tuple[tuple[str, str], ...] | None
    price: Micronats

    def serves(self, other: TableCohort) -> bool:
        """True if it may be given again: everybody in it still takes part, nothing else is masked, and too few came for another one."""
        come = len(other.people) - len(self.cohort.people)
        stays = self.rows is not None and not self.gone and self.cohort.masks == other.masks
        return stays and come <= tables.NEAR and self.cohort.people <= other.people


def all_of(vault: UnlockedVault, tx: Transaction) -> list[StoredTable]:
    """Every table that was given, the oldest first. Raises IntegrityError ``frequency_table_altered``, ``seal_broken``."""
    return [_opened(vault, row) for row in tx.scalars(select(_Row).order_by(_Row.made, _Row.table_id))]


def floor_of(n: int) -> int:
    """Lower end of the band in which a number of people is told, by which prices and steps go."""
    return max(cells.FLOOR, band(n) - 1)


def given(tx: Transaction, project: Project) -> bool:
    """True if a table was given to the project."""
    return tx.scalar(select(_Row.table_id).where(_Row.project_id == project.project_id).limit(1)) is not None


def require_apart(known: Iterable[StoredTable], cohort: TableCohort, dataset_id: DatasetId) -> None:
    """Refuse a cohort that differs from an earlier table's by a few people, or in calls of the same ones.

    Raises:
        RefusedError: ``cohort_too_near``.
    """
    for one in known:
        same = one.dataset_id == dataset_id and one.cohort.people == cohort.people and not one.gone
        moved = same and one.cohort.calls != cohort.calls
        if moved or tables.too_near(cohort.people, one.cohort.people, gone=one.gone):
            raise RefusedError(
                "cohort_too_near",
                f"an exact table of nearly the same people was given: beside this one it would tell of at most {tables.NEAR}",
                hint=f"ask for counts, or again when more than {tables.NEAR} people came or left",
            )


def together(
    vault: UnlockedVault,
    tx: Transaction,
    project: Project,
    dataset_id: DatasetId,
    *,
    asked: Sequence[str],
    people: frozenset[SubjectId],
) -> tuple[float, float]:
    """μ of all tables of the dataset's family with this one beside them, and μ of the project's own; sites of one cohort count once."""
    family = families.of_all(vault, tx).get(dataset_id, frozenset({dataset_id}))
    known = [one for one in all_of(vault, tx) if one.dataset_id in family]
    own = [one for one in known if one.project_id == project.project_id]
    return _strength(known, dataset_id, asked, people), _strength(own, dataset_id, asked, people)


def require_within(strength: tuple[float, float], declared: int | None) -> None:
    """Refuse a table with which people could be found too well.

    Raises:
        RefusedError: ``too_many_sites``.
    """
    every, own = strength
    if not tables.within(every) or not tables.within(own, declared):
        mu = max(every, own)
        raise RefusedError(
            "too_many_sites",
            f"with this table beside all that were given a member could be found too well (mu {mu:.3f})",
            hint="take a panel with fewer alleles, or ask for counts",
        )


def keep(vault: UnlockedVault, tx: Transaction, table: StoredTable) -> StoredTable:
    """Store a new table in the caller's write transaction; the table."""
    row = _Row(
        table_id=new_id(vault.random),
        project_id=table.project_id,
        dataset_id=table.dataset_id,
        panel_id=table.panel_id,
        made=table.made,
        gone=table.gone,
    )
    _seal(vault, row, table)
    tx.add(row)
    tx.flush()
    return table


def forget(vault: UnlockedVault, tx: Transaction, datasets: Iterable[bytes], *, erased: SubjectId | None = None) -> None:
    """Forget the tables of these datasets, but not of how many and whom they were; ``erased``: somebody who leaves every cohort."""
    wanted = {bytes(one) for one in datasets}
    for row in tx.scalars(select(_Row)).all():
        table = _opened(vault, row)
        was_in = erased is not None and erased in table.cohort.people
        if was_in and erased is not None:
            cohort = replace(table.cohort, people=table.cohort.people - {erased}, calls=bytes(32))
            table = replace(table, cohort=cohort, gone=table.gone + 1)
            row.gone += 1
        if was_in or row.dataset_id in wanted:
            _seal(vault, row, replace(table, rows=None))
    tx.flush()


def faults(vault: UnlockedVault) -> list[str]:
    """Tables that are not as they were given, a line each."""
    return row_faults(vault, _Row, lambda _, row: _opened(vault, row), lambda _, error: f"a frequency table: {error.message}")


def _strength(known: Iterable[StoredTable], dataset_id: DatasetId, asked: Sequence[str], people: frozenset[SubjectId]) -> float:
    sites: dict[tuple[bytes, frozenset[SubjectId], int], tuple[set[str], int]] = {}
    for one in known:
        alleles, _ = sites.setdefault((one.dataset_id, one.cohort.people, one.gone), (set(), one.n))
        alleles.update(one.alleles)
    mine, _ = sites.setdefault((dataset_id, people, 0), (set(), len(people)))
    mine.update(asked)
    return tables.together((len(alleles), n) for alleles, n in sites.values())


def _seal(vault: UnlockedVault, row: FrequencyTableRow, table: StoredTable) -> None:
    said: dict[str, Any] = {
        "n": table.n,
        "people": base64.b64encode(b"".join(sorted(table.cohort.people))).decode(),
        "calls": table.cohort.calls.hex(),
        "masks": table.cohort.masks.hex(),
        "alleles": list(table.alleles),
        "rows": None if table.rows is None else [list(one) for one in table.rows],
        "price": nats.text(table.price),
    }
    row.sealed = SEALED.seal(vault.records, row.table_id, said, standing=_standing(row))


def _opened(vault: UnlockedVault, row: FrequencyTableRow) -> StoredTable:
    """Raises IntegrityError ``frequency_table_altered``, ``seal_broken``."""
    said = SEALED.open(vault.records, row.table_id, row.sealed, standing=_standing(row))
    ids = base64.b64decode(said["people"])
    people = frozenset(SubjectId(ids[at : at + ID_BYTES]) for at in range(0, len(ids), ID_BYTES))
    return StoredTable(
        project_id=row.project_id,
        dataset_id=DatasetId(row.dataset_id),
        panel_id=row.panel_id,
        made=row.made,
        cohort=TableCohort(people, bytes.fromhex(said["calls"]), bytes.fromhex(said["masks"])),
        n=said["n"],
        gone=row.gone,
        alleles=tuple(said["alleles"]),
        rows=None if said["rows"] is None else tuple((allele, frequency) for allele, frequency in said["rows"]),
        price=nats.parse(said["price"], place="price"),
    )


def _standing(row: FrequencyTableRow) -> list[str | int]:
    return [row.project_id.hex(), row.dataset_id.hex(), row.panel_id.hex(), row.made, row.gone]
