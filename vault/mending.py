"""Mending what ``doctor`` finds and a command can put right without a backup."""

from __future__ import annotations

from pathlib import Path

from vault.audit.acts import Act, Outcome
from vault.crypto import keystore_files
from vault.genotypes.inventory import being_written, named_objects
from vault.session import Session


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
