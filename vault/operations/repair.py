"""Mending what ``doctor`` finds and a command can put right without a backup."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import exists, select
from sqlalchemy.orm import Session as Transaction

from vault.audit.actions import Act, Outcome
from vault.audit.reports.records import Filter, records
from vault.crypto import keystore_files
from vault.genotypes.catalog.object_inventory import being_written, named_objects
from vault.ids import SubjectId
from vault.session.unlocked_vault import Session
from vault.session.wrapped_keys import SUBJECT_PURPOSES
from vault.storage.book_tables import LeaseRow, SubjectRow


def orphans(session: Session) -> list[str]:
    """Objects that nothing names and nobody is writing."""
    # First what is there, then what is named: what somebody begins to write in between is not on the list.
    present = [name for name, _ in session.objects.list()]
    with session.books.read() as tx:
        named = {stored.name for stored in named_objects(tx)}
        leased = being_written(tx)
    return [name for name in present if name not in named and not name.startswith(leased)]


def sweep_orphans(session: Session) -> int:
    """Remove objects that nothing names and nobody is writing; how many. Logged."""
    with session.attempting(Act.DOCTOR_RUN):
        found = orphans(session)
        session.objects.delete(found)
        session.record(Act.DOCTOR_RUN, Outcome.DONE, counts={"orphans": len(found)}, flags=["swept"])
    return len(found)


def strangers(session: Session) -> list[SubjectId]:
    """People who have keys and are in no book: those of an import that was killed, or that the books are too old to know.

    Nobody, while an import may be about to enter them.
    """
    held = session.keybook.subjects()
    with session.books.read() as tx:
        return _strangers(tx, held)


def restored(session: Session) -> bool:
    """Whether these books came out of a backup: then newer ones may turn up, and need the keys of people whom these do not know."""
    return next(records(session.log, Filter(act=Act.BACKUP_RESTORE)), None) is not None


def may_sweep_strangers(session: Session) -> bool:
    """Whether ``sweep_strangers`` does anything. Books and keys on PostgreSQL may be one database, which has one writer at a time: there
    the books cannot be held while keys go. Left over keys do no harm.
    """
    return "sqlite" in (session.books.dialect, session.keybook.dialect) and not restored(session)


def sweep_strangers(session: Session) -> int:
    """Destroy the keys of ``strangers``, unless the books were ever restored; how many people those were. Logged."""
    with session.attempting(Act.DOCTOR_RUN):
        if not may_sweep_strangers(session):
            return 0
        held = session.keybook.subjects()
        # All at once, and while nobody can be entered: ``registration`` looks, in its own transaction, that its keys are still there.
        with session.books.write() as tx:
            found = _strangers(tx, held)
            if found:
                session.keybook.destroy(SUBJECT_PURPOSES, found)
        if found:
            session.record(Act.DOCTOR_RUN, Outcome.DONE, counts={"strangers": len(found)}, flags=["swept"])
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
