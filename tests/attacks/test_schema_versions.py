"""A schema that says it is of another version, or lacks a table: one line that says so, not that the disk may be full."""

from __future__ import annotations

import shutil

import pytest

from tests.support import vaults
from tests.support.tampering import DATABASES, editing
from tests.support.vaults import opened
from vault import gate
from vault.errors import GenovaultError, IntegrityError, UnavailableError
from vault.operations import doctor
from vault.storage.migrate import REVISIONS

OLDER = [(base, revision) for base, revisions in REVISIONS.items() for revision in revisions[:-1]]
ODD = [
    "UPDATE alembic_version SET version_num = 'zzzz'",
    "UPDATE alembic_version SET version_num = x'00'",
    "DELETE FROM alembic_version",
]
TABLES = [(base, table) for base, metadata in DATABASES.items() for table in metadata.tables]
SAMPLE = [("books", "chunk"), ("books", "audit_leaf"), ("books", "consent_batch"), ("books", "vault"), ("keys", "wrapped_key")]


def edit(folder, base, statement):
    with editing(folder / f"{base}.db") as connection:
        connection.execute(statement)


def at_work(folder):
    with opened(folder) as s:
        gate.view(s, project="demo", dataset="cohort", panel="pgx")
        gate.view(s, project="demo", dataset="cohort")


@pytest.mark.parametrize(("base", "revision"), OLDER)
def test_a_version_that_was_set_back_is_told(small, base, revision):
    edit(small, base, f"UPDATE alembic_version SET version_num = '{revision}'")
    with pytest.raises(IntegrityError) as refused:
        at_work(small)
    assert refused.value.code in ("schema_altered", "collection_altered")
    edit(small, base, f"UPDATE alembic_version SET version_num = '{REVISIONS[base][-1]}'")
    at_work(small)  # nothing was changed on the way


@pytest.mark.parametrize("statement", ODD)
@pytest.mark.parametrize("base", ["books", "keys"])
def test_so_is_one_that_no_program_has(small, base, statement):
    edit(small, base, statement)
    with pytest.raises(IntegrityError, match="alembic_version") as refused:
        at_work(small)
    assert refused.value.code == "schema_altered"
    assert REVISIONS[base][-1] in refused.value.hint


@pytest.mark.parametrize("base", ["books", "keys"])
def test_a_newer_one_asks_for_a_newer_program(small, base):
    edit(small, base, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UnavailableError) as refused:
        at_work(small)
    assert refused.value.code == "schema_version"


@pytest.mark.parametrize("base", ["books", "keys"])
def test_a_number_that_nobody_reads_changes_nothing(small, base):
    edit(small, base, "PRAGMA user_version = 77")
    edit(small, base, "PRAGMA application_id = 77")
    at_work(small)


def without(folder, base, table):
    """Errors of opening, viewing and doctor without a table."""
    connection = vaults.dbapi2.connect(str(folder / f"{base}.db"), isolation_level=None)
    connection.execute("PRAGMA foreign_keys=0")
    connection.execute(f"DROP TABLE {table}")
    connection.close()
    found = []
    try:
        with opened(folder) as s:
            for act in (lambda: at_work(folder), lambda: doctor.examine(s)):
                try:
                    act()
                except GenovaultError as error:
                    found.append(error)
    except GenovaultError as error:
        found.append(error)
    return found


@pytest.mark.parametrize(("base", "table"), SAMPLE)
def test_a_table_that_is_gone_is_told(small, base, table):
    assert "database_unavailable" not in {error.code for error in without(small, base, table)} != set()


@pytest.mark.long
def test_so_is_every_table(small, tmp_path):
    codes = {}
    for base, table in TABLES:
        shutil.rmtree(tmp_path / "w", ignore_errors=True)
        shutil.copytree(small, tmp_path / "w")
        codes[base, table] = {error.code for error in without(tmp_path / "w", base, table)}
    assert {place for place, found in codes.items() if "database_unavailable" in found} == set()
