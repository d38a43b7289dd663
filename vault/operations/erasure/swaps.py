"""Swaps of a part's sealed objects for rewritten ones, which a killed process leaves so that the next one finds all of it.

    work    pending → writing → swapped → no row        of a chunk's site table, a part's directory or its carrier counts

The row names the objects and keys on both sides. Readers refuse a chunk until its row is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from vault.crypto.envelope import Binding, seal_blob
from vault.crypto.key_wrapping import KeyPurpose
from vault.genotypes.catalog.leaving import PENDING
from vault.ids import new_id
from vault.operations.erasure.job import SWAPPED, WRITING
from vault.session.unlocked_vault import UnlockedVault
from vault.session.wrapped_keys import OpenKey
from vault.storage.book_tables import ErasingChunkRow
from vault.storage.database import Transaction


@dataclass(frozen=True)
class Work:
    """Key of a row of work: a chunk, the directory or the counts of one part in one job."""

    job_id: bytes
    part_id: bytes
    ordinal: int


@dataclass(frozen=True)
class Swap:
    """New content of an object, with its binding and key."""

    content: bytes
    binding: Binding
    key: OpenKey


def waiting(vault: UnlockedVault, job_id: bytes, part_id: bytes) -> list[int]:
    """Ordinals of the work that a job has left in a part, ascending."""
    query = select(ErasingChunkRow.ordinal).where(ErasingChunkRow.job_id == job_id, ErasingChunkRow.part_id == part_id)
    with vault.books.read() as tx:
        return sorted(tx.scalars(query))


def new_key(vault: UnlockedVault, part_id: bytes) -> OpenKey:
    """A new key of a part, durable."""
    version = vault.keys.newest_version(KeyPurpose.SITE_TABLE, part_id) + 1
    return vault.keys.create(KeyPurpose.SITE_TABLE, [part_id], version=version)[0]


def write(vault: UnlockedVault, work: Work, swap: Swap, kind: str) -> tuple[str, bytes]:
    """Store the new object, after the row of work names it; its name and bytes."""
    name = f"{work.part_id.hex()}/{new_id(vault.random).hex()}.{kind}"
    with vault.books.write() as tx:
        row = _row(tx, work)
        row.state, row.new_object, row.new_key_id = WRITING, name, swap.key.key_id
    data = seal_blob(swap.key.secret, swap.binding, swap.content, random=vault.random)
    vault.objects.put(name, data)
    return name, data


def swapped(tx: Transaction, work: Work, old_object: str | None, old_key_id: bytes | None) -> None:
    """Say that the books name the new object, in the transaction that names it."""
    row = _row(tx, work)
    row.state, row.old_object, row.old_key_id = SWAPPED, old_object, old_key_id


def tidied(vault: UnlockedVault, work: Work) -> bool:
    """Delete the losing side of an interrupted swap; True if the swap had happened, which completes the work."""
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
        close(vault, work)
        return True
    with vault.books.write() as tx:
        back = _row(tx, work)
        back.state, back.new_object, back.new_key_id = PENDING, None, None
    return False


def close(vault: UnlockedVault, work: Work) -> None:
    """End work that is done."""
    with vault.books.write() as tx:
        tx.delete(_row(tx, work))


def _row(tx: Transaction, work: Work) -> ErasingChunkRow:
    return tx.get_one(ErasingChunkRow, (work.job_id, work.part_id, work.ordinal))
