"""Group commit: many threads' entries in one transaction each time, because a commit costs the same for one entry as for 256.

Threads hand prepared entries in and wait; one thread takes what has gathered, writes it with one commit, and tells each waiter.
While a commit runs the next batch gathers by itself, so nobody waits for company. An entry is acknowledged only after its commit;
every other end is an error, and then nothing may be released:

* the wait is bounded: an entry not yet taken up is withdrawn and will not be written; of one that was taken up nobody knows;
* a batch whose commit failed was looked up again by ``AuditLog.record_many`` before its waiters are told;
* too many waiting is an error at once.

Other processes have committers of their own: the database's write lock orders them all.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue

from vault.audit.entry import Prepared
from vault.audit.log import Appended
from vault.errors import GenovaultError, IntegrityError, UnavailableError

MAX_BATCH = 256  # entries in one commit: more only make the first of them wait
MAX_WAITING = 4_096  # entries under way in one process, as Tessera's pushback
WAIT_SECONDS = 45.0  # longer than the database's own patience for its lock (30 s), so that its answer is heard

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
        if line.queue.qsize() >= self._max_waiting:
            raise UnavailableError("log_busy", "too many entries wait for the audit log", hint="try again")
        waiting = _Waiting(entry)
        line.queue.put(waiting)
        if not waiting.done.acquire(timeout=self._wait):
            if waiting.claim.acquire(blocking=False):
                raise UnavailableError("log_unavailable", "the audit log did not answer in time; the entry was withdrawn")
            raise UnavailableError("log_unavailable", "the audit log did not answer in time, so nothing is released")
        if waiting.error is not None:
            raise _copy(waiting.error) from waiting.error
        if waiting.appended is None:
            raise RuntimeError("the committer gave no answer")
        return waiting.appended

    def close(self) -> None:
        """Write what is under way and end the thread; later entries are refused."""
        with self._starting:
            self._closed = True
            line, self._line = self._line, None
        if line is not None and line.process == os.getpid():
            line.queue.put(None)
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


class _Waiting:
    """One entry under way. Whoever takes ``claim`` first decides: the committer to write it, the waiter to withdraw it."""

    __slots__ = ("appended", "claim", "done", "entry", "error")

    def __init__(self, entry: Prepared) -> None:
        self.entry = entry
        self.claim = threading.Lock()
        self.done = threading.Lock()
        self.done.acquire()
        self.appended: Appended | None = None
        self.error: BaseException | None = None


class _Line:
    """A queue and the thread that serves it, in the process that made it."""

    def __init__(self, commit: Commit) -> None:
        self.process = os.getpid()
        self.queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._commit = commit
        self.thread = threading.Thread(target=self._serve, name="audit-committer", daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        ending = False
        while not ending:
            batch, ending = self._gather()
            self._write([waiting for waiting in batch if waiting.claim.acquire(blocking=False)])

    def _gather(self) -> tuple[list[_Waiting], bool]:
        """What is waiting, at least one; and whether this is the end."""
        batch: list[_Waiting] = []
        item = self.queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == MAX_BATCH:
                return batch, False
            try:
                item = self.queue.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _write(self, batch: Sequence[_Waiting]) -> None:
        if not batch:
            return
        try:
            for waiting, appended in zip(batch, self._commit([waiting.entry for waiting in batch]), strict=True):
                waiting.appended = appended
        except IntegrityError as error:
            if len(batch) > 1:  # one entry may be there already, which would speak against its neighbours
                for waiting in batch:
                    self._write([waiting])
                return
            batch[0].error = error
        except BaseException as error:  # noqa: BLE001 - whatever it is, every waiter has to hear of it
            for waiting in batch:
                waiting.error = error
        for waiting in batch:
            waiting.done.release()


def _copy(error: BaseException) -> GenovaultError:
    """The same error for one more thread: an exception object holds the trace of a single one."""
    if isinstance(error, GenovaultError):
        return type(error)(error.code, error.message, hint=error.hint)
    return UnavailableError("log_unavailable", "the audit log failed, so nothing is released")
