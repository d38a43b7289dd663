"""Statements compiled once for each dialect, because having SQLAlchemy look at one anew costs more than the driver takes to run it.

For the few that run with every audit entry. Values go to the driver as they are, so only types that every driver takes (integers,
text, bytes) belong in them; failures are SQLAlchemy's, as of any other statement.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Executable
from sqlalchemy.sql.compiler import SQLCompiler

from vault.storage.base import by_place
from vault.storage.database import Transaction
from vault.storage.driver_calls import driver_of
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
    row: Any  # makes a tuple with names of what the driver found
    checks: Sequence[tuple[int, Check]]  # places in a row, and what each value has to pass

    def values(self, values: Mapping[str, object]) -> tuple[object, ...] | dict[str, object]:
        """All values, as the driver takes them."""
        named = {**self.given, **values}
        return named if self.order is None else by_place([[named[name] for name in self.order]])


class Statement:
    """One statement; ``bindparam`` names what is given each time, and nothing in it may vary in length."""

    def __init__(self, executable: Executable) -> None:
        self._executable = executable
        self._compiled: dict[str, _Compiled] = {}  # by dialect

    def rows(self, tx: Transaction, **values: object) -> list[Any]:
        """Fetch the rows found, in the caller's transaction: tuples, whose values go by their columns' names too. Raises IntegrityError ``row_unreadable``."""
        driver = driver_of(tx)
        made = self._compiled.get(driver.dialect.name) or self._compile(driver.dialect)
        rows = list(map(made.row._make, driver.fetched(made.text, made.values(values))))
        for row in rows:
            for at, check in made.checks:
                check(row[at])
        return rows

    def changed(self, tx: Transaction, **values: object) -> int:
        """Execute in the caller's transaction and return the number of rows changed."""
        driver = driver_of(tx)
        made = self._compiled.get(driver.dialect.name) or self._compile(driver.dialect)
        cursor = driver.run(made.text, made.values(values))
        changed: int = cursor.rowcount
        cursor.close()
        return changed

    def _compile(self, dialect: Dialect) -> _Compiled:
        made = self._executable.compile(dialect=dialect)  # type: ignore[attr-defined] # of every executable that is a clause
        if not isinstance(made, SQLCompiler):
            raise TypeError("only statements with values can be kept compiled")
        order = None if made.positiontup is None else tuple(made.positiontup)
        columns = list(getattr(self._executable, "selected_columns", ()))
        kinds = enumerate(map(stored_type, columns))
        checks = [(at, kind.check(dialect.name)) for at, kind in kinds if kind is not None]
        names = [str(column.key) for column in columns]
        row = namedtuple("row", names, rename=True)  # type: ignore[misc] # noqa: PYI024 - its fields are the statement's
        self._compiled[dialect.name] = compiled = _Compiled(str(made), order, dict(made.params), row, checks)
        return compiled
