"""Repair what ``doctor`` finds and needs no backup: orphaned objects, orphaned keys, copies of the keystore."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sqlalchemy import exists, select

from vault.audit.actions import Action, Outcome
from vault.audit.reports.records import Filter, records
from vault.crypto import keystore_files
from vault.errors import IntegrityError
from vault.genotypes.catalog.object_inventory import being_written, named_objects
from vault.ids import SubjectId
from vault.session.subject_keys import SUBJECT_PURPOSES
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import LeaseRow, SubjectRow
from vault.storage.database import Transaction


def orphaned_objects(vault: UnlockedVault) -> list[str]:
    """Names of objects without a row in the books and without a lease."""
    # List objects before rows: an object written in between is then not listed.
    present = [name for name, _ in vault.objects.list()]
    with vault.books.read() as tx:
        named = {stored.name for stored in named_objects(tx)}
        leased = being_written(tx)
    return [name for name in present if name not in named and not name.startswith(leased)]


def sweep_orphaned_objects(vault: UnlockedVault) -> int:
    """Delete ``orphaned_objects``, with a log entry; return their number."""
    with vault.trail.attempting(Action.DOCTOR_RUN):
        found = orphaned_objects(vault)
        vault.objects.delete(found)
        vault.trail.record(Action.DOCTOR_RUN, Outcome.DONE, counts={"orphans": len(found)}, flags=["swept"])
    return len(found)


def orphaned_keys(vault: UnlockedVault) -> list[SubjectId]:
    """Subjects with keys and no row: of a killed import, or registered after the backup that the books come from.

    Empty while any lease is held: an import may be about to insert the rows.
    """
    held = vault.subject_keys.list_all()
    with vault.books.read() as tx:
        return _without_row(tx, held)


def restored(vault: UnlockedVault) -> bool:
    """True if the books came from a backup: newer books may turn up, with subjects that need the orphaned keys."""
    return next(records(vault.trail.log, Filter(act=Action.BACKUP_RESTORE)), None) is not None


def may_sweep_orphaned_keys(vault: UnlockedVault) -> bool:
    """False where ``sweep_orphaned_keys`` leaves the keys alone; orphaned keys do no harm.

    Books and keys on PostgreSQL may be one database with one writer at a time: the books cannot be held while keys are destroyed.
    """
    return "sqlite" in (vault.books.dialect, vault.keys.dialect) and not restored(vault)


def sweep_orphaned_keys(vault: UnlockedVault) -> int:
    """Destroy ``orphaned_keys`` unless the books were ever restored, with a log entry; return the number of subjects."""
    with vault.trail.attempting(Action.DOCTOR_RUN):
        if not may_sweep_orphaned_keys(vault):
            return 0
        held = vault.subject_keys.list_all()
        # In one transaction, while no subject can be inserted: ``registration`` checks its keys in its own transaction.
        with vault.books.write() as tx:
            found = _without_row(tx, held)
            if found:
                vault.keys.destroy(SUBJECT_PURPOSES, found)
        if found:
            vault.trail.record(Action.DOCTOR_RUN, Outcome.DONE, counts={"strangers": len(found)}, flags=["swept"])
    return len(found)


def mend(vault: UnlockedVault) -> None:
    """Mend what can be mended; what stands in the way of a step, doctor's report says, and what mends that.

    Raises:
        RefusedError: ``not_authorised``. UnavailableError: a store does not answer.
    """
    for step in (take_out_added_leases, sweep_orphaned_objects, sweep_orphaned_keys):
        with suppress(IntegrityError):
            step(vault)
    mend_keystore(vault.folder)


def take_out_added_leases(vault: UnlockedVault) -> int:
    """Take out leases that no session has taken, which stop every opening, with a log entry; return their number."""
    with vault.trail.attempting(Action.DOCTOR_RUN):
        if found := vault.books.take_out_added(LeaseRow.__tablename__):
            vault.trail.record(Action.DOCTOR_RUN, Outcome.DONE, counts={"leases": found}, flags=["swept"])
    return found


def mend_keystore(folder: Path) -> bool:
    """Write both copies of the keystore from the newest whole one; return whether that was needed.

    Raises:
        IntegrityError: ``keystore_damaged``, ``keystore_conflict``: no copy can be relied on.
    """
    if keystore_files.copies_agree(folder):
        return False
    with keystore_files.locked(folder):
        keystore_files.write(folder, keystore_files.read(folder))
    return True


def _without_row(tx: Transaction, held: Iterable[SubjectId]) -> list[SubjectId]:
    if tx.scalar(select(exists().where(LeaseRow.prefix.is_not(None)))):
        return []
    known = set(tx.scalars(select(SubjectRow.subject_id)))
    return [subject for subject in held if subject not in known]
