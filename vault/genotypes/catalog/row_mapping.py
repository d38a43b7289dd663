"""SQL row ↔ record, both directions: parts, chunks and containers, of imports and of panel builds alike.

``…_from_row`` reads a row; ``…_fields`` gives the columns of a row by name. A row's own place (part or build, ordinal, chunk) and
the time that it was made are not in the records and are added where the row is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vault.genotypes.store.containers import ContainerRef
from vault.genotypes.store.part_records import ChunkRecord, CountsRecord, Owner, PartRecord, TrackRecord
from vault.genotypes.store.personal_index import PersonalRecord
from vault.ids import ContainerId, DatasetId, KeyId, PartId, VaultId
from vault.storage.book_tables import PartRow, PersonalPartRow


def owner_from_row(vault_id: VaultId, row: PartRow | PersonalPartRow) -> Owner:
    """The vault, dataset and part that everything sealed in a part is bound to."""
    return Owner(vault_id, DatasetId(row.dataset_id), PartId(row.part_id))


def part_from_row(row: PartRow) -> PartRecord:
    """The record of a part."""
    return PartRecord(
        part_id=PartId(row.part_id),
        n_subjects=row.n_subjects,
        n_sites=row.n_sites,
        n_chunks=row.n_chunks,
        total_bytes=row.total_bytes,
        directory_name=row.directory_object,
        directory_bytes=row.directory_bytes,
        directory_sha256=row.directory_sha256,
        directory_key_id=KeyId(row.directory_key_id),
        length_key_id=KeyId(row.length_key_id),
        counts=counts_from_row(row),
    )


def counts_from_row(row: PartRow) -> CountsRecord | None:
    """The record of a part's carrier counts; None of a part of before, which has none."""
    if row.counts_object is None or row.counts_bytes is None or row.counts_sha256 is None or row.counts_key_id is None:
        return None
    return CountsRecord(row.counts_object, row.counts_bytes, row.counts_sha256, KeyId(row.counts_key_id))


def counts_fields(counts: CountsRecord | None) -> dict[str, Any]:
    """Columns of a ``PartRow`` that say where its carrier counts are."""
    if counts is None:
        return dict.fromkeys(("counts_object", "counts_bytes", "counts_sha256", "counts_key_id"))
    return {
        "counts_object": counts.name,
        "counts_bytes": counts.n_bytes,
        "counts_sha256": counts.sha256,
        "counts_key_id": counts.key_id,
    }


def part_fields(part: PartRecord) -> dict[str, Any]:
    """Columns of a ``PartRow``, without ``dataset_id``, ``ordinal`` and ``created``."""
    return {
        "part_id": part.part_id,
        "n_subjects": part.n_subjects,
        "n_sites": part.n_sites,
        "n_chunks": part.n_chunks,
        "total_bytes": part.total_bytes,
        "directory_object": part.directory_name,
        "directory_bytes": part.directory_bytes,
        "directory_sha256": part.directory_sha256,
        "directory_key_id": part.directory_key_id,
        "length_key_id": part.length_key_id,
        **counts_fields(part.counts),
    }


def personal_from_row(row: PersonalPartRow) -> PersonalRecord:
    """The record of a personal part."""
    return PersonalRecord(
        part_id=PartId(row.part_id),
        n_sites=row.n_sites,
        has_track=row.has_track,
        object=row.object,
        total_bytes=row.total_bytes,
        sha256=row.sha256,
        index_bytes=row.index_bytes,
    )


def personal_fields(part: PersonalRecord) -> dict[str, Any]:
    """Columns of a ``PersonalPartRow`` that its record has."""
    return {
        "part_id": part.part_id,
        "n_sites": part.n_sites,
        "has_track": part.has_track,
        "object": part.object,
        "total_bytes": part.total_bytes,
        "sha256": part.sha256,
        "index_bytes": part.index_bytes,
    }


def chunk_from_row(
    owner: Owner, row: Any, containers: Sequence[Any], *, ordinal: int, table_version: int, length_key_id: bytes
) -> ChunkRecord:
    """The record of a ``ChunkRow`` or ``PanelBuildRow``, with the rows of its containers by group."""
    return ChunkRecord(
        ordinal=ordinal,
        n_sites=row.n_sites,
        table_name=row.table_object,
        table_bytes=row.table_bytes,
        table_sha256=row.table_sha256,
        table_key_id=KeyId(row.table_key_id),
        table_version=table_version,
        containers=tuple(container_from_row(owner, c, chunk=ordinal, length_key_id=length_key_id) for c in containers),
        container_names=tuple(c.object for c in containers),
    )


def chunk_fields(chunk: ChunkRecord) -> dict[str, Any]:
    """Columns that a ``ChunkRow`` and a ``PanelBuildRow`` share."""
    return {
        "n_sites": chunk.n_sites,
        "table_object": chunk.table_name,
        "table_bytes": chunk.table_bytes,
        "table_sha256": chunk.table_sha256,
        "table_key_id": chunk.table_key_id,
    }


def container_from_row(owner: Owner, row: Any, *, chunk: int, length_key_id: bytes) -> ContainerRef:
    """The record of a ``ContainerRow`` or ``PanelContainerRow``; ``owner`` and ``chunk`` are the place that its seals are bound to."""
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


def container_fields(chunk: ChunkRecord | TrackRecord, /, **place: object) -> list[dict[str, Any]]:
    """For each container of a chunk, or of a run of tracks, the columns of a ``ContainerRow`` or ``PanelContainerRow``. ``place``: the columns of its place."""
    return [
        {
            **place,
            "container_id": ref.container_id,
            "group_no": ref.group,
            "n_slots": ref.n_slots,
            "nonce": ref.nonce8,
            "header_bytes": ref.header_bytes,
            "total_bytes": ref.total_bytes,
            "object": name,
            "sha256": ref.sha256,
        }
        for ref, name in zip(chunk.containers, chunk.container_names, strict=True)
    ]
