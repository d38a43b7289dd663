"""Mending what ``doctor`` finds and a command can put right without a backup."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import exists, select

from vault.audit.actions import Action, Outcome
from vault.audit.reports.records import Filter, records
from vault.crypto import keystore_files
from vault.genotypes.catalog.object_inventory import being_written, named_objects
from vault.ids import SubjectId
from vault.session.subject_keys import SUBJECT_PURPOSES
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import LeaseRow, SubjectRow
from vault.storage.database import Transaction


def orphans(vault: UnlockedVault) -> list[str]:
    """Objects that nothing names and nobody is writing."""
    # First what is there, then what is named: what somebody begins to write in between is not on the list.
    present = [name for name, _ in vault.objects.list()]
    with vault.books.read() as tx:
        named = {stored.name for stored in named_objects(tx)}
        leased = being_written(tx)
    return [name for name in present if name not in named and not name.startswith(leased)]


def sweep_orphans(vault: UnlockedVault) -> int:
    """Remove objects that nothing names and nobody is writing; how many. Logged."""
    with vault.trail.attempting(Action.DOCTOR_RUN):
        found = orphans(vault)
        vault.objects.delete(found)
        vault.trail.record(Action.DOCTOR_RUN, Outcome.DONE, counts={"orphans": len(found)}, flags=["swept"])
    return len(found)


def strangers(vault: UnlockedVault) -> list[SubjectId]:
    """People who have keys and are in no book: those of an import that was killed, or that the books are too old to know.

    Nobody, while an import may be about to enter them.
    """
    held = vault.subject_keys.list_all()
    with vault.books.read() as tx:
        return _strangers(tx, held)


def restored(vault: UnlockedVault) -> bool:
    """Whether these books came out of a backup: then newer ones may turn up, and need the keys of people whom these do not know."""
    return next(records(vault.trail.log, Filter(act=Action.BACKUP_RESTORE)), None) is not None


def may_sweep_strangers(vault: UnlockedVault) -> bool:
    """Whether ``sweep_strangers`` does anything. Books and keys on PostgreSQL may be one database, which has one writer at a time: there
    the books cannot be held while keys go. Left over keys do no harm.
    """
    return "sqlite" in (vault.books.dialect, vault.keys.dialect) and not restored(vault)


def sweep_strangers(vault: UnlockedVault) -> int:
    """Destroy the keys of ``strangers``, unless the books were ever restored; how many people those were. Logged."""
    with vault.trail.attempting(Action.DOCTOR_RUN):
        if not may_sweep_strangers(vault):
            return 0
        held = vault.subject_keys.list_all()
        # All at once, and while nobody can be entered: ``registration`` looks, in its own transaction, that its keys are still there.
        with vault.books.write() as tx:
            found = _strangers(tx, held)
            if found:
                vault.keys.destroy(SUBJECT_PURPOSES, found)
        if found:
            vault.trail.record(Action.DOCTOR_RUN, Outcome.DONE, counts={"strangers": len(found)}, flags=["swept"])
    return len(found)


def mend_keystore(folder: Path) -> bool:
    """Write both copies of the keystore from the newest whole one; whether that was needed.

    Raises:
        IntegrityError: ``keystore_damaged``, ``keystore_conflict``: no one copy can be relied on.
    """
    if keystore_files.copies_agree(folder):
        return False
    with keystore_files.locked(folder):
        keystore_files.write(folder, keystore_files.read(folder))
    return True


def _strangers(tx: Transaction, held: Iterable[SubjectId]) -> list[SubjectId]:
    if tx.scalar(select(exists().where(LeaseRow.prefix.is_not(None)))):
        return []
    known = set(tx.scalars(select(SubjectRow.subject_id)))
    return [subject for subject in held if subject not in known]
