"""What no migration made is refused before anything is read."""

from __future__ import annotations

import pytest

from tests.support.clusters import new_postgres
from tests.support.vaults import copy, opened
from vault.errors import IntegrityError
from vault.storage.database import Database
from vault.storage.migrate import upgrade
from vault.storage.planted import require_plain

PLANTED = {
    "a trigger": "CREATE TRIGGER planted BEFORE DELETE ON {table} BEGIN SELECT RAISE(IGNORE); END",
    "a view": "CREATE VIEW planted AS SELECT 1",
    "a trigger under a name of ours": "CREATE TRIGGER audit_leaf_no_update AFTER DELETE ON {table} BEGIN SELECT 1; END",
    "a trigger whose type is spelt otherwise": (
        "CREATE TRIGGER planted BEFORE DELETE ON {table} BEGIN SELECT RAISE(IGNORE); END;"
        "PRAGMA writable_schema = 1; UPDATE sqlite_master SET type = 'Trigger' WHERE name = 'planted'"
    ),
    "a table": "CREATE TABLE planted (x INTEGER REFERENCES {table})",
    "a virtual table": "CREATE VIRTUAL TABLE planted USING fts5(x)",
    "an index": "CREATE INDEX planted ON {table} (version)",
    "an index on an expression": "CREATE INDEX planted ON {table} (abs(version))",
    "an index of some rows": "CREATE INDEX planted ON {table} (version) WHERE version > 1",
    "a generated column": "ALTER TABLE {table} ADD COLUMN planted AS (1)",
    "a default": "ALTER TABLE {table} ADD COLUMN planted DEFAULT 7",
    "a collation": "ALTER TABLE {table} ADD COLUMN planted TEXT COLLATE NOCASE",
    "a check": "ALTER TABLE {table} ADD COLUMN planted CHECK (version < 99)",
    "an action of a foreign key": "ALTER TABLE {table} ADD COLUMN planted REFERENCES {table} ON DELETE CASCADE",
    "a conflict that is ignored": (
        "PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql ="
        " replace(sql, 'version INTEGER NOT NULL', 'version INTEGER NOT NULL ON CONFLICT IGNORE') WHERE name = '{table}'"
    ),
}

POSTGRESQL = {
    "a rule": "CREATE RULE planted AS ON DELETE TO project DO INSTEAD NOTHING",
    "a view": "CREATE VIEW planted AS SELECT 1",
    "a trigger under a name of ours": (
        "CREATE TRIGGER audit_x_written_once BEFORE UPDATE ON project FOR EACH ROW EXECUTE FUNCTION audit_written_once()"
    ),
    "the function of our triggers": (
        "CREATE OR REPLACE FUNCTION audit_written_once() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    ),
    "a policy": "ALTER TABLE project ENABLE ROW LEVEL SECURITY",
    "a table that adds its rows": "CREATE TABLE planted () INHERITS (project)",
    "a generated column": "ALTER TABLE project ADD COLUMN planted int GENERATED ALWAYS AS (1) STORED",
    "a default": "ALTER TABLE project ALTER COLUMN rulings SET DEFAULT current_query()",
    "a domain": "CREATE DOMAIN d AS bigint CHECK (VALUE > 0); ALTER TABLE project ALTER COLUMN version TYPE d",
    "a check": "ALTER TABLE project ADD CHECK (version < 99)",
    "an exclusion": "ALTER TABLE project ADD EXCLUDE USING btree (version WITH =)",
    "an action of a foreign key": "ALTER TABLE panel ADD FOREIGN KEY (dataset_id) REFERENCES dataset ON DELETE CASCADE",
    "an index on an expression": "CREATE INDEX planted ON project (abs(version))",
    "an index of some rows": "CREATE INDEX planted ON project (version) WHERE version > 1",
    "an index that is not kept up": (
        "UPDATE pg_index SET indisready = false WHERE indexrelid = 'ix_panel_name_version'::regclass"
    ),
    "a table of another schema": (
        "CREATE SCHEMA other; ALTER TABLE project SET SCHEMA other;"
        "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || quote_ident(current_database()) || ' SET search_path = public, other'; END $$"
    ),
    "operators before PostgreSQL's": (
        "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || quote_ident(current_database()) || ' SET search_path = public, pg_catalog'; END $$"
    ),
}


@pytest.fixture
def folder(tmp_path):
    return copy(tmp_path, whole=False)


def plant(path, statement):
    from pysqlite3 import dbapi2  # noqa: PLC0415 - as an attacker has it

    connection = dbapi2.connect(str(path))
    connection.execute("DROP TRIGGER IF EXISTS audit_leaf_no_update")
    connection.executescript(statement)
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


@pytest.fixture
def books(server):
    url = new_postgres(server)
    database = Database(url)
    upgrade(database, "books")
    database.close()
    return url


def test_postgresql_as_it_was_made_is_plain(server):
    for base in ("books", "keys"):
        database = Database(new_postgres(server))
        upgrade(database, base)
        require_plain(database, base)
        database.close()


@pytest.mark.parametrize("what", POSTGRESQL)
def test_what_was_planted_in_postgresql_is_refused(books, what):
    database = Database(books)
    with database.write() as tx:
        tx.connection().exec_driver_sql(POSTGRESQL[what])
    database.close()  # the settings of a database hold from the next connection on
    database = Database(books)
    with pytest.raises(IntegrityError) as caught:
        require_plain(database, "books")
    assert caught.value.code == "schema_planted"
    database.close()
