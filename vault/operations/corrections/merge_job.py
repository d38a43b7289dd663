"""Merging of one registration into another as a job: what is decided in one transaction, and what a killed process leaves to the next.

begun    intent logged; calls are compared and sealed anew; given up, the job ends and nothing has changed
moved    one transaction: calls, references and consent are the other's; the registration that goes is in no dataset and withdrew everything
done     its keys are gone but for the audit salt, by which its disclosures are found; its old parts are discarded; done logged
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, select, update

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.consent import ledger, merged_history
from vault.consent.merged_history import MergedHistory
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Branch
from vault.errors import UnavailableError
from vault.genotypes.catalog import compacted_parts, leaving, personal_parts
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.part_list import AnyPart
from vault.genotypes.catalog.personal_parts import MOVED_FROM
from vault.genotypes.import_parts import OwnPart
from vault.ids import PartId, SubjectId, new_id
from vault.operations.corrections import call_moves, leaving_job
from vault.operations.corrections.call_moves import Move
from vault.operations.erasure.job import HOLDING_NAMES
from vault.operations.erasure.process import alone
from vault.session import object_leases
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import JOB_DONE, ConsentPrivateRow, JobRow, PersonalPartRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros
from vault.subjects import registrations, registry
from vault.subjects.references import ReferenceIndex

MERGE_JOB = "merge"  # kind of the job's row
BEGUN, MOVED = "begun", "moved"
NEEDED = (Branch.IDENTITY, Branch.GENOTYPE, Branch.PSEUDONYM, Branch.BOOKS)
DESTROYED = (KeyPurpose.GENOTYPE, KeyPurpose.IDENTITY, KeyPurpose.PSEUDONYM_SALT)
"""Keys that a merged registration loses. The audit salt is destroyed when the person is erased."""


@dataclass(frozen=True)
class Pair:
    """Two registrations of one person: the one that stays, and the one that is merged into it."""

    stays: SubjectId = field(repr=False)
    goes: SubjectId = field(repr=False)

    @property
    def both(self) -> list[SubjectId]:
        """Both, for the log."""
        return [self.stays, self.goes]


@dataclass(frozen=True)
class Written:
    """Calls of one part that are sealed anew and not in the books yet."""

    dataset: Dataset
    move: Move
    part: OwnPart


def begin(tx: Transaction, vault: UnlockedVault, pair: Pair, **fields: Any) -> bytes:
    """Log the intent and keep the job, in the caller's transaction; the job's id.

    Raises:
        UnavailableError: ``subject_erased``: one of them was erased or merged meanwhile.
    """
    registry.require_held(tx, pair.both)
    job_id, now = new_id(vault.random), to_micros(vault.clock())
    intent = vault.trail.append(
        tx, Action.SUBJECT_MERGE, Outcome.INTENT, obj=ObjectRef("job", job_id.hex()), subjects=pair.both, **fields
    )
    plan = {"stays": pair.stays.hex(), "goes": pair.goes.hex(), "intent": intent.event_id}
    tx.add(JobRow(job_id=job_id, kind=MERGE_JOB, state=BEGUN, payload=json.dumps(plan).encode(), created=now))
    return job_id


def give_up(vault: UnlockedVault, job_id: bytes, outcome: Outcome, code: str) -> None:
    """End a job that has changed nothing, with the log's word why."""
    with vault.books.write() as tx:
        row = tx.get_one(JobRow, job_id)
        if row.state == BEGUN:
            obj, refers = ObjectRef("job", job_id.hex()), json.loads(row.payload)["intent"]
            vault.trail.append(tx, Action.SUBJECT_MERGE, outcome, obj=obj, refers=refers, reasons={code: 1})
            row.state, row.payload = JOB_DONE, b""


def commit(
    vault: UnlockedVault,
    job_id: bytes,
    pair: Pair,
    written: Sequence[Written],
    expected: MergedHistory,
    *,
    clock_checked: bool = False,
) -> int:
    """Make the two one in a transaction; the number of references that follow.

    Raises:
        UnavailableError: ``dataset_changed``, ``changed_meanwhile``, ``subject_erased``, ``references_renewed``, ``clock_behind``.
    """
    index, leaves = ReferenceIndex(vault), dict[PartId, list[SubjectId]]()
    for one in written:
        leaves[PartId(one.move.row.part_id)] = [pair.goes]
    with vault.books.write() as tx:
        registry.require_held(tx, pair.both)
        if set(leaving.parts_of(tx, pair.goes)) != set(leaves):
            raise UnavailableError("dataset_changed", "this person's data was imported or removed meanwhile", hint="try again")
        history = merged_history.read(tx, vault, pair.stays, pair.goes)
        if (history.stays, history.goes) != (expected.stays, expected.goes):
            raise UnavailableError("changed_meanwhile", "somebody recorded consent of this person meanwhile", hint="try again")
        for one in written:
            row, record = one.move.row, one.part.record
            imported = compacted_parts.imported_as(tx, row, pair.goes)
            personal_parts.add_instead(tx, imported, record, pair.stays, contigs=one.part.contigs, source=_source(row))
            object_leases.end(tx, record.part_id)
        leaving.leave(tx, vault, leaves, blank=False)
        new = [*history.new, merged_history.closing(vault, pair.goes)]
        head, recorded = ledger.append(tx, vault, new, clock_checked=clock_checked)
        tx.execute(delete(ConsentPrivateRow).where(ConsentPrivateRow.subject_id == pair.goes))
        references = registrations.unite(tx, vault, index, pair.stays, pair.goes)
        job = tx.get_one(JobRow, job_id)
        plan = json.loads(job.payload)
        counts = {"parts": len(written), "references": references, "statements": len(history.new)}
        job.state, job.payload = MOVED, json.dumps({**plan, "counts": counts}).encode()
        vault.trail.append(
            tx,
            Action.CONSENT_RECORD,
            Outcome.DONE,
            obj=ObjectRef("job", job_id.hex()),
            subjects=pair.both,
            consent=head.entry(added=len(new)),
            flags=["clock_behind"] if any(event.clock_behind for event in recorded) else [],
            detail={"merged": True},
        )
    return references


def finish(vault: UnlockedVault, job_id: bytes) -> None:
    """Discard what the registration that went has left behind, destroy its keys, and log the end; doing it twice does no harm."""
    with vault.books.read() as tx:
        plan: Mapping[str, Any] = json.loads(tx.get_one(JobRow, job_id).payload)
    pair = Pair(SubjectId(bytes.fromhex(plan["stays"])), SubjectId(bytes.fromhex(plan["goes"])))
    leaving_job.finish_all(vault)
    vault.keys.destroy(DESTROYED, [pair.goes])
    with vault.books.write() as tx:
        obj = ObjectRef("job", job_id.hex())
        vault.trail.append(
            tx,
            Action.SUBJECT_MERGE,
            Outcome.DONE,
            obj=obj,
            refers=plan["intent"],
            subjects=pair.both,
            counts={**plan["counts"], "keys": len(DESTROYED)},
        )
        tx.execute(update(JobRow).where(JobRow.job_id == job_id).values(state=JOB_DONE, payload=b""))
    vault.books.checkpoint_wal(*HOLDING_NAMES)


def resume(vault: UnlockedVault) -> int:
    """Finish merges that a killed process has decided, give up those that it has not, if this principal holds the keys; their number."""
    if not all(vault.keyring.has(branch) for branch in NEEDED) or not _unfinished(vault):
        return 0
    try:
        with alone(vault):
            found = _unfinished(vault)
            for job_id, state in found:
                if state == BEGUN:
                    give_up(vault, job_id, Outcome.ABORTED, "killed")
                else:
                    finish(vault, job_id)
    except UnavailableError as error:
        if error.code != "erasure_running":  # another process is at it
            raise
        return 0
    return len(found)


def _unfinished(vault: UnlockedVault) -> list[tuple[bytes, str]]:
    query = select(JobRow.job_id, JobRow.state).where(JobRow.kind == MERGE_JOB, JobRow.state != JOB_DONE)
    with vault.books.read() as tx:
        return [(row.job_id, row.state) for row in tx.execute(query.order_by(JobRow.created))]


def _source(row: AnyPart) -> str | None:
    """Source of the calls: of a person's own part the same file, else the part that others are in."""
    return row.source if isinstance(row, PersonalPartRow) else MOVED_FROM + call_moves.origin(row)
