"""Errors of database drivers as ours, without the driver's words, which may repeat stored values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from vault.errors import IntegrityError, UnavailableError

_DRIVERS = frozenset({"pysqlite3", "psycopg"})  # packages whose errors reach us bare where we call the driver ourselves
_SQLITE_DAMAGED = frozenset({11, 26})  # SQLITE_CORRUPT, SQLITE_NOTADB
_SQLITE_FULL, _SQLITE_READONLY, _SQLITE_CANTOPEN = 13, 8, 14
_POSTGRES_FULL = "53100"  # disk_full
_POSTGRES_DAMAGED = frozenset({"XX001", "XX002"})  # data_corrupted, index_corrupted

_SQLITE_SCHEMA = re.compile(
    r"no such (table|column)|(table|index|trigger) \S+ already exists|duplicate column name|.* has no column named "
)
_POSTGRES_SCHEMA = frozenset(
    {"42P01", "42703", "42P07", "42701", "42704", "42710"}
)  # undefined, and duplicate, table, column, object

_NOT_TEXT = "Could not decode to UTF-8"  # what SQLite's driver says, without a code, of bytes that stand as text


@contextmanager
def wrapped(*, reading: bool = False) -> Iterator[None]:
    """Map any driver exception to one documented error without parameters. ``reading``: damage is an integrity error; in a write it
    means that the outcome is unknown.

    Raises:
        UnavailableError: ``database_unavailable``. IntegrityError: ``database_damaged``, ``schema_altered``, ``rows_altered``.
    """
    try:
        yield
    except exc.IntegrityError:
        raise  # a violated constraint is the caller's to name
    except (exc.NoResultFound, exc.MultipleResultsFound):
        raise IntegrityError(
            "rows_altered", "the database lacks a row, or has one too many: no program left it so", hint="genovault doctor"
        ) from None
    except Exception as error:
        raised = error.orig if isinstance(error, exc.DBAPIError) else error
        bare = type(error).__module__.partition(".")[0] in _DRIVERS
        if not bare and not isinstance(error, exc.DBAPIError | exc.TimeoutError):
            raise
        # Drivers repeat stored values in their messages: so "from None", and names only.
        if _SQLITE_SCHEMA.match(str(raised)) or getattr(raised, "sqlstate", None) in _POSTGRES_SCHEMA:
            raise IntegrityError(
                "schema_altered",
                "a database lacks a table or column of its schema's version, or has one of a later: no program left it so",
                hint="put back what was changed, or restore the newest backup of that database",
            ) from None
        if not _says_damaged(raised):
            message, hint = _unanswered(raised)
            raise UnavailableError("database_unavailable", message, hint=hint) from None
        message, hint = "the database is damaged", "genovault doctor says where; then restore a backup"
        if reading:
            raise IntegrityError("database_damaged", message, hint=hint) from None
        raise UnavailableError("database_unavailable", message, hint=hint) from None


def _unanswered(raised: BaseException | None) -> tuple[str, str]:
    """Cause for which a database did not answer, and the cure, without the driver's words."""
    sqlite, postgres = getattr(raised, "sqlite_errorcode", 0) & 0xFF, getattr(raised, "sqlstate", None)
    if sqlite == _SQLITE_FULL or postgres == _POSTGRES_FULL:
        return "the disk is full: the database cannot be written", "make room, then repeat the command"
    if sqlite in (_SQLITE_READONLY, _SQLITE_CANTOPEN):
        return (
            "the database or its folder cannot be written by this account",
            "mount it for writing, or look at its permissions; of a read-only copy, read an export: genovault audit export, genovault-verify",
        )
    return f"the database did not answer ({type(raised).__name__})", "check disk space, permissions and other writers"


def _says_damaged(raised: BaseException | None) -> bool:
    """True if a driver's error means stored data are damaged, rather than unreachable."""
    sqlite = getattr(raised, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
    if str(raised).startswith(_NOT_TEXT):
        return True
    return sqlite in _SQLITE_DAMAGED or getattr(raised, "sqlstate", None) in _POSTGRES_DAMAGED
