"""Tables of the audit log, in the books database so that a state change and its entry share one transaction.

Everything but the head is written once. Triggers refuse UPDATE and DELETE: they guard against bugs, not against an attacker with
the file; signed checkpoints kept elsewhere do that. ``TRIGGERS`` is for the migration, and runs by itself after ``create_all``.
"""

from __future__ import annotations

from sqlalchemy import DDL, CheckConstraint, LargeBinary, event
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.base import Base, Code, Count, Digest, Id, Micros, Sealed


class AuditLeafRow(Base):
    """One entry. ``leaf`` is NULL once retention dropped the payload: its hash still carries the tree."""

    __tablename__ = "audit_leaf"

    idx: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[Id] = mapped_column(unique=True)  # UUIDv7, also the idempotency key
    leaf_hash: Mapped[Digest]
    leaf: Mapped[bytes | None] = mapped_column(LargeBinary)


class AuditHeadRow(Base):
    """The tree as appenders keep it: one row, advanced by compare-and-swap on ``size``."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[Count]
    stack: Mapped[bytes] = mapped_column(LargeBinary)  # compact range, at most 63 hashes


class AuditTileRow(Base):
    """A full tile: 256 sibling hashes. ``root`` comes first so that the level above is a scan of short prefixes."""

    __tablename__ = "audit_tile"

    level: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    n: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    root: Mapped[Digest]
    data: Mapped[bytes] = mapped_column(LargeBinary)  # 8,192 bytes


class AuditCheckpointRow(Base):
    """A tree head that was signed. Two different roots for one size cannot be stored."""

    __tablename__ = "audit_checkpoint"

    size: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    root: Mapped[Digest]
    note: Mapped[Code]
    created: Mapped[Micros]


class AuditSessionRow(Base):
    """The key under which one process sealed its details, itself sealed (HPKE) to the audit-read public key."""

    __tablename__ = "audit_session"

    session_id: Mapped[Id] = mapped_column(primary_key=True)
    audit_read_public: Mapped[Digest]  # which audit-read key opens it
    sealed_key: Mapped[Sealed]
    created: Mapped[Micros]


class AuditDetailRow(Base):
    """What only auditors read of an entry: sealed under the session's key, committed to in the leaf."""

    __tablename__ = "audit_detail"

    idx: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    session_id: Mapped[Id]
    sealed: Mapped[Sealed]


class AuditSetRow(Base):
    """A set of subjects that some entry speaks of, stored once."""

    __tablename__ = "audit_set"

    set_id: Mapped[Count] = mapped_column(primary_key=True)
    digest: Mapped[Digest] = mapped_column(unique=True)
    n: Mapped[Count]


class AuditTokenRow(Base):
    """A subject's audit token under a small number, because a cohort's tokens recur in every set."""

    __tablename__ = "audit_token"

    token_id: Mapped[Count] = mapped_column(primary_key=True)
    token: Mapped[Code] = mapped_column(unique=True)


class AuditSetTokenRow(Base):
    """token -> set: which sets a subject is in."""

    __tablename__ = "audit_set_token"
    __table_args__ = ({"sqlite_with_rowid": False},)

    token_id: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    set_id: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False, index=True)


class AuditSetLeafRow(Base):
    """set -> entry: which entries speak of it."""

    __tablename__ = "audit_set_leaf"
    __table_args__ = ({"sqlite_with_rowid": False},)

    set_id: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)
    idx: Mapped[Count] = mapped_column(primary_key=True, autoincrement=False)


WRITTEN_ONCE = (
    "audit_leaf",
    "audit_tile",
    "audit_checkpoint",
    "audit_session",
    "audit_detail",
    "audit_set",
    "audit_token",
    "audit_set_token",
    "audit_set_leaf",
)


def _sqlite_triggers() -> tuple[str, ...]:
    statements = [
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is written once'); END"
        for table in WRITTEN_ONCE
        for verb in ("UPDATE", "DELETE")
    ]
    statements.append(
        "CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head BEGIN SELECT RAISE(ABORT, 'audit_head stays'); END"
    )
    return tuple(statements)


def _postgresql_triggers() -> tuple[str, ...]:
    function = (
        "CREATE OR REPLACE FUNCTION audit_written_once() RETURNS trigger LANGUAGE plpgsql AS "
        "$body$ BEGIN RAISE EXCEPTION 'the audit log is written once'; END $body$"
    )
    triggers = [
        f"CREATE TRIGGER {table}_written_once BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()"
        for table in WRITTEN_ONCE
    ]
    triggers.append(
        "CREATE TRIGGER audit_head_stays BEFORE DELETE OR TRUNCATE ON audit_head "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_written_once()"
    )
    return (function, *triggers)


TRIGGERS: dict[str, tuple[str, ...]] = {"sqlite": _sqlite_triggers(), "postgresql": _postgresql_triggers()}
"""Dialect -> statements, to run once after the tables exist."""


def _run_after_create() -> None:
    """Attach the statements to the last audit table made, so that ``create_all`` leaves a guarded log too."""
    for dialect, statements in TRIGGERS.items():
        for statement in statements:
            ddl = DDL(statement.replace("%", "%%")).execute_if(dialect=dialect)
            event.listen(Base.metadata, "after_create", ddl)


_run_after_create()
