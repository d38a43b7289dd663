"""Backups of a vault in use. Data and keys are copied separately, so that each kind of copy has its own lifetime.

    DEST/                           DEST/ (--keys)
      backup.json   description       backup.json        description, with expiry
      books.db      one snapshot      keystore.a         one copy of the keystore
      objects/…     objects named     keys.db            one snapshot

A backup of data holds no key. A backup of keys opens data erased since it was made, so it is recorded with an expiry and named in
certificates of erasure. A backup appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto import keystore
from vault.crypto.keystore import Branch
from vault.crypto.primitives import sha256
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.files import durable
from vault.files.given_files import open_regular
from vault.files.private_files import make_folder, write_new_bytes
from vault.genotypes.catalog.object_inventory import Stored, named_objects
from vault.operations import key_backups
from vault.operations.backup_folder import ABOUT, BOOKS, DATA_FORMAT, KEYS, KEYS_FORMAT, KEYSTORE, OBJECTS, TAIL, Tail
from vault.operations.key_backups import KeyBackup
from vault.session.principals import require_administrator
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Database
from vault.storage.timestamps import rfc3339

ATTEMPTS = 5  # an erasure may delete an object between the snapshot and the copy of it

Progress = Callable[[int, int], None]
"""``progress(objects copied, objects in all)``."""


@dataclass(frozen=True)
class DataBackup:
    """Summary of a backup of data."""

    folder: Path
    created: str
    objects: int
    stored_bytes: int  # of the objects
    entries: int  # of the log, at the snapshot


def backup(vault: UnlockedVault, destination: Path, *, progress: Progress = lambda _done, _all: None) -> DataBackup:
    """Copy books and objects into a folder that is absent or empty.

    Raises:
        InputError: ``output_not_empty``; ``backup_inside``. UnavailableError: ``copy_needs_sqlite``; ``backup_restless``: erasures kept
            taking objects away meanwhile; a store does not answer. IntegrityError: ``object_missing``; ``object_altered``.
    """
    with vault.trail.attempting(Action.BACKUP_CREATE):
        created = vault.clock()
        vault.trail.record(Action.BACKUP_CREATE, Outcome.DONE, obj=ObjectRef("backup", vault.vault_id.hex()))
        if vault.keyring.has(Branch.LOG_SIGN):
            vault.trail.checkpoint()
        with _appearing(vault, destination) as staging:
            (staging / OBJECTS).mkdir(mode=0o700)
            named = _snapshot(vault, staging, progress)
            note = vault.trail.log.latest_checkpoint()
            about = {
                "format": DATA_FORMAT,
                "vault": vault.vault_id.hex(),
                "created": rfc3339(created),
                "checkpoint": note,
                "files": {BOOKS: _described(staging / BOOKS)},
            }
            _write_about(staging, about)
        size = sum(stored.size for stored in named)
        return DataBackup(destination, rfc3339(created), len(named), size, vault.trail.log.size())


def backup_keys(vault: UnlockedVault, destination: Path, *, expires: datetime) -> KeyBackup:
    """Copy keystore and key database into a folder that is absent or empty. The copy is recorded first, with its expiry.

    Raises:
        InputError: ``output_not_empty``; ``backup_inside``; ``expiry_past``. UnavailableError: ``copy_needs_sqlite``;
            ``backup_restless``: keys kept being rotated meanwhile.
    """
    with vault.trail.attempting(Action.BACKUP_CREATE):
        require_administrator(vault)
        if expires <= vault.clock():
            raise InputError("expiry_past", "a key backup has to expire in the future")
        with _appearing(vault, destination) as staging:
            recorded, intent = key_backups.begin(vault, expires=expires)
            seq = _copy_keys(vault, staging)
            counts = {"keystore_seq": seq, "expires": int(expires.timestamp())}
            copied = ObjectRef("key-backup", recorded.backup_id)
            done = vault.trail.prepare(Action.BACKUP_CREATE, Outcome.DONE, obj=copied, refers=intent.event_id, counts=counts)
            # A backup of the data made just before lacks these two entries and nothing else: an anchor may have seen them.
            tail = Tail(intent.index - vault.trail.log.parts()[-1].base, (intent.leaf, done.leaf))
            about = {
                "format": KEYS_FORMAT,
                "vault": vault.vault_id.hex(),
                **recorded.as_dict(),
                "keystore_seq": seq,
                "files": {name: _described(staging / name) for name in (KEYSTORE, KEYS)},
                TAIL: tail.as_dict(),
            }
            _write_about(staging, about)
        vault.trail.record_prepared(done)
        return recorded


def check_object(stored: Stored, data: bytes) -> None:
    """Compare an object with its size and digest. Raises IntegrityError ``object_altered``."""
    if len(data) != stored.size or sha256(data) != stored.sha256:
        raise IntegrityError("object_altered", "a genotype object is not what the books say", hint="run genovault doctor")


def _snapshot(vault: UnlockedVault, staging: Path, progress: Progress) -> list[Stored]:
    """Copy the books and the objects that this snapshot names; return those.

    Raises:
        UnavailableError: ``backup_restless``. IntegrityError: ``object_missing``, ``object_altered``.
    """
    for _ in range(ATTEMPTS):
        (staging / BOOKS).unlink(missing_ok=True)
        vault.books.copy_to(staging / BOOKS)
        snapshot = Database(f"sqlite:///{staging / BOOKS}")
        try:
            with snapshot.read() as tx:
                named = list(named_objects(tx))
            snapshot.checkpoint_wal()
        finally:
            snapshot.close()
        try:
            _copy_objects(vault, named, staging / OBJECTS, progress)
        except IntegrityError as error:
            if error.code != "object_missing" or _still_named(vault, named):
                raise
            continue
        _drop_others(named, staging / OBJECTS)
        for name in ("-wal", "-shm"):
            (staging / f"{BOOKS}{name}").unlink(missing_ok=True)
        return named
    raise UnavailableError("backup_restless", "the vault's objects kept changing", hint="try again when no erasure is running")


def _copy_objects(vault: UnlockedVault, named: list[Stored], folder: Path, progress: Progress) -> None:
    for done, stored in enumerate(named, 1):
        target = folder / stored.name
        if not target.exists():
            data = vault.objects.get(stored.name)
            check_object(stored, data)
            make_folder(target.parent, may_exist=True)
            write_new_bytes(target, data)
        progress(done, len(named))


def _still_named(vault: UnlockedVault, named: list[Stored]) -> bool:
    """True if the live books still name all objects of the snapshot: a missing one is damage, not an erasure."""
    with vault.books.read() as tx:
        live = {stored.name for stored in named_objects(tx)}
    return all(stored.name in live for stored in named)


def _drop_others(named: list[Stored], folder: Path) -> None:
    """Delete objects that an earlier attempt copied and this snapshot no longer names."""
    wanted = {stored.name for stored in named}
    for path in [p for p in folder.rglob("*") if p.is_file()]:
        if str(path.relative_to(folder)) not in wanted:
            path.unlink()


def _copy_keys(vault: UnlockedVault, staging: Path) -> int:
    """Copy keystore and key database of one moment; return the keystore's ``seq``. Raises UnavailableError ``backup_restless``."""
    for _ in range(ATTEMPTS):
        before = keystore.load(vault.folder)
        (staging / KEYS).unlink(missing_ok=True)
        vault.copy_keys(staging / KEYS)
        if keystore.load(vault.folder).public.seq == before.public.seq:
            (staging / KEYSTORE).unlink(missing_ok=True)
            write_new_bytes(staging / KEYSTORE, before.document.to_bytes())
            for name in ("-wal", "-shm"):
                (staging / f"{KEYS}{name}").unlink(missing_ok=True)
            return before.public.seq
    raise UnavailableError("backup_restless", "the keys kept changing", hint="try again when no rotation is running")


@contextmanager
def _appearing(vault: UnlockedVault, destination: Path) -> Iterator[Path]:
    """Yield a staging folder beside the destination; synced and renamed to it when the block succeeds, else deleted.

    Raises:
        InputError: ``backup_inside``, ``output_not_empty``.
    """
    target = destination.resolve()
    if target.is_relative_to(vault.folder.resolve()):
        raise InputError("backup_inside", "a backup inside the vault is lost with it", hint="name a folder elsewhere")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError("output_not_empty", f"{destination} is not empty", hint="choose another folder")
    make_folder(target.parent, may_exist=True)
    staging = target.parent / f".{target.name}.{vault.random(6).hex()}.backup"
    staging.mkdir(mode=0o700)
    try:
        yield staging
        durable.sync_tree(staging)
        if target.exists():
            target.rmdir()
        durable.rename(staging, target)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _write_about(folder: Path, about: dict[str, Any]) -> None:
    write_new_bytes(folder / ABOUT, json.dumps(about, indent=1, sort_keys=True).encode() + b"\n")


def _described(path: Path) -> dict[str, Any]:
    with open_regular(path) as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
