"""A row is looked up by an index, which is stored beside it: one that leads to another row is refused."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from pysqlite3 import dbapi2

from tests.support.vaults import approve, opened, panel
from vault import gate
from vault.access import projects
from vault.errors import IntegrityError
from vault.session.collections import COLLECTIONS

SWAPS = {
    "panel": ("ix_panel_name_version", "pgx", "wide", "name"),
    "project": ("sqlite_autoindex_project_2", "demo", "shut", "code"),
}


@contextmanager
def bare(path):
    """The database as an attacker has it, who may edit its schema."""
    connection = dbapi2.connect(str(path))
    connection.isolation_level = None
    connection.execute("PRAGMA writable_schema = 1")
    yield connection
    connection.close()


@contextmanager
def without_index(path, name):
    """The database while it does not know of one index, which therefore stays as it is."""
    with bare(path) as connection:
        kept = connection.execute("SELECT * FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        table, sql = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name = ?", (kept[2],)
        ).fetchone()
        connection.execute("DELETE FROM sqlite_master WHERE name = ?", (name,))
        plain = sql.replace(", \n\tCONSTRAINT uq_project_code UNIQUE (code)", "")
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (plain, table))
    with bare(path) as connection:
        yield connection
    with bare(path) as connection:
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (sql, table))
        connection.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", kept)


def swap(connection, table, column, one, other):
    """Give each of two records the other's name."""
    for before, after in ((one, "-"), (other, one), ("-", other)):
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (after, before))


@pytest.mark.parametrize("table", SWAPS)
def test_an_index_does_not_lead_to_another_row(small, table):
    index, one, other, column = SWAPS[table]
    with opened(small) as s:
        panel(s, "wide", loci=b"22\t1\t99999999\n")
        approve(s, "shut", "cohort")
        projects.change(s, "shut", "close")
    books = small / "books.db"
    with bare(books) as connection:
        swap(connection, table, column, one, other)
    with without_index(books, index) as connection:
        swap(connection, table, column, one, other)  # the rows are as they were signed; the index is not
    with opened(small) as s, pytest.raises(IntegrityError) as caught:
        gate.view(s, project="shut" if table == "project" else "demo", dataset="cohort", panel="pgx")
    assert caught.value.code == "database_damaged"


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE project SET version = version + 0.5",
        "UPDATE project SET state = CAST(x'ff' AS TEXT)",
        "UPDATE project SET state = CAST(state AS BLOB)",
        "UPDATE collection_head SET counter = counter + 0.5",
        "UPDATE collection_head SET counter = 'x'",
        "UPDATE audit_head SET size = size + 0.5",
        "UPDATE audit_head SET base = -1",
        "UPDATE audit_head SET mac = 'x'",
        "UPDATE audit_head SET stack = 'x'",
        "UPDATE audit_head SET epoch = 'x'",
    ],
)
def test_a_value_of_another_kind_is_told_in_one_line(small, edit):
    with bare(small / "books.db") as connection:
        connection.execute(edit)
    with pytest.raises(IntegrityError), opened(small) as s:
        gate.view(s, project="demo", dataset="cohort")


@pytest.mark.parametrize(
    ("base", "edit", "expected"),
    [
        ("keys", "UPDATE high_water SET mac = 'x'", "row_unreadable"),
        ("keys", "UPDATE high_water SET epoch = 1.5", "row_unreadable"),
        ("keys", "UPDATE high_water SET marks = CAST(marks AS BLOB)", "row_unreadable"),
        ("keys", "INSERT INTO high_water SELECT 0, marks, epoch, mac FROM high_water", "marks_altered"),
        (
            "books",
            "INSERT INTO vault SELECT zeroblob(16), origin, set_salt, keystore_seq, 1, created, time_zone, NULL, NULL FROM vault",
            "wrong_books",
        ),
    ],
)
def test_one_row_of_its_own_kind_is_what_an_opening_rests_on(small, base, edit, expected):
    with bare(small / f"{base}.db") as connection:
        connection.execute(edit)
    with pytest.raises(IntegrityError) as caught, opened(small):
        pass
    assert caught.value.code == expected


def test_every_collection_that_is_looked_up_in_is_held_against_its_indexes():
    assert [one.name for one in COLLECTIONS.values() if one.newest_by] == ["consent_batch"]
