"""Restore a vault from a backup of its data (``vault.operations.backup``) without restoring erased subjects.

A backup cannot prove that it is recent. Restore needs one of two proofs:

    the newest keys   the vault's own keystore and key database, still in its folder: subjects erased since have no key in them
    an anchor         a folder that has seen the log's newest heads: a backup behind it lacks entries, perhaps erasures

A backup is usually behind an anchor, because the vault was used after it was made. Its log is then not continued: with the newest
keys (``new_log``) another log begins whose first entry states the old log's newest head; with a backup of keys the restore is refused.
The newest keys know themselves how far the books had come, and another log begins where the backup is behind that.

A vault made from a backup of keys is a *copy*: the original may be in use, as in a drill. It begins a log of its own and has no anchors, so
neither disturbs the other. If the original is lost for good, ``take_over`` makes it the original: the anchors go on with it.
Data and keys that were backed up one after the other, in either order, are one set: a backup of keys knows the entries that it made
itself. Where neither proof is left, two stewards may take a *gap* (``restore_gap``).
Either way the restored vault is another incarnation: no part of an earlier one passes in it.

Everything is checked on a staged copy first: the folder itself (``backup_folder``), digests, every object, the whole log, the consent
chain, the keys. Erasures are then carried out again on it, the restore is logged, and only then does it take its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select, update

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.audit.live_source import check_live
from vault.consent import ledger
from vault.crypto import keystore
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Factor
from vault.crypto.primitives import sha256
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.genotypes.catalog import part_members, personal_parts
from vault.genotypes.catalog.object_inventory import named_objects, table_keys
from vault.ids import Clock, RandomBytes, SubjectId, VaultId, utc_now
from vault.operations import log_anchors, restore_gap, restore_proofs, restore_staging
from vault.operations.backup_folder import (
    BOOKS,
    DATA_FORMAT,
    KEYS,
    KEYS_FORMAT,
    KEYSTORE,
    OBJECTS,
    About,
    Tail,
    copy_file,
    copy_objects,
    read_about,
)
from vault.operations.corrections import merge_job
from vault.operations.erasure import counts
from vault.operations.erasure.job import DONE, ERASED, ERASING, ERASURE_JOB
from vault.operations.restore_gap import Agreed, Gap
from vault.session import bound_settings, incarnations
from vault.session.settings import SETTINGS, Places, Settings, read_settings
from vault.session.subject_keys import SUBJECT_PURPOSES
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import (
    ConsentPrivateRow,
    ErasingChunkRow,
    ErasureRow,
    IdentityRow,
    JobRow,
    LeaseRow,
    ReferenceRow,
    SubjectRow,
    VaultRow,
)
from vault.storage.database import Transaction
from vault.subjects import people_digests, reference_rekeying
from vault.subjects.registrations import MERGED


@dataclass(frozen=True)
class Restored:
    """Summary of a restore."""

    folder: Path
    newest_keys: bool  # the vault's own keys were in the folder
    anchored: bool  # the log is where an anchor says, or past it
    new_log: bool  # the log was behind an anchor or the newest keys, or is a copy's: another one begins
    copy: bool  # beside the original, with a log of its own and no anchors
    entries: int  # of the log
    objects: int
    erased_again: int  # subjects that the backup still held
    unreadable: int  # site tables, directories and panel blocks destroyed since: import or build those again
    missing_entries: int = 0  # of the log, that an anchor has seen and the backup lacks; only with a gap
    lost: int = 0  # people whose keys are in no backup: they count as erased; only with a gap
    since: str = ""  # only with a gap: nothing is known of what happened after this time
    suspended: tuple[str, ...] = ()  # only with a gap: projects that a steward has to approve again


def restore(
    source: Path,
    folder: Path,
    *,
    factor: Factor,
    principal: str | None = None,
    keys: Path | None = None,
    anchors: Sequence[Path] = (),
    new_log: bool = False,
    take_over: bool = False,
    gap: Gap | None = None,
    clock: Clock = utc_now,
    random: RandomBytes = os.urandom,
) -> Restored:
    """Make ``folder`` a vault again from a backup of its data, with the keys that are in it or (``keys``) from a backup of them.

    Args:
        take_over: with a backup of keys: the original is lost for good, and its anchors go on with this vault.
        gap: with a backup of keys: take it though nothing proves that it is the newest (``vault.operations.restore_gap``).

    Raises:
        InputError: ``no_backup``; ``vault_present``: books or objects are there; ``keys_present``: keys are there, and others given;
            ``other_vault``.
        UnavailableError: ``restore_unproven``: neither the newest keys nor an anchor; ``keys_needed``; ``cannot_unlock``;
            ``not_administrator``; ``disk_full``: the objects would not fit.
        IntegrityError: ``backup_altered``; ``backup_foreign``: it holds what no backup has; ``object_missing``, ``object_altered``; ``log_broken``; ``keys_behind``: the keys are older
            than the books; ``log_behind_anchor`` and others of ``log_anchors.guard``; ``consent_ledger_behind``.
        With a gap also as ``restore_gap.agreed``.
    """
    about = read_about(source, DATA_FORMAT)
    live = keystore_there(folder)
    if live and gap is not None:
        raise InputError("keys_present", f"{folder} holds the newest keys, which prove enough", hint="leave out --accept-gap")
    _require_room(folder, live=live, given=keys is not None)
    key_about = None if live else read_about(keys or Path(), KEYS_FORMAT)
    if key_about is not None and key_about.vault != about.vault:
        raise InputError("other_vault", "the keys belong to another vault than the backup")
    known = read_settings(folder).anchors if (folder / SETTINGS).exists() else ()
    anchors = tuple(dict.fromkeys([*known, *(anchor.resolve() for anchor in anchors)]))
    if not live and not anchors and gap is None:
        raise UnavailableError(
            "restore_unproven", "nothing shows that this backup is not older than an erasure", hint=restore_proofs.PROOFS
        )
    with restore_staging.staged(folder, random) as staging:
        copy_file(about, BOOKS, staging / BOOKS)
        key_folder = folder if key_about is None else _stage_keys(key_about, staging)
        places = Places(keys=f"sqlite:///{(key_folder / KEYS).resolve()}")
        unlocked = keystore.load(key_folder).unlock(factor, principal=principal)
        if unlocked.vault_id != about.vault:
            raise InputError("other_vault", "the keys belong to another vault than the backup")
        if unlocked.keystore.bound and not unlocked.administers:
            raise UnavailableError("not_administrator", "a vault is restored by an administrator of its keystore")
        (staging / OBJECTS).mkdir(mode=0o700)
        settings = Settings(VaultId(about.vault), places, anchors)
        vault = UnlockedVault(staging, settings, unlocked, clock=clock, random=random)
        try:
            with vault.books.read() as tx:
                named = list(named_objects(tx))
            copy_objects(about, named, staging / OBJECTS)
            tail = None if key_about is None else key_about.tail
            report = _checked(vault, folder, live=live, new_log=new_log, tail=tail, gap=gap)
            agreed = None
            if gap is not None and not live and (not report.anchored or report.lost or report.unreadable):
                agreed = restore_gap.agreed(gap, unlocked, folder, backup=_digest(about), clock=clock)
                report = replace(report, since=about.created)
            report = replace(report, copy=not live and not take_over)
            report = _begun(vault, report)
            report = _carried_out(vault, report, agreed)
            _settle(vault, () if report.copy else anchors)
        except BaseException:
            vault.abandon()
            raise
        vault.close()
        restore_staging.take_place(staging, folder)
    return report


def keystore_there(folder: Path) -> bool:
    """True if a folder holds a vault's keys."""
    return (folder / KEYS).exists() and any((folder / name).exists() for name in ("keystore.a", "keystore.b"))


def _require_room(folder: Path, *, live: bool, given: bool) -> None:
    occupied = [name for name in (BOOKS, OBJECTS) if (folder / name).exists()]
    if occupied:
        hint = "move them away first: a restore never overwrites"
        raise InputError("vault_present", f"{folder} holds {' and '.join(occupied)}", hint=hint)
    if live and given:
        raise InputError(
            "keys_present", f"{folder} holds keys, which may be newer than a backup of them", hint="leave out --keys"
        )
    if not live and not given:
        raise UnavailableError("keys_needed", f"{folder} holds no keys", hint="give --keys DIR, a backup of them")
    if not live and folder.exists() and any(folder.iterdir()):
        raise InputError("vault_present", f"{folder} is not empty", hint="choose another folder")


def _stage_keys(about: About, staging: Path) -> Path:
    for name, copy in ((KEYSTORE, "keystore.a"), (KEYSTORE, "keystore.b"), (KEYS, KEYS)):
        copy_file(about, name, staging / copy)
    return staging


def _digest(about: About) -> bytes:
    """Digest by which a note of a gap names a backup, 32 bytes."""
    return sha256(json.dumps([about.created, sorted(about.files.items())]).encode())


def _checked(vault: UnlockedVault, folder: Path, *, live: bool, new_log: bool, tail: Tail | None, gap: Gap | None) -> Restored:
    """Check log, ledger, keys and anchors against the books; change nothing. Raises as ``restore``."""
    with vault.books.read() as tx:
        objects = len(list(named_objects(tx)))
        erased = set(tx.scalars(select(ErasureRow.erasure_id)))
        ledger.read(tx, vault)
        needed = [key_id for _, key_id in table_keys(tx)]
        held = list(tx.scalars(select(SubjectRow.subject_id).where(SubjectRow.state.not_in((ERASED, ERASING, MERGED)))))
    keyless = vault.subject_keys.keyless([SubjectId(subject) for subject in held])
    missing = vault.keys.missing_ids(needed)
    # With the newest keys, a subject without keys was erased since; with a backup of keys, that backup is too old.
    if live and erased - vault.keys.erasures():
        raise IntegrityError("keys_behind", "the keys are older than the books", hint="restore the newest keys")
    if not live and gap is None and (keyless or missing):
        raise IntegrityError("keys_behind", "the keys are older than the books", hint=restore_proofs.NEWER_KEYS)
    found = check_live(vault.trail.log, None, "\n".join(key.to_text() for key in vault.trail.log_keys()))
    if not found.ok:
        raise IntegrityError("log_broken", f"the audit log in the backup does not verify: {found.findings[0].message}")
    behind = not restore_proofs.accounted_for(vault, tail) and restore_proofs.behind(
        vault, live=live, allowed=gap is not None if not live else new_log
    )
    anchored = not behind and any(restore_proofs.has_seen(anchor, vault) for anchor in vault.trail.anchors)
    if not anchored and not live and gap is None:
        raise UnavailableError(
            "restore_unproven", "the anchor has never seen this log", hint="give the anchor that the vault was signed to"
        )
    behind = behind or (live and vault.marks.behind())
    size = vault.trail.log.parts()[-1].size
    lacking = 0 if not behind or live else max(0, restore_proofs.newest_seen(vault) - size)
    return Restored(
        folder,
        live,
        anchored,
        behind,
        False,
        vault.trail.log.size(),
        objects,
        0,
        len(missing),
        lacking,
        0 if live else len(keyless),
    )


def _begun(vault: UnlockedVault, report: Restored) -> Restored:
    """Begin another incarnation, and another log where the old one may have gone on elsewhere."""
    if report.copy:
        vault.trail.anchors = ()  # they are the original's: nothing is written there, and nothing asked of them later
        log_anchors.continue_apart(vault)
    elif report.new_log or not report.newest_keys:
        log_anchors.continue_log(vault)
    elif vault.books.upgraded:
        with vault.books.write() as tx:
            tx.execute(update(VaultRow).values(**incarnations.drawn(vault)))
        incarnations.seal(vault)
        return report
    return replace(report, new_log=True)


def _settle(vault: UnlockedVault, anchors: tuple[Path, ...]) -> None:
    """Write vault.json as it will be in place: everything in the folder, and these anchors."""

    def book(tx: Transaction) -> None:
        about = ObjectRef("vault", vault.vault_id.hex())
        vault.trail.append(tx, Action.VAULT_RELOCATE, Outcome.DONE, obj=about, counts={"anchors": len(anchors)})

    bound_settings.change(vault, replace(vault.settings, places=Places(), anchors=anchors), book)


def _carried_out(vault: UnlockedVault, report: Restored, agreed: Agreed | None) -> Restored:
    """Erase again whom the books or the keys say to be erased, end erasures that the keys know to be over, and log the restore."""
    with vault.books.read() as tx:
        states = {SubjectId(s): state for s, state in tx.execute(select(SubjectRow.subject_id, SubjectRow.state))}
        jobs = list(tx.scalars(select(JobRow.job_id).where(JobRow.kind == ERASURE_JOB, JobRow.state != DONE)))
    over = [job for job in jobs if not vault.keys.newest_version(KeyPurpose.JOB, job)]
    done = [subject for subject, state in states.items() if state == ERASED]
    merged = [subject for subject, state in states.items() if state == MERGED]
    vault.keys.destroy(merge_job.DESTROYED, merged)
    with vault.books.read() as tx:
        for erasure_id in tx.scalars(select(ErasureRow.erasure_id)).all():
            vault.keys.destroy([], [], erasure_id=erasure_id)
    gone = [subject for subject in vault.subject_keys.keyless(states) if states[subject] not in (ERASED, MERGED)]
    vault.keys.destroy(SUBJECT_PURPOSES, done + gone)
    with vault.books.write() as tx:
        left = part_members.remove(tx, gone)
        stale, leftover = counts.forget(tx, left | counts.shut(tx, vault))  # the next erasure counts anew
        personal_parts.leave(tx, gone)
        for subject in gone:
            for table in (IdentityRow, ReferenceRow, ConsentPrivateRow):
                tx.execute(delete(table).where(table.subject_id == subject))
            tx.execute(update(SubjectRow).where(SubjectRow.subject_id == subject).values(state=ERASED))
        tx.execute(delete(LeaseRow))  # what was being written then is in no backup
        people_digests.renew(tx, gone)
        for job in over:
            tx.execute(delete(ErasingChunkRow).where(ErasingChunkRow.job_id == job))
            tx.execute(update(JobRow).where(JobRow.job_id == job).values(state=DONE, payload=b""))
        flags = [name for name, met in (("newest_keys", report.newest_keys), ("anchored", report.anchored)) if met]
        told = {"objects": report.objects, "erased_again": len(gone), "unreadable": report.unreadable}
        more: dict[str, Any] = {}
        if agreed is not None:
            flags += agreed.flags
            more = {"detail": {"reason": agreed.reason, "second": agreed.second, "since": report.since}}
            told["missing_entries"] = report.missing_entries
        about = ObjectRef("vault", vault.vault_id.hex())
        vault.trail.append(tx, Action.BACKUP_RESTORE, Outcome.DONE, obj=about, flags=flags, counts=told, **more)
    vault.keys.destroy_ids(stale)
    vault.objects.delete(leftover)
    personal_parts.remove(vault, done + gone)
    if gone or not _index_held(vault):
        reference_rekeying.renew(vault)
    suspended = () if agreed is None else tuple(restore_gap.suspend_projects(vault))
    vault.books.checkpoint_wal()
    return replace(report, erased_again=len(gone), suspended=suspended, entries=vault.trail.log.size())


def _index_held(vault: UnlockedVault) -> bool:
    """True if the keys of the blind index are held; each erasure destroys one of them."""
    with vault.books.read() as tx:
        used = {*tx.scalars(select(ReferenceRow.key_version).distinct()), *tx.scalars(select(VaultRow.reference_version))}
    return used <= vault.keys.versions_of(KeyPurpose.REFERENCE_INDEX, vault.vault_id)
