"""Limits that keep one asker from keeping others waiting: how often, by token and by source, and how many threads at a time.

They are no privacy budgets: those are kept in the books, and charged within the transaction of what they are charged for. What is here is forgotten
with the process, and bounded in memory whoever asks: the bucket that was used longest ago goes first.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TypeVar

from vault.server.problems import HttpProblem

T = TypeVar("T")

MOST_KEYS = 4_096
ASKER: ContextVar[str] = ContextVar("asker", default="")
"""Asker whose turn a request takes: a digest of its token, or its source. Set by ``admission``."""


class Buckets:
    """Token buckets by key: each holds at most ``burst`` and fills by ``rate`` a second. Of at most ``most`` keys."""

    def __init__(self, rate: float, burst: float, *, most: int = MOST_KEYS) -> None:
        self.rate, self.burst, self._most = rate, burst, most
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()  # content, and the second in which it was that

    def take(self, key: str, now: float, amount: float = 1.0) -> float:
        """Take an amount and return 0.0; or, where it is not there, take nothing and return the seconds until it is."""
        content = self._content(key, now)
        if content < amount:
            self._keep(key, content, now)
            return (amount - content) / self.rate
        self._keep(key, content - amount, now)
        return 0.0

    def charge(self, key: str, now: float, amount: float) -> None:
        """Take an amount that is owed, whether it is there or not; nobody owes more than a burst."""
        self._keep(key, max(self._content(key, now) - amount, -self.burst), now)

    def left(self, key: str, now: float) -> int:
        """Whole units that could be taken at once."""
        return max(0, int(self._content(key, now)))

    def __len__(self) -> int:
        return len(self._filled)

    def _content(self, key: str, now: float) -> float:
        content, then = self._filled.get(key, (self.burst, now))
        return min(self.burst, content + max(0.0, now - then) * self.rate)

    def _keep(self, key: str, content: float, now: float) -> None:
        self._filled[key] = content, now
        self._filled.move_to_end(key)
        while len(self._filled) > self._most:
            self._filled.popitem(last=False)


class WaitingLine:
    """Places in a line before something that few may do at a time. Whoever comes from one address has a share of them; this machine, whose source is
    "", bounds its own: a proxy on it is everybody. For one event loop.
    """

    def __init__(self, at_once: int, places: int, *, share: int) -> None:
        self._doing, self._places, self._share = asyncio.Semaphore(at_once), places, share
        self._taken: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, source: str) -> AsyncIterator[None]:
        """Wait for the turn; the place is taken until the end of it. Raises HttpProblem: 429 ``logins_busy``, the share is taken; 503, all of it is."""
        if source and self._taken[source] >= self._share:
            raise HttpProblem(429, "logins_busy", "too many logins from one address: try again in a moment", {"Retry-After": "5"})
        if self._taken.total() >= self._places:
            raise HttpProblem(503, "logins_busy", "too many people log in now: try again in a moment", {"Retry-After": "5"})
        self._taken[source] += 1
        try:
            async with self._doing:
                yield
        finally:
            self._taken[source] -= 1
            if not self._taken[source]:
                del self._taken[source]


class Turns:
    """Threads that work for their askers in turn: who asks much waits behind oneself, and never has the last ``spare`` threads.

    For one event loop; the threads are the executor's.
    """

    def __init__(self, executor: Executor, workers: int, *, spare: int) -> None:
        self._executor, self._free, self._most = executor, workers, workers - spare
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Pieces of work that wait for a thread."""
        return sum(len(line) for line in self._waiting.values())

    async def run(self, work: Callable[[], T], *, patience: float) -> T:
        """Do some work in a thread when it is its asker's turn.

        Raises:
            TimeoutError: there was no thread within ``patience`` seconds; nothing was begun. And what the work raises.
        """
        asker = ASKER.get()
        await self._enter(asker, patience)
        try:
            done = asyncio.get_running_loop().run_in_executor(self._executor, work)
        except BaseException:
            self._leave(asker)
            raise
        done.add_done_callback(lambda _: self._leave(asker))  # when the thread is free, also where nobody waits any more
        return await asyncio.shield(done)

    async def _enter(self, asker: str, patience: float) -> None:
        if self._free and not self._waiting.get(asker) and self._running[asker] < self._most:
            self._grant(asker)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(asker, deque()).append(turn)
        try:
            async with asyncio.timeout(patience):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # granted in the same moment
                self._leave(asker)
            else:
                self._withdraw(asker, turn)
            raise

    def _grant(self, asker: str) -> None:
        self._free -= 1
        self._running[asker] += 1

    def _leave(self, asker: str) -> None:
        self._free += 1
        self._running[asker] -= 1
        if not self._running[asker]:
            del self._running[asker]
        while self._free and self._next():
            pass

    def _withdraw(self, asker: str, turn: asyncio.Future[None]) -> None:
        line = self._waiting.get(asker)
        if line is not None and turn in line:
            line.remove(turn)
            if not line:
                del self._waiting[asker]

    def _next(self) -> bool:
        """Give a thread to the asker who has waited longest for one among those who may have more; False if there is none."""
        for asker, line in self._waiting.items():
            if self._running[asker] < self._most:
                turn = line.popleft()
                if line:
                    self._waiting.move_to_end(asker)
                else:
                    del self._waiting[asker]
                if not turn.cancelled():
                    self._grant(asker)
                    turn.set_result(None)
                return True
        return False
