"""Time that decisions go by: the clock's, or the log's where the clock stands behind what was already recorded.

A clock that was set back would let an expired project and a lapsed consent count again. So a decision is of the latest time that any
entry of the log was made at, which its event id (a UUIDv7, RFC 9562 §5.7) begins with. Where it was the earlier clock that was wrong,
a steward says so (``check_clock``), and only later entries count from then on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from vault.audit.actions import Action, Outcome
from vault.audit.entry import decode_leaf
from vault.errors import RefusedError
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.audit_tables import AuditLeafRow
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction
from vault.storage.stored_types import LAST_MICROS
from vault.storage.timestamps import from_micros

CLOCK_SLACK = timedelta(minutes=1)
"""Time by which a clock may be behind: clocks of several machines differ, and a correction sets one back by seconds."""

REMEDY = "set the clock; if it is right, genovault doctor --clock-checked"
_CHECKED = f'{{"act":"{Action.VAULT_CLOCK}"'.encode()
_NEWEST = Statement(select(AuditLeafRow.event_id).order_by(AuditLeafRow.event_id.desc()).limit(1))


@dataclass(frozen=True)
class Moment:
    """Time of a decision, and what the clock said."""

    at: datetime
    clock: datetime

    @property
    def behind(self) -> bool:
        """True if the clock is further behind than clocks differ."""
        return self.at - self.clock > CLOCK_SLACK

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of an entry about the decision."""
        return ("clock_behind",) if self.behind else ()

    def words(self) -> str:
        """The two times, for whoever has to set the clock."""
        return f"this machine's clock says {self.clock:%Y-%m-%d %H:%M} UTC, but the log has an entry of {self.at:%Y-%m-%d %H:%M}"

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Have a refusal inside tell that it was decided for the log's time. Raises RefusedError as what is inside."""
        try:
            yield
        except RefusedError as error:
            if self.behind:
                raise RefusedError(error.code, f"{error.message}; {self.words()}", hint=REMEDY) from None
            raise


def moment(vault: UnlockedVault, tx: Transaction) -> Moment:
    """The time to decide for, as the transaction sees the log. Raises IntegrityError as ``entry.decode_leaf``."""
    now = vault.clock()
    newest = [_time(row[0]) for row in _NEWEST.rows(tx)]
    if newest and newest[0] - now > CLOCK_SLACK:
        newest = _since_the_clock_was_checked(tx)
    return Moment(max(now, *newest), now)


def present(vault: UnlockedVault) -> datetime:
    """Time that decisions go by now, in a look of its own: what ends with time (tokens, cursors, what a server keeps) ends by this, too.

    Raises as ``moment``.
    """
    with vault.books.read() as tx:
        return moment(vault, tx).at


def check_clock(vault: UnlockedVault) -> None:
    """Record that the clock is right, whatever earlier entries of the log say. Raises RefusedError ``not_authorised``."""
    with vault.trail.attempting(Action.VAULT_CLOCK):
        vault.trail.record(Action.VAULT_CLOCK, Outcome.DONE)


def _since_the_clock_was_checked(tx: Transaction) -> list[datetime]:
    """Latest time among the entries since a steward last said that the clock is right, that one included."""
    said = select(AuditLeafRow.idx, AuditLeafRow.leaf).where(func.substr(AuditLeafRow.leaf, 1, len(_CHECKED)) == _CHECKED)
    checks = tx.execute(said.order_by(AuditLeafRow.idx.desc()))
    first = next((row.idx for row in checks if decode_leaf(row.leaf)["outcome"] == Outcome.DONE), 0)
    ids = select(AuditLeafRow.event_id).where(AuditLeafRow.idx >= first).order_by(AuditLeafRow.event_id.desc()).limit(1)
    return [_time(found) for found in tx.scalars(ids)]


def _time(event_id: bytes) -> datetime:
    """Time in a UUIDv7, whole milliseconds; the last that there is for later ones."""
    return from_micros(min(int.from_bytes(event_id[:6], "big") * 1_000, LAST_MICROS))
