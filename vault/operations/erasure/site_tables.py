"""Rewrite a part's site tables and directory without alleles that nobody carries any more (``erasure.swaps`` says how it survives a kill)."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select

from vault.crypto.envelope import open_blob
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import sha256
from vault.genotypes.catalog import parts
from vault.genotypes.catalog.row_mapping import owner_from_row
from vault.genotypes.mates import mates_of
from vault.genotypes.store.site_redaction import Alts, blank, extent, listed, losing
from vault.genotypes.store.site_tables import PartDirectory, SiteTable
from vault.ids import KeyId
from vault.operations.erasure.swaps import Swap, Work, close, new_key, swapped, tidied, write
from vault.operations.erasure.told_places import told
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ChunkRow, PartRow


def purge_chunk(vault: UnlockedVault, part: PartRow, work: Work, private: Alts) -> int:
    """Blank ALTs that nobody carries in one chunk; return their number (0 when resumed after the swap).

    Raises:
        IntegrityError: a table is not what was written. UnavailableError: a database or the object store does not answer.
    """
    if tidied(vault, work):
        return 0
    with vault.books.read() as tx:
        row = tx.get_one(ChunkRow, (part.part_id, work.ordinal))
    owner = owner_from_row(vault.vault_id, part)
    key_id = KeyId(row.table_key_id)
    old = vault.keys.open_ids(KeyPurpose.SITE_TABLE, [key_id])[key_id]
    sealed = vault.objects.get(row.table_object)
    table = SiteTable.from_bytes(open_blob(old, owner.table_binding(work.ordinal, row.table_version, key_id), sealed))
    left = listed(table.sites, private)
    if not len(left):
        close(vault, work)
        return 0
    blanked = blank(table, left, told(vault, part, table.sites, losing(table.sites, left)))
    key = new_key(vault, part.part_id)
    version = row.table_version + 1
    swap = Swap(blanked.to_bytes(), owner.table_binding(work.ordinal, version, key.key_id), key)
    name, data = write(vault, work, swap, "sites")
    with vault.books.write() as tx:
        chunk = tx.get_one(ChunkRow, (part.part_id, work.ordinal))
        swapped(tx, work, chunk.table_object, chunk.table_key_id)
        chunk.table_version, chunk.table_object, chunk.table_bytes = version, name, len(data)
        chunk.table_sha256, chunk.table_key_id = sha256(data), key.key_id
    tidied(vault, work)
    return len(left)


def purge_directory(vault: UnlockedVault, part: PartRow, work: Work, rewritten: Iterable[int] | None = None) -> bool:
    """Write the new extents of rewritten chunks (by default of all that ever were) to the part's directory; whether it changed.

    Raises as ``purge_chunk``.
    """
    if tidied(vault, work):
        return False
    with vault.books.read() as tx:
        ever = select(ChunkRow.ordinal).where(ChunkRow.part_id == part.part_id, ChunkRow.table_version > 1)
        ordinals = sorted(tx.scalars(ever) if rewritten is None else rewritten)
    reader = parts.open_for_erasure(vault, part, ordinals)
    directory = reader.directory
    columns = (directory.contig, directory.first, directory.last, directory.end, directory.n_sites)
    rows = [tuple(map(int, row)) for row in zip(*columns, strict=True)]
    changed, mates = list(rows), directory.has_mates.tolist()
    for ordinal in ordinals:
        contig, *_, n_sites = rows[ordinal]
        sites = reader.sites(ordinal)
        changed[ordinal] = (contig, *extent(sites), n_sites)
        mates[ordinal] = len(mates_of(sites)) > 0
    if changed == rows and mates == directory.has_mates.tolist():
        close(vault, work)
        return False
    key = new_key(vault, part.part_id)
    owner = owner_from_row(vault.vault_id, part)
    made = PartDirectory.from_rows(directory.contigs, [(a, b, c, d, e) for a, b, c, d, e in changed], mates, directory.tracks)
    name, data = write(vault, work, Swap(made.to_bytes(), owner.directory_binding(key.key_id), key), "directory")
    with vault.books.write() as tx:
        row = tx.get_one(PartRow, part.part_id)
        swapped(tx, work, row.directory_object, row.directory_key_id)
        row.directory_object, row.directory_bytes = name, len(data)
        row.directory_sha256, row.directory_key_id = sha256(data), key.key_id
    tidied(vault, work)
    return True
