"""Open a vault for work: finish or undo first what a killed process left (docs/design/reliability.md §7)."""

from __future__ import annotations

import os
import re
from contextlib import nullcontext
from pathlib import Path

from sqlalchemy import delete, exists, select

from vault.audit.actions import Action
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Branch, Factor, Role
from vault.errors import IntegrityError
from vault.genotypes.catalog.object_inventory import named_objects
from vault.ids import Clock, RandomBytes, utc_now
from vault.operations import log_anchors
from vault.session import bound_settings, object_leases, principals
from vault.session.unlocked_vault import UnlockedVault, open_vault
from vault.storage.book_tables import JOB_DONE, RELEASE_UNFINISHED, JobRow, LeaseRow, PanelBuildRow, PartRow, ReleaseRow

PREFIX = re.compile(r"[0-9a-f]{32}")  # of the objects of one import or panel build: its id
WORKERS = frozenset({Branch.BOOKS, Branch.GENOTYPE, Branch.PSEUDONYM, Branch.LOG_SIGN})  # what finishing a release takes


def open_recovered(
    folder: Path,
    *,
    factor: Factor,
    principal: str | None = None,
    looking: bool = False,
    clock: Clock = utc_now,
    random: RandomBytes = os.urandom,
) -> UnlockedVault:
    """Unlock a vault and, if this principal holds the keys, recover from killed processes.

    ``looking``: a refusal leaves no entry, because whoever looks goes on without it.

    Raises as ``open_vault``, and as ``require_newest``: a vault that is known to be an old copy is not opened.
    """
    vault = open_vault(folder, factor=factor, principal=principal, clock=clock, random=random)
    try:
        settings = require_newest(vault, looking=looking)
    except BaseException:
        vault.abandon()
        raise
    principals.reconcile(vault)
    if settings is bound_settings.State.UNTOLD:
        bound_settings.tell_books(vault)
    if all(vault.keyring.has(branch) for branch in WORKERS):
        _finish_unfinished(vault)
        sweep(vault)
    return vault


def require_newest(vault: UnlockedVault, *, looking: bool = False) -> bound_settings.State:
    """Refuse stores that were put back to an older state, and settings that no command has written, which is logged; how those stand.

    Raises as ``HighWater.require_newest``, ``bound_settings.require`` and ``log_anchors.guard``.
    """
    held = vault.marks.require_newest()
    # Nothing is held where there are no marks: with a slot of before the upgrade, or in such a vault.
    settings = bound_settings.State.SAME
    if held:
        with (
            nullcontext() if looking else vault.trail.attempting(Action.VAULT_OPEN)
        ):  # these books are the newest: that somebody edited the settings is kept
            settings = bound_settings.require(vault, held)
    log_anchors.guard(vault)
    return settings


def _finish_unfinished(vault: UnlockedVault) -> None:
    """Finish or abort releases, erasures, compactions and rotations that a killed process left."""
    releases = exists().where(ReleaseRow.state.in_(RELEASE_UNFINISHED))
    jobs = exists().where(JobRow.state != JOB_DONE)
    with vault.books.read() as tx:
        if not tx.scalar(select(releases | jobs)):
            return
    # Imported late, because this is half of the program and most commands find nothing unfinished.
    from vault.operations import key_rotation, release_recovery  # noqa: PLC0415
    from vault.operations.compaction import process as compaction  # noqa: PLC0415
    from vault.operations.corrections import discarding, leaving_job, merge_job, recounting  # noqa: PLC0415
    from vault.operations.erasure import process  # noqa: PLC0415

    release_recovery.recover(vault)
    if vault.role is Role.STEWARD:  # jobs are begun by stewards, and signed by them
        compaction.resume(vault)
        process.resume(vault)
        discarding.resume(vault)
        leaving_job.finish_all(vault)
        merge_job.resume(vault)
        recounting.resume(vault)
        key_rotation.resume(vault)


def _is_named(vault: UnlockedVault, prefix: str) -> bool:
    """Tell whether an object or a part of the books has this prefix, or it is no prefix that an import draws."""
    if not PREFIX.fullmatch(prefix):
        return True
    owner = bytes.fromhex(prefix)
    with vault.books.read() as tx:
        objects = any(stored.name.startswith(prefix) for stored in named_objects(tx))
        return objects or tx.get(PartRow, owner) is not None or tx.get(PanelBuildRow, owner) is not None


def sweep(vault: UnlockedVault) -> int:
    """Delete objects and keys of imports and panel builds whose lease has expired; return the number of leases.

    Raises:
        IntegrityError: ``lease_altered``: a lease speaks of what the books name, or of no import at all.
    """
    expired = object_leases.close_expired(vault)
    for prefix in expired:
        if _is_named(vault, prefix):  # whatever a lease says: what the books name is nobody's leftover
            raise IntegrityError("lease_altered", "a lease speaks of what the books name", hint="genovault doctor")
        vault.objects.delete([name for name, _ in vault.objects.list(prefix)])
        vault.keys.destroy([KeyPurpose.SITE_TABLE, KeyPurpose.PANEL], [bytes.fromhex(prefix)])
        with vault.books.write() as tx:
            tx.execute(delete(LeaseRow).where(LeaseRow.prefix == prefix))
    return len(expired)
