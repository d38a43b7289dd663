"""An opened vault: databases, objects, log and the keys that one principal's slot holds. ``founding`` alone creates; opening never does.

A vault is a folder:

    vault.json              format, vault id, where books, keys and objects are, the log's anchors
    keystore.a keystore.b   slots and branch keyrings, two copies
    books.db keys.db        unless elsewhere by URL
    objects/                genotype objects, unless elsewhere by URL
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import select

from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.anchors import Anchor
from vault.audit.committer import GroupCommitter
from vault.audit.entry import Actor, Event, Prepared
from vault.audit.log import Appended, AuditLog
from vault.audit.note import ED25519, VerifierKey
from vault.crypto import keystore
from vault.crypto.envelope import Binding, blob_key, open_blob, seal_blob
from vault.crypto.keystore import Branch, Factor, KeyFileFactor, Keyring, PassphraseFactor, PublicKeys, Unlocked
from vault.crypto.primitives import SigningKey
from vault.errors import GenovaultError, IntegrityError, RefusedError, UnavailableError, UsageError
from vault.ids import AuditToken, Clock, RandomBytes, SubjectId, utc_now
from vault.session.settings import SETTINGS, Settings, inside, read_settings
from vault.session.wrapped_keys import WrappedKeys
from vault.storage.audit_tables import AuditDetailRow, AuditSessionRow
from vault.storage.book_tables import VaultRow
from vault.storage.database import Database, Transaction
from vault.storage.migrate import make_current
from vault.storage.object_store import ObjectStore

Opener = PassphraseFactor | KeyFileFactor
"""What opens an unlock slot (``factor`` makes one), for callers above the keys."""


class UnlockedVault:
    """What an unlocked principal works with. Time and randomness are its ``clock`` and ``random``."""

    def __init__(self, folder: Path, settings: Settings, unlocked: Unlocked, *, clock: Clock, random: RandomBytes) -> None:
        self.folder = folder
        self.vault_id = settings.vault_id
        self.principal = unlocked.principal
        self.role = unlocked.role
        self.clock = clock
        self.random = random
        self.unlocked = unlocked
        self.public = unlocked.public
        self.remembered: dict[str, Any] = {}  # what higher modules keep while the session lasts, by module
        self.keyring = unlocked.keyring
        self.books = Database(inside(folder, settings.places.books))
        self._key_database = Database(inside(folder, settings.places.keys))
        self.objects = ObjectStore(inside(folder, settings.places.objects))
        make_current(self.books, "books")
        make_current(self._key_database, "keys")
        self.keys = WrappedKeys(
            self._key_database, unlocked.keyring, self.vault_id, clock=clock, random=random, refresh=self._newer_keyring
        )
        with self.books.read() as tx:
            row = tx.scalars(select(VaultRow)).one_or_none()
        if row is None or row.vault_id != self.vault_id:
            raise IntegrityError("wrong_books", "the books belong to another vault", hint=f"check {SETTINGS}")
        if row.keystore_seq > self.public.seq and row.keystore_seq > keystore.load(folder).public.seq:
            raise IntegrityError("keystore_behind", "the keystore is older than the log says", hint="restore the newest keystore")
        self.origin = row.origin
        self._set_salt = row.set_salt
        self.log = self._new_log()
        self.anchors = tuple(Anchor(folder) for folder in settings.anchors)
        self._committer = GroupCommitter(self._commit_entries)

    def adopt(self, unlocked: Unlocked) -> None:
        """Go on with a keystore that this session has just changed."""
        self.unlocked = unlocked
        self.public = unlocked.public
        self.keyring = unlocked.keyring
        self.keys.use(unlocked.keyring)
        self.log = self._new_log()

    def append(
        self, tx: Transaction, act: Action, outcome: Outcome, *, subjects: Sequence[SubjectId] = (), **fields: Any
    ) -> Appended:
        """An entry in the caller's transaction: the state change and its entry are one. ``fields`` as ``event``'s."""
        return self.log.append(tx, self.event(act, outcome, subjects=subjects, **fields))

    def record(self, act: Action, outcome: Outcome, *, subjects: Sequence[SubjectId] = (), **fields: Any) -> Appended:
        """An entry of its own, durable when this returns; threads of one process share commits."""
        return self.record_event(self.event(act, outcome, subjects=subjects, **fields))

    def record_event(self, event: Event) -> Appended:
        """As ``record``, of a ready event."""
        return self._committer.record(self.log.prepare(event))

    def event(
        self,
        act: Action,
        outcome: Outcome,
        *,
        subjects: Sequence[SubjectId] = (),
        tokens: Sequence[AuditToken] = (),
        asserted_for: str | None = None,
        **fields: Any,
    ) -> Event:
        """An event of this principal, to be appended by the caller. ``tokens``: of further subjects, where they are at hand;
        ``asserted_for``: whom this principal says they act for.
        """
        tokens = sorted((*tokens, *self.keys.tokens(subjects))) if subjects else sorted(tokens)
        actor = Actor(ActorKind(self.role.value), self.principal, asserted_for)
        return Event(act=act, outcome=outcome, actor=actor, subjects=tokens, **fields)

    @contextmanager
    def attempting(self, act: Action, **fields: Any) -> Iterator[None]:
        """Log what goes wrong inside: a refusal as ``refused``, anything else as ``failed``, by its code, then let it pass on.

        Used outside any write transaction, which would roll the entry back with the attempt.
        """
        try:
            yield
        except GenovaultError as error:
            outcome = Outcome.REFUSED if isinstance(error, RefusedError) else Outcome.FAILED
            self._record_quietly(act, outcome, error.code, fields)
            raise
        except Exception:
            self._record_quietly(act, Outcome.FAILED, "internal_error", fields)
            raise

    def checkpoint(self) -> str:
        """Sign the log's head and put it to every anchor; the note's text.

        UnavailableError("branch_closed") without the log-sign branch, ("anchor_unreachable") when an anchor cannot take it.
        """
        try:
            return self._sign_head(self.log_signer())
        except IntegrityError as error:
            if error.code != "note_signature_missing":
                raise
            self.keys.use(self._newer_keyring())  # another process has rotated the signing key and signed since
            return self._sign_head(self.log_signer())

    def hand_over(self, old_epoch: int) -> str:
        """Sign the log's head with the new and the old signing key, so that whoever trusts the old one can follow to the new."""
        return self._sign_head(self.log_signer(), SigningKey(self.keyring.epoch(Branch.LOG_SIGN, old_epoch)))

    def log_keys(self, origin: str | None = None) -> tuple[VerifierKey, ...]:
        """The verifier keys of the log (or of an earlier one, by its origin), newest first."""
        keys = self.public.by_epoch[Branch.LOG_SIGN]
        return tuple(VerifierKey(origin or self.origin, ED25519, keys[epoch]) for epoch in sorted(keys, reverse=True))

    def log_signer(self) -> SigningKey:
        """The log's signing key."""
        return SigningKey(self.keyring.current(Branch.LOG_SIGN)[1])

    def release_signer(self) -> SigningKey:
        """The key that signs manifests."""
        return SigningKey(self.keyring.current(Branch.RELEASE_SIGN)[1])

    def seal_books(self, collection: str, record_id: bytes, content: bytes, *, version: int = 1) -> bytes:
        """Seal a record of the books branch."""
        key = self.keys.branch_key(Branch.BOOKS, collection)
        return seal_blob(
            key.secret, self._binding(collection, record_id, version, key.key_id, key.version), content, random=self.random
        )

    def open_books(self, collection: str, record_id: bytes, sealed: bytes, *, version: int = 1) -> bytes:
        """Open a record of the books branch, under the epoch its header names."""
        _, epoch = blob_key(sealed)
        key = self.keys.branch_key(Branch.BOOKS, collection, epoch=epoch)
        return open_blob(key.secret, self._binding(collection, record_id, version, key.key_id, epoch), sealed)

    def detail(self, index: int) -> dict[str, Any] | None:
        """What auditors read of log entry ``index``; None when nothing was sealed with it. Raises as ``AuditLog.detail``."""
        query = select(AuditSessionRow.audit_read_public).join(
            AuditDetailRow, AuditDetailRow.session_id == AuditSessionRow.session_id
        )
        with self.books.read() as tx:
            sealed_to = tx.scalar(query.where(AuditDetailRow.idx == index))
        epoch = next((number for number, key in self.public.audit_read.items() if key == sealed_to), None)
        current, newest = self.keyring.current(Branch.AUDIT_READ)
        return self.log.detail(index, newest if epoch in (None, current) else self.keyring.epoch(Branch.AUDIT_READ, epoch))

    def databases(self) -> tuple[tuple[str, Database], ...]:
        """Books and keys, by name: to look them over."""
        return ("books", self.books), ("keys", self._key_database)

    def copy_keys(self, path: Path) -> None:
        """A consistent copy of the key database as a new SQLite file. Raises as ``Database.copy_to``."""
        self._key_database.copy_to(path)

    def close(self) -> None:
        """Sign what is unsigned, if this principal can, and return connections."""
        self._committer.close()
        try:
            if self.keyring.has(Branch.LOG_SIGN):
                self.checkpoint()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Return connections and sign nothing: for a log that must not be signed as it is."""
        self._committer.close()
        self.books.close()
        self._key_database.close()

    def _commit_entries(self, batch: Sequence[Prepared]) -> list[Appended]:
        return self.log.record_many(batch)

    def _sign_head(self, *signers: SigningKey) -> str:
        note = self.log.checkpoint(*signers, trusted=self.log_keys())
        for anchor in self.anchors:
            anchor.publish(note)
        return note

    def _newer_keyring(self) -> Keyring:
        """What another process has rotated to meanwhile."""
        self.unlocked = self.unlocked.refreshed()
        self.public, self.keyring = self.unlocked.public, self.unlocked.keyring
        return self.keyring

    def _new_log(self) -> AuditLog:
        return AuditLog(
            self.books,
            vault_id=self.vault_id,
            origin=self.origin,
            set_salt=self._set_salt,
            audit_read_public=self.public.current(Branch.AUDIT_READ)[1],
            clock=self.clock,
            random=self.random,
        )

    def _record_quietly(self, act: Action, outcome: Outcome, code: str, fields: Mapping[str, Any]) -> None:
        # Nothing is released either way, and the first error is the one the person has to mend.
        with suppress(GenovaultError):
            self.record(act, outcome, reasons={code: 1}, **fields)

    def _binding(self, collection: str, record_id: bytes, version: int, key_id: bytes, epoch: int) -> Binding:
        return Binding(
            vault_id=self.vault_id,
            collection=collection,
            record_id=record_id,
            record_version=version,
            key_id=key_id,
            key_version=epoch,
            content_type=f"genovault/{collection}/1",
        )


def open_vault(
    folder: Path, *, factor: Factor, principal: str | None = None, clock: Clock = utc_now, random: RandomBytes = os.urandom
) -> UnlockedVault:
    """Unlock a vault. A failed unlock is logged, as appending needs no secret.

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
        _record_failure(folder, settings, store.public, clock=clock, random=random)
        raise
    return UnlockedVault(folder, settings, unlocked, clock=clock, random=random)


def factor(*, passphrase: str | None = None, key_file: Path | None = None) -> Factor:
    """What unlocks a slot: exactly one of a passphrase and a key file.

    Raises:
        UsageError: ``factor_needed``; and as ``KeyFileFactor.from_file``.
    """
    if (passphrase is None) == (key_file is None):
        raise UsageError("factor_needed", "give a passphrase or a key file, one of the two")
    return PassphraseFactor.from_text(passphrase) if passphrase is not None else KeyFileFactor.from_file(key_file or Path())


def open_books(folder: Path) -> Database:
    """The books of a vault that is not unlocked. Raises as ``read_settings`` and ``Database``."""
    return Database(inside(folder, read_settings(folder).places.books))


def _record_failure(folder: Path, settings: Settings, public: PublicKeys, *, clock: Clock, random: RandomBytes) -> None:
    books = Database(inside(folder, settings.places.books))
    with books.read() as tx:
        row = tx.scalars(select(VaultRow)).one_or_none()
    if row is None or row.vault_id != settings.vault_id:
        raise IntegrityError("wrong_books", "the books belong to another vault", hint=f"check {SETTINGS}")
    log = AuditLog(
        books,
        vault_id=settings.vault_id,
        origin=row.origin,
        set_salt=row.set_salt,
        audit_read_public=public.current(Branch.AUDIT_READ)[1],
        clock=clock,
        random=random,
    )
    log.record(Event(act=Action.VAULT_UNLOCK_FAILED, outcome=Outcome.REFUSED, actor=Actor(ActorKind.UNKNOWN, "unknown")))
    books.close()
