"""Members of parts: whose genotypes these hold, and at which places. The digest of a part's members stands in its record, so that none
vanishes or joins unseen.

Places are those of a *layout*, which parts of the same people share: what is imported contig by contig has the rows of one import.
Who leaves all parts of a layout leaves it; who leaves some gets these a layout of their own.

digest = SHA-256(context("genovault/part-members/v1", layout id) ‖ 16-byte subject ids in ascending order)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, bindparam, delete, select, update

from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.ids import DatasetId, PartId, RandomBytes, SubjectId, new_id
from vault.limits import GROUP_SUBJECTS
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import LayoutMemberRow, PartRow
from vault.storage.bulk_columns import insert_columns, rows_among
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction

Slots = Mapping[SubjectId, tuple[int, int]]
"""(group, slot) by subject."""

# The primary key returns a million rows in order; no sort is needed.
_SUBJECTS = Statement(
    select(LayoutMemberRow.subject_id)
    .where(LayoutMemberRow.layout_id == bindparam("layout"))
    .order_by(LayoutMemberRow.subject_id)
)


_LISTED: Cache[dict[bytes, tuple[bytes, list[SubjectId]]]] = Cache(dict)
"""Members by layout, with the digest that they were held against."""


@dataclass(frozen=True)
class Layout:
    """A layout that new parts may share, as it was found: its digest is that of its members then."""

    layout_id: bytes
    members_sha256: bytes
    slots: Slots


def digest(layout_id: bytes, subjects: Sequence[bytes]) -> bytes:
    """Digest of a layout's members, 32 bytes. ``subjects``: their ids in ascending order."""
    return sha256(encode_context("genovault/part-members/v1", layout_id) + b"".join(subjects))


def fitting(tx: Transaction, dataset_id: DatasetId, people: Collection[SubjectId]) -> Layout | None:
    """A layout of the dataset whose members are exactly these people, every slot one of theirs; None without any.

    Raises:
        IntegrityError: ``members_altered``.
    """
    query = select(PartRow.layout_id, PartRow.members_sha256).where(PartRow.dataset_id == dataset_id)
    query = query.where(PartRow.compacted.is_(None)).order_by(PartRow.ordinal)  # those are joined again, others are not
    wanted = sorted(people)
    for layout_id, known in dict.fromkeys(map(tuple, tx.execute(query))):
        if known == digest(layout_id, wanted):
            slots = places(tx, layout_id)
            if sorted(slots) != wanted:
                raise _altered(layout_id)
            if sorted(slots.values()) == [divmod(at, GROUP_SUBJECTS) for at in range(len(wanted))]:
                return Layout(layout_id, known, slots)
    return None


def places(tx: Transaction, layout_id: bytes, subjects: Collection[SubjectId] | None = None) -> dict[SubjectId, tuple[int, int]]:
    """(group, slot) of those of the subjects (None: of all) who are members of a layout, whatever the rows say."""
    c = LayoutMemberRow
    columns = (c.subject_id, c.group_no, c.slot)
    if subjects is None:
        rows: Iterable[Sequence[Any]] = tx.execute(select(*columns).where(c.layout_id == layout_id))
    else:
        rows = rows_among(tx, columns, c.subject_id, list(set(subjects)), layout_id=layout_id)
    return {SubjectId(subject): (group, slot) for subject, group, slot in rows}


def add(tx: Transaction, part_id: PartId, members: Slots, *, layout: Layout | None = None) -> None:
    """Record each subject's (group, slot) in a new part, in the caller's transaction: as a member of ``layout``, from which the places are,
    if that is still what it was, or of one of the part's own.
    """
    if layout is not None:
        same = (PartRow.layout_id == layout.layout_id, PartRow.members_sha256 == layout.members_sha256)
        if tx.scalar(select(PartRow.part_id).where(*same).limit(1)) is not None:
            said = {"layout_id": layout.layout_id, "members_sha256": layout.members_sha256}
            tx.execute(update(PartRow).where(PartRow.part_id == part_id).values(**said))
            return
    _write(tx, part_id, members)
    _assign(tx, [part_id], part_id, sorted(members))


def remove(tx: Transaction, subjects: Iterable[SubjectId]) -> set[PartId]:
    """Take subjects out of every part, in the caller's transaction; the parts that they were in.

    Every part is held against its record: somebody whose row was taken out of one would be gone without having left it.

    Raises:
        IntegrityError: ``members_altered``.
    """
    going = set(subjects)
    records = tx.execute(select(PartRow.part_id, PartRow.layout_id, PartRow.members_sha256)).all()
    digests = {layout_id: members_sha256 for _, layout_id, members_sha256 in records}
    touched = {layout_id for layout_id, known in digests.items() if not going.isdisjoint(listed(tx, layout_id, known))}
    for subject in going:
        tx.execute(delete(LayoutMemberRow).where(LayoutMemberRow.subject_id == subject))
    for layout_id in touched:
        settle(tx, layout_id)
    return {PartId(part_id) for part_id, layout_id, _ in records if layout_id in touched}


def end(tx: Transaction, leavers: Mapping[PartId, Collection[SubjectId]], *, random: RandomBytes) -> None:
    """Take subjects out of some parts, in the caller's transaction."""
    together: dict[tuple[bytes, frozenset[SubjectId]], list[bytes]] = {}
    for part_id, subjects in leavers.items():
        layout_id = tx.scalars(select(PartRow.layout_id).where(PartRow.part_id == part_id)).one()
        together.setdefault((layout_id, frozenset(subjects)), []).append(part_id)
    for (layout_id, subjects), part_ids in together.items():
        sharing = set(tx.scalars(select(PartRow.part_id).where(PartRow.layout_id == layout_id)))
        if sharing.issubset(part_ids):
            for subject in subjects:
                own = (LayoutMemberRow.layout_id == layout_id, LayoutMemberRow.subject_id == subject)
                tx.execute(delete(LayoutMemberRow).where(*own))
            settle(tx, layout_id)
            continue
        stay = {subject: place for subject, place in places(tx, layout_id).items() if subject not in subjects}
        apart = new_id(random)
        _write(tx, apart, stay)
        _assign(tx, part_ids, apart, sorted(stay))


def forget_unused(tx: Transaction, layouts: Iterable[bytes]) -> None:
    """Delete the members of those layouts that no part has any more."""
    for layout_id in set(layouts):
        if tx.scalar(select(PartRow.part_id).where(PartRow.layout_id == layout_id).limit(1)) is None:
            tx.execute(delete(LayoutMemberRow).where(LayoutMemberRow.layout_id == layout_id))


def listed(tx: Transaction, layout_id: bytes, members_sha256: bytes) -> list[SubjectId]:
    """Members of a layout in ascending order, as the records of its parts have them.

    Raises:
        IntegrityError: ``members_altered``: they are not those whose digest the record holds.
    """
    found: list[SubjectId] = [row[0] for row in _SUBJECTS.rows(tx, layout=layout_id)]
    if digest(layout_id, found) != members_sha256:
        raise _altered(layout_id)
    return found


def known(vault: UnlockedVault, tx: Transaction, layout_id: bytes, members_sha256: bytes) -> list[SubjectId]:
    """As ``listed``, read once in a session: what was once held against its digest is what the records name. Do not change it."""
    kept = vault.caches.get(_LISTED)
    found = kept.get(layout_id)
    if found is None or found[0] != members_sha256:
        found = kept[layout_id] = members_sha256, listed(tx, layout_id, members_sha256)
    return found[1]


def require(
    vault: UnlockedVault, tx: Transaction, layout_id: bytes, found: Collection[SubjectId], wanted: Collection[SubjectId] | None
) -> None:
    """Refuse places of members of which some are gone. ``found``: whose there are; ``wanted``: whose were looked for (None: everybody's).

    One more than there should be has no block that opens.

    Raises:
        IntegrityError: ``members_altered``.
    """
    if wanted is not None and len(found) == len(wanted):
        return
    current = tx.scalar(select(PartRow.members_sha256).where(PartRow.layout_id == layout_id).limit(1))
    if current is None:  # its parts are discarded since
        return
    if wanted is None:
        whole = digest(layout_id, sorted(found)) == current
    else:
        whole = set(wanted).difference(found).isdisjoint(known(vault, tx, layout_id, current))
    if not whole:
        raise _altered(layout_id)


def settle(tx: Transaction, layout_id: bytes) -> None:
    """Bring the records of a layout's parts up to its members, in the transaction that has changed them."""
    found = [row[0] for row in _SUBJECTS.rows(tx, layout=layout_id)]
    tx.execute(update(PartRow).where(PartRow.layout_id == layout_id).values(members_sha256=digest(layout_id, found)))


def of_dataset(dataset_id: bytes) -> Select[bytes]:
    """Query of the members of a dataset's parts with shared tables, each layout once; a person of several layouts comes several times."""
    layouts = select(PartRow.layout_id).where(PartRow.dataset_id == dataset_id)
    return select(LayoutMemberRow.subject_id).where(LayoutMemberRow.layout_id.in_(layouts))


def of_layout(layout_id: bytes) -> Select[bytes]:
    """Query of the members of a layout."""
    return select(LayoutMemberRow.subject_id).where(LayoutMemberRow.layout_id == layout_id)


def _write(tx: Transaction, layout_id: bytes, members: Slots) -> None:
    subjects = sorted(members)
    if subjects:
        groups, slots = ([members[subject][at] for subject in subjects] for at in (0, 1))
        insert_columns(tx, LayoutMemberRow, {"layout_id": layout_id, "subject_id": subjects, "group_no": groups, "slot": slots})


def _assign(tx: Transaction, part_ids: Sequence[bytes], layout_id: bytes, subjects: Sequence[bytes]) -> None:
    said = {"layout_id": layout_id, "members_sha256": digest(layout_id, subjects)}
    tx.execute(update(PartRow).where(PartRow.part_id.in_(part_ids)).values(**said))


def _altered(layout_id: bytes) -> IntegrityError:
    return IntegrityError(
        "members_altered",
        f"the books were edited: the people of layout {layout_id.hex()[:8]} are not those that were imported",
        hint="restore a backup of the books",
    )
