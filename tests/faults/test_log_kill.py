"""A process that appends is killed at any instant: whatever it acknowledged is in the log, and the log verifies."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.audit_log import SIGNER, VKEY, event, make_books, open_log
from vault.audit.live_source import LogSource
from vault.audit.verify import verify
from vault.storage.database import Database

WRITER = """
import os, sys
from tests.support.audit_log import event, open_log, token
from vault.storage.database import Database

log = open_log(Database("sqlite:///" + sys.argv[1]), seed=int(sys.argv[2]))
while True:
    for appended in log.record_many([event(detail={"a": 1}, subjects=[token(os.getpid())])] * 3):
        os.write(1, f"{appended.index} {appended.event_id}\\n".encode())
"""


@pytest.mark.parametrize("rounds", [3, pytest.param(40, marks=pytest.mark.long)])
def test_acknowledged_entries_survive_a_kill(tmp_path, rounds):
    books = make_books(tmp_path)
    books.database.close()
    acknowledged: dict[int, str] = {}
    for attempt in range(rounds):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(books.path), str(100 + attempt)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as writer:
            writer.stdout.readline()  # it is appending now
            time.sleep(0.01 * (attempt % 7))
            writer.kill()
            lines = writer.stdout.read().splitlines(keepends=True)
        acknowledged |= {int(index): event_id for index, event_id in (line.split() for line in lines if line.endswith("\n"))}
        log = open_log(Database(f"sqlite:///{books.path}"), seed=1000 + attempt)
        stored = {entry.index: entry.event_id for entry in log.entries()}
        assert acknowledged.items() <= stored.items()
        log.record(event())
        log.checkpoint(SIGNER)
        assert verify(LogSource(log, None), VKEY.to_text()).ok
        log.database.close()
    assert acknowledged
