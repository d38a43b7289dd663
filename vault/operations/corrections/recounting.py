"""Counting of a part's carriers anew: of parts of before, which have no counts, and of counts that are not what the calls add up to.

    job    counting → done; a killed process is resumed

This opens every member's blocks inside the vault, under an intent of the log that names them, and releases nothing: the counts are
sealed, for erasures and corrections.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import select, update

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.genotypes.catalog import datasets, part_members, parts
from vault.genotypes.catalog.leaving import COUNTS, PENDING
from vault.ids import new_id
from vault.operations.corrections import discarding
from vault.operations.erasure import counts
from vault.operations.erasure.process import alone
from vault.operations.erasure.swaps import Work
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import JOB_DONE, ErasingChunkRow, JobRow, PartRow
from vault.storage.timestamps import to_micros

COUNT_JOB = "count"  # kind of the job's row
COUNTING = "counting"  # its state until the counts are named


@dataclass(frozen=True)
class Recounted:
    """Parts of several people that were counted anew, and how many people they hold."""

    dataset: str
    parts: int
    people: int


def recount(vault: UnlockedVault, name: str) -> Recounted:
    """Count the carriers of every part of several people of a dataset anew.

    Raises:
        InputError: ``dataset_unknown``. UnavailableError: ``erasure_running``. IntegrityError: as reading blocks.
    """
    with vault.trail.attempting(Action.DATASET_RECOUNT), alone(vault):
        rows = parts.list_all(vault, datasets.by_name(vault, name).dataset_id)
        people = sum(add_counts(vault, row) for row in rows)
    return Recounted(name, len(rows), people)


def add_counts(vault: UnlockedVault, row: PartRow) -> int:
    """Count one part's carriers, in the place of whatever counts it has; how many people it holds. The caller is ``alone``.

    Raises:
        IntegrityError: ``members_altered``, and as reading blocks. UnavailableError: a database or the object store does not answer.
    """
    job_id = new_id(vault.random)
    with vault.books.write() as tx:
        people = part_members.listed(tx, row.layout_id, row.members_sha256)
        obj = ObjectRef("part", row.part_id.hex())
        intent = vault.trail.append(tx, Action.DATASET_RECOUNT, Outcome.INTENT, obj=obj, subjects=people)
        plan = json.dumps({"part": row.part_id.hex(), "intent": intent.event_id}).encode()
        tx.add(JobRow(job_id=job_id, kind=COUNT_JOB, state=COUNTING, payload=plan, created=to_micros(vault.clock())))
        tx.flush()
        tx.add(ErasingChunkRow(job_id=job_id, part_id=row.part_id, ordinal=COUNTS, state=PENDING))
    _finish(vault, job_id)
    return len(people)


def resume(vault: UnlockedVault) -> int:
    """Finish the counting that a killed process began, if this principal holds the keys; the number of jobs."""
    if not all(vault.keyring.has(branch) for branch in discarding.NEEDED):
        return 0
    unfinished = select(JobRow.job_id).where(JobRow.kind == COUNT_JOB, JobRow.state != JOB_DONE).order_by(JobRow.created)
    with vault.books.read() as tx:
        found = list(tx.scalars(unfinished))
    for job_id in found:
        _finish(vault, job_id)
    return len(found)


def _finish(vault: UnlockedVault, job_id: bytes) -> None:
    with vault.books.read() as tx:
        plan = json.loads(tx.get_one(JobRow, job_id).payload)
    counts.settle(vault, Work(job_id, bytes.fromhex(plan["part"]), COUNTS), None, {}, logged=True)
    with vault.books.write() as tx:
        obj = ObjectRef("part", plan["part"])
        vault.trail.append(tx, Action.DATASET_RECOUNT, Outcome.DONE, obj=obj, refers=plan["intent"])
        tx.execute(update(JobRow).where(JobRow.job_id == job_id).values(state=JOB_DONE, payload=b""))
