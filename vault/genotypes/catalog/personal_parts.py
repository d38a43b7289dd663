"""Personal parts in the books: one row each, which says whose it is. The rows are a signed collection, so none joins, leaves or changes unseen.

A row stays, ``joined``, when its calls come into a compacted part (``compacted_parts``): it tells what was imported when, and in which order.

The contigs of parts of several people are in sealed directories under the vault's keys; those of personal parts are under their people's
keys, so the dataset's own record lists contigs, as its files spell them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import delete, select, update

from vault.genotypes.catalog.row_mapping import personal_fields
from vault.genotypes.store.personal_index import PersonalRecord
from vault.ids import DatasetId, PartId, SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow, PartRow, PersonalPartRow
from vault.storage.database import Transaction
from vault.storage.stored_types import largest
from vault.storage.timestamps import to_micros

LIVE, JOINED, ERASING = "live", "joined", "erasing"
HELD = (LIVE, JOINED)  # imports of which the dataset has the calls
MOVED_FROM = "part:"  # before the id of the part that calls were moved out of, as the source of the part that they are in; of imports it is their files' digest


def add(
    tx: Transaction,
    vault: UnlockedVault,
    dataset_id: DatasetId,
    record: PersonalRecord,
    subject: SubjectId,
    *,
    contigs: Iterable[str],
    assayed: str | None,
    source: str | None,
) -> None:
    """Name a written part in the books, in the caller's transaction. ``assayed``, ``source``: as ``parts.add_part``."""
    said = {"assayed": assayed, "source": source, "created": to_micros(vault.clock())}
    _add(tx, dataset_id, record, subject, contigs, ordinal=next_ordinal(tx, dataset_id), **said)


def add_instead(
    tx: Transaction,
    old: PartRow | PersonalPartRow,
    record: PersonalRecord,
    subject: SubjectId,
    *,
    contigs: Iterable[str],
    source: str | None = None,
) -> None:
    """Name a part that takes the place of another, or of somebody's calls in it, in the caller's transaction: the same import, in the same
    place. ``source``: as ``parts.add_part``; None: the other's.
    """
    said = {"assayed": old.assayed, "source": source or old.source, "created": old.created}
    _add(tx, DatasetId(old.dataset_id), record, subject, contigs, ordinal=old.ordinal, **said)


def _add(
    tx: Transaction,
    dataset_id: DatasetId,
    record: PersonalRecord,
    subject: SubjectId,
    contigs: Iterable[str],
    **said: object,
) -> None:
    tx.add(PersonalPartRow(dataset_id=dataset_id, subject_id=subject, state=LIVE, **said, **personal_fields(record)))
    tx.flush()
    known = contigs_of(tx, dataset_id)
    united = list(dict.fromkeys([*known, *contigs]))
    if united != known:
        tx.execute(update(DatasetRow).where(DatasetRow.dataset_id == dataset_id).values(contigs=json.dumps(united)))


def next_ordinal(tx: Transaction, dataset_id: DatasetId) -> int:
    """Place of the next part of a dataset, of either kind, behind all that it has."""
    newest = (
        tx.scalar(select(largest(table.ordinal)).where(table.dataset_id == dataset_id)) for table in (PartRow, PersonalPartRow)
    )
    return max(-1 if found is None else int(found) for found in newest) + 1


def contigs_of(tx: Transaction, dataset_id: DatasetId) -> list[str]:
    """Contigs of a dataset's personal parts, also of those that are gone."""
    listed = tx.scalar(select(DatasetRow.contigs).where(DatasetRow.dataset_id == dataset_id))
    return [] if listed is None else json.loads(listed)


def forget_contigs(tx: Transaction, dataset_id: DatasetId) -> None:
    """Forget what personal parts left in the record of a dataset that has no part any more."""
    tx.execute(update(DatasetRow).where(DatasetRow.dataset_id == dataset_id).values(contigs=None, assay_rule=None))


def live(
    tx: Transaction, dataset_id: DatasetId | None = None, subjects: Sequence[SubjectId] | None = None
) -> list[PersonalPartRow]:
    """Live personal parts in order, of one dataset or of all, of some subjects or of everybody."""
    query = select(PersonalPartRow).where(PersonalPartRow.state == LIVE)
    if dataset_id is not None:
        query = query.where(PersonalPartRow.dataset_id == dataset_id)
    rows = tx.scalars(query.order_by(PersonalPartRow.ordinal, PersonalPartRow.part_id)).all()
    wanted = None if subjects is None else set(subjects)
    return [row for row in rows if wanted is None or row.subject_id in wanted]


def joined(tx: Transaction, dataset_id: DatasetId) -> list[PersonalPartRow]:
    """Imports of a dataset whose calls are in a compacted part by now, in order."""
    mine = (PersonalPartRow.state == JOINED, PersonalPartRow.dataset_id == dataset_id)
    return list(tx.scalars(select(PersonalPartRow).where(*mine).order_by(PersonalPartRow.ordinal)))


def of_source(tx: Transaction, dataset_id: DatasetId, source: str, subjects: Sequence[SubjectId]) -> list[SubjectId]:
    """Those of the subjects of whom a dataset has the import of a file, joined or not."""
    c = PersonalPartRow
    query = select(c.subject_id).where(c.dataset_id == dataset_id, c.source == source, c.state.in_(HELD))
    return [SubjectId(one) for one in tx.scalars(query) if one in set(subjects)]


def people(tx: Transaction, datasets: Sequence[DatasetId]) -> list[tuple[SubjectId, int, bytes]]:
    """(subject, time of the import, part) of every import of one person into some datasets, joined ones too, oldest first."""
    c = PersonalPartRow
    query = select(c.subject_id, c.created, c.part_id).where(c.state.in_(HELD), c.dataset_id.in_(datasets))
    return [
        (SubjectId(subject), created, part_id) for subject, created, part_id in tx.execute(query.order_by(c.created, c.part_id))
    ]


def join(tx: Transaction, part_ids: Sequence[PartId], into: PartId) -> None:
    """Tell of live parts that their calls are in a compacted part."""
    mine = (PersonalPartRow.part_id.in_(list(part_ids)), PersonalPartRow.state == LIVE)
    tx.execute(update(PersonalPartRow).where(*mine).values(state=JOINED, joined=into))


def leave_joined(tx: Transaction, joined_in: bytes, subjects: Sequence[SubjectId]) -> list[SubjectId]:
    """End the imports of some people whose calls are in a compacted part that these leave; whose there were."""
    mine = (PersonalPartRow.joined == joined_in, PersonalPartRow.subject_id.in_(list(subjects)))
    found = [SubjectId(one) for one in tx.scalars(select(PersonalPartRow.subject_id).where(*mine))]
    tx.execute(update(PersonalPartRow).where(*mine).values(state=ERASING))
    return found


def leave(tx: Transaction, subjects: Sequence[SubjectId]) -> None:
    """End the membership of subjects who are being erased; their objects stay named until ``remove`` deletes them."""
    tx.execute(update(PersonalPartRow).where(PersonalPartRow.subject_id.in_(list(subjects))).values(state=ERASING))


def origins(tx: Transaction, part_ids: Sequence[bytes]) -> set[PartId]:
    """The parts out of which the calls of some personal parts were moved, which list them still (``vault.operations.corrections.moving``)."""
    mine = (PersonalPartRow.part_id.in_(list(part_ids)), PersonalPartRow.source.startswith(MOVED_FROM))
    moved = {PartId(origin_of(source)) for source in tx.scalars(select(PersonalPartRow.source).where(*mine)) if source}
    return {PartId(part_id) for part_id in tx.scalars(select(PartRow.part_id).where(PartRow.part_id.in_(moved)))}


def origin_of(source: str) -> bytes:
    """Id of the part that the source of moved calls names."""
    return bytes.fromhex(source.removeprefix(MOVED_FROM))


def ended(tx: Transaction, subjects: Sequence[SubjectId]) -> list[PersonalPartRow]:
    """Parts of some people that have ended and are not deleted yet."""
    mine = (PersonalPartRow.subject_id.in_(list(subjects)), PersonalPartRow.state == ERASING)
    return list(tx.scalars(select(PersonalPartRow).where(*mine)))


def end(tx: Transaction, part_ids: Sequence[bytes]) -> dict[bytes, SubjectId]:
    """End those of the parts that are personal; their objects stay named until ``remove`` deletes them. Whose each was."""
    own = (PersonalPartRow.part_id.in_(list(part_ids)), PersonalPartRow.state == LIVE)
    query = select(PersonalPartRow.part_id, PersonalPartRow.subject_id).where(*own)
    found = {part_id: SubjectId(subject) for part_id, subject in tx.execute(query)}
    tx.execute(update(PersonalPartRow).where(PersonalPartRow.part_id.in_(list(found))).values(state=ERASING))
    return found


def remove(vault: UnlockedVault, subjects: Sequence[SubjectId]) -> int:
    """Delete what is left of the personal parts of people who are being erased; how many there were, those that were joined left out.

    Doing it twice does no harm.
    """
    mine = (PersonalPartRow.subject_id.in_(list(subjects)), PersonalPartRow.state == ERASING)
    with vault.books.read() as tx:
        found = tx.execute(select(PersonalPartRow.object, PersonalPartRow.joined).where(*mine)).all()
    if found:
        vault.objects.delete([row.object for row in found])
        with vault.books.write() as tx:
            tx.execute(delete(PersonalPartRow).where(*mine))
    return sum(row.joined is None for row in found)
