"""Statements that go to the driver itself: heard like any other, and failing like any other."""

from __future__ import annotations

import pytest
from sqlalchemy import bindparam, event, exc, select

from tests.support.clusters import new_sqlite
from vault.storage.audit_tables import AuditOriginRow
from vault.storage.base import Base, insert_rows
from vault.storage.bulk_columns import rows_among
from vault.storage.compiled_statements import Statement
from vault.storage.database import Database

_ORIGIN = Statement(select(AuditOriginRow.origin, AuditOriginRow.base).where(AuditOriginRow.base == bindparam("base")))


@pytest.fixture
def database(tmp_path):
    made = Database(new_sqlite(tmp_path))
    Base.metadata.create_all(made.engine)
    yield made
    made.close()


def test_whoever_listens_to_statements_hears_of_all_of_them(database):
    heard = []
    event.listen(database.engine, "before_cursor_execute", lambda _c, _cursor, statement, *_: heard.append(statement))
    with database.write() as tx:
        insert_rows(tx, AuditOriginRow, ("base", "origin"), [(0, "one")])
        found = _ORIGIN.rows(tx, base=0)
        rows_among(tx, [AuditOriginRow.base], AuditOriginRow.origin, ["one"])
    assert [(row.origin, row.base) for row in found] == [("one", 0)]
    assert [statement.split()[0] for statement in heard] == ["INSERT", "SELECT", "SELECT"]
    assert all("audit_origin" in statement for statement in heard)


def test_a_listener_stops_a_statement(database):
    def refuse(*_):
        raise RuntimeError("not this one")

    event.listen(database.engine, "before_cursor_execute", refuse)
    with pytest.raises(RuntimeError), database.write() as tx:
        insert_rows(tx, AuditOriginRow, ("base", "origin"), [(0, "one")])
    event.remove(database.engine, "before_cursor_execute", refuse)
    with database.read() as tx:
        assert not _ORIGIN.rows(tx, base=0)


def test_failures_are_those_of_sqlalchemy(database):
    with pytest.raises(exc.IntegrityError) as found, database.write() as tx:
        insert_rows(tx, AuditOriginRow, ("base", "origin"), [(0, "one"), (0, "secret")])
    assert "secret" not in str(found.value)
