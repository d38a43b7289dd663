"""Group commit: entries of many threads in one transaction, because one commit costs the same for 256 entries as for one.

Threads add prepared entries to the open group and wait on its door, a lock. The committer thread takes the group, writes it with one
commit and opens the door: it releases the lock, and each waiter passes it to the next. The next group fills while a commit runs.
Threads that were just answered tend to return together, so after a group of several the committer waits for as many entries again,
at most ``LINGER_SECONDS``; after a group of one it does not wait (``docs/design/audit-log.md`` §13).

A guarded entry (``guarded_entries``) is refused by its own guard alone. Programs that wait for nothing post entries: all of a group that wait in one
event loop are answered by one call into it.

An entry is acknowledged only after its commit. Every other end is an error, and nothing may be released:

* timeout: an entry that no commit has taken is withdrawn and never written; the state of a taken one is unknown;
* failed commit: ``AuditLog.record_many`` looks the group up before its waiters get the error;
* queue full: an error at once.

Each process has its own committer; the database's write lock orders them.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from vault.audit.entry import Prepared
from vault.audit.guarded_entries import Guard, GuardedEntry, Then
from vault.audit.log import Appended
from vault.errors import GenovaultError, IntegrityError, RefusedError, UnavailableError

MAX_BATCH = 256  # entries in one commit: a larger group only delays its first entry
MAX_WAITING = 4_096  # entries queued in one process, as the pushback of Tessera (transparency-dev)
WAIT_SECONDS = 45.0  # above the database's lock timeout (30 s), so that its error arrives first
LINGER_SECONDS = 0.002  # the duration of a few commits

Commit = Callable[[Sequence[Prepared]], list[Appended]]
"""Write entries in order with one commit: ``AuditLog.record_many``."""

GuardedCommit = Callable[[Sequence[GuardedEntry]], list[Appended | GenovaultError]]
"""Write those whose guards hold: ``guarded_entries.record_guarded``."""


class GroupCommitter:
    """The committer of one process. Thread-safe; starts its thread at the first entry, and again in a forked child."""

    def __init__(
        self,
        commit: Commit,
        guarded: GuardedCommit | None = None,
        *,
        wait: float = WAIT_SECONDS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._commit, self._guarded = commit, guarded
        self._wait = wait
        self._max_waiting = max_waiting
        self._starting = threading.Lock()
        self._line: _Line | None = None
        self._closed = False

    def record(self, entry: Prepared, *, guards: Sequence[Guard] = (), then: Then | None = None) -> Appended:
        """Append one entry, durably. Not inside a write transaction of the same database, which would deadlock.

        ``guards``, ``then``: as of ``GuardedEntry``.

        Raises:
            GenovaultError: as its guards.
            UnavailableError: ``log_unavailable``: the entry is not known to be in the log, and nothing may be released;
                ``log_busy``: the queue is full, and the entry was not queued.
            IntegrityError: as ``AuditLog.append``.
        """
        line = self._current_line()
        group, place = line.add(_Waiting(GuardedEntry(entry, guards, then)), self._max_waiting)
        if group.door.acquire(timeout=self._wait):
            group.door.release()  # passes the door to the next waiter
        elif line.withdraw(group, place):
            raise UnavailableError("log_unavailable", "the audit log did not answer in time; the entry was withdrawn")
        answer = group.answers.get(place)
        if answer is None:
            raise UnavailableError("log_unavailable", "the audit log did not answer in time, so nothing is released")
        if isinstance(answer, Appended):
            return answer
        raise _copy(answer) from answer

    def post(self, entry: Prepared, *, guards: Sequence[Guard] = (), then: Then | None = None) -> asyncio.Future[Appended]:
        """Append one entry, and answer the running event loop when it is durable; its error is set where it is not. Arguments as ``record``.

        A future that is cancelled withdraws its entry, unless a commit has taken it.

        Raises:
            UnavailableError: ``log_busy``, ``log_unavailable``: it was not queued.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Appended] = loop.create_future()
        line = self._current_line()
        group, place = line.add(_Waiting(GuardedEntry(entry, guards, then), loop, future), self._max_waiting)
        future.add_done_callback(lambda done: line.withdraw(group, place) if done.cancelled() else None)
        return future

    def close(self) -> None:
        """Write the queued entries and end the thread; later entries are refused."""
        with self._starting:
            self._closed = True
            line, self._line = self._line, None
        if line is not None and line.process == os.getpid():
            line.end()
            line.thread.join(self._wait)

    def _current_line(self) -> _Line:
        """This process's queue. Raises UnavailableError (``log_unavailable``) after ``close``."""
        line = self._line
        if line is not None and line.process == os.getpid():
            return line
        with self._starting:
            if self._closed:
                raise UnavailableError("log_unavailable", "the audit log was closed")
            if self._line is None or self._line.process != os.getpid():
                self._line = _Line(self._commit, self._guarded)
            return self._line


@dataclass(frozen=True, eq=False)
class _Waiting:
    """An entry in the queue. ``future`` of ``loop``: who is answered there, and does not wait at the group's door."""

    guarded: GuardedEntry
    loop: asyncio.AbstractEventLoop | None = None
    future: asyncio.Future[Appended] | None = None

    @property
    def entry(self) -> Prepared:
        return self.guarded.entry

    @property
    def is_guarded(self) -> bool:
        return bool(self.guarded.guards) or self.guarded.then is not None


class _Group:
    """Entries of one commit and their results, by place. ``door`` is locked until the results are there."""

    __slots__ = ("answers", "door", "entries", "taken")

    def __init__(self) -> None:
        self.entries: list[_Waiting | None] = []  # None: withdrawn
        self.answers: dict[int, Appended | BaseException] = {}
        self.taken = False
        self.door = threading.Lock()
        self.door.acquire()


class _Line:
    """Queue of groups and the thread that commits them, in one process."""

    def __init__(self, commit: Commit, guarded: GuardedCommit | None) -> None:
        self.process = os.getpid()
        self._commit, self._guarded = commit, guarded
        self._lock = threading.Lock()  # guards the next four attributes, for a few assignments at a time
        self._groups = deque([_Group()])  # the last one is open for entries
        self._waiting = 0  # entries in these groups
        self._wanted = 1  # number of waiting entries at which the committer is woken
        self._ended = False
        self._bell = threading.Lock()
        self._bell.acquire()
        self.thread = threading.Thread(target=self._serve, name="audit-committer", daemon=True)
        self.thread.start()

    def add(self, entry: _Waiting, most: int) -> tuple[_Group, int]:
        """Queue an entry; returns its group and place. Raises UnavailableError (``log_busy``, ``log_unavailable``)."""
        with self._lock:
            if self._ended:
                raise UnavailableError("log_unavailable", "the audit log was closed")
            if self._waiting >= most:
                raise UnavailableError("log_busy", "too many entries wait for the audit log", hint="try again")
            group = self._groups[-1]
            place = len(group.entries)
            group.entries.append(entry)
            if place + 1 == MAX_BATCH:
                self._groups.append(_Group())
            self._waiting += 1
            if self._waiting == self._wanted:
                self._ring()
        return group, place

    def withdraw(self, group: _Group, place: int) -> bool:
        """Withdraw an entry; False if a commit has already taken it."""
        with self._lock:
            if group.taken:
                return False
            group.entries[place] = None
            return True

    def end(self) -> None:
        """Let the thread end once the queue is written."""
        with self._lock:
            self._ended = True
            self._ring()

    def _ring(self) -> None:
        """Wake the committer. The caller holds the lock."""
        if self._bell.locked():
            self._bell.release()

    def _serve(self) -> None:
        """Main loop of the committer thread."""
        last = 1
        while group := self._gathered(last):
            places = [place for place, entry in enumerate(group.entries) if entry is not None]
            self._write(group, places)
            group.door.release()
            _tell(group)
            last = len(places)

    def _gathered(self, last: int) -> _Group | None:
        """The next group, of at least one entry; None at the end. ``last``: number of entries in the group before."""
        self._await(1, timeout=-1)
        if last > 1:
            self._await(last, timeout=LINGER_SECONDS)
        with self._lock:
            group = self._groups.popleft()
            if not self._groups:
                self._groups.append(_Group())
            self._waiting -= len(group.entries)
            group.taken = True
            return group if group.entries else None

    def _await(self, wanted: int, *, timeout: float) -> None:
        """Wait for ``wanted`` queued entries, for ``end``, or for ``timeout`` seconds (-1: no limit)."""
        with self._lock:
            self._wanted = wanted
            if self._waiting >= wanted or self._ended:
                return
            self._bell.acquire(blocking=False)  # clears an earlier wake-up
        self._bell.acquire(timeout=timeout)

    def _write(self, group: _Group, places: Sequence[int]) -> None:
        """Commit the entries at ``places`` and note their results; never raises."""
        if not places:
            return
        entries = [entry for place in places if (entry := group.entries[place]) is not None]
        try:
            group.answers.update(zip(places, self._committed(entries), strict=True))
        except (IntegrityError, RefusedError) as error:
            if len(places) > 1:  # an entry that is stored already, or whose own work fails, must not fail its neighbours
                for place in places:
                    self._write(group, [place])
                return
            group.answers[places[0]] = error
        except BaseException as error:  # noqa: BLE001 - every waiter needs an answer
            group.answers.update(dict.fromkeys(places, error))

    def _committed(self, entries: Sequence[_Waiting]) -> Sequence[Appended | GenovaultError]:
        if self._guarded is not None and any(one.is_guarded for one in entries):
            return self._guarded([one.guarded for one in entries])
        return self._commit([one.entry for one in entries])


def _tell(group: _Group) -> None:
    """Answer the event loops in which entries of a group are waited for, each by one call."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Appended], Appended | BaseException | None]]] = {}
    for place, one in enumerate(group.entries):
        if one is not None and one.loop is not None and one.future is not None:
            by_loop.setdefault(one.loop, []).append((one.future, group.answers.get(place)))
    for loop, answered in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_resolve, answered)


def _resolve(answered: Sequence[tuple[asyncio.Future[Appended], Appended | BaseException | None]]) -> None:
    for future, answer in answered:
        if future.done():
            continue
        if isinstance(answer, Appended):
            future.set_result(answer)
        else:
            future.set_exception(_copy(answer))


def _copy(error: BaseException | None) -> GenovaultError:
    """A copy of an error for one more thread: an exception object keeps the traceback of a single one."""
    if isinstance(error, GenovaultError):
        return type(error)(error.code, error.message, hint=error.hint)
    return UnavailableError("log_unavailable", "the audit log failed, so nothing is released")
