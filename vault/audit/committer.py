"""Group commit: many threads' entries in one transaction each time, because a commit costs the same for one entry as for 256.

Threads add prepared entries to the group that is gathering and wait for it; one thread takes the group, writes it with one commit
and opens it, which lets its waiters through one after the other: the committer wakes one of them and goes on. While a commit runs
the next group gathers by itself. Threads that have just been answered come back at about the same time, so after a group of many
the committer waits for as many again, but never longer than ``LINGER_SECONDS``; a thread on its own waits for nobody.

An entry is acknowledged only after its commit; every other end is an error, and then nothing may be released:

* the wait is bounded: an entry not yet taken up is withdrawn and will not be written; of one that was taken up nobody knows;
* a group whose commit failed was looked up again by ``AuditLog.record_many`` before its waiters are told;
* too many waiting is an error at once.

Other processes have committers of their own: the database's write lock orders them all.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence

from vault.audit.entry import Prepared
from vault.audit.log import Appended
from vault.errors import GenovaultError, IntegrityError, UnavailableError

MAX_BATCH = 256  # entries in one commit: more only make the first of them wait
MAX_WAITING = 4_096  # entries under way in one process, as Tessera's pushback
WAIT_SECONDS = 45.0  # longer than the database's own patience for its lock (30 s), so that its answer is heard
LINGER_SECONDS = 0.002  # a few commits' time

Commit = Callable[[Sequence[Prepared]], list[Appended]]
"""Writes a batch with one commit, in order; ``AuditLog.record_many``."""


class GroupCommitter:
    """The one committer of a process's log. Thread-safe; begins its thread with the first entry, anew in a forked child."""

    def __init__(self, commit: Commit, *, wait: float = WAIT_SECONDS, max_waiting: int = MAX_WAITING) -> None:
        self._commit = commit
        self._wait = wait
        self._max_waiting = max_waiting
        self._starting = threading.Lock()
        self._line: _Line | None = None
        self._closed = False

    def record(self, entry: Prepared) -> Appended:
        """Append one entry; on return it is on disk. Not for use inside a write transaction of the same database.

        Raises:
            UnavailableError: ``log_unavailable``: the entry is not known to be in the log, and nothing may be released;
                ``log_busy``: too many entries are waiting, and this one was not taken.
            IntegrityError: as ``AuditLog.append``.
        """
        line = self._current_line()
        group, place = line.add(entry, self._max_waiting)
        if group.door.acquire(timeout=self._wait):
            group.door.release()  # for the next one who waits
        elif line.withdraw(group, place):
            raise UnavailableError("log_unavailable", "the audit log did not answer in time; the entry was withdrawn")
        answer = group.answers.get(place)
        if answer is None:
            raise UnavailableError("log_unavailable", "the audit log did not answer in time, so nothing is released")
        if isinstance(answer, Appended):
            return answer
        raise _copy(answer) from answer

    def close(self) -> None:
        """Write what is under way and end the thread; later entries are refused."""
        with self._starting:
            self._closed = True
            line, self._line = self._line, None
        if line is not None and line.process == os.getpid():
            line.end()
            line.thread.join(self._wait)

    def _current_line(self) -> _Line:
        line = self._line
        if line is not None and line.process == os.getpid():
            return line
        with self._starting:
            if self._closed:
                raise UnavailableError("log_unavailable", "the audit log was closed")
            if self._line is None or self._line.process != os.getpid():
                self._line = _Line(self._commit)
            return self._line


class _Group:
    """Entries that one commit writes, and what became of each. ``door`` is shut until then."""

    __slots__ = ("answers", "door", "entries", "taken")

    def __init__(self) -> None:
        self.entries: list[Prepared | None] = []  # None: withdrawn
        self.answers: dict[int, Appended | BaseException] = {}
        self.taken = False
        self.door = threading.Lock()
        self.door.acquire()


class _Line:
    """Groups that wait, and the thread that commits them, in the process that made it."""

    def __init__(self, commit: Commit) -> None:
        self.process = os.getpid()
        self._commit = commit
        self._lock = threading.Lock()  # guards what follows; nobody holds it for longer than a few assignments
        self._groups = deque([_Group()])  # the last one gathers
        self._waiting = 0  # entries in them
        self._wanted = 1  # with how many entries the committer wants to be woken
        self._ended = False
        self._bell = threading.Lock()
        self._bell.acquire()
        self.thread = threading.Thread(target=self._serve, name="audit-committer", daemon=True)
        self.thread.start()

    def add(self, entry: Prepared, most: int) -> tuple[_Group, int]:
        """The group that takes an entry, and its place there. Raises UnavailableError (``log_busy``, ``log_unavailable``)."""
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
        """Whether an entry was not taken up yet, and never will be."""
        with self._lock:
            if group.taken:
                return False
            group.entries[place] = None
            return True

    def end(self) -> None:
        """Let the thread end once everything is written."""
        with self._lock:
            self._ended = True
            self._ring()

    def _ring(self) -> None:
        if self._bell.locked():
            self._bell.release()

    def _serve(self) -> None:
        last = 1
        while group := self._gathered(last):
            places = [place for place, entry in enumerate(group.entries) if entry is not None]
            self._write(group, places)
            group.door.release()
            last = len(places)

    def _gathered(self, last: int) -> _Group | None:
        """The next group, of at least one entry; None at the end. ``last``: how many the one before had."""
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
        """Until so many entries wait, or the end is near, or time is up."""
        with self._lock:
            self._wanted = wanted
            if self._waiting >= wanted or self._ended:
                return
            self._bell.acquire(blocking=False)  # what was rung for something else
        self._bell.acquire(timeout=timeout)

    def _write(self, group: _Group, places: Sequence[int]) -> None:
        if not places:
            return
        entries = [entry for place in places if (entry := group.entries[place]) is not None]
        try:
            group.answers.update(zip(places, self._commit(entries), strict=True))
        except IntegrityError as error:
            if len(places) > 1:  # one entry may be there already, which would speak against its neighbours
                for place in places:
                    self._write(group, [place])
                return
            group.answers[places[0]] = error
        except BaseException as error:  # noqa: BLE001 - whatever it is, every waiter has to hear of it
            group.answers.update(dict.fromkeys(places, error))


def _copy(error: BaseException) -> GenovaultError:
    """The same error for one more thread: an exception object holds the trace of a single one."""
    if isinstance(error, GenovaultError):
        return type(error)(error.code, error.message, hint=error.hint)
    return UnavailableError("log_unavailable", "the audit log failed, so nothing is released")
