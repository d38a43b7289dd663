"""Opening a vault for work: what a killed process left half done is finished or undone first (DESIGN §3, rule 11)."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import delete, select

from vault import anchoring, erasure, gate, principals, rotation
from vault.crypto.custody import KeyPurpose
from vault.crypto.keystore import Branch, Factor
from vault.ids import Clock, RandomBytes, utc_now
from vault.session import Session, open_session
from vault.storage.books import LeaseRow
from vault.times import to_micros

WORKERS = frozenset({Branch.BOOKS, Branch.GENOTYPE, Branch.PSEUDONYM, Branch.LOG_SIGN})  # what finishing a release takes


def open_recovered(
    folder: Path, *, factor: Factor, principal: str | None = None, clock: Clock = utc_now, random: RandomBytes = os.urandom
) -> Session:
    """Unlock a vault and, if this principal can, clear up after processes that were killed.

    Raises as ``open_session``, and as ``anchoring.guard``: nobody works with a vault that its anchors know to be an old copy.
    """
    session = open_session(folder, factor=factor, principal=principal, clock=clock, random=random)
    try:
        anchoring.guard(session)
    except BaseException:
        session.abandon()
        raise
    principals.reconcile(session)
    if all(session.keyring.has(branch) for branch in WORKERS):
        gate.recover(session)
        erasure.resume(session)
        rotation.resume(session)
        sweep(session)
    return session


def sweep(session: Session) -> int:
    """Remove objects and keys of imports and panel builds whose lease has run out; how many those were."""
    now = to_micros(session.clock())
    with session.books.read() as tx:
        expired = list(tx.scalars(select(LeaseRow.prefix).where(LeaseRow.expires < now)))
    for prefix in expired:
        session.objects.delete([name for name, _ in session.objects.list(prefix)])
        session.keybook.destroy([KeyPurpose.SITE_TABLE, KeyPurpose.PANEL], [bytes.fromhex(prefix)])
        with session.books.write() as tx:
            tx.execute(delete(LeaseRow).where(LeaseRow.prefix == prefix))
    return len(expired)
