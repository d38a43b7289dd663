"""Waiting for changes without a thread: one look at the heads for all who wait, four times a second, and a bounded number of those who do."""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select
from starlette.requests import Request

from vault.server.problems import HttpProblem
from vault.server.seal import Seal
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import CollectionHeadRow, ConsentBatchRow
from vault.storage.stored_types import largest

EVERY = 0.25  # seconds between two looks
OF_ONE = 4  # waiting at a time by one token
IN_ALL = 128  # and by all
_BY_ACCESSES = frozenset(
    {"released_sites", "linkage_decision", "budget", "budget_family", "frequency_table", "request", "lease", "job"}
)
"""Collections that accesses themselves change, and nothing that decides does."""

Heads = tuple[tuple[object, ...], ...]


class HeadWatch:
    """Tells those who wait that something changed by which accesses are decided, whichever process changed it. For one event loop.

    Who waits looks first and then waits for ``news`` of before that look, so that nothing is missed in between.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._waiting: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._heads: Heads | None = None
        self.news = asyncio.Event()
        self.ended = False

    def end(self) -> None:
        """Let everybody who waits go: the server is to end."""
        self.ended = True
        self._tell()

    @asynccontextmanager
    async def place(self, asker: str) -> AsyncIterator[None]:
        """A place among those who wait, while it is used. Raises HttpProblem 429, 503 ``too_many_waiting``; as ``Seal.run``."""
        if self._waiting.total() >= IN_ALL:
            raise HttpProblem(503, "too_many_waiting", "as many wait as can", {"Retry-After": "5"})
        if self._waiting[asker] >= OF_ONE:
            raise HttpProblem(429, "too_many_waiting", f"one token waits {OF_ONE} times at most", {"Retry-After": "5"})
        self._waiting[asker] += 1
        try:
            async with self._starting:
                if self._looking is None:
                    self._heads = await self._seal.run(heads)
                    self._looking = asyncio.create_task(self._look(), context=contextvars.Context())  # in nobody's turn
            yield
        finally:
            self._waiting[asker] -= 1
            if not self._waiting[asker]:
                del self._waiting[asker]
            if not self._waiting and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                found: Heads | None = await self._seal.run(heads)
            except HttpProblem as problem:
                if problem.code == "busy":
                    continue
                found = None
            except Exception:  # noqa: BLE001 - whatever it is: who waits looks for themselves, and says what it is
                found = None
            if found is None or found != self._heads:
                self._heads = found
                self._tell()

    def _tell(self) -> None:
        told, self.news = self.news, asyncio.Event()
        told.set()


def heads(vault: UnlockedVault) -> Heads:
    """Counters of all that accesses are decided by, as the books have them: to be compared, and no more."""
    with vault.books.unwatched.read() as tx:
        rows = tx.execute(select(CollectionHeadRow.name, CollectionHeadRow.counter).order_by(CollectionHeadRow.name)).all()
        last = tx.scalars(select(largest(ConsentBatchRow.last_seq))).one()
    return (*(tuple(row) for row in rows if row[0] not in _BY_ACCESSES), (last,))


def watch_of(request: Request) -> HeadWatch:
    """The watch of the application that a request came to."""
    watch: HeadWatch = request.app.state.watch
    return watch
