"""Worker processes: spread a task over all processors, in order, and without them where they cannot be started."""

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
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

PARALLEL_FROM = 200_000  # signed entries from which starting processes pays off
CHUNKS_AT_ONCE = 16  # 4,096 entries: sending a task costs little compared with hashing it

_PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")  # no secret in any
_START = f"import sys; sys.path[:] = sys.argv[1:]; from {__name__} import help_out; help_out()"
_HOME = Path(__file__).resolve().parents[3]


def spread(work: Callable[[list[T]], list[R]], items: Iterable[T], at_once: int, *, parallel: bool) -> Iterator[R]:
    """Results of ``work`` on all items, ``at_once`` to a call, in order.

    With ``parallel``, as many processes as there are processors (at most 8) do the work; ``work`` must then be picklable.
    """
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
    """Worker processes, one for each calling thread.

    Each is a new interpreter that imports this package: a fork would copy locks that other threads hold.
    """

    def __init__(self) -> None:
        self._mine = threading.local()
        self._all: list[subprocess.Popen[bytes]] = []

    def run(self, work: Callable[[T], R], task: T) -> R:
        """``work(task)`` in this thread's worker process; in this process if that one cannot be started or has ended."""
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
        """Close the pipes, which ends the processes, and wait for them."""
        for helper in self._all:
            with suppress(OSError):
                helper.communicate()

    def _process(self) -> subprocess.Popen[bytes]:
        """This thread's worker process. Raises OSError if it cannot be started."""
        found: subprocess.Popen[bytes] | None = getattr(self._mine, "process", None)
        if found is None:
            found = subprocess.Popen(  # noqa: S603 - this interpreter, this module
                [sys.executable, "-I", "-c", _START, *_search_path()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            )
            self._all.append(found)
            self._mine.process = found
        return found


def _search_path() -> list[str]:
    """Search path of this process without the working folder: that may be somebody's export."""
    here = Path.cwd()
    return [entry for entry in sys.path if Path(entry).is_absolute() and (Path(entry) == _HOME or Path(entry) != here)]


def help_out() -> None:
    """Main loop of a worker process: tasks from standard input, results to standard output, until the input ends."""
    with suppress(EOFError):
        while True:
            work, task = pickle.load(sys.stdin.buffer)  # noqa: S301 - from this very program
            pickle.dump(work(task), sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
            sys.stdout.buffer.flush()
