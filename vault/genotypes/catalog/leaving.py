"""Leaving of parts: people whose calls in a part were replaced or moved are its members no more, in the transaction that decides it.

The part's carrier counts speak of them until a job has rewritten those. What only they carried stands in the part's site tables still. Where it was replaced every chunk waits (``erasing_chunk``) until a job has
blanked it, as after an erasure; unlike there the leavers' keys remain, so the job finds what they carried by itself (``vault.operations.corrections``).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from vault.genotypes.catalog import part_members, personal_parts
from vault.ids import DatasetId, PartId, SubjectId, new_id
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ErasingChunkRow, JobRow, LayoutMemberRow, PartRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

LEAVE_JOB = "leave"  # kind of the job's row
LEFT = "left"  # its state until the tables are blanked
PENDING = "pending"  # of a chunk
DIRECTORY = -1  # the ordinal that stands for a part's directory; it comes after all of the part's chunks
COUNTS = -2  # and for its carrier counts, which come before them

Places = Mapping[str, Sequence[tuple[str, int, int]]]
"""Part → (subject, group, slot) of those who left it, of whom there are none where it lists calls alone that were moved out of it; ids as hex."""


def held_parts(tx: Transaction, dataset_id: bytes, people: Sequence[SubjectId]) -> dict[PartId, list[SubjectId]]:
    """The dataset's parts in which any of the people are, and who."""
    rows = tx.execute(select(PartRow.part_id, PartRow.layout_id).where(PartRow.dataset_id == dataset_id)).all()
    here = {layout_id: sorted(part_members.places(tx, layout_id, people)) for layout_id in {layout_id for _, layout_id in rows}}
    found = {PartId(part_id): here[layout_id] for part_id, layout_id in rows if here[layout_id]}
    for row in personal_parts.live(tx, DatasetId(dataset_id), people):
        found[PartId(row.part_id)] = [SubjectId(row.subject_id)]
    return found


def parts_of(tx: Transaction, subject: SubjectId) -> list[PartId]:
    """Every part, of either kind and of any dataset, in which a person is."""
    layouts = select(LayoutMemberRow.layout_id).where(LayoutMemberRow.subject_id == subject)
    shared = tx.scalars(select(PartRow.part_id).where(PartRow.layout_id.in_(layouts)))
    return [*map(PartId, shared), *(PartId(row.part_id) for row in personal_parts.live(tx, subjects=[subject]))]


def everybody(tx: Transaction, dataset_id: DatasetId) -> set[SubjectId]:
    """Everybody who is in a part of a dataset, of either kind."""
    shared = {SubjectId(one) for one in tx.scalars(part_members.of_dataset(dataset_id))}
    return shared | {SubjectId(row.subject_id) for row in personal_parts.live(tx, dataset_id)}


def leave(tx: Transaction, vault: UnlockedVault, leavers: Mapping[PartId, Sequence[SubjectId]], *, blank: bool) -> bytes | None:
    """End memberships, in the caller's transaction; the job that does what is left, None without any. ``blank``: the calls go, so what the
    leavers alone carried has to go from the tables, also from those of parts that their calls were moved out of; otherwise they stay in the
    dataset, and others' reference calls beside them.

    Raises:
        IntegrityError: ``members_altered``.
    """
    if not leavers:
        return None
    job_id, places = new_id(vault.random), dict[str, list[tuple[str, int, int]]]()
    listing = personal_parts.origins(tx, list(leavers)) if blank else set[PartId]()
    own, joined = personal_parts.end(tx, list(leavers)), list[SubjectId]()
    shared = {part_id: set(subjects) for part_id, subjects in leavers.items() if part_id not in own}
    held: dict[bytes, dict[SubjectId, tuple[int, int]]] = {}
    for part_id, going in shared.items():
        row = tx.get_one(PartRow, part_id)
        if row.layout_id not in held:
            part_members.listed(tx, row.layout_id, row.members_sha256)
            held[row.layout_id] = part_members.places(tx, row.layout_id)
        places[part_id.hex()] = [(s.hex(), *place) for s, place in held[row.layout_id].items() if s in going]
        joined += personal_parts.leave_joined(tx, part_id, list(going))
    part_members.end(tx, shared, random=vault.random)
    places |= {part_id.hex(): [] for part_id in listing if part_id.hex() not in places}
    plan = {"shared": places, "own": [one.hex() for one in (*own.values(), *joined)], "listing": [one.hex() for one in listing]}
    payload = json.dumps(plan).encode()
    tx.add(JobRow(job_id=job_id, kind=LEAVE_JOB, state=LEFT, payload=payload, created=to_micros(vault.clock())))
    tx.flush()
    for part_id in (leavers.keys() - own.keys()) | listing:
        n_chunks = tx.get_one(PartRow, part_id).n_chunks
        for ordinal in (COUNTS, *range(n_chunks), DIRECTORY) if blank else (COUNTS,):
            tx.add(ErasingChunkRow(job_id=job_id, part_id=part_id, ordinal=ordinal, state=PENDING))
    return job_id


@dataclass(frozen=True)
class LeavePlan:
    """Plan of a job that is not done: who left which part (``places``), and whose own parts ended (``owners``). ``listing``: ids, as hex, of parts that
    list what was moved out of them and has ended.
    """

    places: Places
    owners: Sequence[SubjectId]
    listing: Collection[str]


def plan_of(job: JobRow) -> LeavePlan:
    """Read the plan from a job's row."""
    plan = json.loads(job.payload)
    owners = [SubjectId(bytes.fromhex(subject)) for subject in plan["own"]]
    return LeavePlan(plan["shared"], owners, frozenset(plan.get("listing", ())))  # a job of an earlier version has none
