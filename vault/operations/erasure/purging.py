"""Purge of an erased person's alleles: counts without them, tables and panels without what nobody carries any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import select

from vault.access.disclosure import frequency_tables, linkage_decisions, released_sites, stored_answers
from vault.crypto.key_wrapping import KeyPurpose, block_key
from vault.genotypes.catalog import panel_builder, parts, personal_parts
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.leaving import COUNTS, DIRECTORY
from vault.genotypes.codec.carrier_counts import CarrierCounts
from vault.genotypes.store.part_records import Place
from vault.genotypes.store.site_redaction import Alts
from vault.ids import DatasetId, PartId, SubjectId
from vault.operations.erasure import counts, moved_calls
from vault.operations.erasure.job import HOLDING_NAMES, ErasurePlan, Job, pack, unpack
from vault.operations.erasure.panel_tables import follow, settle_builds, standing
from vault.operations.erasure.private_alleles import NONE, carriers
from vault.operations.erasure.site_tables import purge_chunk, purge_directory
from vault.operations.erasure.swaps import Work, waiting
from vault.risk import stored_reports
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow, LayoutMemberRow, PartRow, PersonalPartRow

Packed = Mapping[str, Mapping[str, str]]
"""Part → chunk → ``job.pack``."""


@dataclass(frozen=True)
class CarriedAlts:
    """By part: the ALTs that a person carries in it, and those that it lists still of calls that were moved to the person."""

    own: Mapping[str, counts.Lists]
    moved: Mapping[str, counts.Lists]

    @staticmethod
    def of(vault: UnlockedVault, subject: SubjectId) -> CarriedAlts:
        """ALTs that a person carries: one block of each chunk is opened."""
        with vault.books.read() as tx:
            layouts = select(LayoutMemberRow.layout_id).where(LayoutMemberRow.subject_id == subject)
            ids = [PartId(part) for part in tx.scalars(select(PartRow.part_id).where(PartRow.layout_id.in_(layouts)))]
        own = {part.part_id.hex(): _listed(vault, part, subject) for _, part in _parts(vault, ids)}
        return CarriedAlts(own, moved_calls.listed(vault, subject))

    @staticmethod
    def from_plan(plan: ErasurePlan) -> CarriedAlts:
        """ALTs that a job's plan has kept."""
        return CarriedAlts(_unpacked(plan.alts), _unpacked(plan.moved))

    @staticmethod
    def packed(lists: Mapping[str, counts.Lists]) -> dict[str, dict[str, str]]:
        """The lists as a job's plan keeps them."""
        return {part: {str(ordinal): pack(alts) for ordinal, alts in chunks.items()} for part, chunks in lists.items()}

    def part_ids(self) -> list[PartId]:
        """The parts concerned."""
        return [PartId(bytes.fromhex(part)) for part in sorted({*self.own, *self.moved})]

    def leaving(self, part: PartRow) -> counts.Leaving:
        """The person's leaving of a part."""
        found = self.own.get(part.part_id.hex(), {})
        ones = {at: np.ones(len(alts), np.int64) for at, alts in found.items()}
        return {at: CarrierCounts.from_calls(0, alts[:, 0], alts[:, 1], ones[at]) for at, alts in found.items()}

    def lists(self, part: PartRow) -> dict[int, Alts]:
        """By chunk int64[k, 2]: what a part lists of the person."""
        own, moved = (lists.get(part.part_id.hex(), {}) for lists in (self.own, self.moved))
        both = {at: np.concatenate([own.get(at, NONE), moved.get(at, NONE)]) for at in sorted({*own, *moved})}
        return {at: np.unique(alts, axis=0) for at, alts in both.items()}

    def pending(self, vault: UnlockedVault) -> dict[bytes, list[int]]:
        """Of each part what has to wait: counts, the chunks in which something is to be blanked, as far as counts tell, and the directory.

        Raises:
            IntegrityError: ``counts_damaged``: the counts are not those of the people.
        """
        found = {}
        for _, part in _parts(vault, self.part_ids()):
            lists: counts.Lists = self.lists(part)
            known = counts.held(vault, part)
            if known is not None:
                lists = counts.private(counts.without(known, self.leaving(part)), lists)
            found[part.part_id] = [COUNTS, *([*lists, DIRECTORY] if lists else [])]
        return found


def purge(vault: UnlockedVault, job: Job) -> ErasurePlan:
    """Take a person who is unreadable out of counts, tables and panels, and their own parts away; the plan with what was done."""
    carried = CarriedAlts.from_plan(job.plan)
    blanked = directories = builds = 0
    held = _parts(vault, carried.part_ids())
    for _, part in held:
        private = counts.settle(vault, Work(job.job_id, part.part_id, COUNTS), carried.leaving(part), carried.lists(part))
        panels = standing(vault, part, private)
        for ordinal in waiting(vault, job.job_id, part.part_id):
            if ordinal >= 0:
                blanked += purge_chunk(vault, part, Work(job.job_id, part.part_id, ordinal), private.get(ordinal, NONE))
        directories += purge_directory(vault, part, Work(job.job_id, part.part_id, DIRECTORY), private)
        builds += follow(vault, part, panels)
    _forget_answers(vault, job.subject, [dataset.dataset_id for dataset, _ in held])
    held_in = (stored_answers, released_sites, stored_reports, frequency_tables, linkage_decisions)
    vault.books.checkpoint_wal(*HOLDING_NAMES, *(one.TABLE for one in held_in))
    builds += settle_builds(vault, carried.part_ids())
    for dataset in {dataset for dataset, _ in held}:
        panel_builder.rebuild(vault, dataset)
    personal = personal_parts.remove(vault, [job.subject])
    done = {"alts_blanked": blanked, "directories_rewritten": directories, "panel_builds": builds, "personal_parts": personal}
    return replace(job.plan, alts={}, moved={}, destroyed={**job.plan.destroyed, **done, "parts": len(held)})


def _forget_answers(vault: UnlockedVault, subject: SubjectId, datasets: list[DatasetId]) -> None:
    """Forget noisy numbers, tables and risk reports of a person's datasets, and which of their sites left: the person may be in any."""
    with vault.books.write() as tx:
        own = tx.scalars(select(PersonalPartRow.dataset_id).where(PersonalPartRow.subject_id == subject)).all()
        stored_answers.purge(tx, {*datasets, *own})
        stored_reports.purge(tx, {*datasets, *own})
        released_sites.forget(vault, tx, {*datasets, *own})
        frequency_tables.forget(vault, tx, {*datasets, *own}, erased=subject)
        linkage_decisions.forget(vault, tx, subject)


def _parts(vault: UnlockedVault, part_ids: list[PartId]) -> list[tuple[Dataset, PartRow]]:
    query = select(PartRow, DatasetRow).join(DatasetRow, DatasetRow.dataset_id == PartRow.dataset_id)
    with vault.books.read() as tx:
        rows = tx.execute(query.where(PartRow.part_id.in_(part_ids)).order_by(PartRow.part_id)).all()
    return [(Dataset(DatasetId(row.dataset_id), row.name, row.assembly), part) for part, row in rows]


def _listed(vault: UnlockedVault, part: PartRow, subject: SubjectId) -> counts.Lists:
    """ALTs that the subject carries, of each chunk where they carry any."""
    slot = parts.members(vault, part, [subject])[subject]
    key = vault.keys.open_many(KeyPurpose.GENOTYPE, [subject])[subject]
    reader = parts.open_for_erasure(vault, part, range(part.n_chunks))
    place = Place(*slot, block_key(key, part.dataset_id))
    found = {ordinal: carriers(reader, ordinal, [place]).alts() for ordinal in range(part.n_chunks)}
    return {ordinal: alts for ordinal, alts in found.items() if len(alts)}


def _unpacked(packed: Packed) -> dict[str, dict[int, Alts]]:
    return {part: {int(ordinal): unpack(text) for ordinal, text in chunks.items()} for part, chunks in packed.items()}
