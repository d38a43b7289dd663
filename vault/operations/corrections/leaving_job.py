"""After people have left parts: what they alone carried is blanked in the tables, and parts without anybody are discarded.

job    left → done; each chunk pending → writing → swapped → no row (``erasure.site_tables``); a killed process is resumed
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import delete, exists, select, update

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.key_wrapping import KeyPurpose, block_key
from vault.genotypes.catalog import compacted_parts, panel_blocks, panel_builder, parts, personal_parts
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.leaving import COUNTS, DIRECTORY, LEAVE_JOB, plan_of
from vault.genotypes.store.part_records import Place
from vault.ids import DatasetId, PartId, SubjectId
from vault.operations.corrections import discarding
from vault.operations.erasure import counts, moved_calls
from vault.operations.erasure.private_alleles import NONE, carriers
from vault.operations.erasure.site_tables import purge_chunk, purge_directory
from vault.operations.erasure.swaps import Work, waiting
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import JOB_DONE, DatasetRow, ErasingChunkRow, JobRow, LayoutMemberRow, PartRow


def finish_all(vault: UnlockedVault) -> int:
    """Carry out the jobs of everybody who has left a part, if this principal holds the keys; their number."""
    if not all(vault.keyring.has(branch) for branch in discarding.NEEDED):
        return 0
    unfinished = select(JobRow.job_id).where(JobRow.kind == LEAVE_JOB, JobRow.state != JOB_DONE).order_by(JobRow.created)
    with vault.books.read() as tx:
        found = list(tx.scalars(unfinished))
    for job_id in found:
        _finish(vault, job_id)
    return len(found)


def _finish(vault: UnlockedVault, job_id: bytes) -> None:
    with vault.books.read() as tx:
        plan = plan_of(tx.get_one(JobRow, job_id))
        places, owners = plan.places, plan.owners
        named = {part: tx.get(PartRow, bytes.fromhex(part)) for part in places}
        datasets = {
            row.dataset_id: Dataset(DatasetId(row.dataset_id), row.name, row.assembly) for row in tx.scalars(select(DatasetRow))
        }
    rows = [row for row in named.values() if row is not None]
    compacted_parts.sweep_retired(vault)
    panel_blocks.remove(vault, panel_blocks.of_parts(vault, [PartId(row.part_id) for row in rows]))
    with vault.books.read() as tx:
        ended = personal_parts.ended(tx, owners) if plan.listing else []
    moved = {part: lists for part, lists in moved_calls.listed_of(vault, ended).items() if part in plan.listing}
    blanked = 0
    for row in rows:
        if not _discarded_if_empty(vault, job_id, row):
            left = [(SubjectId(bytes.fromhex(s)), (group, slot)) for s, group, slot in places[row.part_id.hex()]]
            blanked += _blank(vault, job_id, row, left, moved.get(row.part_id.hex(), {}))
    own = personal_parts.remove(vault, owners)  # last: they tell what was moved out of the others
    for dataset_id in {row.dataset_id for row in rows}:
        panel_builder.rebuild(vault, datasets[dataset_id])
    with vault.books.write() as tx:
        done = {"parts": len(places), "personal_parts": own, "alts_blanked": blanked}
        vault.trail.append(tx, Action.JOB_DONE, Outcome.DONE, obj=ObjectRef("job", job_id.hex()), counts=done)
        tx.execute(update(JobRow).where(JobRow.job_id == job_id).values(state=JOB_DONE, payload=b""))


def _discarded_if_empty(vault: UnlockedVault, job_id: bytes, row: PartRow) -> bool:
    """Discard a part of which everybody has left."""
    part_id = PartId(row.part_id)
    with vault.books.write() as tx:
        if tx.scalar(select(exists().where(LayoutMemberRow.layout_id == tx.get_one(PartRow, part_id).layout_id))):
            return False
        tx.execute(delete(ErasingChunkRow).where(ErasingChunkRow.job_id == job_id, ErasingChunkRow.part_id == part_id))
        obj, detail = ObjectRef("part", part_id.hex()), {"reason": "everybody's calls in it were replaced or moved"}
        job, _ = discarding.take_out(tx, vault, [part_id], act=Action.DATASET_REMOVE, obj=obj, detail=detail)
    discarding.finish(vault, job)
    return True


def _blank(
    vault: UnlockedVault,
    job_id: bytes,
    row: PartRow,
    left: Sequence[tuple[SubjectId, tuple[int, int]]],
    moved: counts.Lists,
) -> int:
    """Take the leavers out of the part's counts, and blank what nobody carries any more in each waiting chunk; the number of ALTs.
    ``moved``: what it lists of calls that were moved out of it and have ended.
    """
    work = [Work(job_id, row.part_id, ordinal) for ordinal in waiting(vault, job_id, row.part_id)]
    keys = vault.keys.open_many(KeyPurpose.GENOTYPE, [subject for subject, _ in left])
    gone = [Place(*slot, block_key(keys[s], row.dataset_id)) for s, slot in left if s in keys]
    chunks = [one.ordinal for one in work if one.ordinal >= 0]
    unsettled = any(one.ordinal == COUNTS for one in work)
    leaving = {
        ordinal: found
        for ordinal in (range(row.n_chunks) if unsettled else chunks)
        if len((found := carriers(parts.open_for_erasure(vault, row, [ordinal]), ordinal, gone)).place)
    }
    own = {ordinal: found.alts() for ordinal, found in leaving.items() if ordinal in chunks}
    both = {at: np.concatenate([own.get(at, NONE), moved.get(at, NONE)]) for at in sorted({*own, *moved})}
    lists = {at: np.unique(alts, axis=0) for at, alts in both.items()}
    known = leaving if len(gone) == len(left) else None  # who was erased meanwhile cannot be subtracted
    private = counts.settle(vault, Work(job_id, row.part_id, COUNTS), known, lists)
    blanked = 0
    for ordinal in waiting(vault, job_id, row.part_id):
        if ordinal >= 0:
            blanked += purge_chunk(vault, row, Work(job_id, row.part_id, ordinal), private.get(ordinal, NONE))
    with vault.books.read() as tx:
        now = tx.get_one(PartRow, row.part_id)
    purge_directory(vault, now, Work(job_id, row.part_id, DIRECTORY))
    return blanked
