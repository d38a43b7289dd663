"""Leases on objects that are being written and that the books do not name yet: the sweeper leaves them alone.

A lease names the prefix of the objects, which is the owner of their keys. It ends in the transaction that names them. An expired lease
is closed before anything under it is swept, and objects made under a closed lease are never named. A *retired* one is of objects that the
books name no more and somebody may be reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy import delete, select, true, update

from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import IntegrityError, UnavailableError
from vault.ids import PartId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import LeaseRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

CLOSED = 0  # ``expires`` of a closed lease


@contextmanager
def acquire(vault: UnlockedVault, owner: PartId, *, lasting: timedelta, keys: KeyPurpose) -> Iterator[None]:
    """Hold a lease on ``owner``'s prefix; where the block fails, delete its objects and destroy its keys of the purpose ``keys``.

    After an unknown outcome of a commit (``database_unavailable``) both stay: the books may name them, and the sweeper decides when
    the lease has run out.

    Raises:
        UnavailableError: ``lease_over``: the block looked at what it had made, and that had been swept.
    """
    prefix = owner.hex()
    with vault.books.write() as tx:
        tx.add(LeaseRow(prefix=prefix, expires=to_micros(vault.clock() + lasting)))
    try:
        yield
    except BaseException as error:
        if isinstance(error, UnavailableError) and error.code == "database_unavailable":
            raise
        with vault.books.read() as tx:
            held = tx.get(LeaseRow, prefix)
        missed = isinstance(error, IntegrityError) and error.code == "object_missing"
        if missed and (held is None or held.expires == CLOSED):  # what was made here was looked at again, and had been swept
            raise _over() from None
        if held is None:  # interrupted behind the commit
            raise
        vault.objects.delete([name for name, _ in vault.objects.list(prefix)])
        vault.keys.destroy([keys], [owner])
        with vault.books.write() as tx:
            tx.execute(delete(LeaseRow).where(LeaseRow.prefix == prefix))
        raise


def end(tx: Transaction, owner: PartId) -> None:
    """End a lease in the transaction that names what was made under it.

    Raises:
        UnavailableError: ``lease_over``: it expired (or the clock was put forward) and its objects were swept.
    """
    ended = delete(LeaseRow).where(LeaseRow.prefix == owner.hex(), LeaseRow.expires > CLOSED)
    if not tx.execute(ended).rowcount:  # type: ignore[attr-defined]
        raise _over()


def _over() -> UnavailableError:
    return UnavailableError("lease_over", "this took longer than it may, and what it made was swept", hint="repeat the command")


def retire(tx: Transaction, owner: PartId, *, until: datetime) -> None:
    """Lease the objects of a part that the books name no more, for those who are reading it, in the transaction that takes it out."""
    tx.add(LeaseRow(prefix=owner.hex(), expires=to_micros(until), retired=True))


def close_retired(vault: UnlockedVault) -> list[str]:
    """Close the leases of parts that the books name no more, and return their prefixes."""
    with vault.books.read() as tx:
        if tx.scalar(select(LeaseRow.prefix).where(LeaseRow.retired == true()).limit(1)) is None:
            return []
    with vault.books.write() as tx:
        tx.execute(update(LeaseRow).where(LeaseRow.retired == true()).values(expires=CLOSED))
        return list(tx.scalars(select(LeaseRow.prefix).where(LeaseRow.retired == true())))


def forget(vault: UnlockedVault, prefix: str) -> None:
    """End a closed lease under which nothing is left."""
    with vault.books.write() as tx:
        tx.execute(delete(LeaseRow).where(LeaseRow.prefix == prefix, LeaseRow.expires == CLOSED))


def close_expired(vault: UnlockedVault) -> list[str]:
    """Close expired leases and return the prefixes of all closed ones: nothing under them may be named any more."""
    now = to_micros(vault.clock())
    with vault.books.read() as tx:
        if tx.scalar(select(LeaseRow.prefix).where(LeaseRow.expires < now).limit(1)) is None:
            return []
    with vault.books.write() as tx:
        tx.execute(update(LeaseRow).where(LeaseRow.expires < now).values(expires=CLOSED))
        return list(tx.scalars(select(LeaseRow.prefix).where(LeaseRow.expires == CLOSED)))
