"""Members of a part: whose genotypes it holds. Their digest stands in the part's record, so that none vanishes or joins unseen.

digest = SHA-256(context("genovault/part-members/v1", part id) ‖ 16-byte subject ids in ascending order)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import bindparam, delete, select, update

from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.ids import PartId, SubjectId
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PartMemberRow, PartRow
from vault.storage.bulk_columns import insert_columns
from vault.storage.compiled_statements import Statement
from vault.storage.database import Transaction

# The primary key returns a million rows in order; no sort is needed.
_SUBJECTS = Statement(
    select(PartMemberRow.subject_id).where(PartMemberRow.part_id == bindparam("part")).order_by(PartMemberRow.subject_id)
)


_LISTED: Cache[dict[bytes, tuple[bytes, list[SubjectId]]]] = Cache(
    dict
)  # members by part, with the digest that they were held against


def digest(part_id: bytes, subjects: Sequence[bytes]) -> bytes:
    """Digest of a part's members, 32 bytes. ``subjects``: their ids in ascending order."""
    return sha256(encode_context("genovault/part-members/v1", part_id) + b"".join(subjects))


def add(tx: Transaction, part_id: PartId, members: Mapping[SubjectId, tuple[int, int]]) -> None:
    """Record each subject's (group, slot) in a new part, in the caller's transaction."""
    subjects = sorted(members)
    groups, slots = ([members[subject][at] for subject in subjects] for at in (0, 1))
    insert_columns(tx, PartMemberRow, {"part_id": part_id, "subject_id": subjects, "group_no": groups, "slot": slots})
    _set(tx, part_id, subjects)


def remove(tx: Transaction, subjects: Iterable[SubjectId]) -> set[PartId]:
    """Take subjects out of every part, in the caller's transaction; the parts that they were in.

    Every part is held against its record: somebody whose row was taken out of one would be gone without having left it.

    Raises:
        IntegrityError: ``members_altered``.
    """
    going, left = set(subjects), dict[PartId, list[SubjectId]]()
    for part_id, members_sha256 in tx.execute(select(PartRow.part_id, PartRow.members_sha256)).all():
        members = listed(tx, part_id, members_sha256)
        if not going.isdisjoint(members):
            left[PartId(part_id)] = [member for member in members if member not in going]
    for subject in going:
        tx.execute(delete(PartMemberRow).where(PartMemberRow.subject_id == subject))
    for part, members in left.items():
        _set(tx, part, members)
    return set(left)


def listed(tx: Transaction, part_id: bytes, members_sha256: bytes) -> list[SubjectId]:
    """Members of a part in ascending order, as its record has them.

    Raises:
        IntegrityError: ``members_altered``: they are not those whose digest the record holds.
    """
    found: list[SubjectId] = [row[0] for row in _SUBJECTS.rows(tx, part=part_id)]
    if digest(part_id, found) != members_sha256:
        raise _altered(part_id)
    return found


def known(vault: UnlockedVault, tx: Transaction, part_id: bytes, members_sha256: bytes) -> list[SubjectId]:
    """As ``listed``, read once in a session: what was once held against its digest is what the record names. Do not change it."""
    kept = vault.caches.get(_LISTED)
    found = kept.get(part_id)
    if found is None or found[0] != members_sha256:
        found = kept[part_id] = members_sha256, listed(tx, part_id, members_sha256)
    return found[1]


def require(
    vault: UnlockedVault, tx: Transaction, part_id: bytes, found: Collection[SubjectId], wanted: Collection[SubjectId] | None
) -> None:
    """Refuse places of members of which some are gone. ``found``: whose there are; ``wanted``: whose were looked for (None: everybody's).

    One more than there should be has no block that opens.

    Raises:
        IntegrityError: ``members_altered``.
    """
    if wanted is not None and len(found) == len(wanted):
        return
    current = tx.scalar(select(PartRow.members_sha256).where(PartRow.part_id == part_id))
    if current is None:  # discarded since
        return
    if wanted is None:
        whole = digest(part_id, sorted(found)) == current
    else:
        whole = set(wanted).difference(found).isdisjoint(known(vault, tx, part_id, current))
    if not whole:
        raise _altered(part_id)


def settle(tx: Transaction, part_id: bytes) -> None:
    """Bring a part's record up to its members, in the transaction that has changed them."""
    _set(tx, part_id, [row[0] for row in _SUBJECTS.rows(tx, part=part_id)])


def _set(tx: Transaction, part_id: bytes, subjects: Sequence[bytes]) -> None:
    tx.execute(update(PartRow).where(PartRow.part_id == part_id).values(members_sha256=digest(part_id, subjects)))


def _altered(part_id: bytes) -> IntegrityError:
    return IntegrityError(
        "members_altered",
        f"the books were edited: the people of part {part_id.hex()[:8]} are not those that were imported",
        hint="restore a backup of the books",
    )
