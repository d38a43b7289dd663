"""An opened vault: databases, objects, log and the keys that one principal's slot holds. Init alone creates; open never does.

A vault is a folder:

    vault.json              format, vault id, where books, keys and objects are, the log's anchors
    keystore.a keystore.b   slots and branch keyrings, two copies
    books.db keys.db        unless elsewhere by URL
    objects/                genotype objects, unless elsewhere by URL
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from vault.audit.acts import Act, Outcome
from vault.audit.acts import Role as ActorRole
from vault.audit.anchors import Anchor
from vault.audit.committer import GroupCommitter
from vault.audit.entry import Actor, Event, Obj, Prepared
from vault.audit.log import Appended, AuditLog
from vault.audit.note import ED25519, VerifierKey
from vault.crypto import keystore
from vault.crypto.custody import KeyPurpose
from vault.crypto.envelope import Binding, blob_key, open_blob, seal_blob
from vault.crypto.keystore import Branch, Factor, KeyFileFactor, Keyring, PassphraseFactor, PublicKeys, Unlocked
from vault.crypto.primitives import Argon2Profile, SigningKey
from vault.errors import GenovaultError, InputError, IntegrityError, RefusedError, UnavailableError, UsageError
from vault.ids import Clock, RandomBytes, SubjectId, VaultId, new_id, utc_now
from vault.keybook import KeyBook
from vault.storage.audit_tables import AuditDetailRow, AuditSessionRow
from vault.storage.books import PrincipalRow, VaultRow
from vault.storage.database import Database, create_sqlite_file
from vault.storage.keys import WrappedKeyRow
from vault.storage.migrate import has_tables, remove, require_current, upgrade
from vault.storage.objects import ObjectStore
from vault.times import to_micros

VAULT_FORMAT = "genovault/vault/1"
SETTINGS = "vault.json"

PROFILES = {"default": Argon2Profile.DEFAULT, "high-memory": Argon2Profile.HIGH_MEMORY, "test-only": Argon2Profile.TEST_ONLY}
"""What a guess of the passphrase costs, by name. "test-only" protects nothing."""


Opener = PassphraseFactor | KeyFileFactor
"""What opens an unlock slot (``factor`` makes one), for callers above the keys."""


@dataclass(frozen=True)
class Places:
    """Where the parts of a vault are; relative SQLite files and folders are inside the vault's folder."""

    books: str = "sqlite:///books.db"
    keys: str = "sqlite:///keys.db"
    objects: str = "objects"


@dataclass(frozen=True)
class Settings:
    """The parsed vault.json."""

    vault_id: VaultId
    places: Places
    anchors: tuple[Path, ...] = ()


class Session:
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
        self.books = Database(_inside(folder, settings.places.books))
        self._keys = Database(_inside(folder, settings.places.keys))
        self.objects = ObjectStore(_inside(folder, settings.places.objects))
        require_current(self.books, "books")
        require_current(self._keys, "keys")
        self.keybook = KeyBook(
            self._keys, unlocked.keyring, self.vault_id, clock=clock, random=random, refresh=self._newer_keyring
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
        self.keybook.use(unlocked.keyring)
        self.log = self._new_log()

    def append(
        self, tx: Transaction, act: Act, outcome: Outcome, *, subjects: Sequence[SubjectId] = (), **fields: object
    ) -> Appended:
        """An entry in the caller's transaction: the state change and its entry are one."""
        return self.log.append(tx, self.event(act, outcome, subjects=subjects, **fields))

    def record(self, act: Act, outcome: Outcome, *, subjects: Sequence[SubjectId] = (), **fields: Any) -> Appended:
        """An entry of its own, durable when this returns; threads of one process share commits."""
        return self.record_event(self.event(act, outcome, subjects=subjects, **fields))

    def record_event(self, event: Event) -> Appended:
        """As ``record``, of a ready event."""
        return self._committer.record(self.log.prepare(event))

    def event(self, act: Act, outcome: Outcome, *, subjects: Sequence[SubjectId] = (), **fields: Any) -> Event:
        """An event of this principal, to be appended by the caller."""
        tokens = tuple(self.keybook.tokens(subjects)) if subjects else ()
        actor = Actor(ActorRole(self.role.value), self.principal)
        return Event(act=act, outcome=outcome, actor=actor, subjects=tokens, **fields)

    @contextmanager
    def attempting(self, act: Act, **fields: Any) -> Iterator[None]:
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
            self.keybook.use(self._newer_keyring())  # another process has rotated the signing key and signed since
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
        key = self.keybook.branch_key(Branch.BOOKS, collection)
        return seal_blob(
            key.secret, self._binding(collection, record_id, version, key.key_id, key.version), content, random=self.random
        )

    def open_books(self, collection: str, record_id: bytes, sealed: bytes, *, version: int = 1) -> bytes:
        """Open a record of the books branch, under the epoch its header names."""
        _, epoch = blob_key(sealed)
        key = self.keybook.branch_key(Branch.BOOKS, collection, epoch=epoch)
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
        return ("books", self.books), ("keys", self._keys)

    def copy_keys(self, path: Path) -> None:
        """A consistent copy of the key database as a new SQLite file. Raises as ``Database.copy_to``."""
        self._keys.copy_to(path)

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
        self._keys.close()

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

    def _record_quietly(self, act: Act, outcome: Outcome, code: str, fields: Mapping[str, Any]) -> None:
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


def init(
    folder: Path,
    *,
    steward: str,
    factor: Factor,
    places: Places = Places(),
    profile: Argon2Profile = Argon2Profile.DEFAULT,
    clock: Clock = utc_now,
    random: RandomBytes = os.urandom,
) -> VaultId:
    """Make a new vault in a folder that is absent or empty; it appears whole.

    Raises:
        InputError: ``vault_exists``: something is already there (folder or database); ``one_database``.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError("vault_exists", f"{folder} is not empty", hint="init never overwrites: choose another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = folder.parent / f".{folder.name}.{random(6).hex()}.init"
    staging.mkdir(mode=0o700)
    try:
        vault_id = _furnish(staging, steward=steward, factor=factor, places=places, profile=profile, clock=clock, random=random)
        if folder.exists():
            folder.rmdir()
        staging.rename(folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return vault_id


def open_session(
    folder: Path, *, factor: Factor, principal: str | None = None, clock: Clock = utc_now, random: RandomBytes = os.urandom
) -> Session:
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
    return Session(folder, settings, unlocked, clock=clock, random=random)


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
    return Database(_inside(folder, read_settings(folder).places.books))


def read_settings(folder: Path) -> Settings:
    """Parse vault.json strictly."""
    try:
        raw = (folder / SETTINGS).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise UnavailableError("no_vault", f"{folder} holds no vault", hint="genovault init DIR --steward NAME") from None
    try:
        document = json.loads(raw)
        fields = {name: document.pop(name) for name in ("format", "vault_id", "books", "keys", "objects")}
        vault_id = VaultId(bytes.fromhex(fields["vault_id"]))
        anchors = tuple(Path(place) for place in document.pop("anchors", ()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise IntegrityError("settings_malformed", f"{SETTINGS} cannot be read", hint="restore it from a backup") from None
    if document or fields["format"] != VAULT_FORMAT or len(vault_id) != 16:
        raise IntegrityError("settings_unknown", f"{SETTINGS} is of an unknown format", hint="upgrade genovault")
    return Settings(vault_id, Places(fields["books"], fields["keys"], fields["objects"]), anchors)


def write_settings(folder: Path, settings: Settings) -> None:
    """Replace vault.json; a reader finds the old one or the new one, whole."""
    document: dict[str, object] = {"format": VAULT_FORMAT, "vault_id": settings.vault_id.hex(), **vars(settings.places)}
    if settings.anchors:
        document["anchors"] = [str(place) for place in settings.anchors]
    fresh = folder / f".{SETTINGS}.new"
    descriptor = os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(document, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.rename(folder / SETTINGS)
    parent = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def _furnish(
    folder: Path, *, steward: str, factor: Factor, places: Places, profile: Argon2Profile, clock: Clock, random: RandomBytes
) -> VaultId:
    if places.books == places.keys:
        raise InputError("one_database", "books and keys need a database each", hint="keys are backed up apart from data")
    settings = Settings(VaultId(new_id(random)), places)
    unlocked = keystore.create(
        folder, vault_id=settings.vault_id, principal=steward, factor=factor, profile=profile, random=random
    )
    with ExitStack() as undo:
        books, keys = (
            _new_database(folder, place, base, undo) for place, base in ((places.books, "books"), (places.keys, "keys"))
        )
        if "://" not in places.objects:
            Path(_inside(folder, places.objects)).mkdir(mode=0o700)
        write_settings(folder, settings)
        keybook = KeyBook(keys, unlocked.keyring, settings.vault_id, clock=clock, random=random)
        for purpose in (KeyPurpose.REFERENCE_INDEX, KeyPurpose.HANDLE):
            keybook.create(purpose, [settings.vault_id])
        _first_entry(books, settings.vault_id, unlocked, clock=clock, random=random)
        books.close()
        keys.close()
        Session(folder, settings, unlocked, clock=clock, random=random).close()
        undo.pop_all()
    return settings.vault_id


def _new_database(folder: Path, place: str, base: str, undo: ExitStack) -> Database:
    """A database with empty tables; what was made outside the folder is taken away again if ``undo`` runs."""
    if place.startswith("sqlite:///"):
        path = Path(_inside(folder, place).removeprefix("sqlite:///"))
        create_sqlite_file(path)
        undo.callback(path.unlink, missing_ok=True)
    database = Database(_inside(folder, place))
    undo.callback(database.close)
    if not has_tables(database):
        undo.callback(remove, database, base)
    upgrade(database, base)
    with database.read() as tx:
        if (
            tx.scalars(select(VaultRow.vault_id) if base == "books" else select(WrappedKeyRow.key_id).limit(1)).first()
            is not None
        ):
            raise InputError("vault_exists", "the database already holds a vault", hint="give each vault databases of its own")
    return database


def _first_entry(books: Database, vault_id: VaultId, unlocked: Unlocked, *, clock: Clock, random: RandomBytes) -> None:
    """The vault's row, its first principal, the empty log and the log's first entry, in one transaction."""
    now = to_micros(clock())
    row = VaultRow(
        vault_id=vault_id,
        origin=f"genovault.local/{vault_id.hex()}/log1",
        set_salt=random(16),
        created=now,
        keystore_seq=unlocked.public.seq,
        reference_version=1,
    )
    log = AuditLog(
        books,
        vault_id=vault_id,
        origin=row.origin,
        set_salt=row.set_salt,
        audit_read_public=unlocked.public.current(Branch.AUDIT_READ)[1],
        clock=clock,
        random=random,
    )
    actor, seq = Actor(ActorRole(unlocked.role.value), unlocked.principal), {"keystore_seq": unlocked.public.seq}
    entry = Event(act=Act.VAULT_INIT, outcome=Outcome.DONE, actor=actor, obj=Obj("vault", vault_id.hex()), counts=seq)
    with books.write() as tx:
        tx.add(row)
        tx.add(PrincipalRow(name=unlocked.principal, role=unlocked.role.value, state="active", created=now))
        tx.flush()
        log.create(tx)
        log.append(tx, entry)


def _record_failure(folder: Path, settings: Settings, public: PublicKeys, *, clock: Clock, random: RandomBytes) -> None:
    books = Database(_inside(folder, settings.places.books))
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
    log.record(Event(act=Act.VAULT_UNLOCK_FAILED, outcome=Outcome.REFUSED, actor=Actor(ActorRole.UNKNOWN, "unknown")))
    books.close()


def _inside(folder: Path, place: str) -> str:
    """A relative SQLite URL or folder made absolute inside the vault's folder; other URLs as they are."""
    if place.startswith("sqlite:///"):
        return f"sqlite:///{folder.resolve() / place.removeprefix('sqlite:///')}"
    return place if "://" in place else str(folder.resolve() / place)
