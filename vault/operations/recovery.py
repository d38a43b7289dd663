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
from vault.session.unlocked_vault import UnlockedVault, open_vault
from vault.storage.book_tables import JOB_DONE, RELEASE_UNFINISHED, JobRow, LeaseRow, ReleaseRow

WORKERS = frozenset({Branch.BOOKS, Branch.GENOTYPE, Branch.PSEUDONYM, Branch.LOG_SIGN})  # what finishing a release takes


def open_recovered(
    folder: Path, *, factor: Factor, principal: str | None = None, clock: Clock = utc_now, random: RandomBytes = os.urandom
) -> UnlockedVault:
    """Unlock a vault and, if this principal can, clear up after processes that were killed.

    Raises as ``open_vault``, and as ``anchoring.guard``: nobody works with a vault that its anchors know to be an old copy.
    """
    vault = open_vault(folder, factor=factor, principal=principal, clock=clock, random=random)
    try:
        log_anchors.guard(vault)
    except BaseException:
        vault.abandon()
        raise
    principals.reconcile(vault)
    if all(vault.keyring.has(branch) for branch in WORKERS):
        _finish_unfinished(vault)
        sweep(vault)
    return vault


def _finish_unfinished(vault: UnlockedVault) -> None:
    """Releases, erasures and rotations that a killed process left."""
    releases = exists().where(ReleaseRow.state.in_(RELEASE_UNFINISHED))
    jobs = exists().where(JobRow.state != JOB_DONE)
    with vault.books.read() as tx:
        if not tx.scalar(select(releases | jobs)):
            return
    # Half of the program, imported late: most commands find nothing unfinished.
    from vault.operations import key_rotation, release_recovery  # noqa: PLC0415
    from vault.operations.erasure import process  # noqa: PLC0415

    release_recovery.recover(vault)
    process.resume(vault)
    key_rotation.resume(vault)


def sweep(vault: UnlockedVault) -> int:
    """Remove objects and keys of imports and panel builds whose lease has run out; how many those were."""
    expired = object_leases.close_expired(vault)
    for prefix in expired:
        vault.objects.delete([name for name, _ in vault.objects.list(prefix)])
        vault.keys.destroy([KeyPurpose.SITE_TABLE, KeyPurpose.PANEL], [bytes.fromhex(prefix)])
        with vault.books.write() as tx:
            tx.execute(delete(LeaseRow).where(LeaseRow.prefix == prefix))
    return len(expired)
