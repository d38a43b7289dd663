"""Register of key backups: each copy of the keys, and until when it can open data erased since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.audit.log import Appended
from vault.errors import InputError
from vault.session.principals import require_administrator
from vault.session.unlocked_vault import UnlockedVault, open_books
from vault.storage.book_tables import KeyBackupRow
from vault.storage.database import Database
from vault.storage.timestamps import from_micros, rfc3339, to_micros


@dataclass(frozen=True)
class KeyBackup:
    """One copy of keystore and key database. ``destroyed``: time of the steward's word that it no longer exists."""

    backup_id: str
    created: datetime
    expires: datetime
    destroyed: datetime | None

    def held(self, at: datetime) -> bool:
        """True while the copy must be assumed to exist."""
        return self.destroyed is None and self.expires > at

    def as_dict(self) -> dict[str, str | None]:
        """Fields for JSON documents, times in RFC 3339."""
        gone = None if self.destroyed is None else rfc3339(self.destroyed)
        return {"backup": self.backup_id, "created": rfc3339(self.created), "expires": rfc3339(self.expires), "destroyed": gone}


def list_all(books: Database) -> list[KeyBackup]:
    """All key backups ever made, oldest first. Needs no key."""
    with books.read() as tx:
        return [
            KeyBackup(
                row.backup_id,
                from_micros(row.created),
                from_micros(row.expires),
                None if row.destroyed is None else from_micros(row.destroyed),
            )
            for row in tx.scalars(select(KeyBackupRow).order_by(KeyBackupRow.created))
        ]


def of_vault(folder: Path) -> list[KeyBackup]:
    """As ``list_all``, for a folder that is not unlocked. Raises as ``unlocked_vault.open_books``."""
    books = open_books(folder)
    try:
        return list_all(books)
    finally:
        books.close()


def horizon(backups: list[KeyBackup], *, at: datetime) -> datetime | None:
    """Time at which the last held copy expires; None without one."""
    return max((backup.expires for backup in backups if backup.held(at)), default=None)


def begin(vault: UnlockedVault, *, expires: datetime) -> tuple[KeyBackup, Appended]:
    """Record a key backup before it is made: an unrecorded one would be missing from certificates of erasure. With its intent."""
    now = vault.clock()
    backup = KeyBackup(f"kb-{vault.random(8).hex()}", now, expires, None)
    row = KeyBackupRow(
        backup_id=backup.backup_id,
        keystore_seq=vault.public.seq,
        created=to_micros(now),
        expires=to_micros(expires),
        destroyed=None,
    )
    with vault.books.write() as tx:
        tx.add(row)
        tx.flush()
        counts = {"keystore_seq": vault.public.seq, "expires": int(expires.timestamp())}
        about = ObjectRef("key-backup", backup.backup_id)
        intent = vault.trail.append(tx, Action.BACKUP_CREATE, Outcome.INTENT, obj=about, counts=counts)
    return backup, intent


def destroyed(vault: UnlockedVault, backup_id: str) -> None:
    """Record that a key backup was destroyed, on the steward's word.

    Raises:
        InputError: ``backup_unknown``; ``backup_destroyed``.
    """
    with vault.trail.attempting(Action.BACKUP_DESTROYED):
        require_administrator(vault)
        _record_destroyed(vault, backup_id)


def _record_destroyed(vault: UnlockedVault, backup_id: str) -> None:
    with vault.books.write() as tx:
        row = tx.get(KeyBackupRow, backup_id)
        if row is None:
            raise InputError("backup_unknown", "there is no such key backup", hint="genovault key backups lists them")
        if row.destroyed is not None:
            raise InputError("backup_destroyed", "this key backup was destroyed already")
        row.destroyed = to_micros(vault.clock())
        tx.flush()
        vault.trail.append(tx, Action.BACKUP_DESTROYED, Outcome.DONE, obj=ObjectRef("key-backup", backup_id))
