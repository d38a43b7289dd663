"""What no migration made is refused before anything is read."""

from __future__ import annotations

import pytest

from tests.support.clusters import new_postgres
from tests.support.vaults import copy, opened
from vault.errors import IntegrityError
from vault.storage.database import Database
from vault.storage.planted import require_plain

PLANTED = {
    "a trigger": "CREATE TRIGGER planted BEFORE DELETE ON {table} BEGIN SELECT RAISE(IGNORE); END",
    "a view": "CREATE VIEW planted AS SELECT 1",
    "a trigger under a name of ours": "CREATE TRIGGER audit_leaf_no_update AFTER DELETE ON {table} BEGIN SELECT 1; END",
}


@pytest.fixture
def folder(tmp_path):
    return copy(tmp_path, whole=False)


def plant(path, statement):
    from pysqlite3 import dbapi2  # noqa: PLC0415 - as an attacker has it

    connection = dbapi2.connect(str(path))
    connection.execute("DROP TRIGGER IF EXISTS audit_leaf_no_update")
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("what", PLANTED)
@pytest.mark.parametrize(("base", "table"), [("books", "project"), ("keys", "wrapped_key")])
def test_a_planted_schema_is_refused(folder, what, base, table):
    plant(folder / f"{base}.db", PLANTED[what].format(table=table))
    with pytest.raises(IntegrityError) as caught, opened(folder):
        pass
    assert caught.value.code == "schema_planted"


def test_a_database_as_it_was_made_is_plain(folder):
    for base in ("books", "keys"):
        database = Database(f"sqlite:///{folder / base}.db")
        require_plain(database, base)
        database.close()


def test_postgresql(server):
    from sqlalchemy import text  # noqa: PLC0415 - only here

    from vault.storage.migrate import upgrade  # noqa: PLC0415 - only here

    database = Database(new_postgres(server))
    upgrade(database, "books")
    require_plain(database, "books")
    with database.write() as tx:
        tx.execute(text("CREATE RULE planted AS ON DELETE TO project DO INSTEAD NOTHING"))
    with pytest.raises(IntegrityError) as caught:
        require_plain(database, "books")
    assert caught.value.code == "schema_planted"
    database.close()
