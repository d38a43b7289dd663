"""Create a vault: its folder appears whole, with keystore, databases, first principal and the log's first entry, or not at all."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select

from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.entry import Actor, Event, ObjectRef
from vault.audit.head_seal import HeadSeal
from vault.audit.log import AuditLog
from vault.crypto import keystore
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Branch, Factor, Unlocked
from vault.crypto.primitives import Argon2Profile
from vault.errors import InputError
from vault.files.hardening import forbid_dumps
from vault.files.private_files import make_folder
from vault.ids import Clock, RandomBytes, VaultId, new_id, utc_now
from vault.session.first_signing import sign_books
from vault.session.settings import IN_FOLDER, Places, Settings, bound_text, inside, signed, write_settings
from vault.session.time_zone import require_zone
from vault.session.unlocked_vault import UnlockedVault
from vault.session.wrapped_keys import WrappedKeys
from vault.storage.book_tables import PrincipalRow, VaultRow
from vault.storage.database import Database, create_sqlite_file
from vault.storage.key_tables import WrappedKeyRow
from vault.storage.migrate import has_tables, remove, upgrade
from vault.storage.timestamps import to_micros


def init(
    folder: Path,
    *,
    steward: str,
    factor: Factor,
    places: Places = IN_FOLDER,
    profile: Argon2Profile = Argon2Profile.DEFAULT,
    time_zone: str = "UTC",
    clock: Clock = utc_now,
    random: RandomBytes = os.urandom,
) -> VaultId:
    """Create a vault in a folder that is absent or empty; return its id.

    Raises:
        InputError: ``vault_exists``: the folder or database is not empty; ``one_database``; ``time_zone_unknown``;
            ``argon2_out_of_range``.
    """
    time_zone = require_zone(time_zone)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError("vault_exists", f"{folder} is not empty", hint="init never overwrites: choose another folder")
    profile.require_protective()
    forbid_dumps()
    make_folder(folder.parent, may_exist=True)
    staging = folder.parent / f".{folder.name}.{random(6).hex()}.init"
    staging.mkdir(mode=0o700)
    try:
        vault_id = _furnish(
            staging,
            steward=steward,
            factor=factor,
            places=places,
            profile=profile,
            time_zone=time_zone,
            clock=clock,
            random=random,
        )
        if folder.exists():
            folder.rmdir()
        staging.rename(folder)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return vault_id


def _furnish(
    folder: Path,
    *,
    steward: str,
    factor: Factor,
    places: Places,
    profile: Argon2Profile,
    time_zone: str,
    clock: Clock,
    random: RandomBytes,
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
            Path(inside(folder, places.objects)).mkdir(mode=0o700)
        if unlocked.signer is None:
            raise ValueError("a new slot has a signing key")
        settings = signed(replace(settings, change=1), unlocked.signer)
        write_settings(folder, settings)
        wrapped_keys = WrappedKeys(keys, unlocked.keyring, settings.vault_id, clock=clock, random=random)
        for purpose in (KeyPurpose.REFERENCE_INDEX, KeyPurpose.HANDLE):
            wrapped_keys.create(purpose, [settings.vault_id])
        _first_entry(books, settings, unlocked, time_zone=time_zone, clock=clock, random=random)
        books.close()
        keys.close()
        UnlockedVault(folder, settings, unlocked, clock=clock, random=random).close()
        undo.pop_all()
    return settings.vault_id


def _new_database(folder: Path, place: str, base: str, undo: ExitStack) -> Database:
    """Create a database with empty tables; ``undo`` removes what was made outside the folder.

    Raises:
        InputError: ``vault_exists``.
    """
    if place.startswith("sqlite:///"):
        path = Path(inside(folder, place).removeprefix("sqlite:///"))
        create_sqlite_file(path)
        undo.callback(path.unlink, missing_ok=True)
    database = Database(inside(folder, place))
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


def _first_entry(
    books: Database, settings: Settings, unlocked: Unlocked, *, time_zone: str, clock: Clock, random: RandomBytes
) -> None:
    """Insert the vault's row, its first principal, the empty log and its first entry in one transaction."""
    now, vault_id = to_micros(clock()), settings.vault_id
    row = VaultRow(
        vault_id=vault_id,
        origin=f"genovault.local/{vault_id.hex()}/log1",
        set_salt=random(16),
        created=now,
        keystore_seq=unlocked.public.seq,
        reference_version=1,
        settings=bound_text(settings),
        incarnation=new_id(random),
        time_zone=time_zone,
    )
    seal = HeadSeal(vault_id, lambda _: unlocked.keyring.current(Branch.LOG_APPEND))
    log = AuditLog(
        books,
        vault_id=vault_id,
        origin=row.origin,
        set_salt=row.set_salt,
        audit_read_public=unlocked.public.current(Branch.AUDIT_READ)[1],
        clock=clock,
        random=random,
        seal=seal,
    )
    actor, seq = Actor(ActorKind(unlocked.role.value), unlocked.principal), {"keystore_seq": unlocked.public.seq}
    entry = Event(act=Action.VAULT_INIT, outcome=Outcome.DONE, actor=actor, obj=ObjectRef("vault", vault_id.hex()), counts=seq)
    with books.write() as tx:
        tx.add(row)
        tx.add(PrincipalRow(name=unlocked.principal, role=unlocked.role.value, state="active", created=now))
        tx.flush()
        log.create(tx)
        log.append(tx, entry)
    sign_books(books, vault_id, unlocked)
