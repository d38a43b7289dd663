"""Personal parts: everything of one person's file as one object, under keys that derive from the person's genotype key.

No key is stored and no table is shared: who destroys the genotype key has destroyed the part (docs/formats/genotypes.md §11). Blocks, site
tables and their formats are those of any part; what differs is that names lead to places in one object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vault.crypto.envelope import seal_blob
from vault.crypto.key_wrapping import block_key, personal_key
from vault.crypto.primitives import sha256
from vault.crypto.secret import Secret
from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.store.chunk_sealer import Put
from vault.genotypes.store.containers import seal_container
from vault.genotypes.store.part_records import ChunkRecord, Owner, Place
from vault.genotypes.store.part_writer import PartWriter
from vault.genotypes.store.personal_index import (
    TRACK_GROUP,
    ChunkAt,
    ContainerAt,
    PersonalIndex,
    PersonalRecord,
    Piece,
    TrackAt,
    index_binding,
)
from vault.ids import KeyId, RandomBytes, new_id

Tracks = Mapping[str, Mapping[int, bytes]]
"""Contig → bin → encoded intervals of that bin; contigs as the sites spell them."""


def write_personal(
    owner: Owner,
    genotype_key: bytes,
    chunks: Iterable[SiteChunk],
    *,
    put: Put,
    random: RandomBytes,
    tracks: Tracks | None = None,
) -> PersonalRecord:
    """Seal one person's sites, calls and tracks, put them as one object and return its record.

    ``chunks``: with one column, taken to their end before ``tracks`` (None: the file says nothing of what was assayed) is looked at.

    Raises:
        UsageError: as ``PartWriter.write``; and whatever ``chunks`` and ``put`` raise.
    """
    key = Secret(personal_key(genotype_key, owner.part_id, "sealed"))
    held = _Pieces()
    place = Place(0, 0, block_key(genotype_key, owner.dataset_id))
    with PartWriter(owner, [place], put=held.put, new_table_key=lambda: (KeyId(owner.part_id), key), random=random) as writer:
        records = [held.chunk(record) for record in writer.write(chunks)]
        directory = writer.directory()
    sealed = _Tracks(owner, personal_key(genotype_key, owner.part_id, "track"), key, held, random)
    found = [sealed.seal(number, contig, bins) for number, (contig, bins) in enumerate(_filled(tracks or {}))]
    index = PersonalIndex(directory, tuple(records), tuple(found)).to_bytes()
    data = b"".join([*held.pieces, blob := seal_blob(key, index_binding(owner), index, random=random)])
    name = f"{owner.part_id.hex()}/{new_id(random).hex()}.personal"
    put(name, data)
    return PersonalRecord(
        part_id=owner.part_id,
        n_sites=int(directory.n_sites.sum()),
        has_track=tracks is not None,
        object=name,
        total_bytes=len(data),
        sha256=sha256(data),
        index_bytes=len(blob),
    )


class _Pieces:
    """The object so far. ``put`` is a ``chunk_sealer.Put``."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._places: dict[str, Piece] = {}
        self._size = 0

    def put(self, name: str, data: bytes) -> None:
        self._places[name] = self.add(data)

    def add(self, data: bytes) -> Piece:
        place = Piece(self._size, len(data))
        self.pieces.append(data)
        self._size += len(data)
        return place

    def chunk(self, record: ChunkRecord) -> ChunkAt:
        (ref,), (name,) = record.containers, record.container_names
        return ChunkAt(self._places.pop(record.table_name), ContainerAt.of(ref, self._places.pop(name).at))


class _Tracks:
    """Seals the track of one contig after another."""

    def __init__(self, owner: Owner, track_key: bytes, length_key: Secret, held: _Pieces, random: RandomBytes) -> None:
        self._owner, self._key, self._length_key, self._held, self._random = owner, track_key, length_key, held, random

    def seal(self, number: int, contig: str, bins: Mapping[int, bytes]) -> TrackAt:
        first, end = min(bins), max(bins) + 1
        data, ref = seal_container(
            [self._key] * (end - first),
            [bins.get(at, b"") for at in range(first, end)],
            vault_id=self._owner.vault_id,
            dataset_id=self._owner.dataset_id,
            part_id=self._owner.part_id,
            chunk=number,
            group=TRACK_GROUP,
            length_key_id=self._owner.part_id,
            length_key=self._length_key,
            random=self._random,
        )
        return TrackAt(contig, first, end - first, ContainerAt.of(ref, self._held.add(data).at))


def _filled(tracks: Tracks) -> list[tuple[str, Mapping[int, bytes]]]:
    """Contigs with at least one bin."""
    return [(contig, bins) for contig, bins in tracks.items() if bins]
