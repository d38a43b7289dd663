"""Records of a part and its chunks, the binding of all that is sealed in a part, and the places of blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from vault.crypto.envelope import Binding
from vault.genotypes.store.containers import ContainerRef
from vault.ids import DatasetId, KeyId, PartId, VaultId


class Place(NamedTuple):
    """The place of a sample column's blocks: slot ``slot`` of group ``group``. Slots of a group are 0..size-1, drawn at random."""

    group: int
    slot: int
    block_key: bytes

    def __repr__(self) -> str:
        return f"Place(group={self.group}, slot={self.slot})"


@dataclass(frozen=True)
class ChunkRecord:
    """One chunk as the books keep it. ``table_version`` counts rewrites of the site table (each under a new key)."""

    ordinal: int
    n_sites: int
    table_name: str
    table_bytes: int
    table_sha256: bytes
    table_key_id: KeyId
    table_version: int
    containers: tuple[ContainerRef, ...]  # by group
    container_names: tuple[str, ...]


@dataclass(frozen=True)
class TrackRecord:
    """The tracks of a part's people over one run of bins as the books keep them. ``number``: of the run in the directory.

    Of n people of a group, slot s has bin ``s // n`` of the run of whoever has slot ``s % n``.
    """

    number: int
    containers: tuple[ContainerRef, ...]  # by group
    container_names: tuple[str, ...]


@dataclass(frozen=True)
class CountsRecord:
    """The carrier counts of a part as the books keep them; each rewriting has a new name and a new key."""

    name: str
    n_bytes: int
    sha256: bytes
    key_id: KeyId


@dataclass(frozen=True)
class PartRecord:
    """A part as the books keep it. ``length_key_id`` is the key of every container's length table.

    ``counts``: None in parts of before; no reader's business, so another one makes no other part.
    """

    part_id: PartId
    n_subjects: int
    n_sites: int
    n_chunks: int
    total_bytes: int
    directory_name: str
    directory_bytes: int
    directory_sha256: bytes
    directory_key_id: KeyId
    length_key_id: KeyId
    counts: CountsRecord | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Owner:
    """Vault, dataset and part that everything in a part is bound to."""

    vault_id: VaultId
    dataset_id: DatasetId
    part_id: PartId

    def table_binding(self, chunk: int, version: int, key_id: KeyId) -> Binding:
        """Binding of a chunk's site table."""
        return Binding(
            vault_id=self.vault_id,
            collection="site-table",
            record_id=self.dataset_id + self.part_id + chunk.to_bytes(4, "big"),
            key_id=key_id,
            key_version=1,
            content_type="genovault/site-table/1",
            record_version=version,
        )

    def directory_binding(self, key_id: KeyId) -> Binding:
        """Binding of the part's directory."""
        return Binding(
            vault_id=self.vault_id,
            collection="part-directory",
            record_id=self.dataset_id + self.part_id,
            key_id=key_id,
            key_version=1,
            content_type="genovault/part-directory/1",
        )

    def counts_binding(self, key_id: KeyId) -> Binding:
        """Binding of the part's carrier counts."""
        return Binding(
            vault_id=self.vault_id,
            collection="carrier-counts",
            record_id=self.dataset_id + self.part_id,
            key_id=key_id,
            key_version=1,
            content_type="genovault/carrier-counts/1",
        )
