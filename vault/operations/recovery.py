"""Opening a vault for work: what a killed process left half done is finished or undone first (DESIGN §3, rule 11)."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import delete, exists, select

from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Branch, Factor
from vault.ids import Clock, RandomBytes, utc_now
from vault.operations import log_anchors
from vault.session import object_leases, principals
from vault.session.unlocked_vault import Session, open_session
from vault.storage.book_tables import JOB_DONE, RELEASE_UNFINISHED, JobRow, LeaseRow, ReleaseRow

WORKERS = frozenset({Branch.BOOKS, Branch.GENOTYPE, Branch.PSEUDONYM, Branch.LOG_SIGN})  # what finishing a release takes


def open_recovered(
    folder: Path, *, factor: Factor, principal: str | None = None, clock: Clock = utc_now, random: RandomBytes = os.urandom
) -> Session:
    """Unlock a vault and, if this principal can, clear up after processes that were killed.

    Raises as ``open_session``, and as ``anchoring.guard``: nobody works with a vault that its anchors know to be an old copy.
    """
    session = open_session(folder, factor=factor, principal=principal, clock=clock, random=random)
    try:
        log_anchors.guard(session)
    except BaseException:
        session.abandon()
        raise
    principals.reconcile(session)
    if all(session.keyring.has(branch) for branch in WORKERS):
        _finish_unfinished(session)
        sweep(session)
    return session


def _finish_unfinished(session: Session) -> None:
    """Releases, erasures and rotations that a killed process left."""
    releases = exists().where(ReleaseRow.state.in_(RELEASE_UNFINISHED))
    jobs = exists().where(JobRow.state != JOB_DONE)
    with session.books.read() as tx:
        if not tx.scalar(select(releases | jobs)):
            return
    # Half of the program, imported late: most commands find nothing unfinished.
    from vault import gate  # noqa: PLC0415
    from vault.operations import key_rotation  # noqa: PLC0415
    from vault.operations.erasure import process  # noqa: PLC0415

    gate.recover(session)
    process.resume(session)
    key_rotation.resume(session)


def sweep(session: Session) -> int:
    """Remove objects and keys of imports and panel builds whose lease has run out; how many those were."""
    expired = object_leases.close_expired(session)
    for prefix in expired:
        session.objects.delete([name for name, _ in session.objects.list(prefix)])
        session.keybook.destroy([KeyPurpose.SITE_TABLE, KeyPurpose.PANEL], [bytes.fromhex(prefix)])
        with session.books.write() as tx:
            tx.execute(delete(LeaseRow).where(LeaseRow.prefix == prefix))
    return len(expired)
