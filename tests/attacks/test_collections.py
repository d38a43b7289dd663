"""Every column of every collection: edited, a row deleted, all rows deleted, a copy inserted, an older row put back."""

from __future__ import annotations

import shutil

import pytest
from pysqlite3 import dbapi2

from policies import authority
from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.access import projects, requests
from vault.audit import row_checks
from vault.errors import GenovaultError, IntegrityError
from vault.operations import doctor
from vault.session.collection_heads import CollectionHead
from vault.session.collections import COLLECTIONS
from vault.session.unlocked_vault import open_vault


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A vault with a row in every collection that daily work fills."""
    folder = vaults.copy(tmp_path_factory.mktemp("collections"), whole=False)
    with opened(folder) as s:
        vaults.ask(s)
    return folder


def edits(connection, name):
    """(what, statement) of every attack on one collection that changes it."""
    found = [(row[1], row[2], row[3]) for row in connection.execute(f"PRAGMA table_info({name})")]
    rows = connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
    if not rows:
        return
    for column, kind, required in found:
        if column not in COLLECTIONS[name].columns:
            continue
        value = {"BLOB": "randomblob(16)", "INTEGER": f"coalesce({column}, 0) + 1", "BIGINT": f"coalesce({column}, 0) + 1"}
        new = value.get(kind.upper().partition("(")[0], f"coalesce({column}, '') || 'x'")
        if (name, column) == ("people_digest", "bucket"):
            new = "bucket + 1000"  # not onto another bucket
        if (name, column) == ("consent_batch", "last_seq"):
            new = "last_seq + 100"  # not onto another batch
        yield f"{column} edited", f"UPDATE {name} SET {column} = {new}"
        if not required:
            yield f"{column} emptied", f"UPDATE {name} SET {column} = NULL WHERE {column} IS NOT NULL"
    yield "a row deleted", f"DELETE FROM {name} WHERE rowid = (SELECT max(rowid) FROM {name})"
    yield "all rows deleted", f"DELETE FROM {name}"


@pytest.mark.parametrize("name", sorted(COLLECTIONS))
def test_no_row_of_what_decides_can_be_edited(full, tmp_path, name):
    connection = dbapi2.connect(str(full / "books.db"))
    attacks = list(edits(connection, name))
    connection.close()
    for at, (what, statement) in enumerate(attacks):
        folder = tmp_path / str(at)
        shutil.copytree(full, folder)
        if vaults.sql(folder / "books.db", "PRAGMA foreign_keys=0", statement, "SELECT changes()") == [(0,)]:
            continue
        try:
            s = open_vault(folder, factor=vaults.FACTOR)
        except IntegrityError:
            continue  # refused before anything was read
        try:
            assert name in s.books.altered(), what
        finally:
            s.abandon()


HEADS = {
    "a head deleted": "DELETE FROM collection_head WHERE name = 'project'",
    "all heads deleted": "DELETE FROM collection_head",
    "a counter": "UPDATE collection_head SET counter = counter + 1 WHERE name = 'project'",
    "a digest": "UPDATE collection_head SET digest = zeroblob(32) WHERE name = 'project'",
    "a signer": "UPDATE collection_head SET signer = zeroblob(32) WHERE name = 'project'",
    "a name that is no text": "UPDATE collection_head SET name = x'ff' WHERE name = 'project'",
    "a signature": "UPDATE collection_head SET signature = zeroblob(64) WHERE name = 'project'",
    "the state": "UPDATE audit_head SET state = zeroblob(32)",
    "the state taken out": "UPDATE audit_head SET state = NULL",
    "the mac": "UPDATE audit_head SET mac = zeroblob(32)",
    "the mac taken out": "UPDATE audit_head SET mac = NULL, epoch = NULL, state = NULL",
    "the epoch": "UPDATE audit_head SET epoch = epoch + 1",
}


@pytest.mark.parametrize("attack", HEADS)
def test_no_head_can_be_edited(full, tmp_path, attack):
    shutil.copytree(full, tmp_path / "v")
    vaults.sql(tmp_path / "v" / "books.db", HEADS[attack])
    s = open_vault(tmp_path / "v", factor=vaults.FACTOR)
    try:
        with pytest.raises(GenovaultError):
            gate.view(s, project="demo", dataset="cohort")
    finally:
        s.abandon()


def test_a_withdrawal_that_was_taken_out_is_named(full, tmp_path):
    shutil.copytree(full, tmp_path / "v")
    vaults.sql(
        tmp_path / "v" / "books.db", "DELETE FROM consent_batch WHERE last_seq = (SELECT max(last_seq) FROM consent_batch)"
    )
    s = open_vault(tmp_path / "v", factor=vaults.FACTOR)
    try:
        assert s.books.altered() == {"consent_batch": "the books were edited: record 13 of consent_batch was taken out"}
    finally:
        s.abandon()


def row(path, table):
    return vaults.sql(path, f"SELECT * FROM {table} LIMIT 1")[0]


def put_back(path, table, old):
    columns = [line[1] for line in vaults.sql(path, f"PRAGMA table_info({table})")]
    vaults.sql(path, (f"UPDATE {table} SET {', '.join(f'{column} = ?' for column in columns)}", tuple(old)))


def test_an_older_row_with_its_older_head_is_refused(full, tmp_path):
    """A project and its head replayed together: the head of the log binds the newer state."""
    shutil.copytree(full, tmp_path / "v")
    path = tmp_path / "v" / "books.db"
    old = row(path, "project")
    head = vaults.sql(path, "SELECT counter, digest, signer, signature FROM collection_head WHERE name = 'project'")[0]
    with opened(tmp_path / "v") as s:
        projects.change(s, "demo", "close")
    put_back(path, "project", old)
    vaults.sql(
        path, ("UPDATE collection_head SET counter=?, digest=?, signer=?, signature=? WHERE name = 'project'", tuple(head))
    )
    with pytest.raises(IntegrityError) as caught, opened(tmp_path / "v") as s:
        gate.view(s, project="demo", dataset="cohort")
    assert caught.value.code == "collection_altered"


def test_reads_that_do_not_rest_on_what_was_edited_go_on(full, tmp_path):
    shutil.copytree(full, tmp_path / "v")
    vaults.sql(tmp_path / "v" / "books.db", "UPDATE request SET state = 'approved'")
    with opened(tmp_path / "v") as s:
        assert len(gate.view(s, project="demo", dataset="cohort").pseudonyms) == len(vaults.PERMITTED)
        with pytest.raises(IntegrityError) as caught:
            requests.list_all(s)
        assert caught.value.code == "collection_altered"
        assert "request" in caught.value.message


@pytest.mark.parametrize("name", ["project", "request", "dataset"])
def test_doctor_names_the_collection(full, tmp_path, name):
    """The refusal sends its reader there."""
    shutil.copytree(full, tmp_path / "v")
    vaults.sql(tmp_path / "v" / "books.db", f"UPDATE {name} SET created = created + 1")
    with opened(tmp_path / "v") as s:
        report = doctor.examine(s)
    assert not report.ok
    assert any(found.code == "collection_altered" and name in found.message for found in report.findings)


HEAD_COLUMNS = "SELECT name, counter, digest, listing_sha256, signer, signature FROM collection_head"


def test_a_slot_that_puts_the_stewards_state_back_contradicts_the_log(full, tmp_path):
    """Whoever holds an engine's slot can make the log's MAC, and bind an earlier state that a steward signed to the log of now."""
    shutil.copytree(full, tmp_path / "v")
    with opened(tmp_path / "v") as s:
        tables = (*sorted(authority.STEWARDS_OWN), "collection_head")
        with s.books.unwatched.read() as tx:
            before = {name: tx.connection().exec_driver_sql(f"SELECT * FROM {name}").all() for name in tables}
        projects.change(s, "demo", "close")
        heads = s.books._signed_heads
        with s.books.unwatched.write() as tx:
            connection = tx.connection()
            connection.exec_driver_sql("PRAGMA defer_foreign_keys=1")
            for name, rows in before.items():
                connection.exec_driver_sql(f"DELETE FROM {name}")
                for row in rows:
                    connection.exec_driver_sql(f"INSERT INTO {name} VALUES ({','.join('?' * len(row))})", tuple(row))
            known = {row.name: CollectionHead(*row[1:]) for row in connection.exec_driver_sql(HEAD_COLUMNS)}
            heads.sign(tx, known, {})
        assert gate.view(s, project="demo", dataset="cohort").pseudonyms  # nothing but the log tells
        assert "state_put_back" in {found.code for found in doctor.examine(s).findings}


def test_an_entry_states_the_number_of_the_state_that_it_leaves(full, tmp_path):
    shutil.copytree(full, tmp_path / "v")
    with opened(tmp_path / "v") as s:
        projects.change(s, "demo", "suspend")
        gate.check(s, "demo")
        with s.books.read() as tx:
            assert row_checks.newest_state(tx) == s.books.state_number(tx) > 0
        assert not {"state_put_back"} & {found.code for found in doctor.examine(s).findings}
