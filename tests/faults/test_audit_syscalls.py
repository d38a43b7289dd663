"""Every system call by which an append reaches the disk fails, or the process dies in it; the verifier judges what is left.

The writer opens the log, appends through the group committer and says what it was told. Whatever was acknowledged is in the log;
whatever else is there is the very entry whose outcome was unknown; the log verifies, and takes the next entry.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.audit_log import SIGNER, VKEY, event, make_books, open_log
from tests.support.outside import tool
from vault.audit.live_source import LogSource
from vault.audit.verify import verify
from vault.storage.database import Database

ROOT = Path(__file__).parents[2]
KEY = VKEY.to_text()
ENTRIES = 3
WRITER = """
import json, os, sys
from tests.support.audit_log import event, open_log, token
from vault.audit.committer import GroupCommitter
from vault.errors import GenovaultError
from vault.storage.database import Database

log = open_log(Database("sqlite:///" + sys.argv[1]), seed=7)
committer = GroupCommitter(log.record_many, wait=20)
for i in range(int(sys.argv[2])):
    prepared = log.prepare(event(detail={"i": i}, subjects=[token(i)]))
    said = {"id": prepared.event_id}
    try:
        said["index"] = committer.record(prepared).index
    except GenovaultError as error:
        said["error"] = error.code
    os.write(1, (json.dumps(said) + "\\n").encode())
os.write(1, b'"end"\\n')
"""
CALLS = ("pwrite64", "fsync", "fdatasync", "ftruncate")  # which sync it is depends on how SQLite was built
FAULTS = ("error=EIO", "error=ENOSPC", "signal=KILL")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A log with a checkpoint, to be copied."""
    folder = tmp_path_factory.mktemp("base")
    books = make_books(folder)
    books.log.record_many([event() for _ in range(254)])  # the third entry completes a tile
    books.log.checkpoint(SIGNER)
    books.database.checkpoint_wal()
    books.database.close()
    return books.path


def run(path, *injection):
    """The writer under strace; (what it said, the trace)."""
    command = [tool("strace"), "-f", "-qq", *injection, sys.executable, "-c", WRITER, str(path), str(ENTRIES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return [json.loads(line) for line in done.stdout.splitlines(keepends=True) if line.endswith("\n")], done.stderr


def calls_of(path):
    """Number of times a clean run makes each call."""
    said, trace = run(path, "-e", f"trace={','.join(CALLS)}")
    assert said[-1] == "end", trace
    return {call: len(re.findall(rf"\b{call}\(", trace)) for call in CALLS}


def judge(path, said):
    """The oracle."""
    log = open_log(Database(f"sqlite:///{path}"), seed=99)
    stored = {entry.event_id: entry.index for entry in log.entries(254)}
    answers = [line for line in said if isinstance(line, dict)]
    acknowledged = {line["id"]: line["index"] for line in answers if "index" in line}
    assert acknowledged.items() <= stored.items()
    attempted = {line["id"] for line in answers}
    # A killed writer says nothing of the last entry it was writing.
    assert len(stored.keys() - attempted) <= (0 if said and said[-1] == "end" else 1)
    assert {line.get("error") for line in answers} <= {None, "log_unavailable"}
    log.record(event())
    log.checkpoint(SIGNER)
    report = verify(LogSource(log, KEY), KEY)
    assert report.ok, report.findings
    log.database.close()
    return acknowledged


def inject(base, folder, call, fault, when):
    path = folder / "books.db"
    folder.mkdir(exist_ok=True)
    for stale in folder.iterdir():
        stale.unlink()
    shutil.copy2(base, path)
    said, trace = run(path, "-e", f"trace={call}", "-e", f"inject={call}:{fault}:when={when}")
    if "error=" in fault:
        assert said, trace
        assert said[-1] == "end", trace  # an error, never a crash
    return judge(path, said)


@pytest.mark.parametrize(
    ("call", "fault", "when"),
    [
        ("pwrite64", "error=ENOSPC", "4"),
        ("pwrite64", "error=EIO", "9+"),  # from here on for ever
        ("pwrite64", "signal=KILL", "7"),
        ("fsync", "error=EIO", "2"),
        ("fsync", "error=EIO", "1+"),
        ("fsync", "signal=KILL", "2"),
    ],
)
def test_some_calls(base, tmp_path, call, fault, when):
    acknowledged = inject(base, tmp_path / "run", call, fault, when)
    if when == "1+":
        assert acknowledged == {}  # a disk that never confirms acknowledges nothing


@pytest.mark.long
def test_every_call(base, tmp_path):
    shutil.copy2(base, tmp_path / "books.db")
    counted = calls_of(tmp_path / "books.db")
    assert counted["pwrite64"] >= ENTRIES
    assert counted["fsync"] + counted["fdatasync"] >= ENTRIES
    for call, count in counted.items():
        # Each place once and each fault often; the few syncs with every fault. All of it is half an hour.
        each = FAULTS if "sync" in call else FAULTS[:1]
        for when in range(1, count + 1):
            for turn, _ in enumerate(each):
                inject(base, tmp_path / "run", call, FAULTS[(when + turn) % len(FAULTS)], str(when))
