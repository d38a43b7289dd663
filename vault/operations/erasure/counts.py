"""Carrier counts of a part without those who have left it: rewritten under a new key before anything else of it is.

Old counts and everybody else's blocks would tell what the leavers carried. So an erasure or correction settles them first: it subtracts
what it knows to leave, or counts anew where a part has no counts, where it cannot know, and where another job has not settled its own.
From then on an ALT with a count of 0 is nobody's. Never used for a release.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, delete, select

from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.envelope import open_blob
from vault.crypto.key_wrapping import KeyPurpose, block_keys
from vault.crypto.primitives import sha256
from vault.genotypes.catalog import parts
from vault.genotypes.catalog.leaving import COUNTS, DIRECTORY, PENDING
from vault.genotypes.catalog.row_mapping import counts_fields, counts_from_row, owner_from_row
from vault.genotypes.codec.carrier_counts import CarrierCounts, damaged
from vault.genotypes.store.part_counts import PartCarriers
from vault.genotypes.store.part_records import CountsRecord, Place
from vault.genotypes.store.site_redaction import Alts
from vault.ids import KeyId, PartId
from vault.operations.erasure.private_alleles import carriers, private_alleles
from vault.operations.erasure.swaps import Swap, Work, new_key, swapped, tidied, write
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ErasingChunkRow, PartRow
from vault.storage.database import Transaction

AT_ONCE = 10_000  # values of one statement

Leaving = Mapping[int, CarrierCounts]
"""By chunk: what those who leave carry, and how many of them."""

Lists = Mapping[int, Alts]
"""By chunk: ALTs (int64[n, 2]) that may be nobody's any more."""


def held(vault: UnlockedVault, row: PartRow) -> PartCarriers | None:
    """The counts of a part; None of a part of before, which has none.

    Raises:
        IntegrityError: ``counts_damaged``, ``key_missing``, and what the envelope says of a broken seal.
    """
    record = counts_from_row(row)
    if record is None:
        return None
    key = vault.keys.open_ids(KeyPurpose.SITE_TABLE, [record.key_id])[record.key_id]
    binding = owner_from_row(vault.vault_id, row).counts_binding(record.key_id)
    sealed = bytes(vault.objects.get_range(record.name, 0, record.n_bytes))
    counts = PartCarriers.from_bytes(open_blob(key, binding, sealed))
    if len(counts) != row.n_chunks:
        raise damaged()
    return counts


def without(counts: PartCarriers, leaving: Leaving) -> PartCarriers:
    """The counts when those have left who leave.

    Raises:
        IntegrityError: ``counts_damaged``: by the counts fewer people carry something than leave with it.
    """
    return counts.replaced({at: counts.chunk(at).minus(gone.alts(), gone.people) for at, gone in leaving.items()})


def private(counts: PartCarriers, lists: Lists) -> Lists:
    """Items of the lists that nobody carries by the counts; chunks without any are left out."""
    found = {ordinal: private_alleles(alts, counts.chunk(ordinal)) for ordinal, alts in lists.items()}
    return {ordinal: alts for ordinal, alts in found.items() if len(alts)}


def settle(vault: UnlockedVault, work: Work, leaving: Leaving | None, lists: Lists, *, logged: bool = False) -> Lists:
    """Rewrite a part's counts without those who have left, once; what of ``lists`` is nobody's any more.

    The job's chunks that have something of that wait from then on, and no others. ``leaving``: None where it is not known. ``logged``: the
    caller has named the part's people in the log; else counting them anew does.

    Raises:
        IntegrityError: ``counts_damaged``, and as reading blocks. UnavailableError: a database or the object store does not answer.
    """
    count = counted if logged else _counted_anew
    settled, row = tidied(vault, work), _part(vault, work)
    if settled:
        return private(held(vault, row) or count(vault, row), lists)
    for other in _of_others(vault, work):
        tidied(vault, other)
    before = held(vault, row) if leaving is not None and not _of_others(vault, work) else None
    after = count(vault, row) if before is None or leaving is None else without(before, leaving)
    found = private(after, lists)
    if before is not None and not leaving:
        with vault.books.write() as tx:
            _narrow(tx, work, found)
            tx.delete(tx.get_one(ErasingChunkRow, (work.job_id, work.part_id, COUNTS)))
        return found
    key = new_key(vault, row.part_id)
    binding = owner_from_row(vault.vault_id, row).counts_binding(key.key_id)
    name, data = write(vault, work, Swap(after.to_bytes(), binding, key), "counts")
    with vault.books.write() as tx:
        part = tx.get_one(PartRow, row.part_id)
        swapped(tx, work, part.counts_object, part.counts_key_id)
        for column, value in counts_fields(CountsRecord(name, len(data), sha256(data), key.key_id)).items():
            setattr(part, column, value)
        tx.execute(delete(ErasingChunkRow).where(*_place(work), ErasingChunkRow.job_id != work.job_id))
        _narrow(tx, work, found)
    tidied(vault, work)
    return found


def counted(vault: UnlockedVault, row: PartRow) -> PartCarriers:
    """Count a part's people anew, which opens everybody's blocks: whoever calls this has named them in the log."""
    places = places_of_all(vault, row)
    readers = ((ordinal, parts.open_for_erasure(vault, row, [ordinal])) for ordinal in range(row.n_chunks))
    return PartCarriers.from_chunks(carriers(reader, ordinal, places) for ordinal, reader in readers)


def places_of_all(vault: UnlockedVault, row: PartRow) -> list[Place]:
    """Places of a part's people who have keys."""
    slots = parts.members(vault, row)
    keys = vault.keys.open_many(KeyPurpose.GENOTYPE, slots)
    people = [subject for subject in slots if subject in keys]
    derived = block_keys((keys[subject] for subject in people), row.dataset_id)
    return [Place(*slots[subject], key) for subject, key in zip(people, derived, strict=True)]


def shut(tx: Transaction, vault: UnlockedVault) -> set[PartId]:
    """Parts whose counts no key opens: an erasure has rewritten them since these books were copied."""
    keys = dict(tx.execute(select(PartRow.part_id, PartRow.counts_key_id).where(PartRow.counts_key_id.is_not(None))).all())
    gone = vault.keys.missing_ids(KeyId(key_id) for key_id in keys.values() if key_id is not None)
    return {PartId(part_id) for part_id, key_id in keys.items() if key_id in gone}


def forget(tx: Transaction, part_ids: Collection[PartId]) -> tuple[list[bytes], list[str]]:
    """Have parts without counts, in the caller's transaction: ids of keys and names of objects that are to go after it."""
    keys, names = [], []
    for row in tx.scalars(select(PartRow).where(PartRow.part_id.in_(part_ids))):
        if (record := counts_from_row(row)) is not None:
            keys.append(bytes(record.key_id))
            names.append(record.name)
        for column, value in counts_fields(None).items():
            setattr(row, column, value)
    return keys, names


def _counted_anew(vault: UnlockedVault, row: PartRow) -> PartCarriers:
    """As ``counted``, as an access of the log of its own."""
    with vault.trail.attempting(Action.DATASET_RECOUNT) as attempt:
        obj = ObjectRef("part", row.part_id.hex())
        intent = attempt.opens(list(parts.members(vault, row)), obj=obj)
        found = counted(vault, row)
        vault.trail.record(Action.DATASET_RECOUNT, Outcome.DONE, obj=obj, refers=intent)
    return found


def _part(vault: UnlockedVault, work: Work) -> PartRow:
    with vault.books.read() as tx:
        return tx.get_one(PartRow, work.part_id)


def _place(work: Work) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return ErasingChunkRow.part_id == work.part_id, ErasingChunkRow.ordinal == COUNTS


def _of_others(vault: UnlockedVault, work: Work) -> list[Work]:
    """Work that other jobs have left to do in the counts of a part."""
    query = select(ErasingChunkRow.job_id).where(*_place(work), ErasingChunkRow.job_id != work.job_id)
    with vault.books.read() as tx:
        return [Work(job_id, work.part_id, COUNTS) for job_id in tx.scalars(query)]


def _narrow(tx: Transaction, work: Work, found: Lists) -> None:
    """Have the job's chunks wait in which something is to be blanked, and its directory where there are any."""
    mine = (ErasingChunkRow.job_id == work.job_id, ErasingChunkRow.part_id == work.part_id)
    wanted = {*found, DIRECTORY} if found else set[int]()
    there = set(tx.scalars(select(ErasingChunkRow.ordinal).where(*mine, ErasingChunkRow.ordinal != COUNTS)))
    gone = sorted(there - wanted)
    for first in range(0, len(gone), AT_ONCE):
        tx.execute(delete(ErasingChunkRow).where(*mine, ErasingChunkRow.ordinal.in_(gone[first : first + AT_ONCE])))
    for ordinal in sorted(wanted - there):
        tx.add(ErasingChunkRow(job_id=work.job_id, part_id=work.part_id, ordinal=ordinal, state=PENDING))
