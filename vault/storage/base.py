"""What all tables share: two declarative bases (books, keys) and column types that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, cast

from sqlalchemy import BigInteger, Dialect, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler

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
Micros = Annotated[int, mapped_column(BIG)]  # microseconds since 1970 UTC
Count = Annotated[int, mapped_column(BIG)]
Code = Annotated[str, mapped_column(Text)]  # a closed enum's text or a public name


class Base(DeclarativeBase):
    """Tables of the books database, the audit log's among them (a state change and its entry share one transaction)."""

    metadata = MetaData(naming_convention=NAMING)


class KeysBase(DeclarativeBase):
    """Tables of the key database, which is backed up apart from the books so that backups of data and keys age apart."""

    metadata = MetaData(naming_convention=NAMING)


def bulk_insert(session: Session, table: type[DeclarativeBase], rows: Sequence[Mapping[str, object]]) -> None:
    """Insert many rows, all with the same columns, without making an object of each: 400,000 wrapped keys are one statement.

    The values go to the driver as they are, which is a fifth of the cost of having SQLAlchemy look at each. SQLite's driver takes a
    bytearray as it is, but asks a registry of adapters about each bytes, which costs three times what the row does.
    """
    if not rows:
        return
    connection = session.connection()
    columns = tuple(rows[0])
    compiled = _compiled(table, connection.dialect, columns)
    if compiled is None or any(len(row) != len(columns) for row in rows):
        connection.execute(cast("Table", table.__table__).insert(), rows)  # columns that SQLAlchemy fills in
        return
    statement, order = compiled
    if order is None:
        connection.exec_driver_sql(statement, [dict(row) for row in rows])
    else:
        bare = [tuple([bytearray(v) if type(v) is bytes else v for v in map(row.__getitem__, order)]) for row in rows]
        connection.exec_driver_sql(statement, bare)


@lru_cache(maxsize=256)
def _compiled(
    table: type[DeclarativeBase], dialect: Dialect, columns: tuple[str, ...]
) -> tuple[str, tuple[str, ...] | None] | None:
    """The INSERT and the order of its values (None: by name); None where SQLAlchemy has to fill something in.

    Kept, because compiling one costs more than inserting a hundred rows.
    """
    statement = cast("Table", table.__table__).insert().compile(dialect=dialect, column_keys=list(columns))
    if not isinstance(statement, SQLCompiler) or statement.insert_prefetch:
        return None
    return str(statement), None if statement.positiontup is None else tuple(statement.positiontup)
