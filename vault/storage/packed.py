"""Statements over many values at once: each column travels as one parameter, and the database takes it apart.

A driver binds values one by one, which for a cohort costs several times what the database does with them, and holds Python's lock while it
does. Here the values of a column lie one after another in one parameter, and row i takes its own with ``substr``, so that one
statement inserts, or finds, the rows of fifty thousand people. It means the same on SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import Any, cast

from sqlalchemy import Table, text
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Session

from vault.storage.base import bulk_insert

Value = bytes | str | int | None
Column = Sequence[bytes] | Sequence[str] | Sequence[int]

AT_ONCE = 1 << 16  # rows of one statement: its parameters are a few MiB
FEW = 8  # rows up to which making the statement costs more than binding their values
_DIGITS = 20  # of a number in a parameter, so that all have one width
_ROWS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :n)",
    "postgresql": "WITH n(i) AS (SELECT generate_series(0, :n - 1))",
}
_TEXT = {"sqlite": "CAST({} AS TEXT)", "postgresql": "convert_from({}, 'UTF8')"}
_NUMBER = {"sqlite": "CAST({} AS INTEGER)", "postgresql": "CAST(convert_from({}, 'UTF8') AS bigint)"}


def insert_columns(session: Session, table: type[DeclarativeBase], columns: Mapping[str, Column | Value]) -> None:
    """Insert rows given by columns, all of one length; a bytes, str, int or None is the same in every row. Rows go in in their order.

    Giving them in the order of the primary key writes each page of a large table once.
    """
    lists = {name: column for name, column in columns.items() if isinstance(column, list | tuple)}
    into = cast("Table", table.__table__)
    quoted = session.connection().dialect.identifier_preparer
    lengths = {len(column) for column in lists.values()}
    if len(lengths) != 1:
        raise ValueError("the columns of one insert have different lengths")
    n = lengths.pop()
    if n <= FEW:
        rows = [{name: lists[name][at] if name in lists else value for name, value in columns.items()} for at in range(n)]
        bulk_insert(session, table, rows)
        return
    for start, stop in _runs(n):
        statement = _Statement(session, stop - start)
        values = [
            statement.each(lists[name][start:stop]) if name in lists else statement.one(cast("Value", column))
            for name, column in columns.items()
        ]
        names = ", ".join(quoted.quote(name) for name in columns)
        statement.run(f"INSERT INTO {quoted.format_table(into)} ({names}) SELECT {', '.join(values)} FROM n")  # noqa: S608 - quoted names


def rows_among(
    session: Session, wanted: Sequence[InstrumentedAttribute[Any]], key: InstrumentedAttribute[Any], values: Column, **same: Value
) -> list[tuple[Any, ...]]:
    """The ``wanted`` columns of the rows whose ``key`` is among the values (distinct ones) and whose columns named in ``same`` are as said.

    For keys that an index finds. In no order that may be relied on; raw values: for columns that the driver gives as they are.
    """
    into = cast("Table", key.class_.__table__)
    quoted = session.connection().dialect.identifier_preparer
    found: list[tuple[Any, ...]] = []
    ordered = cast("Column", sorted(values))  # neighbours in the index share pages
    for start, stop in _runs(len(ordered)):
        statement = _Statement(session, stop - start)
        conditions = [f"t.{quoted.quote(key.name)} = {statement.each(ordered[start:stop])}"]
        conditions += [f"t.{quoted.quote(name)} = {statement.one(value)}" for name, value in same.items()]
        names = ", ".join(f"t.{quoted.quote(column.name)}" for column in wanted)
        # CROSS JOIN: on SQLite the values come first and the index is asked for each, whatever the planner guesses of sizes.
        query = f"SELECT {names} FROM n CROSS JOIN {quoted.format_table(into)} AS t WHERE {' AND '.join(conditions)}"  # noqa: S608
        result = statement.run(query)
        found += result.cursor.fetchall()  # bare tuples: a Row around each costs as much again
        result.close()
    return found


class _Statement:
    """One statement in the making: rows 0 to ``n`` - 1, and the parameters named so far."""

    def __init__(self, session: Session, n: int) -> None:
        self._connection = session.connection()
        self._dialect = self._connection.dialect.name
        self._parameters: dict[str, object] = {"n": n}

    def one(self, value: Value) -> str:
        """The expression of one value for all rows."""
        return "NULL" if value is None else f":{self._name(value)}"

    def each(self, values: Column) -> str:
        """The expression of row i's own value."""
        if isinstance(values[0], int):
            digits = f"%{_DIGITS}d" * len(values) % tuple(values)
            return _NUMBER[self._dialect].format(self._fixed(digits.encode(), _DIGITS))
        if isinstance(values[0], str):
            raw: Sequence[bytes] = [value.encode() for value in cast("Sequence[str]", values)]
            return _TEXT[self._dialect].format(self._pieces(raw))
        return self._pieces(cast("Sequence[bytes]", values))

    def run(self, body: str) -> Any:
        return self._connection.execute(text(f"{_ROWS[self._dialect]} {body}"), self._parameters)

    def _pieces(self, raw: Sequence[bytes]) -> str:
        lengths = list(map(len, raw))
        data = b"".join(raw) or b"\x00"  # to SQLite a piece of nothing is NULL
        if len(set(lengths)) == 1:
            return self._fixed(data, lengths[0])
        starts = list(accumulate(chain((1,), lengths[:-1])))
        start, length = (f"CAST({self.each(numbers)} AS integer)" for numbers in (starts, lengths))
        return f"substr(:{self._name(data)}, {start}, {length})"

    def _fixed(self, data: bytes, width: int) -> str:
        return f"substr(:{self._name(data)}, n.i * {width} + 1, {width})"

    def _name(self, value: object) -> str:
        name = f"p{len(self._parameters)}"
        self._parameters[name] = value
        return name


def _runs(n: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + AT_ONCE, n)) for start in range(0, n, AT_ONCE))
