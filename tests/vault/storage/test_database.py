"""Transactions mean the same on both databases; SQLite is set as it must be."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import exc, text

from tests.support.clusters import new_sqlite
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.storage import database as module
from vault.storage.database import PRAGMAS, Database, ReadOnlyCopy, create_sqlite_file, look_into


@pytest.fixture
def counter(database):
    """A table with one number in it."""
    with database.write() as tx:
        tx.execute(text("CREATE TABLE counter (n BIGINT PRIMARY KEY)"))
        tx.execute(text("INSERT INTO counter VALUES (0)"))
    return database


def value(database):
    with database.read() as tx:
        return tx.scalar(text("SELECT n FROM counter"))


def test_a_write_commits_on_leaving(counter):
    with counter.write() as tx:
        tx.execute(text("UPDATE counter SET n = 7"))
    assert value(counter) == 7


def test_any_exception_rolls_back(counter):
    def interrupted():
        with counter.write() as tx:
            tx.execute(text("UPDATE counter SET n = 7"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert value(counter) == 0


def test_tables_made_in_a_failed_write_are_gone(counter):
    def failed():
        with counter.write() as tx:
            tx.execute(text("CREATE TABLE other (n BIGINT)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failed()
    with pytest.raises(IntegrityError, match="lacks a table"), counter.read() as tx:
        tx.execute(text("SELECT * FROM other"))


def test_writers_take_turns_so_that_read_then_write_is_safe(counter, url):
    def add_hundred():
        mine = Database(url)
        for _ in range(50):
            with mine.write() as tx:
                n = tx.scalar(text("SELECT n FROM counter"))
                tx.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})
        mine.close()

    threads = [threading.Thread(target=add_hundred) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(counter) == 200


def test_a_second_writer_sees_what_the_first_committed(counter, url):
    """The snapshot is taken after the lock, not before."""
    entered, second = threading.Event(), []

    def late():
        other = Database(url)
        with other.read():  # connected
            entered.wait()
        with other.write() as tx:
            second.append(tx.scalar(text("SELECT n FROM counter")))
        other.close()

    thread = threading.Thread(target=late)
    thread.start()
    with counter.write() as tx:
        entered.set()
        thread.join(0.2)
        tx.execute(text("UPDATE counter SET n = 5"))
    thread.join()
    assert second == [5]


def test_a_read_sees_one_snapshot(counter, url):
    other = Database(url)
    with counter.read() as tx:
        assert tx.scalar(text("SELECT n FROM counter")) == 0
        with other.write() as writing:
            writing.execute(text("UPDATE counter SET n = 9"))
        assert tx.scalar(text("SELECT n FROM counter")) == 0
    other.close()
    assert value(counter) == 9


def test_a_read_cannot_write(counter):
    with pytest.raises(UnavailableError), counter.read() as tx:
        tx.execute(text("UPDATE counter SET n = 1"))
    assert value(counter) == 0


def test_a_violated_constraint_is_the_callers_to_name(counter):
    with pytest.raises(exc.IntegrityError), counter.write() as tx:
        tx.execute(text("INSERT INTO counter VALUES (0)"))
    assert value(counter) == 0


def test_a_lost_connection_is_one_documented_error(counter):
    def cut_off():
        with counter.write() as tx:
            tx.execute(text("UPDATE counter SET n = 3"))
            tx.connection().connection.dbapi_connection.close()
            tx.execute(text("SELECT n FROM counter"))

    with pytest.raises(UnavailableError) as caught:
        cut_off()
    assert caught.value.code == "database_unavailable"
    assert value(counter) == 0


def test_an_error_names_no_parameter(counter):
    with pytest.raises(IntegrityError) as caught, counter.read() as tx:
        tx.execute(text("SELECT :secret FROM no_such_table"), {"secret": "canary-51"})
    chain, error = "", caught.value
    while error is not None:
        chain += str(error) + repr(error)
        error = error.__cause__ or error.__context__
    assert "canary-51" not in chain


def test_nothing_is_logged_at_debug(url, caplog):
    """SQLAlchemy logs each fetched row at DEBUG: internal ids would stand in the log of a program that is being debugged."""
    for name in ("", "sqlalchemy", "sqlalchemy.engine", "sqlalchemy.pool", "psycopg"):
        caplog.set_level(logging.DEBUG, name or None)
    opened = Database(url)
    with opened.write() as tx:
        tx.execute(text("CREATE TABLE t (v TEXT)"))
        tx.execute(text("INSERT INTO t VALUES (:v)"), {"v": "canary-52"})
    with opened.read() as tx:
        assert tx.execute(text("SELECT v FROM t WHERE v = :v"), {"v": "canary-52"}).all() == [("canary-52",)]
    opened.close()
    assert "canary-52" not in caplog.text


@pytest.mark.parametrize("url", ["mysql://h/d", "sqlite://", "sqlite:///:memory:", "nonsense", "oracle://u:hunter2@h/d"])
def test_other_databases_are_refused(url):
    with pytest.raises((InputError, UnavailableError)) as caught:
        Database(url)
    assert caught.value.code in {"bad_url", "no_database"}
    assert "hunter2" not in str(caught.value)


def test_no_password_in_any_error():
    opened = Database("postgresql://ann:hunter2@127.0.0.1:1/none?connect_timeout=1")
    with pytest.raises(UnavailableError) as caught, opened.read():
        pass
    assert caught.value.code == "database_unavailable"
    assert "hunter2" not in repr(caught.value.__cause__) + str(caught.value)
    opened.close()


# SQLite alone


@pytest.mark.parametrize("writer", [True, False])
def test_every_pragma_reads_back_on_every_connection(tmp_path, writer):
    opened = Database(new_sqlite(tmp_path))
    for _ in range(2):
        with (opened.write if writer else opened.read)() as tx:
            found = {name: tx.scalar(text(f"PRAGMA {name}")) for name, _ in PRAGMAS}
        assert found == dict(PRAGMAS)
    opened.close()


def test_a_pragma_that_does_not_take_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PRAGMAS", (*PRAGMAS, ("no_such_pragma", 1)))
    opened = Database(new_sqlite(tmp_path))
    with pytest.raises(UnavailableError) as caught, opened.read() as tx:
        tx.execute(text("SELECT 1"))
    assert caught.value.code == "sqlite_setting"


def test_a_sqlite_that_loses_commits_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SQLITE_FIXED", (99, 0, 0))
    with pytest.raises(UnavailableError) as caught:
        Database(new_sqlite(tmp_path))
    assert caught.value.code == "sqlite_too_old"


def test_a_missing_file_is_an_error_and_is_not_made(tmp_path):
    with pytest.raises(UnavailableError) as caught:
        Database(f"sqlite:///{tmp_path / 'gone.db'}")
    assert caught.value.code == "no_database"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_open_to_others_is_refused(tmp_path, mode):
    url = new_sqlite(tmp_path)
    Path(url.removeprefix("sqlite:///")).chmod(mode)
    with pytest.raises(IntegrityError) as caught:
        Database(url)
    assert caught.value.code == "open_permissions"


def test_the_files_beside_the_database_are_private_too(tmp_path):
    opened = Database(new_sqlite(tmp_path))
    with opened.write() as tx:
        tx.execute(text("CREATE TABLE t (v TEXT)"))
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}
    assert len(modes) == 3
    assert set(modes.values()) == {"0o600"}
    opened.close()


def test_making_a_file_never_overwrites(tmp_path):
    create_sqlite_file(tmp_path / "a.db")
    assert oct((tmp_path / "a.db").stat().st_mode & 0o777) == "0o600"
    with pytest.raises(InputError) as caught:
        create_sqlite_file(tmp_path / "a.db")
    assert caught.value.code == "vault_exists"


def test_a_file_that_is_no_database_is_an_error(tmp_path):
    path = tmp_path / "a.db"
    path.write_bytes(b"not a database at all" * 100)
    path.chmod(0o600)
    opened = Database(f"sqlite:///{path}")
    with pytest.raises(IntegrityError) as caught, opened.read() as tx:
        tx.execute(text("SELECT 1 FROM sqlite_master"))
    assert caught.value.code == "database_damaged"


@pytest.fixture
def damaged(tmp_path) -> Database:
    """One row to a page, and every page but the first few overwritten."""
    path = tmp_path / "a.db"
    create_sqlite_file(path)
    whole = Database(f"sqlite:///{path}")
    with whole.write() as tx:
        tx.execute(text("CREATE TABLE t (n INTEGER PRIMARY KEY, v TEXT)"))
        tx.execute(text("INSERT INTO t (v) VALUES (:v)"), [{"v": "hunter2" * 500}] * 40)
    whole.close()
    data = path.read_bytes()
    path.write_bytes(data[: 2 * 4096] + b"\xff" * (len(data) - 2 * 4096))
    return Database(f"sqlite:///{path}")


def test_damage_is_an_error_of_integrity_when_it_is_read(damaged):
    with pytest.raises(IntegrityError) as caught, damaged.read() as tx:
        tx.execute(text("SELECT sum(length(v)) FROM t")).all()
    assert caught.value.code == "database_damaged"
    assert "doctor" in caught.value.hint


def test_damage_leaves_the_outcome_of_a_write_unknown(damaged):
    with pytest.raises(UnavailableError) as caught, damaged.write() as tx:
        tx.execute(text("INSERT INTO t (v) SELECT v FROM t"))
    assert caught.value.code == "database_unavailable"


def test_looking_for_damage_survives_it(damaged):
    assert damaged.damage()


def test_a_locked_database_is_an_error_after_the_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PRAGMAS", tuple((n, 50 if n == "busy_timeout" else v) for n, v in PRAGMAS))
    url = new_sqlite(tmp_path)
    first, second = Database(url), Database(url)
    with first.write() as tx:
        tx.execute(text("CREATE TABLE t (v TEXT)"))
        with pytest.raises(UnavailableError) as caught, second.write() as late:
            late.execute(text("CREATE TABLE t (v TEXT)"))
    assert caught.value.code == "database_unavailable"
    with second.write() as tx:
        tx.execute(text("INSERT INTO t VALUES ('x')"))
    first.close()
    second.close()


def test_deleted_bytes_are_gone_after_a_checkpoint(tmp_path):
    url, canary = new_sqlite(tmp_path), os.urandom(24)
    opened = Database(url)
    with opened.write() as tx:
        tx.execute(text("CREATE TABLE t (v BLOB)"))
        tx.execute(text("INSERT INTO t VALUES (:v)"), {"v": canary})
    assert any(canary in path.read_bytes() for path in tmp_path.iterdir())
    with opened.write() as tx:
        tx.execute(text("DELETE FROM t"))
    opened.checkpoint_wal()
    assert not any(canary in path.read_bytes() for path in tmp_path.iterdir())
    opened.close()


def test_a_checkpoint_that_a_reader_holds_up_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PRAGMAS", tuple((n, 50 if n == "busy_timeout" else v) for n, v in PRAGMAS))
    opened = Database(new_sqlite(tmp_path))
    with opened.write() as tx:
        tx.execute(text("CREATE TABLE t (v BLOB)"))
    with opened.read() as tx:
        tx.execute(text("SELECT * FROM t"))
        with opened.write() as writing:
            writing.execute(text("INSERT INTO t VALUES (x'00')"))
        with pytest.raises(UnavailableError) as caught:
            opened.checkpoint_wal()
    assert caught.value.code == "database_busy"
    opened.close()


KILLED = """
import os, signal, sys
from sqlalchemy import text
from vault.storage.database import Database
database = Database(sys.argv[1])
with database.write() as tx:
    tx.execute(text("UPDATE counter SET n = 1"))
with database.write() as tx:
    tx.execute(text("UPDATE counter SET n = 2"))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_what_it_committed(counter, url):
    subprocess.run([sys.executable, "-c", KILLED, url], check=False, timeout=60)
    assert value(counter) == 1


class TestReadOnlyCopy:
    """A copy on read-only storage. Root may write anywhere, so what it may not is told to the program."""

    @pytest.fixture
    def copied(self, tmp_path, monkeypatch):
        path = tmp_path / "copy" / "books.db"
        path.parent.mkdir()
        url = f"sqlite:///{path}"
        create_sqlite_file(path)
        made = Database(url)
        with made.write() as tx:
            tx.execute(text("CREATE TABLE t (x)"))
            tx.execute(text("INSERT INTO t VALUES (7)"))
        made.checkpoint_wal()
        made.close()
        monkeypatch.setattr("vault.storage.database.os.access", lambda *_: False)
        return url

    def test_it_is_read_and_never_written(self, copied):
        found = look_into(copied)
        assert isinstance(found, ReadOnlyCopy)
        with found.read() as tx:
            assert tx.scalar(text("SELECT x FROM t")) == 7
        with pytest.raises(UnavailableError) as caught, found.write() as tx:
            tx.execute(text("INSERT INTO t VALUES (8)"))
        assert "cannot be written" in caught.value.message
        found.close()

    def test_what_stands_in_a_log_beside_it_is_not_passed_over(self, copied):
        path = Path(copied.removeprefix("sqlite:///"))
        path.with_name("books.db-wal").write_bytes(b"x" * 40)
        with pytest.raises(UnavailableError) as caught:
            look_into(copied)
        assert "write-ahead log" in caught.value.message
