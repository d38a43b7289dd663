"""Upgrade of a dataset that an earlier version imported: what one person is left in becomes that person's own part, and the carriers of
parts of several people are counted, where an import of now would have counted them.

The site table of a part of one person is that person's genotype, and in a part with shared tables it is under a key of the vault's. The calls
are opened and sealed again under keys that derive from the person's own; one transaction names the new parts in the places of the old
ones, whose keys are then destroyed and whose objects are deleted (``corrections.discarding``). A killed run leaves each part as it was or as
it is meant to be; what is left to do is done at the next opening or by the next run.

    intent (whose genotypes are opened) → objects under leases → one transaction: names, done, the old parts' removal → keys and objects go
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.key_wrapping import KeyPurpose
from vault.errors import IntegrityError, UnavailableError
from vault.genotypes.catalog import compacted_parts, datasets, part_members, parts, personal_parts
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.personal_parts import MOVED_FROM
from vault.genotypes.import_parts import OwnPart, write_own
from vault.genotypes.store.part_records import Owner
from vault.ids import DatasetId, PartId, SubjectId, new_id
from vault.operations.corrections import discarding, recounting, resealing
from vault.operations.erasure.process import alone
from vault.operations.health import HealthFinding, Severity
from vault.session import object_leases
from vault.session.audit_trail import Attempt
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow, LayoutMemberRow, PartRow, PersonalPartRow
from vault.storage.database import Transaction

LEASE = timedelta(hours=6)
AT_ONCE = 64  # parts that one intent names and one transaction swaps

Progress = Callable[[int, int], None]
"""``progress(parts done, parts in all)``."""


@dataclass(frozen=True)
class DatasetUpgrade:
    """Result of an upgrade, done or looked over. ``own_parts``: imports that one person is left in, ``people``: of how many; ``counted``: parts of
    several people without carrier counts.
    """

    dataset: str
    own_parts: int
    people: int
    counted: int

    @property
    def needed(self) -> bool:
        """True if there is anything to do, or was."""
        return self.own_parts > 0 or self.counted > 0


def check(vault: UnlockedVault, name: str) -> DatasetUpgrade:
    """Say what ``upgrade`` would do; nothing is opened and nothing changed.

    Raises:
        InputError: ``dataset_unknown``. RefusedError: ``not_authorised``.
    """
    with vault.trail.attempting(Action.DATASET_UPGRADE):
        dataset = datasets.by_name(vault, name)
        with vault.books.read() as tx:
            old = _of_one(tx, dataset)
        return _told(dataset, old, _uncounted(vault, dataset, old))


def upgrade(vault: UnlockedVault, name: str, *, progress: Progress = lambda *_: None) -> DatasetUpgrade:
    """Bring a dataset to what this version would have imported; views of it stay as they are. Doing it twice does no harm.

    Raises:
        InputError: ``dataset_unknown``. RefusedError: ``not_authorised``. IntegrityError: ``key_missing``, or a stored object is not what
            was written. UnavailableError: ``upgrade_needed``, ``erasure_running``, ``erasure_pending``, ``dataset_changed``.
    """
    with vault.trail.attempting(Action.DATASET_UPGRADE) as attempt, alone(vault):
        if not vault.books.upgraded:
            raise UnavailableError("upgrade_needed", "this vault is of an earlier format", hint="genovault upgrade")
        dataset = datasets.by_name(vault, name)
        with vault.books.read() as tx:
            old = _of_one(tx, dataset)
        uncounted = _uncounted(vault, dataset, old)
        total = len(old) + len(uncounted)
        for first in range(0, len(old), AT_ONCE):
            progress(first, total)
            _reseal(vault, dataset, old[first : first + AT_ONCE], attempt)
        for at, row in enumerate(uncounted):
            progress(len(old) + at, total)
            recounting.add_counts(vault, row)
        progress(total, total)
    return _told(dataset, old, uncounted)


def findings(vault: UnlockedVault) -> Iterator[HealthFinding]:
    """A warning for ``doctor`` of each dataset that waits for it."""
    with vault.books.read() as tx:
        query = select(PartRow.part_id, DatasetRow.name).join(DatasetRow, DatasetRow.dataset_id == PartRow.dataset_id)
        names = {row.part_id: row.name for row in tx.execute(query)}
        waiting = Counter(names[part_id] for part_id, _ in _single(tx))
    for name, count in sorted(waiting.items()):
        text = f"dataset {name} has {count} imports of one person each, whose site tables are under keys of the vault"
        yield HealthFinding(Severity.WARNING, "dataset_upgrade", text, f"genovault dataset upgrade {name}")


@dataclass(frozen=True)
class _OfOne:
    """A part with shared tables, and the one person who is in it."""

    row: PartRow
    person: SubjectId


def _told(dataset: Dataset, old: Sequence[_OfOne], uncounted: Sequence[PartRow]) -> DatasetUpgrade:
    return DatasetUpgrade(dataset.name, len(old), len({one.person for one in old}), len(uncounted))


def _uncounted(vault: UnlockedVault, dataset: Dataset, old: Sequence[_OfOne]) -> list[PartRow]:
    """The dataset's parts without carrier counts, but for those that are to become their people's own."""
    resealed = {one.row.part_id for one in old}
    rows = parts.list_all(vault, dataset.dataset_id)
    return [row for row in rows if row.counts_object is None and row.part_id not in resealed]


def _of_one(tx: Transaction, dataset: Dataset) -> list[_OfOne]:
    """The dataset's parts of one person, in order."""
    rows = {row.part_id: row for row in tx.scalars(select(PartRow).where(PartRow.dataset_id == dataset.dataset_id))}
    found = [_OfOne(rows[part_id], person) for part_id, person in _single(tx) if part_id in rows]
    return sorted(found, key=lambda one: one.row.ordinal)


def _single(tx: Transaction) -> Iterator[tuple[bytes, SubjectId]]:
    """(part, person) of all parts with shared tables that one person is left in.

    Not of those from which calls were moved to others: their tables list what these carry, which an erasure has to find there.
    """
    moved = select(PersonalPartRow.source).where(PersonalPartRow.source.startswith(MOVED_FROM))
    origins = {str(source).removeprefix(MOVED_FROM) for source in tx.scalars(moved)}
    c = LayoutMemberRow
    single = select(c.layout_id).group_by(c.layout_id).having(func.count() == 1)
    query = select(PartRow.part_id, c.subject_id).join(c, c.layout_id == PartRow.layout_id)
    for part_id, person in tx.execute(query.where(PartRow.layout_id.in_(single))):
        if part_id.hex() not in origins:
            yield part_id, SubjectId(person)


def _reseal(vault: UnlockedVault, dataset: Dataset, old: Sequence[_OfOne], attempt: Attempt) -> None:
    """Make parts of their people's own, and let these take the places of the old ones."""
    people = sorted({one.person for one in old})
    obj = ObjectRef("dataset", dataset.dataset_id.hex())
    detail = {"dataset": dataset.name, "parts": [one.row.part_id.hex() for one in old]}
    intent = attempt.opens(people, obj=obj, detail=detail)
    keys = vault.keys.open_many(KeyPurpose.GENOTYPE, people)
    if len(keys) < len(people):
        raise IntegrityError("key_missing", "a person's genotype key is not in the key database", hint="run genovault doctor")
    with ExitStack() as leases:
        written = [_written(vault, one, keys, leases) for one in old]
        with vault.books.write() as tx:
            job = _swap(tx, vault, old, written, intent=intent, obj=obj)
    attempt.closed()
    discarding.finish(vault, job)


def _written(vault: UnlockedVault, one: _OfOne, keys: Mapping[bytes, bytes], leases: ExitStack) -> OwnPart:
    """Seal a part's calls under its person's keys, under a lease that the stack holds."""
    part_id, person = PartId(new_id(vault.random)), one.person
    leases.enter_context(object_leases.acquire(vault, part_id, lasting=LEASE, keys=KeyPurpose.SITE_TABLE))
    source, tracks = resealing.opened(vault, one.row, person, keys[person])
    owner = Owner(vault.vault_id, DatasetId(one.row.dataset_id), part_id)
    written = write_own(vault, owner, (person, keys[person]), resealing.chunks(source, person), tracks=tracks)
    # The part's contigs, also those of which everything was blanked: regions are held against them.
    return OwnPart(written.record, person, source.reader.directory.contigs)


def _swap(
    tx: Transaction, vault: UnlockedVault, old: Sequence[_OfOne], written: Sequence[OwnPart], *, intent: str, obj: ObjectRef
) -> bytes:
    """Name the new parts, end the access and take the old parts out; the job that destroys what is left of these.

    Raises:
        UnavailableError: ``dataset_changed``, ``erasure_pending``.
    """
    part_ids = [PartId(one.row.part_id) for one in old]
    for one in old:
        row = tx.get(PartRow, one.row.part_id)
        if row is None or part_members.listed(tx, row.layout_id, row.members_sha256) != [one.person]:
            raise UnavailableError("dataset_changed", "the dataset was changed meanwhile", hint="try again")
    for one, part in zip(old, written, strict=True):
        imported = compacted_parts.imported_as(tx, one.row, one.person)
        personal_parts.add_instead(tx, imported, part.record, part.subject, contigs=part.contigs)
        object_leases.end(tx, part.record.part_id)
    counts = {"parts": len(old), "bytes": sum(part.stored_bytes for part in written)}
    blobs = [digest for part in written for digest in part.blobs]
    detail = {"new_parts": [part.record.part_id.hex() for part in written]}
    vault.trail.append(
        tx, Action.DATASET_UPGRADE, Outcome.DONE, obj=obj, refers=intent, counts=counts, blobs=blobs, detail=detail
    )
    reason = {"parts": [part_id.hex() for part_id in part_ids], "reason": "upgraded: each is its person's own part now"}
    job, _ = discarding.take_out(tx, vault, part_ids, act=Action.DATASET_REMOVE, obj=obj, detail=reason)
    return job
