"""Every column of every table, with values that SQLite takes and no program of ours writes."""

from __future__ import annotations

import pytest
from sqlalchemy import Boolean, Integer, LargeBinary, create_engine, func, select, text
from sqlalchemy.orm import Session

from vault.errors import IntegrityError
from vault.storage import audit_tables, book_tables, key_tables
from vault.storage.base import Base, KeysBase
from vault.storage.bulk_columns import FEW, rows_among
from vault.storage.compiled_statements import Statement
from vault.storage.database import Database, create_sqlite_file
from vault.storage.stored_types import LARGEST, largest, total

MODULES = (audit_tables, book_tables, key_tables)  # imported so that the metadata knows their tables
MAPPERS = (
    mapper for base in (Base, KeysBase) for mapper in base.registry.mappers
)  # a set: every worker has to collect one order
MAPPED = {mapper.local_table.name: mapper.class_ for mapper in sorted(MAPPERS, key=lambda mapper: mapper.local_table.name)}


@pytest.fixture(scope="module")
def engine():
    """One row in every table, without triggers, checks and foreign keys."""
    made = create_engine("sqlite://")
    with made.begin() as connection:
        for name, mapped in MAPPED.items():
            columns = mapped.__table__.columns
            connection.execute(text(f"CREATE TABLE {name} ({', '.join(f'{c.name} {declared(c)}' for c in columns)})"))
            insert = text(f"INSERT INTO {name} VALUES ({', '.join(f':{c.name}' for c in columns)})")
            connection.execute(insert, {c.name: right(c) for c in columns})
    return made


def own(column):
    return column.type.impl_instance


def declared(column):
    return "INTEGER" if isinstance(own(column), Integer | Boolean) else "BLOB" if isinstance(own(column), LargeBinary) else "TEXT"


def right(column):
    """A value of the column."""
    if isinstance(own(column), Integer | Boolean):
        return 1
    return bytes(own(column).length or 3) if isinstance(own(column), LargeBinary) else "text"


def wrong(column):
    """Values of other types and ranges than the column's."""
    length = getattr(own(column), "length", None)
    if isinstance(own(column), Integer | Boolean):
        values = [3.5, b"\0", "x", str(2**70), 2**63 - 1, -(2**63)]
    elif isinstance(own(column), LargeBinary):
        values = [3.5, 7, "x" * (length or 1), *([b"", bytes(length + 1)] if length else [])]
    else:
        values = [b"\0"]  # numbers become text in such a column
    return values if column.nullable else [*values, None]


def attribute(table, column):
    return next(a for a in MAPPED[table].__mapper__.column_attrs if a.columns[0].name == column).class_attribute


@pytest.mark.parametrize("table", MAPPED)
def test_a_value_that_is_none_of_the_columns_is_refused_by_name(engine, table):
    whole, refused = Statement(select(MAPPED[table])), set()
    with Session(engine) as tx:
        for column in MAPPED[table].__table__.columns:
            asked, part = attribute(table, column.name), Statement(select(attribute(table, column.name)))
            ways = [
                lambda asked=asked: tx.scalars(select(asked)).all(),
                lambda asked=asked: tx.execute(select(asked.label("other"))).all(),
                lambda: tx.scalars(select(MAPPED[table])).all(),
                lambda part=part: part.rows(tx),
                lambda: whole.rows(tx),
            ]
            for value in wrong(column):
                tx.execute(text(f"UPDATE {table} SET {column.name} = :value"), {"value": value})
                for way in ways:
                    tx.expunge_all()
                    with pytest.raises(IntegrityError) as error:
                        way()
                    assert f" {column.name} of a row of {table} is " in error.value.message
                    refused.add((error.value.code, error.value.hint != ""))
            tx.execute(text(f"UPDATE {table} SET {column.name} = :value"), {"value": right(column)})
        tx.rollback()
    assert refused == {("row_unreadable", True)}


@pytest.mark.parametrize("table", MAPPED)
def test_a_right_row_is_read_as_it_stands(engine, table):
    with Session(engine) as tx:
        [row] = tx.scalars(select(MAPPED[table])).all()
        for column in MAPPED[table].__mapper__.column_attrs:
            assert getattr(row, column.key) == right(column.columns[0])
            if column.columns[0].nullable:
                tx.execute(text(f"UPDATE {table} SET {column.columns[0].name} = NULL"))
                assert tx.scalar(select(column.class_attribute)) is None
        tx.rollback()


@pytest.fixture
def database(tmp_path):
    create_sqlite_file(tmp_path / "keys.db")
    made = Database(f"sqlite:///{tmp_path / 'keys.db'}")
    KeysBase.metadata.create_all(made.engine)
    yield made
    made.close()


@pytest.mark.parametrize("n", [1, FEW + 1])
@pytest.mark.parametrize(
    ("column", "value"), [("version", "'x'"), ("version", "-1"), ("token", "x'00'"), ("version", str(LARGEST + 1))]
)
def test_bulk_reads_are_as_strict(database, n, column, value):
    row = key_tables.SubjectTokenRow
    with database.write() as tx:
        tx.add_all(row(subject_id=i.to_bytes(16), version=1, token=f"t{i}") for i in range(n))
    wanted, ids = (row.subject_id, row.version, row.token), [i.to_bytes(16) for i in range(n)]
    with database.read() as tx:
        assert len(rows_among(tx, wanted, row.subject_id, ids)) == n
        assert rows_among(tx, wanted, row.subject_id, [b"\xff" * 16]) == []
    with database.write() as tx:
        tx.execute(text(f"UPDATE subject_token SET {column} = {value} WHERE token = 't0'"))
    with database.read() as tx, pytest.raises(IntegrityError, match=f"{column} of a row of subject_token"):
        rows_among(tx, wanted, row.subject_id, ids)


def test_the_largest_is_as_strict_and_none_without_rows(database):
    row = key_tables.BranchEpochRow
    with database.read() as tx:
        assert tx.scalar(select(largest(row.epoch))) is None
        assert tx.scalar(select(total(row.epoch))) is None
    with database.write() as tx:
        tx.add_all(row(branch=branch, epoch=2, wraps=0, closed=False, created=0) for branch in "ab")
    with database.read() as tx:
        assert tx.scalar(select(largest(row.epoch))) == 2
        assert tx.scalar(select(total(row.epoch))) == 4
        assert tx.scalar(select(func.count(row.epoch))) == 2
    with database.write() as tx:
        tx.execute(text("UPDATE branch_epoch SET epoch = 'x' WHERE branch = 'b'"))
    with database.read() as tx, pytest.raises(IntegrityError, match="epoch of a row of branch_epoch"):
        tx.scalar(select(largest(row.epoch)))
