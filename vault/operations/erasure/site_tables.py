"""Rewrite a part's site tables and directory without an erased subject's private alleles.

A chunk goes through pending → writing → swapped → no row (``erasure.job``). The row names the objects and keys on both sides of the
swap, so the next process finds all that a killed one left; readers refuse the chunk until the row is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from vault.crypto.envelope import Binding, open_blob, seal_blob
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import sha256
from vault.genotypes.catalog import parts
from vault.genotypes.catalog.leaving import PENDING
from vault.genotypes.catalog.row_mapping import owner_from_row
from vault.genotypes.mates import mates_of
from vault.genotypes.store.part_records import Place
from vault.genotypes.store.site_redaction import Alts, blank, extent, losing
from vault.genotypes.store.site_tables import PartDirectory, SiteTable
from vault.ids import KeyId, new_id
from vault.operations.erasure.job import SWAPPED, WRITING
from vault.operations.erasure.private_alleles import private_alleles
from vault.operations.erasure.told_places import told
from vault.session.unlocked_vault import UnlockedVault
from vault.session.wrapped_keys import OpenKey
from vault.storage.book_tables import ChunkRow, ErasingChunkRow, PartRow
from vault.storage.database import Transaction


@dataclass(frozen=True)
class Work:
    """Key of a row of work: a chunk, or the directory, of one part in one erasure."""

    job_id: bytes
    part_id: bytes
    ordinal: int


@dataclass(frozen=True)
class _Swap:
    """New content of a table or directory, with its binding and key."""

    content: bytes
    binding: Binding
    key: OpenKey


def purge_chunk(vault: UnlockedVault, part: PartRow, work: Work, *, alts: Alts, others: Sequence[Place]) -> int:
    """Blank the ALTs of ``alts`` that no other subject carries in one chunk; return their number (0 when resumed after the swap).

    Raises:
        IntegrityError: a table or block is not what was written. UnavailableError: a database or the object store does not answer.
    """
    if _tidied(vault, work):
        return 0
    reader = parts.open_for_erasure(vault, part, [work.ordinal])
    private = private_alleles(reader, work.ordinal, alts, others)
    if not len(private):
        _close(vault, work)
        return 0
    with vault.books.read() as tx:
        row = tx.get_one(ChunkRow, (part.part_id, work.ordinal))
    owner = owner_from_row(vault.vault_id, part)
    key_id = KeyId(row.table_key_id)
    old = vault.keys.open_ids(KeyPurpose.SITE_TABLE, [key_id])[key_id]
    sealed = vault.objects.get(row.table_object)
    table = SiteTable.from_bytes(open_blob(old, owner.table_binding(work.ordinal, row.table_version, key_id), sealed))
    blanked = blank(table, private, told(vault, part, table.sites, losing(table.sites, private)))
    key = _new_key(vault, part)
    version = row.table_version + 1
    swap = _Swap(blanked.to_bytes(), owner.table_binding(work.ordinal, version, key.key_id), key)
    name, data = _write(vault, part, work, swap, "sites")
    with vault.books.write() as tx:
        chunk = tx.get_one(ChunkRow, (part.part_id, work.ordinal))
        _swapped(tx, work, chunk.table_object, chunk.table_key_id)
        chunk.table_version, chunk.table_object, chunk.table_bytes = version, name, len(data)
        chunk.table_sha256, chunk.table_key_id = sha256(data), key.key_id
    _tidied(vault, work)
    return len(private)


def purge_directory(vault: UnlockedVault, part: PartRow, work: Work) -> bool:
    """Write the new extents of the part's rewritten chunks to its directory; return whether it changed. Raises as ``purge_chunk``."""
    if _tidied(vault, work):
        return False
    with vault.books.read() as tx:
        rewritten = select(ChunkRow.ordinal).where(ChunkRow.part_id == part.part_id, ChunkRow.table_version > 1)
        ordinals = list(tx.scalars(rewritten))
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
        _close(vault, work)
        return False
    key = _new_key(vault, part)
    owner = owner_from_row(vault.vault_id, part)
    made = PartDirectory.from_rows(directory.contigs, [(a, b, c, d, e) for a, b, c, d, e in changed], mates)
    name, data = _write(vault, part, work, _Swap(made.to_bytes(), owner.directory_binding(key.key_id), key), "directory")
    with vault.books.write() as tx:
        row = tx.get_one(PartRow, part.part_id)
        _swapped(tx, work, row.directory_object, row.directory_key_id)
        row.directory_object, row.directory_bytes = name, len(data)
        row.directory_sha256, row.directory_key_id = sha256(data), key.key_id
    _tidied(vault, work)
    return True


def _new_key(vault: UnlockedVault, part: PartRow) -> OpenKey:
    version = vault.keys.newest_version(KeyPurpose.SITE_TABLE, part.part_id) + 1
    return vault.keys.create(KeyPurpose.SITE_TABLE, [part.part_id], version=version)[0]


def _write(vault: UnlockedVault, part: PartRow, work: Work, swap: _Swap, kind: str) -> tuple[str, bytes]:
    """Store the new object, after the row of work names it."""
    name = f"{part.part_id.hex()}/{new_id(vault.random).hex()}.{kind}"
    with vault.books.write() as tx:
        row = _row(tx, work)
        row.state, row.new_object, row.new_key_id = WRITING, name, swap.key.key_id
    data = seal_blob(swap.key.secret, swap.binding, swap.content, random=vault.random)
    vault.objects.put(name, data)
    return name, data


def _swapped(tx: Transaction, work: Work, old_object: str, old_key_id: bytes) -> None:
    row = _row(tx, work)
    row.state, row.old_object, row.old_key_id = SWAPPED, old_object, old_key_id


def _tidied(vault: UnlockedVault, work: Work) -> bool:
    """Delete the losing side of an interrupted swap; True if the swap had happened, which completes the chunk."""
    with vault.books.read() as tx:
        row = tx.get(ErasingChunkRow, (work.job_id, work.part_id, work.ordinal))
    if row is None:
        return True
    if row.state == PENDING:
        return False
    name, key_id = (row.old_object, row.old_key_id) if row.state == SWAPPED else (row.new_object, row.new_key_id)
    vault.keys.destroy_ids([key_id] if key_id else [])
    vault.objects.delete([name] if name else [])
    if row.state == SWAPPED:
        _close(vault, work)
        return True
    with vault.books.write() as tx:
        back = _row(tx, work)
        back.state, back.new_object, back.new_key_id = PENDING, None, None
    return False


def _close(vault: UnlockedVault, work: Work) -> None:
    with vault.books.write() as tx:
        tx.delete(_row(tx, work))


def _row(tx: Transaction, work: Work) -> ErasingChunkRow:
    return tx.get_one(ErasingChunkRow, (work.job_id, work.part_id, work.ordinal))
