"""Leases: who is writing what no book names yet, so that nobody takes it away as left over.

A lease names the prefix of the objects, and the owner of the keys, that are being made. It ends in the transaction that names them. One
that has run out is closed before anything under it is swept, and what was made under a closed lease is never named.
"""

from __future__ import annotations

from sqlalchemy import delete, select, update

from vault.errors import UnavailableError
from vault.ids import PartId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import LeaseRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

CLOSED = 0  # when a closed lease ran out


def end(tx: Transaction, owner: PartId) -> None:
    """End a lease in the transaction that names what was made under it.

    Raises:
        UnavailableError: ``lease_over``: it ran out (or the clock was put forward) and somebody swept.
    """
    ended = delete(LeaseRow).where(LeaseRow.prefix == owner.hex(), LeaseRow.expires > CLOSED)
    if not tx.execute(ended).rowcount:  # type: ignore[attr-defined]
        raise UnavailableError(
            "lease_over", "this took longer than it may, and what it made was swept", hint="repeat the command"
        )


def close_expired(vault: UnlockedVault) -> list[str]:
    """The prefixes under which nobody may name anything any more."""
    now = to_micros(vault.clock())
    with vault.books.read() as tx:
        if tx.scalar(select(LeaseRow.prefix).where(LeaseRow.expires < now).limit(1)) is None:
            return []
    with vault.books.write() as tx:
        tx.execute(update(LeaseRow).where(LeaseRow.expires < now).values(expires=CLOSED))
        return list(tx.scalars(select(LeaseRow.prefix).where(LeaseRow.expires == CLOSED)))
