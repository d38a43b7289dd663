"""Guard of a clearance: what a frozen decision rests on, looked at in the transaction that appends a read's entry.

    1  time    nothing that the decision rests on begins or ends by itself before ``until``, and it is made anew at latest after ``AFRESH``;
               nor is it of a time still to come, which an entry had said until a steward found the clock right
    2  state   the log's head holds a digest of all that decides: while it is the one that was decided on, nothing changed
    3  marks   else counter and digest of each collection, one query; of the consent ledger the events since, and whether one is of somebody permitted

What fails is decided anew, and by that refused or not: a guard says no more than that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from vault.audit.log_head import LogHead
from vault.consent import ledger
from vault.errors import IntegrityError, UnavailableError
from vault.ids import SubjectId
from vault.session.collection_heads import SETTLED, TOGETHER, stated
from vault.session.collections import COLLECTIONS
from vault.session.moments import Moment, moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction

AFRESH = timedelta(seconds=60)
STALE = "clearance_stale"
CONSENT = "consent_batch"
INDIFFERENT = frozenset(
    {
        TOGETHER,  # stands for others, which are looked at
        SETTLED,
        "access_token",
        "budget",
        "budget_family",
        "budget_raise",
        "criteria_pack",
        "frequency_table",
        "key_backup",
        "lease",
        "notice",
        "recipient",
        "request",
        "resolution",
        "table_approval",
    }
)
"""Heads of what no view of a panel rests on. Whatever else there is counts, later collections too."""
UNDECIDING = INDIFFERENT | {"linkage_decision", "released_sites"}
"""Heads of what no decision on an access rests on; what is opened or charged after one is looked up then."""

Marks = Mapping[str, tuple[int, bytes]]


def differing(one: Marks, other: Marks) -> set[str]:
    """Collections whose marks are not the same in both."""
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


class ClearanceGuard:
    """``marks``: as the decision found them; ``head``: of the consent ledger; ``people``: whose events end it; ``until``: as above, None for no end;
    ``indifferent``: heads of what it does not rest on.
    """

    def __init__(
        self,
        vault: UnlockedVault,
        *,
        marks: Marks,
        head: ledger.Head,
        people: frozenset[SubjectId],
        made: datetime,
        until: datetime | None,
        indifferent: frozenset[str] = INDIFFERENT,
    ) -> None:
        self._indifferent = indifferent
        self._vault, self._marks, self._head, self._people = vault, dict(marks), head, people
        self._made, self._until = made, made + AFRESH if until is None else min(until, made + AFRESH)
        self._state: bytes | None = None  # of the log's head, as it was last found to agree
        self._end = 0  # entries that the log had then
        self.dropped = False

    @property
    def expired(self) -> bool:
        """True if it is to be made anew whatever the books say."""
        return self.dropped or self._vault.clock() >= self._until

    @property
    def head(self) -> ledger.Head:
        """Head of the consent ledger at which it was last found to hold."""
        return self._head

    def in_time(self, tx: Transaction) -> bool:
        """True if the decision is of a time that is not over, by the time that decisions go by as the transaction sees the log."""
        return not self.expired and self._made <= moment(self._vault, tx).at < self._until

    def check(self, tx: Transaction, head: LogHead) -> None:
        """As ``guarded_entries.Guard``. Raises UnavailableError ``clearance_stale``."""
        if not self.in_time(tx) or head.end < self._end:
            raise self._stale()
        if head.state != self._state:
            try:
                self._compare(tx, head)
            except IntegrityError:
                raise self._stale() from None  # whoever decides anew says what it is
        self._state, self._end = head.state, head.end

    def holds(self, tx: Transaction, when: Moment) -> bool:
        """True in a transaction of the books, at the time that it decides for, where ``check`` would not fail."""
        if self.expired or not self._made <= when.at < self._until:
            return False
        try:
            now = self._vault.books.marks(tx)
            if now:
                self._hold(tx, now)
        except (IntegrityError, UnavailableError):
            return False  # whoever decides anew says what it is
        return bool(now)

    def _compare(self, tx: Transaction, head: LogHead) -> None:
        self._hold(tx, stated(tx.connection(), head.state))

    def _hold(self, tx: Transaction, now: Marks) -> None:
        changed = differing(now, self._marks) - self._indifferent
        if changed - {CONSENT}:
            raise self._stale()
        if CONSENT in changed:
            newest, concerned = ledger.concerned_since(tx, self._head)
            ours = COLLECTIONS[CONSENT]
            if not concerned.isdisjoint(self._people) or now.get(CONSENT, (0, b""))[1] != ours.digest(ours.rows(tx.connection())):
                raise self._stale()
            self._head, self._marks[CONSENT] = newest, now[CONSENT]

    def _stale(self) -> UnavailableError:
        self.dropped = True
        return UnavailableError(STALE, "what a read was cleared on has changed", hint="try again")
