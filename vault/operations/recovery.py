"""Open a vault for work: finish or undo first what a killed process left (docs/design/reliability.md §7)."""

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

WORKERS = frozenset({Branch.BOOKS, Branch.GENOTYPE, Branch.PSEUDONYM, Branch.LOG_SIGN})  # branches that finishing a release opens


def open_recovered(
    folder: Path, *, factor: Factor, principal: str | None = None, clock: Clock = utc_now, random: RandomBytes = os.urandom
) -> UnlockedVault:
    """Unlock a vault and, if this principal holds the keys, recover from killed processes.

    Raises as ``open_vault``, and as ``log_anchors.guard``: a vault that an anchor knows to be an old copy is not opened.
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
    """Finish or abort releases, erasures and rotations that a killed process left."""
    releases = exists().where(ReleaseRow.state.in_(RELEASE_UNFINISHED))
    jobs = exists().where(JobRow.state != JOB_DONE)
    with vault.books.read() as tx:
        if not tx.scalar(select(releases | jobs)):
            return
    # Imported late, because this is half of the program and most commands find nothing unfinished.
    from vault.operations import key_rotation, release_recovery  # noqa: PLC0415
    from vault.operations.erasure import process  # noqa: PLC0415

    release_recovery.recover(vault)
    process.resume(vault)
    key_rotation.resume(vault)


def sweep(vault: UnlockedVault) -> int:
    """Delete objects and keys of imports and panel builds whose lease has expired; return the number of leases."""
    expired = object_leases.close_expired(vault)
    for prefix in expired:
        vault.objects.delete([name for name, _ in vault.objects.list(prefix)])
        vault.keys.destroy([KeyPurpose.SITE_TABLE, KeyPurpose.PANEL], [bytes.fromhex(prefix)])
        with vault.books.write() as tx:
            tx.execute(delete(LeaseRow).where(LeaseRow.prefix == prefix))
    return len(expired)
