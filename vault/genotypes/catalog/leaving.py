"""Leaving of parts: people whose calls in a part were replaced or moved are its members no more, in the transaction that decides it.

The part's carrier counts speak of them until a job has rewritten those. What only they carried stands in the part's site tables still. Where it was replaced every chunk waits (``erasing_chunk``) until a job has
blanked it, as after an erasure; unlike there the leavers' keys remain, so the job finds what they carried by itself (``vault.operations.corrections``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import delete, select

from vault.genotypes.catalog import part_members, personal_parts
from vault.ids import DatasetId, PartId, SubjectId, new_id
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ErasingChunkRow, JobRow, PartMemberRow, PartRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

LEAVE_JOB = "leave"  # kind of the job's row
LEFT = "left"  # its state until the tables are blanked
PENDING = "pending"  # of a chunk
DIRECTORY = -1  # the ordinal that stands for a part's directory; it comes after all of the part's chunks
COUNTS = -2  # and for its carrier counts, which come before them

Places = Mapping[str, Sequence[tuple[str, int, int]]]
"""Part → (subject, group, slot) of those who left it; ids as hex."""


def held_parts(tx: Transaction, dataset_id: bytes, people: Sequence[SubjectId]) -> dict[PartId, list[SubjectId]]:
    """The dataset's parts in which any of the people are, and who."""
    query = select(PartMemberRow.part_id, PartMemberRow.subject_id).join(PartRow, PartRow.part_id == PartMemberRow.part_id)
    wanted, found = set(people), dict[PartId, list[SubjectId]]()
    for part_id, subject in tx.execute(query.where(PartRow.dataset_id == dataset_id)):
        if subject in wanted:
            found.setdefault(PartId(part_id), []).append(SubjectId(subject))
    for row in personal_parts.live(tx, DatasetId(dataset_id), people):
        found[PartId(row.part_id)] = [SubjectId(row.subject_id)]
    return found


def parts_of(tx: Transaction, subject: SubjectId) -> list[PartId]:
    """Every part, of either kind and of any dataset, in which a person is."""
    shared = tx.scalars(select(PartMemberRow.part_id).where(PartMemberRow.subject_id == subject))
    return [*map(PartId, shared), *(PartId(row.part_id) for row in personal_parts.live(tx, subjects=[subject]))]


def members(tx: Transaction, dataset_id: bytes) -> set[SubjectId]:
    """Everybody who is in a part of several people of a dataset."""
    query = select(PartMemberRow.subject_id).join(PartRow, PartRow.part_id == PartMemberRow.part_id)
    return {SubjectId(one) for one in tx.scalars(query.where(PartRow.dataset_id == dataset_id).distinct())}


def leave(tx: Transaction, vault: UnlockedVault, leavers: Mapping[PartId, Sequence[SubjectId]], *, blank: bool) -> bytes | None:
    """End memberships, in the caller's transaction; the job that does what is left, None without any. ``blank``: the calls go, so what the
    leavers alone carried has to go from the tables; otherwise they stay in the dataset, and others' reference calls beside them.

    Raises:
        IntegrityError: ``members_altered``.
    """
    if not leavers:
        return None
    job_id, places = new_id(vault.random), dict[str, list[tuple[str, int, int]]]()
    own, joined = personal_parts.end(tx, list(leavers)), list[SubjectId]()
    for part_id, subjects in leavers.items():
        if part_id in own:
            continue
        row, going = tx.get_one(PartRow, part_id), set(subjects)
        part_members.listed(tx, part_id, row.members_sha256)
        rows = tx.scalars(select(PartMemberRow).where(PartMemberRow.part_id == part_id)).all()
        places[part_id.hex()] = [(r.subject_id.hex(), r.group_no, r.slot) for r in rows if r.subject_id in going]
        for subject in going:
            tx.execute(delete(PartMemberRow).where(PartMemberRow.part_id == part_id, PartMemberRow.subject_id == subject))
        part_members.settle(tx, part_id)
        joined += personal_parts.leave_joined(tx, part_id, list(going))
    payload = json.dumps({"shared": places, "own": [one.hex() for one in (*own.values(), *joined)]}).encode()
    tx.add(JobRow(job_id=job_id, kind=LEAVE_JOB, state=LEFT, payload=payload, created=to_micros(vault.clock())))
    tx.flush()
    for part_id in leavers.keys() - own.keys():
        n_chunks = tx.get_one(PartRow, part_id).n_chunks
        for ordinal in (COUNTS, *range(n_chunks), DIRECTORY) if blank else (COUNTS,):
            tx.add(ErasingChunkRow(job_id=job_id, part_id=part_id, ordinal=ordinal, state=PENDING))
    return job_id


def places_of(job: JobRow) -> tuple[Places, list[SubjectId]]:
    """Who left which part, and whose own parts ended, from a job that is not done."""
    plan = json.loads(job.payload)
    return plan["shared"], [SubjectId(bytes.fromhex(subject)) for subject in plan["own"]]
