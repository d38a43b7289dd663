"""Erasure of one subject: intent, idempotent steps, done; a killed process is resumed at the next open (docs/design/keys.md §12).

listed      intent logged, then everything withdrawn, subject no longer found or decided; the alleles that the subject carries are listed
            with the subject's own key and sealed in the job
destroyed   keys, salts and audit tokens are gone: the data is unreadable from here on; nor is there any part that was compacted
forgotten   identity and references are gone from the books
purged      carrier counts do not speak of the person, site tables and panels no longer list private alleles; the person's own parts
            are deleted
reindexed   what the person's references were under in the blind index has a new key, so that old books cannot be searched
done        done entry and certificate are written, the job and its key are gone
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from policies.consent import ConsentEvent, Level, Withdrawal
from vault.access import spool
from vault.access.release_holders import releases_with
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.consent import drop_lists, ledger
from vault.consent.ledger import NewEvent
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Branch
from vault.crypto.primitives import sha256
from vault.errors import InputError, UnavailableError
from vault.genotypes.catalog import compacted_parts, part_members, personal_parts
from vault.genotypes.catalog.leaving import PENDING
from vault.ids import SubjectId, new_id, new_uuid7
from vault.operations import key_backups, release_recovery
from vault.operations.erasure.certificate import Certificate, issue
from vault.operations.erasure.job import (
    DESTROYED,
    DONE,
    ERASED,
    ERASING,
    ERASURE_JOB,
    FORGOTTEN,
    HOLDING_NAMES,
    LISTED,
    PURGED,
    REINDEXED,
    ErasurePlan,
    Job,
    erasure_id,
    load,
    save,
    seal,
    unfinished,
)
from vault.operations.erasure.purging import CarriedAlts, purge
from vault.session.audit_trail import Attempt
from vault.session.process_lock import process_lock
from vault.session.subject_keys import SUBJECT_PURPOSES
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import (
    ConsentPrivateRow,
    ErasingChunkRow,
    ErasureRow,
    IdentityRow,
    JobRow,
    ReferenceRow,
    SubjectRow,
)
from vault.storage.timestamps import rfc3339, to_micros
from vault.subjects import people_digests, reference_rekeying, registrations, suppressed
from vault.subjects.identities import open_identities
from vault.subjects.references import resolve

NEEDED = (Branch.IDENTITY, Branch.GENOTYPE, Branch.PSEUDONYM, Branch.BOOKS, Branch.RELEASE_SIGN)

OnProgress = Callable[[str], None]
"""Called with each state that is reached; from ``destroyed`` on the subject's data is unreadable."""


def erase(
    vault: UnlockedVault, reference: str, *, suppress: bool = False, on_progress: OnProgress = lambda _: None
) -> Certificate:
    """Erase the subject that a reference names. ``suppress``: keep keyed codes of the references, so that nobody registers them again.

    Raises:
        InputError: ``subject_unknown``; ``subject_ambiguous``.
        UnavailableError: ``branch_closed``: only stewards erase; ``erasure_running``; ``database_busy``: repeat, or open the vault
            again, to go on.
    """
    with vault.trail.attempting(Action.SUBJECT_ERASE) as attempt, alone(vault):
        for branch in NEEDED:
            vault.keyring.current(branch)
        subject = resolve(vault, reference)
        job_id = _begin(vault, subject, attempt, suppress=suppress)
        attempt.closed()
        release_recovery.recover(vault)  # a stopped extract with this person is kept no longer
        on_progress(LISTED)
        return _carry_on(vault, job_id, on_progress)


def resume(vault: UnlockedVault) -> int:
    """Finish erasures that a killed process began, if this principal holds the keys; return their number."""
    found = unfinished(vault)
    if not found or not all(vault.keyring.has(branch) for branch in NEEDED):
        return 0
    try:
        with alone(vault):
            for job_id in unfinished(vault):
                _carry_on(vault, job_id, lambda _: None)
    except UnavailableError as error:
        if error.code != "erasure_running":  # another process resumes them
            raise
        return 0
    return len(found)


def issued(vault: UnlockedVault) -> list[Certificate]:
    """All certificates, oldest first."""
    with vault.books.read() as tx:
        rows = tx.scalars(select(ErasureRow).order_by(ErasureRow.created)).all()
    return [Certificate(row.erasure_id, row.certificate) for row in rows]


def _begin(vault: UnlockedVault, subject: SubjectId, attempt: Attempt, *, suppress: bool) -> bytes:
    """Log the intent, list what the subject carries, withdraw everything and seal the plan: the last use of the subject's keys."""
    job_id = new_id(vault.random)
    now = vault.clock()
    obj = ObjectRef("erasure", erasure_id(job_id))
    intent = attempt.opens([subject], obj=obj)
    found = CarriedAlts.of(vault, subject)
    pending = found.pending(vault)
    merged = tuple(one.hex() for one in registrations.all_of(vault, subject)[1:])
    event = ConsentEvent(
        event_id=new_uuid7(vault.random, now),
        seq=0,
        legal_time=now,
        recorded_at=now,
        withdrawal=Withdrawal("everything", Level.ERASE),
        recorded_by=vault.principal,
    )
    released = releases_with(vault, subject)
    kept = suppressed.codes(vault, open_identities(vault, [subject])[subject]) if suppress else ()
    key = vault.keys.create(KeyPurpose.JOB, [job_id])[0]
    with vault.books.write() as tx:
        row = tx.get_one(SubjectRow, subject)
        if row.state in (ERASING, ERASED):
            raise InputError("subject_unknown", "no subject has this reference")
        head, _ = ledger.append(tx, vault, [NewEvent(subject, event, {})])
        vault.trail.append(tx, Action.CONSENT_WITHDRAW, Outcome.DONE, subjects=[subject], obj=obj, consent=head.entry(added=1))
        drop_lists.follow(vault, tx, subject)  # the last moment at which the person's pseudonyms can be told
        row.state = ERASING
        if {part_id.hex() for part_id in part_members.remove(tx, [subject])} != set(found.own):
            raise UnavailableError("dataset_changed", "this person's data was imported or removed meanwhile", hint="try again")
        personal_parts.leave(tx, [subject])
        plan = ErasurePlan(
            subject.hex(),
            intent,
            rfc3339(now),
            releases=released,
            alts=CarriedAlts.packed(found.own),
            moved=CarriedAlts.packed(found.moved),
            suppressed=kept,
            merged=merged,
        )
        sealed = seal(vault, key, job_id, plan)
        tx.add(JobRow(job_id=job_id, kind=ERASURE_JOB, state=LISTED, payload=sealed, created=to_micros(now)))
        tx.flush()
        for part, ordinals in pending.items():
            for ordinal in ordinals:
                tx.add(ErasingChunkRow(job_id=job_id, part_id=part, ordinal=ordinal, state=PENDING))
    return job_id


def _carry_on(vault: UnlockedVault, job_id: bytes, on_progress: OnProgress) -> Certificate:
    steps: dict[str, tuple[Callable[[UnlockedVault, Job], ErasurePlan], str]] = {
        LISTED: (_destroy, DESTROYED),
        DESTROYED: (_forget, FORGOTTEN),
        FORGOTTEN: (purge, PURGED),
        PURGED: (_reindex, REINDEXED),
    }
    job = load(vault, job_id)
    while job.state in steps:
        step, reached = steps[job.state]
        job = replace(job, plan=step(vault, job), state=reached)
        save(vault, job)
        on_progress(reached)
    certificate = _finish(vault, job)
    on_progress(DONE)
    return certificate


def _destroy(vault: UnlockedVault, job: Job) -> ErasurePlan:
    with vault.books.read() as tx:
        index = reference_rekeying.versions_of(tx, job.subject)
    spool.discard_with(vault, (str(release["release"]) for release in job.plan.releases))
    gone = vault.keys.destroy(SUBJECT_PURPOSES, job.registrations, erasure_id=job.erasure_id)
    compacted_parts.sweep_retired(vault)
    # A killed process may have destroyed them before it stored their number.
    destroyed = {"keys": gone or len(SUBJECT_PURPOSES)}
    return replace(job.plan, unreadable=rfc3339(vault.clock()), destroyed=destroyed, index=index)


def _forget(vault: UnlockedVault, job: Job) -> ErasurePlan:
    with vault.books.write() as tx:
        references = tx.execute(delete(ReferenceRow).where(ReferenceRow.subject_id == job.subject))
        tx.execute(delete(IdentityRow).where(IdentityRow.subject_id == job.subject))
        people_digests.renew(tx, [SubjectId(job.subject)])
        tx.execute(delete(ConsentPrivateRow).where(ConsentPrivateRow.subject_id == job.subject))
        tx.execute(update(SubjectRow).where(SubjectRow.subject_id.in_(job.registrations)).values(state=ERASED))
    vault.books.checkpoint_wal(*HOLDING_NAMES)
    count = int(references.rowcount)  # type: ignore[attr-defined]
    return replace(job.plan, destroyed={**job.plan.destroyed, "identities": 1, "references": count})


def _reindex(vault: UnlockedVault, job: Job) -> ErasurePlan:
    reference_rekeying.renew(vault, job.plan.index)
    return job.plan


def _finish(vault: UnlockedVault, job: Job) -> Certificate:
    """Write done entry and certificate and end the job, in one transaction; then destroy the job's key."""
    if job.state != DONE:
        now, plan = vault.clock(), job.plan
        certificate = issue(_content(vault, job, now), origin=vault.trail.origin, signer=vault.release_signer())
        with vault.books.write() as tx:
            vault.trail.append(
                tx,
                Action.SUBJECT_ERASE,
                Outcome.DONE,
                obj=ObjectRef("erasure", job.erasure_id),
                refers=plan.intent,
                counts=dict(plan.destroyed),
                blobs=[sha256(certificate.text.encode())],
            )
            tx.add(ErasureRow(erasure_id=job.erasure_id, certificate=certificate.text, created=to_micros(now)))
            tx.execute(update(JobRow).where(JobRow.job_id == job.job_id).values(state=DONE, payload=b""))
    vault.keys.destroy([KeyPurpose.JOB], [job.job_id])
    vault.books.checkpoint_wal(*HOLDING_NAMES)
    with vault.books.read() as tx:
        row = tx.get_one(ErasureRow, job.erasure_id)
    return Certificate(row.erasure_id, row.certificate)


def _content(vault: UnlockedVault, job: Job, now: datetime) -> dict[str, Any]:
    plan = job.plan
    unreadable = datetime.fromisoformat(plan.unreadable)
    copies = [backup for backup in key_backups.list_all(vault.books) if backup.held(now) and backup.created <= unreadable]
    end = key_backups.horizon(copies, at=now)
    return {
        "vault": vault.vault_id.hex(),
        "log": vault.trail.origin,
        "erasure": job.erasure_id,
        "asked": plan.asked,
        "unreadable": plan.unreadable,
        "completed": rfc3339(now),
        "destroyed": dict(plan.destroyed),
        "releases": [dict(release) for release in plan.releases],
        "key_backups": [backup.as_dict() for backup in copies],
        "horizon": None if end is None else rfc3339(end),
        **({suppressed.FIELD: list(plan.suppressed)} if plan.suppressed else {}),
    }


@contextmanager
def alone(vault: UnlockedVault) -> Iterator[None]:
    """Hold the erasure lock: two erasures or corrections would rewrite the same tables.

    Raises:
        UnavailableError: ``erasure_running``.
    """
    with process_lock(vault.folder, "erasure") as mine:
        if not mine:
            message = "another erasure or correction of genotypes is being carried out"
            raise UnavailableError("erasure_running", message, hint="try again when it has ended")
        yield
