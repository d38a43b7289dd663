"""SQL tables of the audit log, in the books database so that a state change and its entry share one transaction.

Everything but the head is written once. Triggers refuse UPDATE and DELETE: they guard against bugs, not against an attacker with
the file; signed checkpoints kept elsewhere do that. ``TRIGGERS`` is for the migration, and runs by itself after ``create_all``.
"""

from __future__ import annotations

from sqlalchemy import DDL, CheckConstraint, LargeBinary, UniqueConstraint, event
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.base import BIG, Base, Code, Count, Digest, Id, Micros, Sealed


class AuditLeafRow(Base):
    """A log entry. ``leaf`` is NULL once retention dropped the payload: its hash still carries the tree."""

    __tablename__ = "audit_leaf"

    idx: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[Id] = mapped_column(unique=True)  # UUIDv7, also the idempotency key
    leaf_hash: Mapped[Digest]
    leaf: Mapped[bytes | None] = mapped_column(LargeBinary)


class AuditOriginRow(Base):
    """A log, by its origin line. Entries are numbered through; a log that continues another has its own tree from ``base`` on."""

    __tablename__ = "audit_origin"

    base: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    origin: Mapped[Code] = mapped_column(unique=True)


class AuditHeadRow(Base):
    """The newest log's tree as appenders keep it: one row, advanced by compare-and-swap on ``base`` and ``size``."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    base: Mapped[Count]
    size: Mapped[Count]  # of the tree: its entries are base .. base + size
    stack: Mapped[bytes] = mapped_column(LargeBinary)  # compact range, at most 63 hashes
    state: Mapped[bytes | None] = mapped_column(LargeBinary(32))  # digest over the heads of all collections of the books
    epoch: Mapped[int | None] = mapped_column(
        BIG
    )  # of the branch log-append; None, like the others, before the vault is upgraded
    mac: Mapped[bytes | None] = mapped_column(LargeBinary(32))  # of all the columns above: appending needs a slot


class AuditTileRow(Base):
    """A full tile: 256 sibling hashes. ``root`` comes first so that the level above is a scan of short prefixes."""

    __tablename__ = "audit_tile"

    base: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    level: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    n: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    root: Mapped[Digest]
    data: Mapped[bytes] = mapped_column(LargeBinary)  # 8,192 bytes


class AuditCheckpointRow(Base):
    """A tree head that was signed. Two different roots for one size cannot be stored."""

    __tablename__ = "audit_checkpoint"

    base: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    root: Mapped[Digest]
    note: Mapped[Code]
    created: Mapped[Micros]


class AuditClosingRow(Base):
    """Outcome entry of an intent."""

    __tablename__ = "audit_closing"
    __table_args__ = ({"sqlite_with_rowid": False},)

    event_id: Mapped[Id] = mapped_column(primary_key=True)  # the intent's
    idx: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)


class AuditSessionRow(Base):
    """Key of one process's sealed details, itself sealed (HPKE) to the audit-read public key."""

    __tablename__ = "audit_session"

    session_id: Mapped[Id] = mapped_column(primary_key=True)
    audit_read_public: Mapped[Digest]  # which audit-read key opens it
    sealed_key: Mapped[Sealed]
    created: Mapped[Micros]


class AuditDetailRow(Base):
    """Detail of an entry for auditors: sealed under the session's key, committed to in the leaf."""

    __tablename__ = "audit_detail"

    idx: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    session_id: Mapped[Id]
    sealed: Mapped[Sealed]


class AuditSetRow(Base):
    """Set of subjects that entries refer to, stored once.

    Appenders look it up by its first member and its digest. People are numbered as they come, so the sets of newcomers go to the
    end of that index; digests alone would go everywhere, and a page for each of them into the write-ahead log.
    """

    __tablename__ = "audit_set"
    __table_args__ = (UniqueConstraint("lead", "digest"),)

    set_id: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    lead: Mapped[Count]  # token_id of its first token in byte order
    digest: Mapped[Digest]
    n: Mapped[Count]


class AuditTokenRow(Base):
    """A subject's audit token under a small number, because a cohort's tokens recur in every set.

    Appenders look it up by a short ``mark`` of it: an index of whole tokens has eight times as many pages, and each newcomer writes
    to another one. Whoever searches for a person reads the tokens themselves.
    """

    __tablename__ = "audit_token"

    token_id: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    mark: Mapped[Count] = mapped_column(index=True)  # 31 bits of the token: ``subject_sets.mark``
    token: Mapped[Code]


class AuditSetTokenRow(Base):
    """Membership of a token in sets."""

    __tablename__ = "audit_set_token"
    __table_args__ = ({"sqlite_with_rowid": False},)

    token_id: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    set_id: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False, index=True)


class AuditSetLeafRow(Base):
    """Reference of an entry to a set."""

    __tablename__ = "audit_set_leaf"
    __table_args__ = ({"sqlite_with_rowid": False},)

    set_id: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    idx: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False, index=True)


_WRITTEN_ONCE = (
    AuditLeafRow,
    AuditOriginRow,
    AuditClosingRow,
    AuditTileRow,
    AuditCheckpointRow,
    AuditSessionRow,
    AuditDetailRow,
    AuditSetRow,
    AuditTokenRow,
    AuditSetTokenRow,
    AuditSetLeafRow,
)

_POSTGRESQL_FUNCTION = (
    "CREATE OR REPLACE FUNCTION audit_written_once() RETURNS trigger LANGUAGE plpgsql AS "
    "$body$ BEGIN RAISE EXCEPTION 'the audit log is written once'; END $body$"
)


def _sqlite(table: str, verbs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is written once'); END"
        for verb in verbs
    )


def _postgresql(table: str, verbs: tuple[str, ...]) -> tuple[str, ...]:
    return (
        _POSTGRESQL_FUNCTION,
        (
            f"CREATE TRIGGER {table}_written_once BEFORE {' OR '.join((*verbs, 'TRUNCATE'))} ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()"
        ),
    )


def _by_table() -> dict[str, dict[str, tuple[str, ...]]]:
    guarded = {row.__tablename__: ("UPDATE", "DELETE") for row in _WRITTEN_ONCE} | {AuditHeadRow.__tablename__: ("DELETE",)}
    return {
        "sqlite": {table: _sqlite(table, verbs) for table, verbs in guarded.items()},
        "postgresql": {table: _postgresql(table, verbs) for table, verbs in guarded.items()},
    }


def _run_after_create(triggers: dict[str, dict[str, tuple[str, ...]]]) -> None:
    """Guard each table as soon as it exists, so that ``create_all`` leaves a guarded log too."""
    for dialect, by_table in triggers.items():
        for table, statements in by_table.items():
            for statement in statements:
                ddl = DDL(statement)  # type: ignore[no-untyped-call]
                event.listen(Base.metadata.tables[table], "after_create", ddl.execute_if(dialect=dialect))


_TRIGGERS_BY_TABLE = _by_table()
_run_after_create(_TRIGGERS_BY_TABLE)

TRIGGERS: dict[str, tuple[str, ...]] = {
    dialect: tuple(dict.fromkeys(statement for statements in by_table.values() for statement in statements))
    for dialect, by_table in _TRIGGERS_BY_TABLE.items()
}
"""Dialect -> statements, in order, for a migration that made the tables with ``op.create_table`` (which runs no listeners)."""
