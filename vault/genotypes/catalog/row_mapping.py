"""Records of chunks and containers out of the rows that the books keep of them, a part's and a panel build's alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vault.genotypes.store.containers import ContainerRef
from vault.genotypes.store.part_records import ChunkRecord, Owner
from vault.ids import ContainerId, KeyId


def container_of(owner: Owner, row: Any, *, chunk: int, length_key_id: bytes) -> ContainerRef:
    """What a ``ContainerRow`` or ``PanelContainerRow`` says; ``owner`` and ``chunk`` are what its seals must be bound to."""
    return ContainerRef(
        container_id=ContainerId(row.container_id),
        nonce8=row.nonce,
        vault_id=owner.vault_id,
        dataset_id=owner.dataset_id,
        part_id=owner.part_id,
        chunk=chunk,
        group=row.group_no,
        n_slots=row.n_slots,
        header_bytes=row.header_bytes,
        total_bytes=row.total_bytes,
        sha256=row.sha256,
        length_key_id=length_key_id,
    )


def chunk_of(
    owner: Owner, row: Any, containers: Sequence[Any], *, ordinal: int, table_version: int, length_key_id: bytes
) -> ChunkRecord:
    """What a ``ChunkRow`` or ``PanelBuildRow`` says, with the rows of its containers by group."""
    return ChunkRecord(
        ordinal=ordinal,
        n_sites=row.n_sites,
        table_name=row.table_object,
        table_bytes=row.table_bytes,
        table_sha256=row.table_sha256,
        table_key_id=KeyId(row.table_key_id),
        table_version=table_version,
        containers=tuple(container_of(owner, c, chunk=ordinal, length_key_id=length_key_id) for c in containers),
        container_names=tuple(c.object for c in containers),
    )
