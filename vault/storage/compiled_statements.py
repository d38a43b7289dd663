"""Statements compiled once for each dialect, because having SQLAlchemy look at one anew costs more than the driver takes to run it.

For the few that run with every audit entry. Values go to the driver as they are, so only types that every driver takes (integers,
text, bytes) belong in them; failures are SQLAlchemy's, as of any other statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, CursorResult, Dialect, Executable, Row
from sqlalchemy.sql.compiler import SQLCompiler

from vault.storage.database import Transaction
from vault.storage.stored_types import Check, stored_type


def fetched(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query of ours without values, as the driver has them, in the connection's transaction. Nobody listens to it."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute(query)
        return list(cursor.fetchall())
    finally:
        cursor.close()


class _Compiled(NamedTuple):
    text: str
    order: tuple[str, ...] | None  # of the values; None: by name
    given: Mapping[str, Any]  # values that stand in the statement itself


class Statement:
    """One statement; ``bindparam`` names what is given each time, and nothing in it may vary in length."""

    def __init__(self, executable: Executable) -> None:
        self._executable = executable
        self._compiled: dict[str, _Compiled] = {}  # by dialect
        self._checks: dict[str, list[tuple[int, Check]]] = {}  # by dialect: places in a row, and what each value has to pass

    def rows(self, tx: Transaction, **values: object) -> Sequence[Row[*tuple[Any, ...]]]:
        """Fetch the rows found, in the caller's transaction. Raises IntegrityError ``row_unreadable``."""
        rows = self._run(tx, values).all()
        checks = self._checks[tx.connection().dialect.name]
        for row in rows:
            for at, check in checks:
                check(row[at])
        return rows

    def changed(self, tx: Transaction, **values: object) -> int:
        """Execute in the caller's transaction and return the number of rows changed."""
        return self._run(tx, values).rowcount

    def _run(self, tx: Transaction, values: Mapping[str, object]) -> CursorResult[Any]:
        connection = tx.connection()
        compiled = self._compiled.get(connection.dialect.name) or self._compile(connection.dialect)
        named = {**compiled.given, **values}
        if compiled.order is None:
            return connection.exec_driver_sql(compiled.text, named)
        return connection.exec_driver_sql(compiled.text, tuple([named[name] for name in compiled.order]))

    def _compile(self, dialect: Dialect) -> _Compiled:
        made = self._executable.compile(dialect=dialect)  # type: ignore[attr-defined] # of every executable that is a clause
        if not isinstance(made, SQLCompiler):
            raise TypeError("only statements with values can be kept compiled")
        order = None if made.positiontup is None else tuple(made.positiontup)
        kinds = enumerate(map(stored_type, getattr(self._executable, "selected_columns", ())))
        self._checks[dialect.name] = [(at, kind.check(dialect.name)) for at, kind in kinds if kind is not None]
        self._compiled[dialect.name] = compiled = _Compiled(str(made), order, dict(made.params))
        return compiled
