"""Values that SQLite takes in any column and no program of ours writes: an error of ours, never a failure inside."""

from __future__ import annotations

import shutil

import pytest
from pysqlite3 import dbapi2
from sqlalchemy import Boolean, Integer, LargeBinary

from tests.support import tampering, vaults
from tests.support.tampering import DATABASES, editing
from tests.support.vaults import opened
from vault import gate
from vault.errors import GenovaultError
from vault.operations import doctor, key_rotation
from vault.session.collections import COLLECTIONS
from vault.storage.stored_types import LARGEST

# By kind of column: the first is refused by strict reading, the others are of the column's type and make no sense.
WRONG = {int: ("x", LARGEST, 0), bytes: ("x", b"", b"\0" * 3), str: (b"\0", "", "{x")}
SAMPLE = [
    ("books", "chunk", "n_sites", "x"),
    ("books", "chunk", "n_sites", 2**40),
    ("books", "chunk", "table_version", None),
    ("books", "chunk", "table_bytes", -1),
    ("books", "container", "n_slots", 2**62),
    ("books", "container", "nonce", b""),
    ("books", "container", "header_bytes", "x"),
    ("books", "layout_member", "slot", str(2**70)),
    ("books", "consent_batch", "events", "x"),
    ("books", "consent_batch", "times", None),
    ("books", "audit_leaf", "leaf", b"\0"),
    ("books", "audit_checkpoint", "size", "x"),
    ("books", "audit_head", "stack", 2.5),
    ("keys", "wrapped_key", "key_id", "x"),
    ("keys", "wrapped_key", "purpose", "x"),
    ("keys", "branch_epoch", "branch", "x"),
    ("keys", "wrapped_key", "wrapped", b""),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tampering.rich(tmp_path_factory.mktemp("rich"))


def set_to(folder, database, table, column, value):
    """Put a value into the newest row, NULL too where the schema forbids it; False where no row takes it."""
    keys = ", ".join(DATABASES[database].tables[table].primary_key.columns.keys())
    with editing(folder / f"{database}.db") as connection:
        schema = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
        _declare(connection, table, schema.replace(" NOT NULL", ""))
        wanted = f"({keys}) = (SELECT {keys} FROM {table} ORDER BY {keys} LIMIT 1)"
        try:
            changed = connection.execute(f'UPDATE OR IGNORE {table} SET "{column}" = ? WHERE {wanted}', (value,)).rowcount
        except dbapi2.IntegrityError:  # a rowid is a whole number, whatever its column says
            changed = 0
        _declare(connection, table, schema)
    return bool(changed)


def _declare(connection, table, schema):
    connection.execute("PRAGMA writable_schema=1")
    connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (schema, table))
    connection.execute("PRAGMA writable_schema=RESET")


def failures(folder):
    """Errors of what steward and auditor do that are no errors of ours."""
    found = []

    def attempt(act):
        try:
            return act()
        except GenovaultError as error:
            assert error.message
            assert "\n" not in error.message
        except (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
            found.append(f"{type(error).__name__}: {error}")

    def at_work():
        with opened(folder) as s:
            for panel in (None, "pgx"):
                attempt(lambda panel=panel: gate.view(s, project="demo", dataset="cohort", panel=panel))
            attempt(lambda: key_rotation.epochs(s))
            attempt(lambda: doctor.examine(s))
            attempt(lambda: vaults.verified(s))

    attempt(at_work)
    return found


@pytest.mark.parametrize("edit", SAMPLE, ids=lambda edit: ".".join(map(str, edit)))
def test_a_wrong_value_is_an_error_of_ours(made, tmp_path, edit):
    shutil.copytree(made.folder, tmp_path / "v")
    assert set_to(tmp_path / "v", *edit)
    assert failures(tmp_path / "v") == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("database", "table"), [(base, table) for base, metadata in DATABASES.items() for table in metadata.tables]
)
def test_so_is_a_value_of_the_right_type_in_every_column(made, tmp_path, database, table):
    """That a wrong type is refused in every column is shown beside strict reading; an edit of a collection, by the matrix."""
    columns = list(DATABASES[database].tables[table].columns)
    found = {}
    for column in columns if table not in COLLECTIONS else columns[-1:]:
        for value in WRONG[kind(column)][1:]:
            shutil.rmtree(tmp_path / "v", ignore_errors=True)
            shutil.copytree(made.folder, tmp_path / "v")
            if set_to(tmp_path / "v", database, table, column.name, value) and (failed := failures(tmp_path / "v")):
                found[column.name, value] = failed
    assert found == {}


def kind(column):
    own = column.type.impl_instance
    return int if isinstance(own, Integer | Boolean) else bytes if isinstance(own, LargeBinary) else str
