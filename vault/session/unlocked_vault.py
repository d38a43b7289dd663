"""An unlocked vault: databases, objects, log and the keys that one principal's slot holds. Opening never creates a vault.

A vault is a folder:

    vault.json              format, vault id, where books, keys and objects are, the log's anchors
    keystore.a keystore.b   slots and branch keyrings, two copies
    books.db keys.db        unless elsewhere by URL
    objects/                genotype objects, unless elsewhere by URL
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import select

from vault.audit.anchors import Anchor
from vault.crypto import keystore
from vault.crypto.keystore import Branch, Factor, KeyFileFactor, Keyring, PassphraseFactor, Unlocked
from vault.crypto.primitives import SigningKey
from vault.errors import IntegrityError, UnavailableError, UsageError
from vault.ids import Clock, RandomBytes, utc_now
from vault.session.audit_trail import AuditTrail, record_failed_unlock
from vault.session.caches import Caches
from vault.session.sealed_records import SealedRecords
from vault.session.settings import SETTINGS, Settings, inside, read_settings
from vault.session.subject_keys import SubjectKeys
from vault.session.wrapped_keys import WrappedKeys
from vault.storage.book_tables import VaultRow
from vault.storage.database import Database
from vault.storage.migrate import make_current
from vault.storage.object_store import ObjectStore

Opener = PassphraseFactor | KeyFileFactor
"""Unlock factor of a slot, made by ``factor``."""


class UnlockedVault:
    """Databases, objects, keys, sealed records and audit trail of one unlocked principal."""

    def __init__(self, folder: Path, settings: Settings, unlocked: Unlocked, *, clock: Clock, random: RandomBytes) -> None:
        self.folder = folder
        self.vault_id = settings.vault_id
        self.principal = unlocked.principal
        self.role = unlocked.role
        self.clock = clock
        self.random = random
        self.unlocked = unlocked
        self.public = unlocked.public
        self.caches = Caches()
        self.keyring = unlocked.keyring
        self.books = Database(inside(folder, settings.places.books))
        self._key_database = Database(inside(folder, settings.places.keys))
        self.objects = ObjectStore(inside(folder, settings.places.objects))
        make_current(self.books, "books")
        make_current(self._key_database, "keys")
        self.keys = WrappedKeys(
            self._key_database, unlocked.keyring, self.vault_id, clock=clock, random=random, refresh=self._newer_keyring
        )
        self.subject_keys = SubjectKeys(self.keys, self.vault_id, random=random)
        with self.books.read() as tx:
            row = tx.scalars(select(VaultRow)).one_or_none()
        if row is None or row.vault_id != self.vault_id:
            raise IntegrityError("wrong_books", "the books belong to another vault", hint=f"check {SETTINGS}")
        if row.keystore_seq > self.public.seq and row.keystore_seq > keystore.load(folder).public.seq:
            raise IntegrityError("keystore_behind", "the keystore is older than the log says", hint="restore the newest keystore")
        self.trail = AuditTrail(
            self.books,
            self.keys,
            self.subject_keys,
            unlocked,
            row,
            anchors=[Anchor(place) for place in settings.anchors],
            clock=clock,
            random=random,
        )
        self.records = SealedRecords(self.keys, self.vault_id, random=random)

    def adopt(self, unlocked: Unlocked) -> None:
        """Go on with a keystore that this vault has just changed."""
        self._hold(unlocked)
        self.keys.use(unlocked.keyring)
        self.trail.use(unlocked, new_log=True)

    def release_signer(self) -> SigningKey:
        """Signing key of manifests. Raises UnavailableError ``branch_closed`` without the release-sign branch."""
        return SigningKey(self.keyring.current(Branch.RELEASE_SIGN)[1])

    def databases(self) -> tuple[tuple[str, Database], ...]:
        """The book and the key database by name, for checks."""
        return ("books", self.books), ("keys", self._key_database)

    def copy_keys(self, path: Path) -> None:
        """Copy the key database, consistent, to a new SQLite file. Raises as ``Database.copy_to``."""
        self._key_database.copy_to(path)

    def close(self) -> None:
        """Sign what is unsigned, if this principal can, and return connections."""
        self.trail.close()
        try:
            if self.keyring.has(Branch.LOG_SIGN):
                self.trail.checkpoint()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Return connections and sign nothing: for a log that must not be signed as it is."""
        self.trail.close()
        self.books.close()
        self._key_database.close()

    def _hold(self, unlocked: Unlocked) -> None:
        self.unlocked, self.public, self.keyring = unlocked, unlocked.public, unlocked.keyring

    def _newer_keyring(self) -> Keyring:
        """Read the keystore again: another process has rotated a key."""
        self._hold(self.unlocked.refreshed())
        self.trail.use(self.unlocked)
        return self.keyring


def open_vault(
    folder: Path, *, factor: Factor, principal: str | None = None, clock: Clock = utc_now, random: RandomBytes = os.urandom
) -> UnlockedVault:
    """Unlock a vault; a failed unlock is logged.

    Raises:
        UnavailableError: ``no_vault``, ``cannot_unlock``; IntegrityError: a part is damaged or not this vault's.
    """
    settings = read_settings(folder)
    store = keystore.load(folder)
    if store.public.vault_id != settings.vault_id:
        raise IntegrityError("wrong_keystore", "the keystore belongs to another vault", hint=f"check {SETTINGS}")
    try:
        unlocked = store.unlock(factor, principal=principal)
    except UnavailableError:
        record_failed_unlock(folder, settings, store.public, clock=clock, random=random)
        raise
    return UnlockedVault(folder, settings, unlocked, clock=clock, random=random)


def factor(*, passphrase: str | None = None, key_file: Path | None = None) -> Factor:
    """Make an unlock factor of exactly one of a passphrase and a key file.

    Raises:
        UsageError: ``factor_needed``; and as ``KeyFileFactor.from_file``.
    """
    if (passphrase is None) == (key_file is None):
        raise UsageError("factor_needed", "give a passphrase or a key file, one of the two")
    return PassphraseFactor.from_text(passphrase) if passphrase is not None else KeyFileFactor.from_file(key_file or Path())


def open_books(folder: Path) -> Database:
    """Open the book database of a locked vault. Raises as ``read_settings`` and ``Database``."""
    return Database(inside(folder, read_settings(folder).places.books))
