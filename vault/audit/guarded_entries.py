"""Entries that are appended only while something holds, checked in the very transaction that appends them.

A guard is asked once for a group of entries, under the database's write lock: what it finds is true when they commit. An entry whose guard
fails is not written, and its neighbours are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vault.audit.entry import Prepared
from vault.audit.log import Appended, AuditLog
from vault.audit.log_head import LogHead
from vault.errors import GenovaultError
from vault.storage.database import Transaction


class Guard(Protocol):
    """Condition for an entry to be written. Compared by identity: entries of one guard share its check."""

    def check(self, tx: Transaction, head: LogHead) -> None:
        """Look in the transaction that will append; ``head``: the log's, as it stands before. Raises GenovaultError where it does not hold."""


Then = Callable[[Transaction, Appended], None]
"""Work of the transaction that belongs to one entry, behind it."""


@dataclass(frozen=True, eq=False)
class GuardedEntry:
    """An entry, what it rests on, and what is written with it."""

    entry: Prepared
    guards: Sequence[Guard] = ()
    then: Then | None = None


def record_guarded(log: AuditLog, group: Sequence[GuardedEntry]) -> list[Appended | GenovaultError]:
    """Append the entries whose guards hold, in order, with one commit; for each, what it came to.

    Raises:
        UnavailableError, IntegrityError: as ``AuditLog.record_many``: of the group as a whole.
    """
    answers: list[Appended | GenovaultError] = []

    def settle(tx: Transaction, head: LogHead) -> list[Prepared]:
        failed: dict[int, GenovaultError | None] = {}
        answers.clear()
        for one in group:
            error = None
            for guard in one.guards:
                if id(guard) not in failed:
                    failed[id(guard)] = _failure(guard, tx, head)
                error = error or failed[id(guard)]
            if error is not None:
                answers.append(error)
        return [one.entry for one in _holding(group, failed)]

    def finish(tx: Transaction, appended: Sequence[Appended]) -> None:
        by_id = {one.event_id: one for one in appended}
        for one in group:
            if one.then is not None and one.entry.event_id in by_id:
                one.then(tx, by_id[one.entry.event_id])

    errors = iter(answers)
    written = {one.event_id: one for one in log.record_settled([one.entry for one in group], settle, finish)}
    return [written[one.entry.event_id] if one.entry.event_id in written else next(errors) for one in group]


def _holding(group: Sequence[GuardedEntry], failed: dict[int, GenovaultError | None]) -> list[GuardedEntry]:
    return [one for one in group if all(failed[id(guard)] is None for guard in one.guards)]


def _failure(guard: Guard, tx: Transaction, head: LogHead) -> GenovaultError | None:
    try:
        guard.check(tx, head)
    except GenovaultError as error:
        return error
    return None
