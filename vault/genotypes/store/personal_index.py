"""Index of a personal part: where everything in its one object lies (docs/formats/genotypes.md §11). Plain bytes; ``personal_writer`` seals them.

Parsers are strict: anything off is one error, and every size is bounded before memory is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vault.crypto.envelope import Binding
from vault.genotypes.codec.site_coding import malformed
from vault.genotypes.store.containers import ContainerRef
from vault.genotypes.store.part_records import Owner
from vault.genotypes.store.site_tables import MAX_BINS, MAX_CONTIGS, PartDirectory
from vault.ids import ID_BYTES, ContainerId, KeyId, PartId

VERSION = 1
BLOCKS_GROUP, TRACK_GROUP = 0, 1  # group numbers that containers of calls and of tracks are bound to
NONCE_BYTES = 8

_HEAD = np.dtype(
    [("version", "u1"), ("reserved", "u1"), ("directory", "<u4"), ("chunks", "<u4"), ("names", "<u4"), ("tracks", "<u4")]
)
_CONTAINER = [("at", "<u8"), ("bytes", "<u4"), ("header", "<u4"), ("id", "u1", ID_BYTES), ("nonce", "u1", NONCE_BYTES)]
_CHUNK = np.dtype([("table_at", "<u8"), ("table_bytes", "<u4"), *_CONTAINER])
_TRACK = np.dtype([("first", "<u4"), ("bins", "<u4"), *_CONTAINER])


class Piece(NamedTuple):
    """Bytes of the object: offset and length."""

    at: int
    size: int


@dataclass(frozen=True)
class PersonalRecord:
    """A personal part as the books keep it. The sealed index is the end of the object."""

    part_id: PartId
    n_sites: int
    has_track: bool
    object: str
    total_bytes: int
    sha256: bytes
    index_bytes: int

    @property
    def key_id(self) -> KeyId:
        """Key id in the headers of what is sealed in it: the key is derived, and has no other id than the part."""
        return KeyId(self.part_id)


@dataclass(frozen=True)
class ContainerAt:
    """A container in the object. ``header_bytes``: of its sealed length table."""

    place: Piece
    header_bytes: int
    container_id: ContainerId
    nonce8: bytes

    def ref(self, owner: Owner, *, chunk: int, group: int, n_slots: int) -> ContainerRef:
        """The record that containers are opened by; its digest is the whole object's business."""
        return ContainerRef(
            container_id=self.container_id,
            nonce8=self.nonce8,
            vault_id=owner.vault_id,
            dataset_id=owner.dataset_id,
            part_id=owner.part_id,
            chunk=chunk,
            group=group,
            n_slots=n_slots,
            header_bytes=self.header_bytes,
            total_bytes=self.place.size,
            sha256=b"",
            length_key_id=owner.part_id,
        )

    @staticmethod
    def of(ref: ContainerRef, at: int) -> ContainerAt:
        """The container of a record, at an offset of the object."""
        return ContainerAt(Piece(at, ref.total_bytes), ref.header_bytes, ref.container_id, ref.nonce8)


@dataclass(frozen=True)
class ChunkAt:
    """A chunk in the object: its sealed site table, and the container with the person's one block."""

    table: Piece
    blocks: ContainerAt


@dataclass(frozen=True)
class TrackAt:
    """The track of one contig: a container whose slot i holds bin ``first_bin`` + i."""

    contig: str
    first_bin: int
    n_bins: int
    bins: ContainerAt


@dataclass(frozen=True)
class PersonalIndex:
    """The directory of the sites, and where chunks and tracks lie. Tracks are numbered by their order."""

    directory: PartDirectory
    chunks: tuple[ChunkAt, ...]
    tracks: tuple[TrackAt, ...]

    def to_bytes(self) -> bytes:
        """The serialised form."""
        directory = self.directory.to_bytes()
        names = b"".join(len(raw).to_bytes(2, "little") + raw for raw in (track.contig.encode() for track in self.tracks))
        head = np.array([(VERSION, 0, len(directory), len(self.chunks), len(names), len(self.tracks))], _HEAD)
        chunks = np.array([(*c.table, *_fields(c.blocks)) for c in self.chunks], _CHUNK)
        tracks = np.array([(t.first_bin, t.n_bins, *_fields(t.bins)) for t in self.tracks], _TRACK)
        return b"".join([head.tobytes(), directory, chunks.tobytes(), names, tracks.tobytes()])

    @staticmethod
    def from_bytes(data: bytes, *, size: int) -> PersonalIndex:
        """The reverse of ``to_bytes``; ``size``: bytes of the object before the index.

        Raises:
            IntegrityError: ``site_table_malformed``.
        """
        if len(data) < _HEAD.itemsize:
            raise malformed()
        head = np.frombuffer(data[: _HEAD.itemsize], _HEAD)[0]
        n_chunks, n_tracks = int(head["chunks"]), int(head["tracks"])
        sizes = (int(head["directory"]), n_chunks * _CHUNK.itemsize, int(head["names"]), n_tracks * _TRACK.itemsize)
        if head["version"] != VERSION or head["reserved"] or n_tracks > MAX_CONTIGS or len(data) != _HEAD.itemsize + sum(sizes):
            raise malformed()
        raw = iter(_cut(data[_HEAD.itemsize :], sizes))
        directory = PartDirectory.from_bytes(next(raw))
        chunks = tuple(_chunk(row, size) for row in np.frombuffer(next(raw), _CHUNK))
        names = list(_names(next(raw)))
        rows = np.frombuffer(next(raw), _TRACK)
        if len(directory) != len(chunks) or len(names) != len(rows) or len(set(names)) != len(names):
            raise malformed()
        return PersonalIndex(directory, chunks, tuple(_track(name, row, size) for name, row in zip(names, rows, strict=True)))


def index_binding(owner: Owner) -> Binding:
    """Binding of the sealed index."""
    return Binding(
        vault_id=owner.vault_id,
        collection="personal-part",
        record_id=owner.dataset_id + owner.part_id,
        key_id=owner.part_id,
        key_version=1,
        content_type=f"genovault/personal-part/{VERSION}",
    )


def _fields(container: ContainerAt) -> tuple[int, int, int, list[int], list[int]]:
    return (*container.place, container.header_bytes, list(container.container_id), list(container.nonce8))


def _chunk(row: np.void, size: int) -> ChunkAt:
    return ChunkAt(_piece(row["table_at"], row["table_bytes"], size), _container(row, size))


def _track(name: str, row: np.void, size: int) -> TrackAt:
    if not 0 < int(row["bins"]) <= MAX_BINS or int(row["first"]) + int(row["bins"]) > MAX_BINS:
        raise malformed()
    return TrackAt(name, int(row["first"]), int(row["bins"]), _container(row, size))


def _container(row: np.void, size: int) -> ContainerAt:
    place = _piece(row["at"], row["bytes"], size)
    if int(row["header"]) > place.size:
        raise malformed()
    return ContainerAt(place, int(row["header"]), ContainerId(row["id"].tobytes()), row["nonce"].tobytes())


def _piece(at: int, length: int, size: int) -> Piece:
    if int(at) + int(length) > size:
        raise malformed()
    return Piece(int(at), int(length))


def _cut(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size


def _names(data: bytes) -> Iterator[str]:
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "little")
        if end > len(data):
            raise malformed()
        try:
            yield data[at + 2 : end].decode()
        except UnicodeDecodeError:
            raise malformed() from None
        at = end
