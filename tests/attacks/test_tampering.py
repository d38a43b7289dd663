"""``docs/tampering.md``: every column of every table, and every file, with every attack; what decides is stopped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.support import tampering, vaults
from tests.support.clusters import cluster, new_postgres
from tests.support.tampering import CHANGED, DATABASES, HARMLESS, HARMLESS_BECAUSE, SILENT, STOPPED
from tests.support.vaults import opened
from vault.operations import doctor
from vault.session.collections import COLLECTIONS
from vault.session.settings import Places

PAGE = Path(__file__).parents[2] / "docs" / "tampering.md"
TABLES = [(base, name) for base, metadata in DATABASES.items() for name in sorted(metadata.tables)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tampering.rich(tmp_path_factory.mktemp("rich"))


def test_every_column_has_its_row():
    """A new table or column without a row fails: make the page anew and look at what the row says."""
    listed = set(re.findall(r"^\| `([a-z_0-9]+\.[a-z_0-9]+\.[a-z_0-9]+)` \|", PAGE.read_text(), re.MULTILINE))
    columns = {f"{base}.{name}.{column.name}" for base, name in TABLES for column in DATABASES[base].tables[name].columns}
    assert listed == columns


def test_nothing_on_the_page_is_silent():
    assert not re.search(rf"\b({SILENT}|{CHANGED})\b", PAGE.read_text())


def test_every_excuse_is_of_something():
    places = {f"{base}.{name}" for base, name in TABLES}
    places |= {f"{base}.{name}.{column.name}" for base, name in TABLES for column in DATABASES[base].tables[name].columns}
    assert set(HARMLESS_BECAUSE) <= places
    assert not {place for place in HARMLESS_BECAUSE if place.split(".")[1] in COLLECTIONS}


@pytest.mark.long
@pytest.mark.parametrize("place", [*TABLES, ("", "files")], ids=".".join)
def test_what_is_edited_is_stopped_found_or_harmless(made, tmp_path, place):
    base, table = place
    cells = tampering.file_cells(made) if not base else (c for c in tampering.table_cells(made) if (c.database, c.table) == place)
    page = PAGE.read_text()
    for cell in cells:
        verdict = tampering.judge(made, cell, tmp_path)
        if verdict is None:
            continue
        assert verdict.kind not in (SILENT, CHANGED), (cell.place, cell.attack, verdict)
        if base == "books" and table in COLLECTIONS:
            assert verdict.kind == STOPPED, (cell.place, cell.attack, verdict)
        assert verdict.kind != HARMLESS or HARMLESS_BECAUSE[cell.place] in page, (cell.place, cell.attack)


POSTGRESQL = {
    **{
        name: f"UPDATE {name} SET created = created + 1"
        for name in ("vault", "principal", "dataset", "part", "panel", "consent_form", "project", "request")
    },
    "approval": "UPDATE approval SET signed = signed + 1",
    "consent_batch": "UPDATE consent_batch SET head = decode(repeat('00', 32), 'hex')",
    "people_digest": "DELETE FROM people_digest",
    "lease": "INSERT INTO lease (prefix, expires) VALUES ('', 0)",
}
POSTGRESQL_FOUND = {
    "identity_altered": "UPDATE identity SET version = version + 1",
    "reference_missing": "DELETE FROM reference WHERE digest = (SELECT max(digest) FROM reference)",
    "members_altered": "DELETE FROM layout_member WHERE subject_id = (SELECT max(subject_id) FROM layout_member)",
    "evidence_altered": "DELETE FROM consent_private WHERE seq = 2",
    "log_rows_altered": "DELETE FROM audit_set_leaf",
    "guards_missing": "DROP TRIGGER audit_leaf_written_once ON audit_leaf",
}


@pytest.mark.long
def test_the_same_holds_on_postgresql(tmp_path):
    """A fixed sample: each edit is carried out on the server by its own superuser, and taken back."""
    with cluster() as server:
        url = new_postgres(server)
        vaults.make(tmp_path / "v", places=Places(books=url), whole=False)
        engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        with opened(tmp_path / "v") as s:
            for name, statement in POSTGRESQL.items():
                with taken_back(engine, statement):
                    assert name in s.books.altered(), statement
            for code, statement in POSTGRESQL_FOUND.items():
                with taken_back(engine, statement):
                    assert code in {found.code for found in doctor.examine(s).findings}, statement
        engine.dispose()


class taken_back:  # noqa: N801 - reads as a verb where it is used
    """A statement of the superuser, without triggers and foreign keys; the database as it was afterwards."""

    def __init__(self, engine, statement):
        self._engine, self._statement = engine, statement

    def __enter__(self):
        with self._engine.begin() as connection:
            connection.execute(text("SET session_replication_role = replica"))
            table = re.search(r"(?:UPDATE|FROM|INTO|ON) ([a-z_]+)", self._statement)[1]
            self._table, self._rows = table, connection.execute(text(f"SELECT * FROM {table}")).mappings().all()
            self._trigger = connection.execute(
                text("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = :n"), {"n": self._statement.split()[2]}
            ).scalar()
            connection.execute(text(self._statement))

    def __exit__(self, *_):
        with self._engine.begin() as connection:
            connection.execute(text("SET session_replication_role = replica"))
            if self._trigger is not None:
                connection.execute(text(self._trigger))
                return
            connection.execute(text(f"DELETE FROM {self._table}"))
            for row in self._rows:
                connection.execute(text(f"INSERT INTO {self._table} VALUES ({', '.join(f':{key}' for key in row)})"), dict(row))
