"""Doctor's look at the object store: each object against the books, each container at its place, carrier counts of each part."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import sha256
from vault.errors import GenovaultError
from vault.genotypes.catalog import part_list
from vault.genotypes.catalog.object_inventory import named_objects
from vault.genotypes.catalog.row_mapping import container_from_row, owner_from_row
from vault.genotypes.codec.carrier_counts import damaged
from vault.genotypes.store.containers import open_lengths
from vault.operations.erasure import counts as carrier_counts
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ChunkRow, ContainerRow, PartRow

RECOUNT = "genovault dataset recount N"


def objects(vault: UnlockedVault) -> Iterator[tuple[str, str, str]]:
    """Code, message and remedy of each object that is missing or has another length or digest than the books say."""
    with vault.books.read() as tx:
        named = {stored.name: stored for stored in named_objects(tx)}
    present = dict(vault.objects.list())
    for name in sorted(set(named) - set(present)):
        yield "object_missing", f"object {name} is missing", "genovault restore SRC, or import the dataset again"
    for name in sorted(set(named) & set(present)):
        data = vault.objects.get(name)
        if len(data) != named[name].size or sha256(data) != named[name].sha256:
            yield "object_altered", f"object {name} is not what was written", "restore it from a backup"


def containers(vault: UnlockedVault) -> Iterator[tuple[str, str, str]]:
    """Code, message and remedy of each container whose length table does not open at its place or sums to another size."""
    query = select(ContainerRow, PartRow).join(PartRow, PartRow.part_id == ContainerRow.part_id)
    with vault.books.read() as tx:
        rows = tx.execute(query).all()
    for c, part in rows:
        owner = owner_from_row(vault.vault_id, part)
        ref = container_from_row(owner, c, chunk=c.chunk, length_key_id=part.length_key_id)
        try:
            key = vault.keys.open_ids(KeyPurpose.SITE_TABLE, [part.length_key_id])[part.length_key_id]
            open_lengths(ref, vault.objects.get_range(c.object, 0, c.header_bytes), key)
        except GenovaultError as error:
            yield error.code, f"container {c.object}: {error.message}", "restore it from a backup"


def counts(vault: UnlockedVault) -> Iterator[tuple[str, str, str]]:
    """Code, message and remedy of each part whose carrier counts do not open, or are not those of its chunks."""
    with vault.books.read() as tx:
        rows = tx.scalars(select(PartRow)).all()
        sites: dict[bytes, list[int]] = {row.part_id: [] for row in rows}
        for part_id, n_sites in tx.execute(
            select(ChunkRow.part_id, ChunkRow.n_sites).order_by(ChunkRow.part_id, ChunkRow.ordinal)
        ):
            sites[part_id].append(n_sites)
    for row in rows:
        try:
            held = carrier_counts.held(vault, row)
            if held is not None and [held.chunk(at).n_sites for at in range(len(held))] != sites[row.part_id]:
                raise damaged()
        except GenovaultError as error:
            yield error.code, f"carrier counts of part {part_list.shown(row.part_id)}: {error.message}", RECOUNT
