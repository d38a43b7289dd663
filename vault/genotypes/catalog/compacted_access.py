"""People of a compacted part as a dataset's reader takes them: each with the track of their own import, and where its variants lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from policies.loci import Interval
from vault.crypto.key_wrapping import block_key
from vault.genotypes.catalog import compacted_parts, parts
from vault.genotypes.catalog.parts import OpenPart
from vault.genotypes.codec.call_codes import ABSENT
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.own_rows import OwnRows
from vault.genotypes.store.reference_fill import OwnTrack, Spans, variant_spans
from vault.genotypes.store.selections import Selection
from vault.genotypes.store.shared_tracks import SharedTracks
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PartRow


def compacted_people(
    vault: UnlockedVault,
    part: OpenPart,
    columns: NDArray[np.int64],
    slots: Sequence[tuple[int, int]],
    genotype_keys: Sequence[bytes],
) -> list[CompactedPerson]:
    """Some people of a compacted part. ``columns`` int64[k]: of the view; ``slots``, ``genotype_keys`` of each."""
    held = _Held(vault, part, slots, genotype_keys)
    return [CompactedPerson(held, at, column) for at, column in enumerate(columns.tolist())]


@dataclass
class _Held:
    """A compacted part, and the places and keys of some of its people."""

    vault: UnlockedVault
    part: OpenPart
    slots: Sequence[tuple[int, int]]
    genotype_keys: Sequence[bytes]

    @cached_property
    def tracks(self) -> SharedTracks:
        return compacted_parts.tracks(self.vault, self.part, self.slots, self.genotype_keys)

    @property
    def has_tracks(self) -> bool:
        return self.part.row.compacted == compacted_parts.TRACKED

    def access(self, at: int) -> BlockAccess:
        """The right to open one person's blocks."""
        return BlockAccess.from_places([self.slots[at]], [block_key(self.genotype_keys[at], self.part.row.dataset_id)])


class CompactedPerson:
    """A person of a compacted part: ``column`` of the view."""

    def __init__(self, held: _Held, at: int, column: int) -> None:
        self.column, self.has_track = column, held.has_tracks
        self._held, self._at = held, at
        self.track = OwnTrack(lambda contig, wanted: held.tracks.bins(contig, wanted)[at])

    def derive(self) -> None:
        """Derive the keys of the tracks of everybody who is read in the part now."""
        if self.has_track:
            _ = self._held.tracks

    def forget(self) -> None:
        """Let go of everything that was opened."""
        self.track.forget()
        if self.has_track:
            self._held.tracks.forget()

    def variants(self, contig: str, first: int, last: int) -> Spans:
        """As ``reference_fill.Variants``: of the person's own records with an ALT called."""
        held, selection = self._held, Selection(regions=(Interval.from_positions(contig, first, last),))
        reader, chosen = parts.choose_chunks(held.vault, held.part.row, selection)
        ordinals, rows = [at for at, _ in chosen], [rows for _, rows in chosen]
        return variant_spans(*reader.read(ordinals, rows, held.access(self._at)))


def own_contigs(
    vault: UnlockedVault, row: PartRow, people: Sequence[SubjectId], genotype_keys: Mapping[bytes, bytes]
) -> list[str]:
    """Contigs on which any of some people of a compacted part has a record."""
    part, slots = parts.open_part(vault, row), parts.members(vault, row, people)
    parts.learn(vault, part, range(row.n_chunks))
    keys = [genotype_keys[subject] for subject in slots]
    access = BlockAccess.from_places(list(slots.values()), [block_key(key, row.dataset_id) for key in keys])
    directory, found = part.reader.directory, list[str]()
    for number, name in enumerate(directory.contigs):
        chunks = np.flatnonzero(directory.contig == number).tolist()
        if any((part.reader.read([at], None, access)[1] != ABSENT).any() for at in chunks):
            found.append(name)
    return found


def own_part(
    vault: UnlockedVault, row: PartRow, person: SubjectId, genotype_key: bytes
) -> tuple[OwnRows, BlockAccess, dict[str, Mapping[int, bytes]] | None]:
    """One person's records of a compacted part, the right to read them, and the person's track by contig (None: the import had none)."""
    part, slots = parts.open_part(vault, row), parts.members(vault, row, [person])
    access = BlockAccess.from_places(list(slots.values()), [block_key(genotype_key, row.dataset_id)])
    rows = OwnRows(part.reader, access)
    if row.compacted != compacted_parts.TRACKED:
        return rows, access, None
    tracks = compacted_parts.tracks(vault, part, list(slots.values()), [genotype_key])
    contigs = dict.fromkeys(part.reader.directory.contigs[run.contig] for run in part.reader.directory.tracks)
    return rows, access, {contig: tracks.whole(contig)[0] for contig in contigs}


def tracks_of(
    vault: UnlockedVault, part: OpenPart, slots: Mapping[SubjectId, tuple[int, int]], genotype_keys: Mapping[bytes, bytes]
) -> dict[SubjectId, dict[str, OwnTrack]]:
    """Tracks of some people of a compacted part, by person and contig; none where their imports had none. ``slots``: their places."""
    if part.row.compacted != compacted_parts.TRACKED:
        return {}
    directory = part.reader.directory
    contigs = dict.fromkeys(directory.contigs[run.contig] for run in directory.tracks)
    shared = compacted_parts.tracks(vault, part, list(slots.values()), [genotype_keys[subject] for subject in slots])
    own = [OwnTrack(partial(_bins_of, shared, at)) for at in range(len(slots))]
    return {subject: dict.fromkeys(contigs, track) for subject, track in zip(slots, own, strict=True)}


def _bins_of(shared: SharedTracks, at: int, contig: str, wanted: Sequence[int]) -> dict[int, bytes]:
    return shared.bins(contig, wanted)[at]
