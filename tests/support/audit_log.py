"""A small log on SQLite with fixed time and randomness."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pysqlite3 import dbapi2

from vault.audit.actions import Action, ActorKind, Outcome
from vault.audit.entry import Actor, Event
from vault.audit.log import AuditLog
from vault.audit.note import ED25519, VerifierKey
from vault.crypto.primitives import SigningKey, hpke_public
from vault.crypto.secret import Secret
from vault.ids import AuditToken
from vault.storage import audit_tables  # noqa: F401 - makes the tables known to Base
from vault.storage.base import Base
from vault.storage.database import Database, create_sqlite_file

ORIGIN = "genovault.test/log"
VAULT_ID = bytes(range(16))
SET_SALT = bytes(range(16, 32))
AUDITOR = Secret(b"\x42" * 32)
SIGNER = SigningKey(Secret(b"\x07" * 32))
VKEY = VerifierKey(ORIGIN, ED25519, SIGNER.public)
ANN = Actor(ActorKind.STEWARD, "ann")


def seeded(seed: int) -> Callable[[int], bytes]:
    """A reproducible byte source, as safe to share between threads as ``next`` is."""
    counter = iter(range(10**9))

    def random(count: int) -> bytes:
        return hashlib.shake_256(seed.to_bytes(4, "big") + next(counter).to_bytes(8, "big")).digest(count)

    return random


def ticking() -> Callable[[], datetime]:
    """A clock that advances a millisecond per reading."""
    ticks = iter(range(10**9))
    return lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) + timedelta(milliseconds=next(ticks))


def token(number: int) -> AuditToken:
    return AuditToken(f"hmac-sha256:1:{hashlib.sha256(number.to_bytes(4, 'big')).hexdigest()}")


def event(act: Action = Action.DATASET_SHOW, outcome: Outcome = Outcome.DONE, **fields: object) -> Event:
    return Event(act=act, actor=ANN, outcome=outcome, **fields)


@dataclass
class Fixture:
    log: AuditLog
    database: Database
    path: Path

    def open_again(self, seed: int = 2) -> AuditLog:
        return open_log(Database(f"sqlite:///{self.path}"), seed)


def open_log(database: Database, seed: int = 1) -> AuditLog:
    return AuditLog(
        database,
        vault_id=VAULT_ID,
        origin=ORIGIN,
        set_salt=SET_SALT,
        audit_read_public=hpke_public(AUDITOR),
        clock=ticking(),
        random=seeded(seed),
    )


def make_books(folder: Path) -> Fixture:
    """An empty log in a new SQLite file."""
    path = folder / "books.db"
    create_sqlite_file(path)
    database = Database(f"sqlite:///{path}")
    Base.metadata.create_all(database.engine)
    log = open_log(database)
    with database.write() as tx:
        log.create(tx)
    return Fixture(log, database, path)


def tamper(path, *statements):
    """Edit the database with direct access to the file: without our triggers."""
    connection = dbapi2.connect(str(path))
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(*statement) if isinstance(statement, tuple) else connection.execute(statement)
    connection.commit()
    connection.close()
