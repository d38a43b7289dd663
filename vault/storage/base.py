"""Shared by all tables: two declarative bases (books, keys) and column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, cast

from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.orm import DeclarativeBase, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler

from vault.storage.database import Transaction
from vault.storage.driver_calls import driver_of
from vault.storage.stored_types import FIRST_MICROS, LAST_MICROS, make_strict

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

BIG = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER is SQLite's 64-bit rowid

Id = Annotated[bytes, mapped_column(LargeBinary(16))]  # 16 random bytes
Digest = Annotated[bytes, mapped_column(LargeBinary(32))]  # SHA-256 or HMAC-SHA256
Sealed = Annotated[bytes, mapped_column(LargeBinary)]  # a blob in the format of vault.crypto.envelope
Micros = Annotated[int, mapped_column(BIG, info={"range": (FIRST_MICROS, LAST_MICROS)})]  # microseconds since 1970 UTC
Count = Annotated[int, mapped_column(BIG)]
Code = Annotated[str, mapped_column(Text)]  # a closed enum's text or a public name

ROWS_AT_ONCE = 256  # of one INSERT: more cost no less each
VALUES_AT_ONCE = 32_766  # SQLite's own limit of one statement


class _Strict:
    """Holds what is read of a table against its columns."""

    @classmethod
    def __table_cls__(cls, *args: Any, **options: Any) -> Table:
        """Make the table of a mapped class (SQLAlchemy's name for whatever does)."""
        table = Table(*args, **options)
        make_strict(table)
        return table


class Base(_Strict, DeclarativeBase):
    """Tables of the books database, the audit log's among them (a state change and its entry share one transaction)."""

    metadata = MetaData(naming_convention=NAMING)


class KeysBase(_Strict, DeclarativeBase):
    """Tables of the key database, which is backed up apart from the books so that backups of data and keys age apart."""

    metadata = MetaData(naming_convention=NAMING)


def bulk_insert(tx: Transaction, table: type[DeclarativeBase], rows: Sequence[Mapping[str, object]]) -> None:
    """Insert many rows, all with the same columns, without making an object of each. Columns that SQLAlchemy fills in are filled in."""
    if not rows:
        return
    columns = tuple(rows[0])
    if _insert(table, tx.connection().dialect, columns) is None or any(len(row) != len(columns) for row in rows):
        tx.connection().execute(cast("Table", table.__table__).insert(), rows)
        return
    insert_rows(tx, table, columns, [tuple(map(row.__getitem__, columns)) for row in rows])


def insert_rows(
    tx: Transaction, table: type[DeclarativeBase], columns: tuple[str, ...], rows: Sequence[tuple[object, ...]]
) -> None:
    """Insert rows, given by their values of the columns. Every column that is not named has a default in the database.

    The values go to the driver as they are, which is a fifth of the cost of having SQLAlchemy look at each. On SQLite, hundreds of
    rows are one statement: its driver gives up Python's lock at every step of a statement, and where other threads want the lock
    too, getting it back costs fifty times what a row does.
    """
    if not rows:
        return
    driver = driver_of(tx)
    statement = _insert(table, driver.dialect, columns)
    if statement is None:
        raise TypeError("columns that SQLAlchemy fills in are not inserted as they are")
    if not driver.dialect.positional:
        tx.connection().exec_driver_sql(statement, [dict(zip(columns, row, strict=True)) for row in rows])
        return
    row_of_places = f"({', '.join('?' * len(columns))})"
    at_once = min(ROWS_AT_ONCE, VALUES_AT_ONCE // len(columns))
    for first in range(0, len(rows), at_once):
        run = rows[first : first + at_once]
        driver.run(statement + ", ".join([row_of_places] * len(run)), by_place(run)).close()


def by_place(rows: Iterable[Sequence[object]]) -> tuple[object, ...]:
    """The values of rows one after another, as SQLite's driver takes them fastest: of each bytes it asks a registry of adapters,
    which costs three times what a row does, but not of a bytearray.
    """
    return tuple([bytearray(value) if type(value) is bytes else value for row in rows for value in row])


@lru_cache(maxsize=256)
def _insert(table: type[DeclarativeBase], dialect: Dialect, columns: tuple[str, ...]) -> str | None:
    """The INSERT of these columns, by name, or up to its VALUES where the driver takes them by place; None where SQLAlchemy has to
    fill something in. Cached: compiling one costs more than inserting a hundred rows.
    """
    into = cast("Table", table.__table__)
    compiled = into.insert().compile(dialect=dialect, column_keys=list(columns))
    if not isinstance(compiled, SQLCompiler) or compiled.insert_prefetch:
        return None
    if not dialect.positional:
        return str(compiled)
    quoted = dialect.identifier_preparer
    return f"INSERT INTO {quoted.format_table(into)} ({', '.join(map(quoted.quote, columns))}) VALUES "  # noqa: S608 - quoted names
