"""Columns in one statement come out as they went in, on both databases, and rows are found by any number of values."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import BigInteger, LargeBinary, Text, exc, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from vault.storage import bulk_columns
from vault.storage.bulk_columns import insert_columns, rows_among


class Base(DeclarativeBase):
    """Tables of this test alone."""


class Thing(Base):
    __tablename__ = "order"  # a word that has to be quoted

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str | None] = mapped_column(Text)
    blob: Mapped[bytes | None] = mapped_column(LargeBinary)


@pytest.fixture(params=[0, 9], ids=["packed", "few"])
def table(request, database, monkeypatch):
    monkeypatch.setattr(bulk_columns, "FEW", request.param)
    Base.metadata.create_all(database.engine)
    return database


def everything(database):
    with database.read() as tx:
        rows = tx.execute(select(Thing.__table__).order_by(Thing.__table__.c.number)).all()
    return [tuple(row) for row in rows]


KEYS = [bytes([i, 0, 255 - i, 0]) for i in range(9)]
BLOBS = [b"", b"\x00", b"\xff" * 300, b"a\x00b", b"", b"'", b'"', b"%s:p1?", b"\x00\x00"]
NAMES = ["", "é", "日本語", "a'b", '"', ":p1", "%(x)s", "?", " spaced "]
NUMBERS = [-(2**63), -1, 0, 1, 7, 1_000, 2**31, 2**53, 2**63 - 1]


def test_values_of_every_kind_and_width_come_back(table):
    with table.write() as tx:
        insert_columns(tx, Thing, {"kind": "k", "key": KEYS, "number": NUMBERS, "name": NAMES, "blob": BLOBS})
    assert everything(table) == [("k", *row) for row in zip(KEYS, NUMBERS, NAMES, BLOBS, strict=True)]


@pytest.mark.parametrize("at_once", [1, 2, 4, 9, 10])
def test_more_rows_than_one_statement_takes(table, monkeypatch, at_once):
    monkeypatch.setattr(bulk_columns, "AT_ONCE", at_once)
    with table.write() as tx:
        insert_columns(tx, Thing, {"kind": "k", "key": KEYS, "number": list(range(9)), "name": None, "blob": BLOBS})
        found = rows_among(tx, [Thing.number, Thing.blob], Thing.key, KEYS)
    assert sorted(found) == list(zip(range(9), BLOBS, strict=True))
    assert [row[3] for row in everything(table)] == [None] * 9


def test_one_value_may_stand_for_all_rows(table):
    with table.write() as tx:
        insert_columns(tx, Thing, {"kind": "é", "key": KEYS, "number": 2**40, "name": "n", "blob": b"\x00z"})
    assert {row[2:] for row in everything(table)} == {(2**40, "n", b"\x00z")}


def test_no_rows_are_no_rows(table):
    with table.write() as tx:
        insert_columns(tx, Thing, {"kind": "k", "key": [], "number": 1, "name": None, "blob": None})
        assert rows_among(tx, [Thing.number], Thing.key, []) == []
    assert everything(table) == []


def test_only_rows_whose_other_columns_are_as_said_are_found(table):
    drawn = random.Random(1)
    kinds = ["a" if drawn.random() < 0.5 else "b" for _ in KEYS]
    with table.write() as tx:
        insert_columns(tx, Thing, {"kind": kinds, "key": KEYS, "number": list(range(9)), "name": NAMES, "blob": None})
        wanted = [*KEYS[2:6], b"none has it"]
        found = rows_among(tx, [Thing.number], Thing.key, wanted, kind="a")
        by_name = rows_among(tx, [Thing.number], Thing.name, ["日本語", "", "absent"])
    assert sorted(found) == [(at,) for at in range(2, 6) if kinds[at] == "a"]
    assert sorted(by_name) == [(0,), (2,)]


def test_columns_of_different_lengths_are_refused(table):
    with pytest.raises(ValueError, match="length"), table.write() as tx:
        insert_columns(tx, Thing, {"kind": "k", "key": KEYS, "number": [1, 2], "name": None, "blob": None})
    assert everything(table) == []


def test_a_violated_constraint_is_named_and_nothing_stays(table):
    with pytest.raises(exc.IntegrityError), table.write() as tx:
        insert_columns(tx, Thing, {"kind": "k", "key": [KEYS[0], KEYS[1], KEYS[0]], "number": 1, "name": None, "blob": None})
    assert everything(table) == []
