"""One person's calls out of the part that they are in, to be sealed again as a part of somebody's own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from vault.crypto.key_wrapping import block_key
from vault.genotypes.catalog import compacted_access, overlap, parts
from vault.genotypes.catalog.overlap import Source
from vault.genotypes.catalog.part_list import AnyPart
from vault.genotypes.catalog.row_mapping import owner_from_row, personal_from_row
from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.codec.encoder import ChunkEncoder
from vault.genotypes.codec.packed_calls import CallRows
from vault.genotypes.sites import site_ends
from vault.genotypes.store.personal_reader import PersonalPart
from vault.genotypes.store.personal_writer import Tracks
from vault.genotypes.store.site_redaction import shown
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PersonalPartRow


def opened(vault: UnlockedVault, row: AnyPart, person: SubjectId, key: bytes) -> tuple[Source, Tracks | None]:
    """The calls where they are, and what the person's file said of what was assayed. ``key``: the person's genotype key."""
    owner = owner_from_row(vault.vault_id, row)
    if isinstance(row, PersonalPartRow):
        record = personal_from_row(row)
        part = PersonalPart(owner, record, key, get_range=vault.objects.get_range)
        spans = {track.contig: range(track.first_bin, track.first_bin + track.n_bins) for track in part.index.tracks}
        held = {contig: part.bins(contig, bins) for contig, bins in spans.items()}
        return overlap.of_own(vault, owner, record, (person, key)), held if row.has_track else None
    reader, slots = parts.open_part(vault, row), parts.members(vault, row, [person])
    learn = partial(parts.learn, vault, reader)
    if row.compacted is not None:
        rows, access, tracks = compacted_access.own_part(vault, row, person, key)
        return Source(row.part_id, rows, {person}, lambda _: access, learn), tracks
    blocks = {person: block_key(key, row.dataset_id)}
    return overlap.of_shared(reader.reader, slots, blocks, learn=learn), None


def chunks(source: Source, person: SubjectId) -> Iterator[SiteChunk]:
    """The sites of a part that are still told, with one person's calls."""
    for ordinal in range(source.reader.part.n_chunks):
        source.learn([ordinal])
        rows = shown(source.reader.sites(ordinal))
        if len(rows):
            sites, codes, escapes = source.reader.read([ordinal], [rows], source.access([person]))
            encoder = ChunkEncoder(1, capacity=len(sites))
            encoder.add(CallRows.from_codes(np.ascontiguousarray(codes)), escapes)
            yield SiteChunk(sites, int(site_ends(sites).max()), encoder.finish())
        source.reader.forget()
