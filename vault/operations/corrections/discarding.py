"""Discarding of parts: out of the books in the transaction that decides it, then their keys and objects; a killed process is resumed.

    job    unnamed → done: after ``take_out`` nothing names the parts; then keys of tables and lengths are destroyed, objects deleted

A part's blocks are under its people's own keys, which stay; so is all of a personal part, and deleting its object is all there is to do. Without the length tables nobody can tell where a block begins, without
the site tables what it says; and the objects go, here and read back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Branch
from vault.errors import IntegrityError, UnavailableError
from vault.genotypes.catalog import compacted_parts, panel_blocks, part_members, parts, personal_parts
from vault.ids import PartId, SubjectId, new_id
from vault.session import object_leases
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import (
    JOB_DONE,
    ChunkRow,
    ContainerRow,
    ErasingChunkRow,
    JobRow,
    LeaseRow,
    PanelBuildRow,
    PanelContainerRow,
    PartRow,
    PersonalPartRow,
)
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

DISCARD_JOB = "discard"  # kind of the job's row
UNNAMED = "unnamed"  # its state until keys and objects are gone
NEEDED = (Branch.GENOTYPE, Branch.BOOKS)

Discarded = dict[str, int]
"""Counts for the log: parts, panel builds, keys, objects."""


def take_out(
    tx: Transaction, vault: UnlockedVault, part_ids: Sequence[PartId], *, act: Action, obj: ObjectRef, **fields: Any
) -> tuple[bytes, list[SubjectId]]:
    """Take parts out of the books with the act's intent, in the caller's transaction: the job for ``finish``, and whose they were.

    Raises:
        UnavailableError: ``dataset_changed``: a part is gone already; ``erasure_pending``. IntegrityError: ``members_altered``.
    """
    if tx.scalar(select(ErasingChunkRow.ordinal).where(ErasingChunkRow.part_id.in_(part_ids)).limit(1)) is not None:
        raise UnavailableError("erasure_pending", "an erasure is still being carried out on this data", hint="genovault doctor")
    people, layouts, counted = set[SubjectId](), set[bytes](), 0
    own = {row.part_id: SubjectId(row.subject_id) for row in personal_parts.live(tx) if row.part_id in part_ids}
    for part_id in part_ids:
        if part_id in own:
            people.add(own[part_id])
            continue
        row = tx.get(PartRow, part_id)
        if row is None:
            raise UnavailableError("dataset_changed", "the dataset was changed meanwhile", hint="try again")
        if row.layout_id not in layouts:
            people.update(part_members.listed(tx, row.layout_id, row.members_sha256))
            layouts.add(row.layout_id)
        counted += row.counts_object is not None
    builds = list(tx.scalars(select(PanelBuildRow.build_id).where(PanelBuildRow.part_id.in_(part_ids))))
    chunks = _count(tx, ChunkRow.ordinal, ChunkRow.part_id.in_(part_ids))
    containers = _count(tx, ContainerRow.object, ContainerRow.part_id.in_(part_ids))
    containers += _count(tx, PanelContainerRow.object, PanelContainerRow.build_id.in_(builds))
    counts = {
        "parts": len(part_ids),
        "panel_builds": len(builds),
        # of directories and lengths, of counts, of tables, of builds
        "keys": 2 * (len(part_ids) - len(own)) + counted + chunks + 2 * len(builds),
        "objects": len(part_ids) + counted + chunks + len(builds) + containers,
    }
    tx.execute(delete(PanelContainerRow).where(PanelContainerRow.build_id.in_(builds)))
    tx.execute(delete(PanelBuildRow).where(PanelBuildRow.build_id.in_(builds)))
    for table in (ContainerRow, ChunkRow, PartRow, PersonalPartRow):
        tx.execute(delete(table).where(table.part_id.in_(part_ids)))
    tx.execute(delete(PersonalPartRow).where(PersonalPartRow.joined.in_(part_ids)))
    part_members.forget_unused(tx, layouts)
    intent = vault.trail.append(tx, act, Outcome.INTENT, obj=obj, subjects=sorted(people), **fields)
    job_id = new_id(vault.random)
    plan = {
        "act": act.value,
        "object": [obj.kind, obj.ref],
        "intent": intent.event_id,
        "parts": [part_id.hex() for part_id in part_ids],
        "builds": [build_id.hex() for build_id in builds],
        "counts": counts,
    }
    now = to_micros(vault.clock())
    tx.add(JobRow(job_id=job_id, kind=DISCARD_JOB, state=UNNAMED, payload=json.dumps(plan).encode(), created=now))
    for prefix in (*plan["parts"], *plan["builds"]):  # no orphans meanwhile; the sweeper does what it finds left
        tx.add(LeaseRow(prefix=prefix, expires=object_leases.CLOSED))
    return job_id, sorted(people)


def finish(vault: UnlockedVault, job_id: bytes) -> Discarded:
    """Destroy the keys and delete the objects of what a job took out, read both back, and log the end.

    Raises:
        IntegrityError: ``key_not_destroyed``, ``object_not_deleted``. UnavailableError: a store does not answer; the next opening goes on.
    """
    with vault.books.read() as tx:
        plan: Mapping[str, Any] = json.loads(tx.get_one(JobRow, job_id).payload)
    parts.forget(vault)
    panel_blocks.forget(vault)
    compacted_parts.sweep_retired(vault)
    part_ids, builds = ([bytes.fromhex(owner) for owner in plan[kind]] for kind in ("parts", "builds"))
    vault.keys.destroy([KeyPurpose.SITE_TABLE], part_ids)
    vault.keys.destroy([KeyPurpose.PANEL], builds)
    prefixes = [*plan["parts"], *plan["builds"]]
    for prefix in prefixes:
        _delete(vault, prefix)
    with vault.books.write() as tx:
        obj, act = ObjectRef(*plan["object"]), Action(plan["act"])
        vault.trail.append(tx, act, Outcome.DONE, obj=obj, refers=plan["intent"], counts=plan["counts"])
        tx.execute(delete(LeaseRow).where(LeaseRow.prefix.in_(prefixes)))
        tx.execute(update(JobRow).where(JobRow.job_id == job_id).values(state=JOB_DONE, payload=b""))
    return dict(plan["counts"])


def resume(vault: UnlockedVault) -> int:
    """Finish what a killed process took out, if this principal holds the keys; the number of jobs."""
    if not all(vault.keyring.has(branch) for branch in NEEDED):
        return 0
    unfinished = select(JobRow.job_id).where(JobRow.kind == DISCARD_JOB, JobRow.state != JOB_DONE).order_by(JobRow.created)
    with vault.books.read() as tx:
        found = list(tx.scalars(unfinished))
    for job_id in found:
        finish(vault, job_id)
    return len(found)


def _count(tx: Transaction, column: InstrumentedAttribute[Any], place: ColumnElement[bool]) -> int:
    return tx.scalar(select(func.count(column)).where(place)) or 0


def _delete(vault: UnlockedVault, prefix: str) -> None:
    vault.objects.delete([name for name, _ in vault.objects.list(prefix)])
    if any(vault.objects.list(prefix)):
        raise IntegrityError("object_not_deleted", "the object store keeps what was deleted from it", hint="genovault doctor")
