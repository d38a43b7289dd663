"""Compacted parts in the books: made of parts of one person each (``vault.operations.compaction``), whose rows stay, joined to them.

A joined row tells what was imported, when, and of which files; its calls are its person's column in the compacted part. What the swap
has taken out stays under leases for a while, for those who are reading it, and goes at once where somebody leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, select, update

from vault.crypto.key_wrapping import KeyPurpose, personal_key
from vault.errors import IntegrityError
from vault.genotypes.catalog import part_members, personal_parts
from vault.genotypes.catalog.parts import OpenPart
from vault.genotypes.catalog.row_mapping import container_from_row, owner_from_row
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.part_records import TrackRecord
from vault.genotypes.store.shared_tracks import SharedTracks
from vault.genotypes.store.site_tables import TRACKS_FROM
from vault.ids import PartId, SubjectId
from vault.session import object_leases
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ChunkRow, ContainerRow, PartRow, PersonalPartRow
from vault.storage.database import Transaction

CALLS, TRACKED = "calls", "tracked"  # of ``part.compacted``: without and with tracks
KEPT_FOR_READERS = timedelta(hours=1)


def tracks(
    vault: UnlockedVault, part: OpenPart, slots: Sequence[tuple[int, int]], genotype_keys: Sequence[bytes]
) -> SharedTracks:
    """The tracks of some people of a compacted part, by (group, slot) and genotype key of each."""
    owner = owner_from_row(vault.vault_id, part.row)
    found: dict[int, TrackRecord] = {}

    def record(number: int) -> TrackRecord:
        if number not in found:
            place = (ContainerRow.part_id == part.part_id, ContainerRow.chunk == TRACKS_FROM + number)
            with vault.books.read() as tx:
                rows = tx.scalars(select(ContainerRow).where(*place).order_by(ContainerRow.group_no)).all()
            if not rows:
                raise IntegrityError("part_incomplete", "the books lack tracks that a part has", hint="run genovault doctor")
            length_key_id = part.row.length_key_id
            refs = tuple(container_from_row(owner, row, chunk=row.chunk, length_key_id=length_key_id) for row in rows)
            found[number] = TrackRecord(number, refs, tuple(row.object for row in rows))
        return found[number]

    access = BlockAccess.from_places(slots, [personal_key(key, part.part_id, "track") for key in genotype_keys])
    return SharedTracks(
        part.reader.directory,
        record,
        access,
        get_range=vault.objects.get_range,
        length_key=part.keys(part.reader.part.length_key_id),
    )


def swap(tx: Transaction, vault: UnlockedVault, into: PartId, personal: Sequence[PartId], shared: Sequence[PartId]) -> None:
    """Put a compacted part, which the books name already, in the place of others, in the caller's transaction.

    ``personal``, ``shared``: those that were personal parts, and those that were compacted before.
    """
    personal_parts.join(tx, personal, into)
    tx.execute(update(PersonalPartRow).where(PersonalPartRow.joined.in_(list(shared))).values(joined=into))
    layouts = list(tx.scalars(select(PartRow.layout_id).where(PartRow.part_id.in_(list(shared)))))
    for table in (ContainerRow, ChunkRow, PartRow):
        tx.execute(delete(table).where(table.part_id.in_(list(shared))))
    part_members.forget_unused(tx, layouts)
    for part_id in (*personal, *shared):
        object_leases.retire(tx, part_id, until=vault.clock() + KEPT_FOR_READERS)


def sweep_retired(vault: UnlockedVault) -> int:
    """Delete the objects of parts that were compacted, and destroy their keys, whoever may be reading them; how many parts there were."""
    found = object_leases.close_retired(vault)
    for prefix in found:
        vault.objects.delete([name for name, _ in vault.objects.list(prefix)])
        vault.keys.destroy([KeyPurpose.SITE_TABLE, KeyPurpose.PANEL], [bytes.fromhex(prefix)])
        object_leases.forget(vault, prefix)
    return len(found)


def imported_as(tx: Transaction, row: PartRow | PersonalPartRow, person: SubjectId) -> PartRow | PersonalPartRow:
    """The row of the import that a person's calls in a part came with: of a compacted part that of the import that was joined."""
    if not isinstance(row, PartRow) or row.compacted is None:
        return row
    mine = (PersonalPartRow.joined == row.part_id, PersonalPartRow.subject_id == person)
    found = tx.scalars(select(PersonalPartRow).where(*mine, PersonalPartRow.state == personal_parts.JOINED)).one_or_none()
    return row if found is None else found
