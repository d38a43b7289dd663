"""Other processes in the way: one that holds the lock, one that was stopped in the middle, and a file system that turned read-only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pysqlite3 import dbapi2

from tests.support.audit_log import SIGNER, VKEY, event, make_books, open_log
from tests.support.outside import tool
from vault.audit.committer import GroupCommitter
from vault.audit.live_source import LogSource
from vault.audit.verify import verify
from vault.errors import UnavailableError
from vault.storage import database
from vault.storage.database import Database

ROOT = Path(__file__).parents[2]
KEY = VKEY.to_text()
HOLDER = """
import sys
from tests.support.audit_log import event, open_log
from vault.storage.database import Database

log = open_log(Database("sqlite:///" + sys.argv[1]), seed=31)
with log.database.write() as tx:
    log.append(tx, event())
    print("holding", flush=True)
    sys.stdin.readline()
print("committed", flush=True)
"""


@pytest.fixture
def impatient(monkeypatch):
    """A database that waits a second for its lock instead of thirty."""
    monkeypatch.setattr(database, "BUSY_MILLISECONDS", 1_000)
    pragmas = tuple((name, 1_000 if name == "busy_timeout" else value) for name, value in database.PRAGMAS)
    monkeypatch.setattr(database, "PRAGMAS", pragmas)


@pytest.fixture
def holder(books):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(books.path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "holding\n"
        yield process
        process.kill()


@pytest.fixture
def books(tmp_path):
    made = make_books(tmp_path)
    yield made
    made.database.close()


def refused(call):
    started = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        call()
    return caught.value.code, time.monotonic() - started


def holds(path, entries):
    log = open_log(Database(f"sqlite:///{path}"), seed=41)
    log.checkpoint(SIGNER)
    report = verify(LogSource(log, KEY), KEY)
    log.database.close()
    return report.ok and report.entries == entries


def test_a_lock_that_is_held_is_a_bounded_wait_and_a_refusal(books, impatient, holder):
    log = open_log(Database(f"sqlite:///{books.path}"), seed=5)
    code, waited = refused(lambda: log.record(event()))
    assert code == "log_unavailable"
    assert waited < 20
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "committed\n"
    assert log.record(event()).index == 1
    log.database.close()
    assert holds(books.path, 2)


def test_a_process_stopped_while_it_holds_the_lock(books, impatient, holder):
    os.kill(holder.pid, signal.SIGSTOP)
    log = open_log(Database(f"sqlite:///{books.path}"), seed=5)
    committer = GroupCommitter(log.record_many, wait=10)
    codes = []
    threads = [
        threading.Thread(target=lambda: codes.append(refused(lambda: committer.record(log.prepare(event())))[0]))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == ["log_unavailable"] * 5
    os.kill(holder.pid, signal.SIGCONT)
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "committed\n"
    assert committer.record(log.prepare(event())).index == 1
    committer.close()
    log.database.close()
    assert holds(books.path, 2)


def test_the_committers_own_wait_is_shorter_than_a_stuck_disk(books, holder):
    # The database would wait 30 s for the lock; whoever asked has been told long before, and no entry comes later by surprise.
    committer = GroupCommitter(books.log.record_many, wait=2)
    code, waited = refused(lambda: committer.record(books.log.prepare(event())))
    assert code == "log_unavailable"
    assert waited < 25
    holder.kill()
    holder.wait()
    deadline = time.monotonic() + 60
    while books.log.size() == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    committer.close()
    assert books.log.size() == 1  # taken up before the wait ended: an entry whose outcome was unknown, like any other
    assert holds(books.path, 1)


def test_a_read_only_file_system(books):
    books.log.record(event())
    books.database.close()
    command = [
        tool("strace"),
        "-f",
        "-qq",
        "-e",
        "trace=pwrite64",
        "-e",
        "inject=pwrite64:error=EROFS",
        sys.executable,
        "-c",
        _ONE,
    ]
    done = subprocess.run([*command, str(books.path)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "log_unavailable\n", done.stderr[-2000:]
    assert holds(books.path, 1)


_ONE = """
import sys
from tests.support.audit_log import event, open_log
from vault.errors import GenovaultError
from vault.storage.database import Database

log = open_log(Database("sqlite:///" + sys.argv[1]), seed=3)
try:
    log.record(event())
    print("acknowledged")
except GenovaultError as error:
    print(error.code)
"""


def test_an_unknown_outcome_that_turns_out_committed_is_one_entry(books):
    """docs/design/reliability.md §6.1: after a failed sync the frames may be found by the next process; the retry carries the same id."""
    prepared = books.log.prepare(event())
    raw = dbapi2.connect(str(books.path))
    assert raw.execute("SELECT count(*) FROM audit_leaf").fetchone() == (0,)
    raw.close()
    books.log.record(prepared)
    again = open_log(Database(f"sqlite:///{books.path}"), seed=9)
    assert again.record(prepared).index == 0
    again.database.close()
    assert holds(books.path, 1)
