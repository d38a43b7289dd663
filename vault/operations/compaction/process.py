"""Compaction of a dataset: intent, the joined part written under a lease, then one transaction that puts it in the place of its parts.

job    begun → done, in the transaction of the swap; what a killed process had begun is closed as aborted at the next open, and swept

It holds erasure's lock, so nobody who is in it is being erased. It opens blocks inside the vault and releases nothing, so it asks for no
consent; who was opened is in the log before it is done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import delete, select, update

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import Branch
from vault.errors import GenovaultError, IntegrityError, UnavailableError
from vault.genotypes import joining
from vault.genotypes.catalog import compacted_parts, datasets, panel_builder, part_members, parts, personal_parts
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.import_plan import draw_places
from vault.genotypes.joining import Joined, Joining
from vault.genotypes.store.part_records import Owner
from vault.ids import PartId, SubjectId, new_id
from vault.operations.compaction.candidates import candidates
from vault.operations.compaction.plan import Group, compaction_plan
from vault.operations.erasure.process import alone
from vault.session import object_leases
from vault.session.process_lock import process_lock
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import (
    JOB_DONE,
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
from vault.subjects import registry

COMPACT_JOB = "compact"  # kind of the job's row
BEGUN = "begun"  # its state until the swap
LEASE = timedelta(days=2)
NEEDED = (Branch.GENOTYPE, Branch.BOOKS)

Progress = Callable[[int, int], None]
"""``progress(parts joined, parts to be joined)`` of the groups that are known of."""


@dataclass(frozen=True)
class Compacted:
    """Parts that were joined, or would be. ``parts_before``, ``parts``: of the dataset; ``sealed_bytes``: of the ``joined`` parts, each time that
    they were sealed again; ``groups``: new parts, those that were joined again among them.
    """

    dataset: str
    parts_before: int
    parts: int
    groups: int
    joined: int
    people: int
    sealed_bytes: int


def compact(
    vault: UnlockedVault, name: str, *, check: bool = False, progress: Progress = lambda _done, _total: None
) -> Compacted:
    """Join the parts of a dataset that are one person's import each, and parts made so, into as few as there can be.

    Args:
        check: only say what would be done.

    Raises:
        InputError: ``dataset_unknown``. UnavailableError: ``branch_closed``: only stewards compact; ``erasure_running``, ``erasure_pending``,
            ``dataset_changed``. IntegrityError: a part is not what was written.
    """
    with vault.trail.attempting(Action.DATASET_COMPACT):
        _require_keys(vault)
        dataset = datasets.by_name(vault, name)
        if check:
            found = _foreseen(vault, dataset)
        else:
            with alone(vault):
                found = _rounds(vault, dataset, whole=True, progress=progress)
        if check or not found.groups:  # else each group has its entries
            detail = {"dataset": name, "check": check}
            obj = ObjectRef("dataset", dataset.dataset_id.hex())
            vault.trail.record(Action.DATASET_COMPACT, Outcome.DONE, obj=obj, counts={"parts": 0}, detail=detail)
    return found


def after_import(vault: UnlockedVault, name: str) -> Compacted | None:
    """Join the sixteen parts of a class that an import has made complete, at most one generation of them; None if there are none.

    An import stands whatever becomes of this. What another process keeps from being done now is done after the next import.

    Raises:
        IntegrityError, UnavailableError: as ``compact``; what was begun is undone.
    """
    dataset = datasets.by_name(vault, name)
    if not all(vault.keyring.has(branch) for branch in NEEDED) or not compaction_plan(*candidates(vault, dataset)):
        return None
    try:
        with vault.trail.attempting(Action.DATASET_COMPACT), alone(vault):
            return _rounds(vault, dataset, whole=False, progress=lambda _done, _total: None)
    except UnavailableError as error:
        if error.code != "erasure_running":
            raise
        return None


def resume(vault: UnlockedVault) -> int:
    """Close what killed processes had begun, if this principal holds the keys; how many there were. Their objects are swept then."""
    unfinished = select(JobRow.job_id).where(JobRow.kind == COMPACT_JOB, JobRow.state != JOB_DONE).order_by(JobRow.created)
    if not all(vault.keyring.has(branch) for branch in NEEDED):
        return 0
    with process_lock(vault.folder, "erasure") as mine:
        if not mine:  # of a live process, perhaps
            return 0
        with vault.books.read() as tx:
            found = list(tx.scalars(unfinished))
        for job_id in found:
            _abort(vault, job_id)
    return len(found)


def _require_keys(vault: UnlockedVault) -> None:
    for branch in NEEDED:
        vault.keyring.current(branch)


def _rounds(vault: UnlockedVault, dataset: Dataset, *, whole: bool, progress: Progress) -> Compacted:
    """Join group after group: of ``whole`` until nothing is left to join, else of one generation."""
    before = _part_count(vault, dataset)
    done: list[Group] = []
    while groups := compaction_plan(*candidates(vault, dataset), whole=whole):
        total = sum(map(len, [*done, *groups]))
        for group in groups:
            progress(sum(map(len, done)), total)
            _join(vault, dataset, group)
            done.append(group)
        if not whole:
            break
    if done:
        with suppress(GenovaultError):  # logged; what has no blocks of its own is read from the chunks
            panel_builder.rebuild(vault, dataset)
    return _report(dataset, before, _part_count(vault, dataset), done)


def _report(dataset: Dataset, before: int, after: int, groups: Sequence[Group]) -> Compacted:
    everyone = {person for group in groups for one in group for person in one.people}
    sealed = sum(one.stored_bytes for group in groups for one in group)
    return Compacted(dataset.name, before, after, len(groups), sum(map(len, groups)), len(everyone), sealed)


def _foreseen(vault: UnlockedVault, dataset: Dataset) -> Compacted:
    """Result that ``_rounds`` would have, by sizes as they are."""
    left, ordinals = candidates(vault, dataset)
    done: list[Group] = []
    while groups := compaction_plan(left, ordinals, whole=True):
        for group in groups:
            first = group[0]
            gone = {one.part_id for one in group}
            people = frozenset().union(*(one.people for one in group))
            joined = replace(first, people=people, stored_bytes=sum(one.stored_bytes for one in group))
            left = [*(one for one in left if one.part_id not in gone), joined]
            for one in group:
                for person in one.people:
                    ordinals[person].discard(one.ordinal)
                    ordinals[person].add(first.ordinal)
        done += groups
    before = _part_count(vault, dataset)
    return _report(dataset, before, before - sum(len(group) - 1 for group in done), done)


def _part_count(vault: UnlockedVault, dataset: Dataset) -> int:
    with vault.books.read() as tx:
        own = len(personal_parts.live(tx, dataset.dataset_id))
    return own + len(parts.all_part_ids(vault, dataset.dataset_id))


def _join(vault: UnlockedVault, dataset: Dataset, group: Group) -> None:
    """Join one group's parts."""
    people = sorted(SubjectId(person) for one in group for person in one.people)
    part_id, job_id = PartId(new_id(vault.random)), new_id(vault.random)
    detail = {"dataset": dataset.name, "parts": [one.part_id.hex() for one in group], "into": part_id.hex()}
    with vault.books.write() as tx:
        obj = ObjectRef("dataset", dataset.dataset_id.hex())
        intent = vault.trail.append(tx, Action.DATASET_COMPACT, Outcome.INTENT, obj=obj, subjects=people, detail=detail)
        payload = json.dumps({"intent": intent.event_id, "object": [obj.kind, obj.ref], "part": part_id.hex()}).encode()
        now = to_micros(vault.clock())
        tx.add(JobRow(job_id=job_id, kind=COMPACT_JOB, state=BEGUN, payload=payload, created=now))
    try:
        with object_leases.acquire(vault, part_id, lasting=LEASE, keys=KeyPurpose.SITE_TABLE):
            keys = _keys(vault, people)
            owner = Owner(vault.vault_id, dataset.dataset_id, part_id)
            sources = _sources(vault, dataset, group, keys)
            written = joining.write_joined(vault, owner, sources, keys, draw_places(vault, people))
            with vault.books.write() as tx:
                _require_unchanged(tx, group)
                registry.require_held(tx, people)
                _swap(tx, vault, dataset, group, written)
                object_leases.end(tx, part_id)
                counts = {"parts": len(group), "sites": written.record.n_sites, "bytes": written.record.total_bytes}
                vault.trail.append(
                    tx,
                    Action.DATASET_COMPACT,
                    Outcome.DONE,
                    refers=intent.event_id,
                    obj=obj,
                    counts=counts,
                    blobs=written.blobs,
                )
                tx.execute(update(JobRow).where(JobRow.job_id == job_id).values(state=JOB_DONE, payload=b""))
    except BaseException:
        with suppress(GenovaultError):  # else the next opening does it
            _abort(vault, job_id)
        raise
    parts.forget(vault)


def _keys(vault: UnlockedVault, people: Sequence[SubjectId]) -> dict[bytes, bytes]:
    found = vault.keys.open_many(KeyPurpose.GENOTYPE, people)
    if len(found) < len(people):
        raise IntegrityError("key_missing", "the person of a part has no genotype key", hint="run genovault doctor")
    return found


def _sources(vault: UnlockedVault, dataset: Dataset, group: Group, keys: Mapping[bytes, bytes]) -> list[Joining]:
    """The group's parts, each with its people's columns behind those of the part before."""
    with vault.books.read() as tx:
        own = {row.part_id: row for row in personal_parts.live(tx, dataset.dataset_id)}
    shared = {row.part_id: row for row in parts.list_all(vault, dataset.dataset_id)}
    found: list[Joining] = []
    first = 0
    for one in group:
        if one.part_id in own:
            row = own[one.part_id]
            found.append(joining.of_personal(vault, row, keys[row.subject_id], first))
        elif one.part_id in shared:
            found.append(joining.of_compacted(vault, shared[one.part_id], keys, first))
        else:
            raise parts.changed()
        first += len(found[-1].people)
    return found


def _require_unchanged(tx: Transaction, group: Group) -> None:
    """Hold the group's parts against the books. Raises UnavailableError ``dataset_changed``; IntegrityError ``members_altered``."""
    ids = [one.part_id for one in group]
    c = PersonalPartRow
    own = select(c.part_id, c.subject_id).where(c.part_id.in_(ids), c.state == personal_parts.LIVE)
    known = {part_id: frozenset([subject]) for part_id, subject in tx.execute(own)}
    for row in tx.scalars(select(PartRow).where(PartRow.part_id.in_(ids))).all():
        known[row.part_id] = frozenset(part_members.listed(tx, row.layout_id, row.members_sha256))
    waiting = tx.scalar(select(ErasingChunkRow.ordinal).where(ErasingChunkRow.part_id.in_(ids)).limit(1))
    if waiting is not None or any(known.get(one.part_id) != one.people for one in group):
        raise parts.changed()


def _swap(tx: Transaction, vault: UnlockedVault, dataset: Dataset, group: Group, written: Joined) -> None:
    """Name the joined part in the place of the group's parts."""
    ids = [PartId(one.part_id) for one in group]
    shared = [PartId(one) for one in tx.scalars(select(PartRow.part_id).where(PartRow.part_id.in_(ids)))]
    builds = list(tx.scalars(select(PanelBuildRow.build_id).where(PanelBuildRow.part_id.in_(shared))))
    tx.execute(delete(PanelContainerRow).where(PanelContainerRow.build_id.in_(builds)))
    tx.execute(delete(PanelBuildRow).where(PanelBuildRow.build_id.in_(builds)))
    for build_id in builds:
        object_leases.retire(tx, PartId(build_id), until=vault.clock() + compacted_parts.KEPT_FOR_READERS)
    kind = compacted_parts.TRACKED if group[0].tracked else compacted_parts.CALLS
    record = written.record
    compacted_parts.swap(tx, vault, record.part_id, [one for one in ids if one not in shared], shared)
    parts.add_compacted(
        tx,
        vault,
        dataset.dataset_id,
        record,
        written.chunks,
        tracks=written.tracks,
        kind=kind,
        ordinal=group[0].ordinal,
    )
    part_members.add(tx, record.part_id, written.slots)


def _abort(vault: UnlockedVault, job_id: bytes) -> None:
    """Close a job that was begun and not done: its entry, and the lease on what it wrote."""
    with vault.books.write() as tx:
        job = tx.get_one(JobRow, job_id)
        if job.state == JOB_DONE:
            return
        plan = json.loads(job.payload)
        vault.trail.append(
            tx,
            Action.DATASET_COMPACT,
            Outcome.ABORTED,
            obj=ObjectRef(*plan["object"]),
            refers=plan["intent"],
            reasons={"interrupted": 1},
        )
        tx.execute(update(LeaseRow).where(LeaseRow.prefix == plan["part"]).values(expires=object_leases.CLOSED))
        tx.execute(update(JobRow).where(JobRow.job_id == job_id).values(state=JOB_DONE, payload=b""))
