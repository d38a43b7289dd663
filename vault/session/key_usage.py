"""Usage counters of branch epochs, raised before every wrap: no key comes near the limit of AES-GCM with random nonces.

NIST SP 800-38D §8.3 allows 2^32 uses of one key; ``limits.MAX_KEK_WRAPS`` stays below.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update

from vault.crypto.key_wrapping import PURPOSE_BRANCH, KeyPurpose
from vault.crypto.keyring import Branch
from vault.errors import UnavailableError, UsageError
from vault.ids import Clock
from vault.limits import MAX_KEK_WRAPS
from vault.storage.database import Database, Transaction
from vault.storage.key_tables import BranchEpochRow, WrappedKeyRow
from vault.storage.stored_types import unreadable
from vault.storage.timestamps import from_micros, to_micros


@dataclass(frozen=True)
class EpochUse:
    """Usage of one epoch: ``wraps`` ever made, ``keys`` wrapped under it now."""

    branch: Branch
    epoch: int
    wraps: int
    keys: int
    closed: bool
    created: datetime


class EpochCounters:
    """Usage counters in the key database. Needs no branch."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def count(self, tx: Transaction, branch: Branch, epoch: int, wraps: int) -> None:
        """Count ``wraps`` that are about to be made under an epoch, in the caller's transaction.

        Raises:
            UnavailableError: ``epoch_closed``; ``key_worn``.
        """
        place = (BranchEpochRow.branch == branch.value, BranchEpochRow.epoch == epoch)
        found = tx.execute(select(BranchEpochRow.wraps, BranchEpochRow.closed).where(*place)).first()
        if found is None:
            now = to_micros(self._clock())
            tx.add(BranchEpochRow(branch=branch.value, epoch=epoch, wraps=wraps, closed=False, created=now))
            tx.flush()
            return
        if found.closed:
            raise UnavailableError(
                "epoch_closed", f"epoch {epoch} of {branch.value} is no longer used", hint="open the vault again"
            )
        if found.wraps + wraps > MAX_KEK_WRAPS:
            raise UnavailableError(
                "key_worn", f"the {branch.value} key has wrapped {found.wraps} keys", hint="genovault key rotate"
            )
        tx.execute(update(BranchEpochRow).where(*place).values(wraps=found.wraps + wraps))

    def uses(self) -> list[EpochUse]:
        """Usage of every epoch that has wrapped keys. Raises IntegrityError ``row_unreadable``."""
        table = WrappedKeyRow.__table__
        with self._database.read() as tx:
            held = tx.execute(select(table.c.purpose, table.c.epoch, func.count()).group_by(table.c.purpose, table.c.epoch))
            keys: dict[tuple[str, int], int] = {}
            for purpose, epoch, n in held:
                place = _wrapping(purpose), epoch
                keys[place] = keys.get(place, 0) + n
            rows = tx.scalars(select(BranchEpochRow).order_by(BranchEpochRow.branch, BranchEpochRow.epoch)).all()
        if not set(Branch).issuperset(row.branch for row in rows):
            raise unreadable("branch_epoch.branch")
        return [
            EpochUse(Branch(r.branch), r.epoch, r.wraps, keys.get((r.branch, r.epoch), 0), r.closed, from_micros(r.created))
            for r in rows
        ]

    def undercounted(self) -> list[str]:
        """Epochs whose counter states fewer wraps than there are keys under them, as ``branch epoch``.

        Raises IntegrityError ``row_unreadable``.
        """
        table = WrappedKeyRow.__table__
        with self._database.read() as tx:
            held = tx.execute(select(table.c.purpose, table.c.epoch, func.count()).group_by(table.c.purpose, table.c.epoch)).all()
            counted = {(r.branch, r.epoch): r.wraps for r in tx.scalars(select(BranchEpochRow))}
        keys: Counter[tuple[str, int]] = Counter()
        for purpose, epoch, n in held:
            keys[_wrapping(purpose), epoch] += n
        return sorted(f"{branch} {epoch}" for (branch, epoch), n in keys.items() if counted.get((branch, epoch), -1) < n)

    def close(self, branch: Branch, epoch: int) -> None:
        """Refuse further wraps under an epoch, in every process.

        Raises:
            UsageError: ``epoch_in_use``: keys are wrapped under it.
        """
        purposes = [purpose.value for purpose, of in PURPOSE_BRANCH.items() if of is branch]
        with self._database.write() as tx:
            query = select(func.count()).where(WrappedKeyRow.purpose.in_(purposes), WrappedKeyRow.epoch == epoch)
            if held := tx.scalar(query):
                raise UsageError(
                    "epoch_in_use", f"{held} keys are wrapped under epoch {epoch} of {branch.value}", hint="genovault key rotate"
                )
            place = (BranchEpochRow.branch == branch.value, BranchEpochRow.epoch == epoch)
            if tx.execute(update(BranchEpochRow).where(*place).values(closed=True)).rowcount == 0:  # type: ignore[attr-defined]
                now = to_micros(self._clock())
                tx.add(BranchEpochRow(branch=branch.value, epoch=epoch, wraps=0, closed=True, created=now))


def _wrapping(purpose: str) -> str:
    """Name of the branch that wraps keys of a stored purpose. Raises IntegrityError ``row_unreadable``."""
    if purpose not in set(KeyPurpose):
        raise unreadable("wrapped_key.purpose")
    return PURPOSE_BRANCH[KeyPurpose(purpose)].value
