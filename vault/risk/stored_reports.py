"""Stored risk reports: the last of each request, sealed, with what it rests on. An erasure deletes those about the person's datasets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete

from vault.access.request_records import Request
from vault.errors import InputError
from vault.session.row_faults import row_faults
from vault.session.sealed_records import SealedRecord
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.storage.disclosure_tables import RiskReportRow
from vault.storage.timestamps import from_micros, to_micros

SEALED = SealedRecord("risk_report")
TABLE = RiskReportRow.__tablename__


@dataclass(frozen=True)
class StoredReport:
    """Report as it was shown, by whom and when. ``basis``: digest of what it rests on, 64 hex digits."""

    made: datetime
    made_by: str
    basis: str
    document: Mapping[str, Any] = field(repr=False)


def keep(vault: UnlockedVault, tx: Transaction, request: Request, document: Mapping[str, Any], *, basis: str) -> None:
    """Store a report in place of the request's last one, in the transaction of its entry."""
    made = to_micros(vault.clock())
    said = {"document": document, "basis": basis, "made_by": vault.principal}
    row = RiskReportRow(request_id=request.request_id, dataset_id=request.dataset_id, made=made, sealed=b"")
    row.sealed = SEALED.seal(vault.records, request.request_id, said, standing=_standing(row))
    tx.merge(row)
    tx.flush()


def last(vault: UnlockedVault, tx: Transaction, request_id: str) -> StoredReport:
    """The last report of a request. Raises InputError ``no_report``; IntegrityError ``risk_report_altered``, ``seal_broken``."""
    row = tx.get(RiskReportRow, request_id)
    if row is None:
        raise InputError("no_report", f"there is no report of request {request_id}", hint=f"genovault request risk {request_id}")
    said = _opened(vault, row)
    return StoredReport(from_micros(row.made), said["made_by"], said["basis"], said["document"])


def made(vault: UnlockedVault, request_id: str) -> str | None:
    """Day and maker of a request's last report, in words; None where there is none. Raises IntegrityError as ``last``."""
    with vault.books.read() as tx:
        if tx.get(RiskReportRow, request_id) is None:
            return None
        found = last(vault, tx, request_id)
    return f"{found.made:%Y-%m-%d %H:%M} by {found.made_by}"


def purge(tx: Transaction, datasets: Iterable[bytes]) -> None:
    """Delete every report about these datasets: they are derived from somebody who is erased."""
    tx.execute(delete(RiskReportRow).where(RiskReportRow.dataset_id.in_(sorted(datasets))))


def faults(vault: UnlockedVault) -> list[str]:
    """Reports that are not as they were made, a line each."""
    return row_faults(
        vault,
        RiskReportRow,
        lambda _, row: _opened(vault, row),
        lambda row, error: f"the risk report of request {row.request_id}: {error.message}",
    )


def _opened(vault: UnlockedVault, row: RiskReportRow) -> dict[str, Any]:
    said: dict[str, Any] = SEALED.open(vault.records, row.request_id, row.sealed, standing=_standing(row))
    return said


def _standing(row: RiskReportRow) -> list[str | int]:
    return [row.request_id, row.dataset_id.hex(), row.made]
