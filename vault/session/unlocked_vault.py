"""An unlocked vault: databases, objects, log and the keys that one principal's slot holds. Opening never creates a vault.

The process that opens one writes no core file and, on Linux, lets no other process of its user read its memory (``files.hardening``).

A vault is a folder:

    vault.json              format, vault id, where books, keys and objects are, the log's anchors
    keystore.a keystore.b   slots and branch keyrings, two copies
    books.db keys.db        unless elsewhere by URL
    objects/                genotype objects, unless elsewhere by URL
"""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from pathlib import Path
from threading import RLock

from sqlalchemy import select

from vault.audit.anchors import Anchor
from vault.audit.head_seal import HeadSeal
from vault.crypto import keystore
from vault.crypto.context import encode_context
from vault.crypto.key_agreement import ExchangeKey
from vault.crypto.keystore import Branch, Factor, HeldFactor, KeyFileFactor, Keyring, PassphraseFactor, Role, Unlocked
from vault.crypto.keystore_format import Document
from vault.crypto.primitives import KEY_BYTES, SigningKey, hkdf_expand_sha256
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, RefusedError, UnavailableError, UsageError
from vault.files.hardening import forbid_dumps
from vault.ids import Clock, RandomBytes, utc_now
from vault.session import failed_unlocks
from vault.session.audit_trail import AuditTrail
from vault.session.authentic_books import AuthenticBooks
from vault.session.caches import Caches
from vault.session.collection_heads import CollectionHeads, Signatory
from vault.session.first_signing import migrate_books
from vault.session.high_water import EVERY, HighWater
from vault.session.on_behalf import OnBehalf
from vault.session.sealed_records import SealedRecords
from vault.session.settings import SETTINGS, Settings, inside, read_settings
from vault.session.subject_keys import SubjectKeys
from vault.session.wrapped_keys import WrappedKeys
from vault.storage.book_tables import PrincipalRow, VaultRow
from vault.storage.database import Database, Transaction, look_into
from vault.storage.migrate import is_current, make_current
from vault.storage.object_store import ObjectStore
from vault.storage.planted import keep_plain

Opener = Factor
"""Unlock factor of a slot, made by ``factor`` or ``hold``."""

Held = HeldFactor
"""Factor of a slot that was opened before, made by ``hold``."""


class UnlockedVault:
    """Databases, objects, keys, sealed records and audit trail of one unlocked principal."""

    def __init__(self, folder: Path, settings: Settings, unlocked: Unlocked, *, clock: Clock, random: RandomBytes) -> None:
        self.folder = folder
        self.settings = settings
        self.vault_id = settings.vault_id
        self.principal = unlocked.principal
        self.role = unlocked.role
        self.clock = clock
        self.random = random
        self.unlocked = unlocked
        self.public = unlocked.public
        self.caches = Caches()
        self.keyring = unlocked.keyring
        database = Database(inside(folder, settings.places.books))
        self._key_database = Database(inside(folder, settings.places.keys))
        self.objects = ObjectStore(inside(folder, settings.places.objects))
        for base, opened in (("books", database), ("keys", self._key_database)):
            keep_plain(opened, base)
        if not is_current(database, "books"):
            migrate_books(database, self.vault_id, unlocked)
        make_current(self._key_database, "keys")
        self.keys = WrappedKeys(
            self._key_database, unlocked.keyring, self.vault_id, clock=clock, random=random, refresh=self._newer_keyring
        )
        self.subject_keys = SubjectKeys(self.keys, self.vault_id, random=random)
        seal = HeadSeal(self.vault_id, self._append_key) if unlocked.keystore.bound else None
        heads = (
            CollectionHeads(self.vault_id, seal, keystore=self._keystore_document, signatory=self._signatory) if seal else None
        )
        self.books = AuthenticBooks(database, heads)
        with database.read() as tx:  # bare: whatever is wrong with a vault, its log can be read
            known = tx.scalars(select(VaultRow)).all()
        row = known[0] if len(known) == 1 else None
        if row is None or row.vault_id != self.vault_id:
            raise IntegrityError("wrong_books", "the books belong to another vault", hint=f"check {SETTINGS}")
        if row.keystore_seq > self.public.seq and row.keystore_seq > keystore.load(folder).public.seq:
            raise IntegrityError("keystore_behind", "the keystore is older than the log says", hint="restore the newest keystore")
        self.trail = AuditTrail(
            database,
            self.keys,
            self.subject_keys,
            unlocked,
            row,
            seal=seal,
            anchors=[Anchor(place) for place in settings.anchors],
            clock=clock,
            random=random,
            signed=self._keep_marks,
            state=self.books.state_to_be,
            standing=self._require_slot,
        )
        self.marks = HighWater(
            self.books,
            self._key_database,
            self.vault_id,
            append_key=self._append_key if unlocked.keystore.bound and self.keyring.has(Branch.LOG_APPEND) else None,
            keystore=self._keystore_marks,
        )
        self._marked = clock()
        self.person: OnBehalf | None = None
        self._service = self
        self._refreshing = RLock()
        self.records = SealedRecords(self.keys, self.vault_id, random=random)

    def acting(self, person: OnBehalf) -> UnlockedVault:
        """This vault for one request of a person for whom this service acts: their principal and role decide, and every entry names both.

        Keys, databases and caches are shared. Safe among threads, one for each request.

        Raises:
            RefusedError: ``not_a_service``.
        """
        if self.role is not Role.SERVICE or self.person is not None:
            raise RefusedError(
                "not_a_service", f"a {self.role.value} acts for nobody else", hint="genovault principal add --role service"
            )
        one = copy.copy(self)
        one.person, one.principal, one.role = person, person.principal, person.role
        one.trail = self.trail.acting(person)
        return one

    def adopt(self, unlocked: Unlocked) -> None:
        """Go on with a keystore that this vault has just changed."""
        self._hold(unlocked)
        self.keys.use(unlocked.keyring)
        self.trail.use(unlocked, new_log=True)

    def require_standing(self, tx: Transaction) -> None:
        """Hold the principal against the books and the newest keystore, in the transaction of an intent or a release.

        Raises:
            RefusedError: ``principal_disabled``. UnavailableError: ``slot_outdated``: the slot was removed or the keys renewed.
        """
        row = tx.get(PrincipalRow, self.principal)
        if row is None or row.state != "active":
            raise RefusedError("principal_disabled", f"{self.principal} is disabled", hint="ask a steward")
        self._require_slot(tx.scalars(select(VaultRow.keystore_seq)).one())

    def require_own_key(self) -> None:
        """Raises UnavailableError ``slot_outdated``: the vault was upgraded, and this slot was not."""
        if self.unlocked.keystore.bound and self.unlocked.signer is None:
            raise UnavailableError(
                "slot_outdated", "this slot is from before the vault was upgraded", hint="ask an administrator: key add-slot"
            )

    def release_signer(self) -> SigningKey:
        """Signing key of manifests. Raises UnavailableError ``branch_closed`` without the release-sign branch."""
        return SigningKey(self.keyring.current(Branch.RELEASE_SIGN)[1])

    def sealing_key(self) -> ExchangeKey:
        """Key that extracts are sealed with as their writer; a new one with each epoch of release-sign. Raises as ``release_signer``."""
        epoch_key = self.keyring.current(Branch.RELEASE_SIGN)[1].reveal()
        context = encode_context("genovault/crypt4gh-writer/v1", self.vault_id)
        return ExchangeKey(Secret(hkdf_expand_sha256(epoch_key, context, KEY_BYTES)))

    def newest_keystore(self) -> Document:
        """The keystore's document, read again: another process may have changed it. Raises as ``Unlocked.refreshed``."""
        return self._keystore_document(again=True)

    def release_keys(self) -> dict[int, bytes]:
        """Public halves (32 bytes) of the keys of manifests, by epoch, the newest first; the keystore's signature vouches for them."""
        return dict(sorted(self.public.by_epoch[Branch.RELEASE_SIGN].items(), reverse=True))

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
            self.marks.keep()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Return connections and sign nothing: for a log that must not be signed as it is."""
        self.trail.close()
        self.caches.clear()
        self.books.close()
        self._key_database.close()

    def _append_key(self, number: int | None) -> tuple[int, Secret]:
        """Number and key of an epoch of log-append, of the newest for None. Raises UnavailableError ``branch_closed``."""
        if number is not None and number not in self.keyring.epochs(Branch.LOG_APPEND):
            self._newer_keyring()
        if number is None:
            return self.keyring.current(Branch.LOG_APPEND)
        return number, self.keyring.epoch(Branch.LOG_APPEND, number)

    def _keystore_document(self, again: bool) -> Document:  # noqa: FBT001 - a callback's only argument
        if again:
            self._newer_keyring()
        return self.unlocked.keystore.document

    def _keystore_marks(self, again: bool) -> tuple[int, str]:  # noqa: FBT001 - a callback's only argument
        document = self._keystore_document(again)
        return document.seq, document.marks

    def _keep_marks(self) -> None:
        """Keep marks beside a checkpoint, unless this process kept some a moment ago."""
        if self.clock() - self._marked >= EVERY:
            self._marked = self.clock()
            self.marks.keep()

    def _require_slot(self, keystore_seq: int) -> None:
        """Look for the slot in the keystore where the books know of a newer one. Raises UnavailableError ``slot_outdated``."""
        if keystore_seq > self.public.seq:
            self._newer_keyring()

    def _signatory(self) -> Signatory:
        return Signatory(self.role.value, self.unlocked.signer)

    def _hold(self, unlocked: Unlocked) -> None:
        self.unlocked, self.public, self.keyring = unlocked, unlocked.public, unlocked.keyring

    def _newer_keyring(self) -> Keyring:
        """Read the keystore again: another process has rotated a key."""
        service = self._service
        with self._refreshing:
            service._hold(service.unlocked.refreshed())  # noqa: SLF001 - of this class: what the requests of a service share
            service.trail.use(service.unlocked)
        if service is not self:
            self._hold(service.unlocked)
            self.trail.use(service.unlocked)
        return self.keyring


def open_vault(
    folder: Path,
    *,
    factor: Factor,
    principal: str | None = None,
    settings: Settings | None = None,
    clock: Clock = utc_now,
    random: RandomBytes = os.urandom,
) -> UnlockedVault:
    """Unlock a vault; a failed unlock is noted, and logged by the next one that succeeds.

    ``settings``: in place of those of vault.json.

    Raises:
        UnavailableError: ``no_vault``, ``cannot_unlock``; IntegrityError: a part is damaged or not this vault's.
    """
    forbid_dumps()
    settings = settings or read_settings(folder)
    unlocked = _unlock(folder, settings, factor, principal, clock)
    vault = UnlockedVault(folder, settings, unlocked, clock=clock, random=random)
    if unlocked.keyring.has(Branch.LOG_APPEND) or not unlocked.keystore.bound:
        failed_unlocks.take_in(vault.trail, folder)
    return vault


def hold(folder: Path, *, factor: Factor, principal: str | None = None, clock: Clock = utc_now) -> HeldFactor:
    """Open a slot to keep its keys for a while, without the root key: whoever administers shows the factor itself. Raises as ``open_vault``."""
    forbid_dumps()
    unlocked = _unlock(folder, read_settings(folder), factor, principal, clock)
    return HeldFactor(unlocked.slot, replace(unlocked.payload, root=None))


def is_held(folder: Path, held: HeldFactor) -> bool:
    """True if a held slot still opens: the keystore has it, unchanged."""
    try:
        keystore.load(folder).unlock(held, principal=held.slot.principal)
    except (UnavailableError, IntegrityError):
        return False
    return True


def _unlock(folder: Path, settings: Settings, factor: Factor, principal: str | None, clock: Clock) -> Unlocked:
    store = keystore.load(folder)
    if store.public.vault_id != settings.vault_id:
        raise IntegrityError("wrong_keystore", "the keystore belongs to another vault", hint=f"check {SETTINGS}")
    try:
        return store.unlock(factor, principal=principal)
    except UnavailableError:
        holders = {slot.principal for slot in store.slots}
        named = principal if principal is not None or len(holders) > 1 else next(iter(holders))
        failed_unlocks.note(folder, clock(), tried=named if named in holders else None)
        raise


def factor(*, passphrase: str | None = None, key_file: Path | None = None) -> Factor:
    """Make an unlock factor of exactly one of a passphrase and a key file.

    Raises:
        UsageError: ``factor_needed``; and as ``KeyFileFactor.from_file``.
    """
    if (passphrase is None) == (key_file is None):
        raise UsageError("factor_needed", "give a passphrase or a key file, one of the two")
    return PassphraseFactor.from_text(passphrase) if passphrase is not None else KeyFileFactor.from_file(key_file or Path())


def open_books(folder: Path) -> Database:
    """Open the book database of a locked vault, to look into. Raises as ``read_settings`` and ``look_into``."""
    return look_into(inside(folder, read_settings(folder).places.books))
