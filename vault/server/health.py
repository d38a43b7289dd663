"""Health of the server's stores, looked at apart from the requests: whether an access could be logged and answered now.

Each part is looked at by one thread at a time, at most once a second, however often anybody asks; one that does not answer within ``WAIT`` counts as
away until it does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy import select

from vault.server.seal import Seal
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.audit_tables import AuditCheckpointRow
from vault.storage.book_tables import VaultRow
from vault.storage.timestamps import from_micros

WAIT = 3.0  # seconds
FRESH = 1.0  # seconds for which a look stands
ROOM = 32 * 2**20  # bytes of disk below which the log counts as not writable: the entry of an answer may not fit any more
FAILED = 10.0  # seconds for which an answer that failed at its log counts


@dataclass(frozen=True)
class Looked:
    """Findings of each part; ``checkpoint_age`` in seconds, None where none was found."""

    database: bool
    audit: bool
    storage: bool
    checkpoint_age: float | None

    @property
    def whole(self) -> bool:
        """True if an access can be logged and answered."""
        return self.database and self.audit and self.storage


class Health:
    """Looks at the stores of an unsealed server. For one event loop."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._pool = ThreadPoolExecutor(3, thread_name_prefix="health")
        self._looks: dict[str, tuple[float, asyncio.Future[float | None]]] = {}

    async def look(self) -> Looked:
        """Look at every part. Raises HttpProblem 503 ``sealed``."""
        vault = self._seal.holds()
        parts = [self._look(name, vault, part) for name, part in (("read", _read), ("write", _write), ("objects", _objects))]
        await asyncio.wait(parts, timeout=WAIT)
        database, audit, storage = (one.done() and one.exception() is None for one in parts)
        failed = time.monotonic() - self._seal.failed < FAILED
        return Looked(database, audit and not failed, storage, parts[0].result() if database else None)

    def close(self) -> None:
        """End the threads that answer; one that waits for a store ends with the process."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _look(
        self, name: str, vault: UnlockedVault, part: Callable[[UnlockedVault], float | None]
    ) -> asyncio.Future[float | None]:
        begun, last = self._looks.get(name, (0.0, None))
        if last is not None and (not last.done() or time.monotonic() - begun < FRESH):
            return last
        found = asyncio.get_running_loop().run_in_executor(self._pool, part, vault)
        found.add_done_callback(lambda one: one.cancelled() or one.exception())  # a fault that nobody waits for is no bug
        self._looks[name] = time.monotonic(), found
        return found


def _read(vault: UnlockedVault) -> float | None:
    """Read both databases; seconds since the newest checkpoint."""
    newest = select(AuditCheckpointRow.created).order_by(AuditCheckpointRow.base.desc(), AuditCheckpointRow.size.desc()).limit(1)
    with vault.databases()[1][1].read() as tx:
        tx.connection()
    with vault.books.unwatched.read() as tx:
        tx.scalars(select(VaultRow.vault_id)).one()
        signed = tx.scalar(newest)
    return None if signed is None else max(0.0, (vault.clock() - from_micros(signed)).total_seconds())


def _write(vault: UnlockedVault) -> None:
    """Get the write lock of the log's database, and see that an entry would find room. Writes nothing."""
    database = vault.books.unwatched
    room = database.room()
    if room is not None and room < ROOM:
        raise OSError
    with database.write():
        pass


def _objects(vault: UnlockedVault) -> None:
    vault.objects.require_answer()
