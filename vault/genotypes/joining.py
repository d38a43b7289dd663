"""Joining of parts of one person's import each into a compacted part: read in windows, sealed again for the same people.

Calls and tracks go as they are: where a person has no record nothing is filled in, and the track goes on telling what was assayed
(docs/design/genotypes.md §16). Nothing here decides whose parts these are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vault.crypto.key_wrapping import KeyPurpose, block_keys, personal_key
from vault.crypto.secret import Secret
from vault.genotypes.catalog import compacted_parts, parts
from vault.genotypes.catalog.row_mapping import owner_from_row, personal_from_row
from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.compute.threads import decoding_pool
from vault.genotypes.ingest.chunking import chunks_of
from vault.genotypes.ingest.source import SiteBatch
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.part_records import ChunkRecord, Owner, PartRecord, Place, TrackRecord
from vault.genotypes.store.part_writer import PartWriter
from vault.genotypes.store.personal_reader import PersonalPart
from vault.genotypes.store.record_join import join_records
from vault.genotypes.store.windows import Choice, PartChoice
from vault.ids import KeyId, PartId, SubjectId
from vault.limits import CHUNK_SITES
from vault.session.unlocked_vault import UnlockedVault
from vault.session.wrapped_keys import FreshKeys
from vault.storage.book_tables import PartRow, PersonalPartRow

_WINDOW_CALLS = 64 << 20  # call codes in memory at a time

Tracks = Callable[[str], Sequence[Mapping[int, bytes]]]
"""``tracks(contig)``: of each person the encoded bins."""


@dataclass(frozen=True)
class Joining:
    """A part that is to be joined with others. ``contigs``: those of its tracks."""

    part_id: PartId
    people: Sequence[SubjectId]
    choice: PartChoice
    contigs: Sequence[str]
    tracks: Tracks


@dataclass(frozen=True)
class Joined:
    """A compacted part, as written. ``slots``: the (group, slot) of each person."""

    record: PartRecord
    chunks: Sequence[ChunkRecord]
    tracks: Sequence[TrackRecord]
    slots: Mapping[SubjectId, tuple[int, int]]

    @property
    def blobs(self) -> list[bytes]:
        """Digests of its objects."""
        tables = [self.record.directory_sha256, *(chunk.table_sha256 for chunk in self.chunks)]
        refs = [each.containers for each in self.chunks] + [each.containers for each in self.tracks]
        return [*tables, *(ref.sha256 for group in refs for ref in group)]


def of_personal(vault: UnlockedVault, row: PersonalPartRow, key: bytes, first: int) -> Joining:
    """A personal part, whose person gets column ``first``. ``key``: the person's genotype key."""
    owner, record = owner_from_row(vault.vault_id, row), personal_from_row(row)
    part = PersonalPart(owner, record, key, get_range=vault.objects.get_range, pool=decoding_pool())
    choice = PartChoice.from_reader(
        part.reader, [(at, None) for at in range(len(part.index.chunks))], part.access, np.array([first], np.int64)
    )
    spans = {track.contig: range(track.first_bin, track.first_bin + track.n_bins) for track in part.index.tracks}
    return Joining(
        record.part_id,
        [SubjectId(row.subject_id)],
        choice,
        list(spans),
        lambda contig: [part.bins(contig, spans[contig]) if contig in spans else {}],
    )


def of_compacted(vault: UnlockedVault, row: PartRow, keys: Mapping[bytes, bytes], first: int) -> Joining:
    """A compacted part, whose people get the columns from ``first`` on. ``keys``: genotype keys of all of them."""
    opened, slots = parts.open_part(vault, row, keep=False), parts.members(vault, row)
    parts.learn(vault, opened, range(row.n_chunks))
    people, genotype_keys = list(slots), [keys[subject] for subject in slots]
    access = BlockAccess.from_places(list(slots.values()), block_keys(genotype_keys, row.dataset_id))
    columns = np.arange(first, first + len(people))
    choice = PartChoice.from_reader(opened.reader, [(at, None) for at in range(row.n_chunks)], access, columns, compacted=True)
    directory = opened.reader.directory
    contigs = list(dict.fromkeys(directory.contigs[run.contig] for run in directory.tracks))
    shared = compacted_parts.tracks(vault, opened, list(slots.values()), genotype_keys)
    return Joining(PartId(row.part_id), people, choice, contigs, shared.whole)


def write_joined(
    vault: UnlockedVault,
    owner: Owner,
    sources: Sequence[Joining],
    keys: Mapping[bytes, bytes],
    slots: Mapping[SubjectId, tuple[int, int]],
) -> Joined:
    """Write the sealed objects of a compacted part, and store the keys of its tables. ``keys``: genotype keys of everybody in it.

    Raises:
        IntegrityError: a part is not what was written. UnavailableError: ``erasure_pending``; a store does not answer.
    """
    people = [subject for source in sources for subject in source.people]
    own = [keys[subject] for subject in people]
    places = [Place(*slots[s], key) for s, key in zip(people, block_keys(own, owner.dataset_id), strict=True)]
    track_keys = [personal_key(key, owner.part_id, "track") for key in own]
    drawn: list[FreshKeys] = []

    def new_table_key() -> tuple[KeyId, Secret]:
        drawn.append(vault.keys.draw(KeyPurpose.SITE_TABLE, [owner.part_id], version=len(drawn) + 1))
        return KeyId(drawn[-1].key_ids[0]), Secret(drawn[-1].keys[0])

    with PartWriter(owner, places, put=vault.objects.put, new_table_key=new_table_key, random=vault.random) as writer:
        chunks = list(writer.write(_chunks(sources, len(people))))
        tracks = list(_write_tracks(writer, sources, track_keys))
        record = writer.finish()
    vault.keys.store(drawn)
    return Joined(record, chunks, tracks, slots)


def _chunks(sources: Sequence[Joining], n_people: int) -> Iterator[SiteChunk]:
    choice = Choice([source.choice for source in sources], n_people)
    return chunks_of(_batches(choice, max(1, min(CHUNK_SITES, _WINDOW_CALLS // n_people))), n_people)


def _batches(choice: Choice, n_sites: int) -> Iterator[SiteBatch]:
    for window in choice.windows(n_sites):
        batch = join_records([part.calls(piece) for part, piece in window.pieces], choice.n_columns)
        if len(batch.sites):
            yield batch


def _write_tracks(writer: PartWriter, sources: Sequence[Joining], keys: Sequence[bytes]) -> Iterator[TrackRecord]:
    """The tracks contig by contig, in runs of as many bins as make a chunk's number of slots."""
    at_once = max(1, CHUNK_SITES // len(keys))
    for contig in dict.fromkeys(contig for source in sources for contig in source.contigs):
        bins = [person for source in sources for person in source.tracks(contig)]
        held = sorted({at for person in bins for at in person})
        for first in range(held[0], held[-1] + 1, at_once) if held else ():
            run = range(first, min(first + at_once, held[-1] + 1))
            if any(at in run for at in held):
                yield writer.write_tracks(contig, run, bins, keys)
