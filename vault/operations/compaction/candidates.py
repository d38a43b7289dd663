"""Parts of a dataset that may be joined, as the books have them."""

from __future__ import annotations

from sqlalchemy import select

from vault.genotypes.catalog import compacted_parts, part_members, parts, personal_parts
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.personal_parts import MOVED_FROM
from vault.ids import SubjectId
from vault.operations.compaction.plan import Candidate
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ErasingChunkRow, PartRow
from vault.storage.database import Transaction


def candidates(vault: UnlockedVault, dataset: Dataset) -> tuple[list[Candidate], dict[bytes, set[int]]]:
    """The parts that may be joined, and in which places of the dataset each of their people has parts.

    Left out are parts that were moved to their person from another (their origin is told of in them), or share the place of an import of
    several people that they came out of, and parts that an erasure is about to blank.
    """
    rows = parts.list_all(vault, dataset.dataset_id)
    with vault.books.read() as tx:
        own = personal_parts.live(tx, dataset.dataset_id)
        waiting = set(tx.scalars(select(ErasingChunkRow.part_id).distinct()))
        members = {row.part_id: _members(tx, row) for row in rows if row.compacted is not None}
    shared = {row.ordinal for row in rows if row.compacted is None}
    found = [
        Candidate(row.part_id, row.ordinal, frozenset([row.subject_id]), row.has_track, row.total_bytes)
        for row in own
        if not (row.source or "").startswith(MOVED_FROM) and row.ordinal not in shared
    ]
    found += [
        Candidate(row.part_id, row.ordinal, members[row.part_id], row.compacted == compacted_parts.TRACKED, row.total_bytes)
        for row in rows
        if row.part_id in members and row.part_id not in waiting and members[row.part_id]
    ]
    ordinals: dict[bytes, set[int]] = {person: set() for one in found for person in one.people}
    for row in own:
        if row.subject_id in ordinals:
            ordinals[row.subject_id].add(row.ordinal)
    everyone = [SubjectId(person) for person in ordinals]
    for part in rows:
        inside = members.get(part.part_id)
        for person in parts.members(vault, part, everyone) if inside is None else inside:
            if person in ordinals:
                ordinals[person].add(part.ordinal)
    return found, ordinals


def _members(tx: Transaction, row: PartRow) -> frozenset[bytes]:
    return frozenset(tx.scalars(part_members.of_layout(row.layout_id)))
