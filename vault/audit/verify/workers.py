"""Work spread over further processes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import chain, islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

PARALLEL_FROM = 200_000  # signed entries from which starting further processes pays
CHUNKS_AT_ONCE = 16  # 4,096 entries: sending a task costs little beside hashing it


def spread(work: Callable[[list[T]], list[R]], items: Iterable[T], at_once: int, *, parallel: bool) -> Iterator[R]:
    """``work`` on all items, so many at once, in order; with ``parallel`` by as many processes as there are processors."""
    remaining = iter(items)
    tasks = iter(lambda: list(islice(remaining, at_once)), [])
    workers = min(os.cpu_count() or 1, 8)
    if not parallel or workers == 1:
        yield from chain.from_iterable(map(work, tasks))
        return
    helpers = _Helpers()
    try:
        with ThreadPoolExecutor(workers) as pool:
            under_way: deque[Future[list[R]]] = deque()
            for task in tasks:
                under_way.append(pool.submit(helpers.run, work, task))
                if len(under_way) > 2 * workers:
                    yield from under_way.popleft().result()
            while under_way:
                yield from under_way.popleft().result()
    finally:
        helpers.end()


class _Helpers:
    """Further processes, one for each thread that asks. Each starts afresh and imports this package alone: a fork would copy the locks
    of other threads as they are.
    """

    def __init__(self) -> None:
        self._mine = threading.local()
        self._all: list[subprocess.Popen[bytes]] = []

    def run(self, work: Callable[[T], R], task: T) -> R:
        """``work(task)``, done elsewhere; here when a process cannot be started or has ended."""
        try:
            helper = self._process()
            if helper.stdin is None or helper.stdout is None:
                return work(task)
            pickle.dump((work, task), helper.stdin, pickle.HIGHEST_PROTOCOL)
            helper.stdin.flush()
            done: R = pickle.load(helper.stdout)  # noqa: S301 - from this very program
        except (OSError, EOFError, pickle.UnpicklingError):
            return work(task)
        return done

    def end(self) -> None:
        """End the processes."""
        for helper in self._all:
            with suppress(OSError):
                helper.communicate()

    def _process(self) -> subprocess.Popen[bytes]:
        found: subprocess.Popen[bytes] | None = getattr(self._mine, "process", None)
        if found is None:
            path = os.pathsep.join(folder for folder in sys.path if folder)
            found = subprocess.Popen(  # noqa: S603 - this interpreter, this module
                [sys.executable, "-c", f"from {__name__} import help_out; help_out()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
            )
            self._all.append(found)
            self._mine.process = found
        return found


def help_out() -> None:
    """Be one of another process's ``_Helpers``: do what comes on standard input until it ends."""
    with suppress(EOFError):
        while True:
            work, task = pickle.load(sys.stdin.buffer)  # noqa: S301 - from this very program
            pickle.dump(work(task), sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
            sys.stdout.buffer.flush()
