"""Statements over many values at once: each column travels as one parameter, and the database takes it apart.

A driver binds values one by one, which for a cohort costs several times what the database does with them, and holds Python's lock while it
does. Here the values of a column lie one after another in one parameter, and row i takes its own with ``substr``, so that one
statement inserts, or finds, the rows of fifty thousand people. It means the same on SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, chain, repeat
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import CursorResult, Dialect, Table
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute

from vault.storage.base import by_place, insert_rows
from vault.storage.database import Transaction
from vault.storage.driver_calls import driver_of
from vault.storage.stored_types import StrictType, stored_type

Value = bytes | str | int | None
Column = Sequence[bytes] | Sequence[str] | Sequence[int]

AT_ONCE = 1 << 16  # rows of one statement: its parameters are a few MiB
FEW = 512  # rows up to which the driver binds their values one by one in less time
_DIGITS = 20  # of a number in a parameter, so that all have one width
_ROWS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :n)",
    "postgresql": "WITH n(i) AS (SELECT generate_series(0, %(n)s - 1))",
}
_PLACE = {"sqlite": ":{}", "postgresql": "%({})s"}  # of a parameter, as the driver has it
_TEXT = {"sqlite": "CAST({} AS TEXT)", "postgresql": "convert_from({}, 'UTF8')"}
_NUMBER = {"sqlite": "CAST({} AS INTEGER)", "postgresql": "CAST(convert_from({}, 'UTF8') AS bigint)"}


def insert_columns(tx: Transaction, table: type[DeclarativeBase], columns: Mapping[str, Column | Value]) -> None:
    """Insert rows given by columns, all of one length; a bytes, str, int or None is the same in every row. Rows go in in their order.

    Giving them in the order of the primary key writes each page of a large table once.
    """
    lists = {name: column for name, column in columns.items() if isinstance(column, list | tuple)}
    into = cast("Table", table.__table__)
    quoted = tx.connection().dialect.identifier_preparer
    lengths = {len(column) for column in lists.values()}
    if len(lengths) != 1:
        raise ValueError("the columns of one insert have different lengths")
    n = lengths.pop()
    if n <= FEW:
        each = [lists[name] if name in lists else repeat(value, n) for name, value in columns.items()]
        insert_rows(tx, table, tuple(columns), list(zip(*each, strict=True)))
        return
    for start, stop in _runs(n):
        statement = _Statement(tx, stop - start)
        values = [statement.value(_picked(column, range(start, stop))) for column in columns.values()]
        names = ", ".join(quoted.quote(name) for name in columns)
        statement.run(f"INSERT INTO {quoted.format_table(into)} ({names}) SELECT {', '.join(values)} FROM n")  # noqa: S608 - quoted names


def rows_among(
    tx: Transaction,
    wanted: Sequence[InstrumentedAttribute[Any]],
    key: InstrumentedAttribute[Any],
    values: Column,
    **same: Column | Value,
) -> list[tuple[Any, ...]]:
    """The ``wanted`` columns of the rows whose ``key`` is among the values (distinct ones) and whose columns named in ``same`` are as
    said: a value for all, or one for each of the values, which then need not be distinct by themselves.

    For keys that an index finds. In no order that may be relied on; raw values: for columns that the driver gives as they are.

    Raises:
        IntegrityError: ``row_unreadable``: a value is none of its column's.
    """
    columns = tuple([column.key for column in wanted])
    conditions: dict[str, Column | Value] = {key.key: values, **same}
    if len(values) <= FEW:
        return _checked(wanted, _few_among(tx, key.class_, columns, conditions, len(values)))
    order = sorted(range(len(values)), key=values.__getitem__)  # neighbours in the index share pages
    into = cast("Table", key.class_.__table__)
    quoted = tx.connection().dialect.identifier_preparer
    found: list[tuple[Any, ...]] = []
    for start, stop in _runs(len(values)):
        statement = _Statement(tx, stop - start)
        said = [
            f"t.{quoted.quote(name)} = {statement.value(_picked(value, order[start:stop]))}" for name, value in conditions.items()
        ]
        names = ", ".join(f"t.{quoted.quote(name)}" for name in columns)
        # CROSS JOIN: on SQLite the values come first and the index is asked for each, whatever the planner guesses of sizes.
        query = f"SELECT {names} FROM n CROSS JOIN {quoted.format_table(into)} AS t WHERE {' AND '.join(said)}"  # noqa: S608 - quoted names
        found += _fetched(statement.run(query))
    return _checked(wanted, found)


def _checked(wanted: Sequence[InstrumentedAttribute[Any]], rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    for at, kind in enumerate(_kinds(*wanted) if rows else ()):
        if kind is not None:
            kind.check_all(list(map(itemgetter(at), rows)))  # a zip of all rows makes an iterator of each
    return rows


@lru_cache(maxsize=256)
def _kinds(*wanted: InstrumentedAttribute[Any]) -> list[StrictType | None]:
    """Strict types of columns. Cached: an attribute's way to its column is long."""
    return list(map(stored_type, wanted))


def _few_among(
    tx: Transaction, table: Any, wanted: tuple[str, ...], conditions: Mapping[str, Column | Value], n: int
) -> list[tuple[Any, ...]]:
    if not n:
        return []
    driver = driver_of(tx)
    each = [value if isinstance(value, list | tuple) else repeat(value, n) for value in conditions.values()]
    query = _few(table, driver.dialect, wanted, tuple(conditions), n)
    return driver.fetched(query, by_place(zip(*each, strict=True)))


@lru_cache(maxsize=4 * FEW)
def _few(table: Any, dialect: Dialect, wanted: tuple[str, ...], keys: tuple[str, ...], n: int) -> str:
    """Statement that looks up ``n`` rows whose values follow one another. Cached: making it costs as much as running it."""
    quoted = dialect.identifier_preparer
    names, said = (", ".join(map(quoted.quote, columns)) for columns in (wanted, keys))
    row = f"({', '.join(('?' if dialect.positional else '%s',) * len(keys))})"
    into = quoted.format_table(cast("Table", table.__table__))
    return f"SELECT {names} FROM {into} WHERE ({said}) IN (VALUES {', '.join([row] * n)})"  # noqa: S608 - quoted names


def _fetched(result: CursorResult[Any]) -> list[tuple[Any, ...]]:
    """All rows, as bare tuples: a Row around each costs as much again."""
    rows = result.cursor.fetchall()
    result.close()
    return list(rows)


class _Statement:
    """One statement in the making: rows 0 to ``n`` - 1, and the parameters named so far."""

    def __init__(self, tx: Transaction, n: int) -> None:
        self._connection = tx.connection()
        self._dialect = self._connection.dialect.name
        self._parameters: dict[str, object] = {"n": n}

    def value(self, value: Column | Value) -> str:
        """The expression of row i's own value, or of the one value for all rows."""
        if isinstance(value, list | tuple):
            return self._each(value)
        return "NULL" if value is None else self._place(value)

    def _each(self, values: Column) -> str:
        if isinstance(values[0], int):
            digits = f"%{_DIGITS}d" * len(values) % tuple(values)
            return _NUMBER[self._dialect].format(self._fixed(digits.encode(), _DIGITS))
        if isinstance(values[0], str):
            raw: Sequence[bytes] = [value.encode() for value in cast("Sequence[str]", values)]
            return _TEXT[self._dialect].format(self._pieces(raw))
        return self._pieces(cast("Sequence[bytes]", values))

    def run(self, body: str) -> Any:
        return self._connection.exec_driver_sql(f"{_ROWS[self._dialect]} {body}", self._parameters)

    def _pieces(self, raw: Sequence[bytes]) -> str:
        lengths = list(map(len, raw))
        data = b"".join(raw) or b"\x00"  # to SQLite a piece of nothing is NULL
        if len(set(lengths)) == 1:
            return self._fixed(data, lengths[0])
        starts = list(accumulate(chain((1,), lengths[:-1])))
        start, length = (f"CAST({self._each(numbers)} AS integer)" for numbers in (starts, lengths))
        return f"substr({self._place(data)}, {start}, {length})"

    def _fixed(self, data: bytes, width: int) -> str:
        return f"substr({self._place(data)}, n.i * {width} + 1, {width})"

    def _place(self, value: object) -> str:
        name = f"p{len(self._parameters)}"
        self._parameters[name] = value
        return _PLACE[self._dialect].format(name)


def _picked(value: Column | Value, places: Sequence[int]) -> Column | Value:
    """Values of a column in these rows; a single value stays one."""
    return [value[at] for at in places] if isinstance(value, list | tuple) else value


def _runs(n: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + AT_ONCE, n)) for start in range(0, n, AT_ONCE))
