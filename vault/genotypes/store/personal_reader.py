"""Reading a personal part: its index, its sites and calls through the reader of any part, and the bins of its track.

Nothing of it opens without the person's genotype key, and nothing of it is kept beyond one access.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from functools import cached_property, partial

from vault.crypto.envelope import open_blob
from vault.crypto.key_wrapping import block_key, personal_key
from vault.crypto.secret import Secret
from vault.genotypes.codec.format_constants import Payload
from vault.genotypes.store.block_access import BlockAccess, GroupAccess
from vault.genotypes.store.containers import open_blocks
from vault.genotypes.store.part_reader import FIRST_VERSION, GetRange, PartReader
from vault.genotypes.store.part_records import ChunkRecord, Owner, PartRecord
from vault.genotypes.store.personal_index import (
    BLOCKS_GROUP,
    TRACK_GROUP,
    PersonalIndex,
    PersonalRecord,
    Piece,
    TrackAt,
    index_binding,
)
from vault.genotypes.store.site_tables import find_contig


class PersonalPart:
    """One person's part, opened piece by piece with the person's genotype key.

    ``pool`` as in ``PartReader``.

    Raises, from whatever is asked of it:
        IntegrityError: ``blob_key_mismatch``, ``commitment_mismatch``, ``seal_broken``, ``site_table_malformed``, ``block_broken``: another key, or an object that is not what was written.
    """

    def __init__(
        self, owner: Owner, record: PersonalRecord, genotype_key: bytes, *, get_range: GetRange, pool: Executor | None = None
    ) -> None:
        self._owner, self._record, self._get, self._pool = owner, record, get_range, pool
        self._genotype_key = genotype_key
        self._key = Secret(personal_key(genotype_key, owner.part_id, "sealed"))

    @cached_property
    def index(self) -> PersonalIndex:
        """The opened index."""
        record = self._record
        before = record.total_bytes - record.index_bytes
        sealed = self._get(record.object, before, record.index_bytes)
        return PersonalIndex.from_bytes(open_blob(self._key, index_binding(self._owner), bytes(sealed)), size=before)

    @cached_property
    def access(self) -> BlockAccess:
        """The right to open the one block of each chunk, as column 0."""
        return BlockAccess.from_places([(BLOCKS_GROUP, 0)], [block_key(self._genotype_key, self._owner.dataset_id)])

    @cached_property
    def reader(self) -> PartReader:
        """Reader of sites and calls; it knows every chunk."""
        chunks = [self._chunk(ordinal) for ordinal in range(len(self.index.chunks))]
        return PartReader(
            self._owner,
            self._part(),
            chunks,
            get_range=self._piece,
            table_key=lambda _: self._key,
            pool=self._pool,
            directory=self.index.directory,
        )

    def track_of(self, contig: str) -> tuple[int, TrackAt] | None:
        """Number and place of the track of a contig, whichever way it is spelled; None if there is none."""
        names = [track.contig for track in self.index.tracks]
        found = find_contig(names, contig)
        return None if found is None else (names.index(found), self.index.tracks[names.index(found)])

    def bins(self, contig: str, wanted: Sequence[int]) -> dict[int, bytes]:
        """Encoded intervals of the wanted bins (ascending) of a contig; those without any are left out."""
        found = self.track_of(contig)
        if found is None:
            return {}
        number, track = found
        held = [at for at in wanted if track.first_bin <= at < track.first_bin + track.n_bins]
        if not held:
            return {}
        key = personal_key(self._genotype_key, self._owner.part_id, "track")
        slots = GroupAccess.from_slots(TRACK_GROUP, [at - track.first_bin for at in held], [key] * len(held))
        ref = track.bins.ref(self._owner, chunk=number, group=TRACK_GROUP, n_slots=track.n_bins)
        payloads, _ = open_blocks(ref, partial(self._range, track.bins.place), self._key, slots)
        return {at: payload for at, payload in zip(held, payloads, strict=True) if payload}

    def _range(self, place: Piece, offset: int, length: int) -> Payload:
        return self._get(self._record.object, place.at + offset, length)

    def _piece(self, name: str, offset: int, length: int) -> Payload:
        kind, ordinal = name.split(":")
        chunk = self.index.chunks[int(ordinal)]
        return self._range(chunk.table if kind == _TABLE else chunk.blocks.place, offset, length)

    def _chunk(self, ordinal: int) -> ChunkRecord:
        chunk = self.index.chunks[ordinal]
        return ChunkRecord(
            ordinal=ordinal,
            n_sites=int(self.index.directory.n_sites[ordinal]),
            table_name=f"{_TABLE}:{ordinal}",
            table_bytes=chunk.table.size,
            table_sha256=b"",
            table_key_id=self._record.key_id,
            table_version=FIRST_VERSION,
            containers=(chunk.blocks.ref(self._owner, chunk=ordinal, group=BLOCKS_GROUP, n_slots=1),),
            container_names=(f"{_BLOCKS}:{ordinal}",),
        )

    def _part(self) -> PartRecord:
        return PartRecord(
            part_id=self._record.part_id,
            n_subjects=1,
            n_sites=self._record.n_sites,
            n_chunks=len(self.index.chunks),
            total_bytes=self._record.total_bytes,
            directory_name="",
            directory_bytes=0,
            directory_sha256=b"",
            directory_key_id=self._record.key_id,
            length_key_id=self._record.key_id,
        )


_TABLE, _BLOCKS = "table", "blocks"  # names of pieces, inside one access
