"""Parts of an import, written and then named: of several people as a part with shared tables, of one person as a part of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vault.crypto.key_wrapping import KeyPurpose, block_keys
from vault.crypto.secret import Secret
from vault.genotypes.catalog import overlap, part_members, parts, personal_parts
from vault.genotypes.catalog.overlap import Source
from vault.genotypes.catalog.part_members import Layout, Slots
from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.store.part_records import ChunkRecord, Owner, PartRecord, Place
from vault.genotypes.store.part_writer import PartWriter
from vault.genotypes.store.personal_index import PersonalRecord
from vault.genotypes.store.personal_writer import Tracks, write_personal
from vault.ids import DatasetId, KeyId, SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.session.wrapped_keys import FreshKeys
from vault.storage.database import Transaction
from vault.subjects.registration import Registration


@dataclass(frozen=True)
class SharedPart:
    """A part of several people, as written. ``slots``: the (group, slot) of each; ``layout``: where these are from, if not the part's own."""

    record: PartRecord
    chunks: Sequence[ChunkRecord]
    slots: Slots
    table_keys: Mapping[KeyId, Secret]
    layout: Layout | None

    @property
    def people(self) -> list[SubjectId]:
        """People whose calls are in it."""
        return list(self.slots)

    def source(self, vault: UnlockedVault, owner: Owner, keys: Mapping[SubjectId, bytes]) -> Source:
        """Its calls, to be compared with earlier ones. ``keys``: genotype keys of the people to be read."""
        derived = dict(zip(keys, block_keys(keys.values(), owner.dataset_id), strict=True))
        return overlap.of_written(vault, owner, (self.record, self.chunks, self.table_keys), self.slots, derived)

    @property
    def n_sites(self) -> int:
        """Sites in it."""
        return self.record.n_sites

    @property
    def stored_bytes(self) -> int:
        """Bytes of all of its objects."""
        return self.record.total_bytes

    @property
    def blobs(self) -> list[bytes]:
        """Digests of its objects."""
        tables = (chunk.table_sha256 for chunk in self.chunks)
        counts = [self.record.counts.sha256] if self.record.counts else []
        return [
            self.record.directory_sha256,
            *counts,
            *tables,
            *(ref.sha256 for chunk in self.chunks for ref in chunk.containers),
        ]

    def add(
        self, tx: Transaction, vault: UnlockedVault, dataset_id: DatasetId, *, assayed: str | None, source: str | None
    ) -> None:
        """Name it in the books."""
        parts.add_part(tx, vault, dataset_id, self.record, self.chunks, assayed=assayed, source=source)
        part_members.add(tx, self.record.part_id, self.slots, layout=self.layout)


@dataclass(frozen=True)
class OwnPart:
    """A personal part, as written."""

    record: PersonalRecord
    subject: SubjectId
    contigs: Sequence[str]

    @property
    def people(self) -> list[SubjectId]:
        """People whose calls are in it."""
        return [self.subject]

    def source(self, vault: UnlockedVault, owner: Owner, keys: Mapping[SubjectId, bytes]) -> Source:
        """Its calls, to be compared with earlier ones. ``keys``: genotype keys, the person's among them."""
        return overlap.of_own(vault, owner, self.record, (self.subject, keys[self.subject]))

    @property
    def n_sites(self) -> int:
        """Sites in it."""
        return self.record.n_sites

    @property
    def stored_bytes(self) -> int:
        """Bytes of its object."""
        return self.record.total_bytes

    @property
    def blobs(self) -> list[bytes]:
        """Digest of its object."""
        return [self.record.sha256]

    def add(
        self, tx: Transaction, vault: UnlockedVault, dataset_id: DatasetId, *, assayed: str | None, source: str | None
    ) -> None:
        """Name it in the books."""
        personal_parts.add(tx, vault, dataset_id, self.record, self.subject, contigs=self.contigs, assayed=assayed, source=source)


Written = SharedPart | OwnPart


def write_shared(
    vault: UnlockedVault,
    owner: Owner,
    people: Mapping[SubjectId, bytes],
    places: tuple[Slots, Layout | None],
    chunks: Iterator[SiteChunk],
    *,
    new: Registration,
) -> SharedPart:
    """Write the sealed objects of a part of several people.

    ``people``: genotype keys in the order of the chunks' columns. ``places``: as ``import_plan.choose_places``.
    """
    slots, layout = places
    derived = block_keys(people.values(), owner.dataset_id)
    sealed = [Place(*slots[subject], key) for subject, key in zip(people, derived, strict=True)]
    drawn: list[FreshKeys] = []

    def new_table_key() -> tuple[KeyId, Secret]:
        drawn.append(vault.keys.draw(KeyPurpose.SITE_TABLE, [owner.part_id], version=len(drawn) + 1))
        return KeyId(drawn[-1].key_ids[0]), Secret(drawn[-1].keys[0])

    with PartWriter(owner, sealed, put=vault.objects.put, new_table_key=new_table_key, random=vault.random) as writer:
        records = list(writer.write(chunks))
        part = writer.finish()
    new.keep(drawn)
    return SharedPart(part, records, slots, {KeyId(one.key_ids[0]): Secret(one.keys[0]) for one in drawn}, layout)


def write_own(
    vault: UnlockedVault,
    owner: Owner,
    person: tuple[SubjectId, bytes],
    chunks: Iterator[SiteChunk],
    *,
    tracks: Tracks | None = None,
) -> OwnPart:
    """Write one person's part. ``person``: subject and genotype key."""
    contigs = dict.fromkeys(tracks or ())

    def told() -> Iterator[SiteChunk]:
        for chunk in chunks:
            contigs[chunk.contig] = None
            yield chunk

    subject, key = person
    record = write_personal(owner, key, told(), put=vault.objects.put, random=vault.random, tracks=tracks)
    return OwnPart(record, subject, list(contigs))
