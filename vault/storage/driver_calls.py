"""Calls of the driver in a transaction, for statements that run with every entry of the log: SQLAlchemy's own way to one costs five times what
SQLite takes to run it.

Whoever listens to an engine's statements hears of these as of any other (the books' watch, ``vault.session.authentic_books``); failures are SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, exc
from sqlalchemy.orm import Session

_IN_INFO = "genovault-driver"  # in a transaction's info


class Driver:
    """The driver as one transaction has it. ``dialect``: the database's, with ``positional`` as SQLAlchemy means it."""

    __slots__ = ("_connection", "_raw", "dialect")

    def __init__(self, connection: Connection) -> None:
        self.dialect = connection.dialect
        self._connection, self._raw = connection, connection.connection.dbapi_connection

    def run(self, statement: str, values: Sequence[object] | Mapping[str, object]) -> Any:
        """Cursor after one statement, with whatever it found. Raises SQLAlchemy's DBAPIError."""
        connection = self._connection
        for heard in connection.dispatch.before_cursor_execute:
            heard(connection, None, statement, values, None, False)
        module = self.dialect.loaded_dbapi
        cursor = self._raw.cursor()  # type: ignore[union-attr] # of an open connection
        try:
            cursor.execute(statement, values)
        except module.Error as error:
            raise _failure(error, self.dialect) from error
        return cursor

    def fetched(self, statement: str, values: Sequence[object] | Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Rows that one statement finds. Raises as ``run``."""
        module = self.dialect.loaded_dbapi
        cursor = self.run(statement, values)
        try:
            return list(cursor.fetchall())
        except module.Error as error:
            raise _failure(error, self.dialect) from error
        finally:
            cursor.close()


def _failure(error: Exception, dialect: Dialect) -> BaseException:
    return exc.DBAPIError.instance(None, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect)


def keep_driver(tx: Session) -> None:
    """Keep the driver of a transaction that has begun with it: asking SQLAlchemy for its connection each time costs more than a statement."""
    tx.info[_IN_INFO] = Driver(tx.connection())


def driver_of(tx: Session) -> Driver:
    """Driver of a transaction."""
    found: Driver | None = tx.info.get(_IN_INFO)
    return found if found is not None else Driver(tx.connection())
