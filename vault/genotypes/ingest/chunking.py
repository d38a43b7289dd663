"""Chunking: the batches of a file cut into chunks of at most ``CHUNK_SITES`` sites of one contig, each encoded as it fills."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from vault.errors import UsageError
from vault.genotypes.codec.call_codes import Escapes
from vault.genotypes.codec.encoded_chunk import SiteChunk
from vault.genotypes.codec.encoder import ChunkEncoder
from vault.genotypes.ingest.source import SiteBatch
from vault.genotypes.sites import Sites, site_ends
from vault.limits import CHUNK_SITES


def chunks_of(batches: Iterable[SiteBatch], columns: int, *, chunk_sites: int = CHUNK_SITES) -> Iterator[SiteChunk]:
    """The chunks of these batches, each as soon as it is full or its contig ends. Memory: one chunk, encoded.

    Raises:
        UsageError: ``part_places``: a batch with another number of columns; as ``ChunkEncoder``; and whatever ``batches`` raises.
    """
    contig, pieces, encoder = "", list[Sites](), ChunkEncoder(columns, capacity=chunk_sites)
    for batch in batches:
        if batch.rows.shape != (len(batch.sites), columns):
            raise UsageError("part_places", "a batch does not have one column for each place")
        for first, end, name in _contig_runs(batch.sites):
            at = first
            while at < end:
                if pieces and (name != contig or encoder.n_sites == chunk_sites):
                    yield _finished(pieces, encoder)
                    pieces, encoder = [], ChunkEncoder(columns, capacity=chunk_sites)
                stop, contig = min(end, at + chunk_sites - encoder.n_sites), name
                _add(batch, at, stop, pieces, encoder)
                at = stop
    if pieces:
        yield _finished(pieces, encoder)


def _add(batch: SiteBatch, first: int, end: int, pieces: list[Sites], encoder: ChunkEncoder) -> None:
    whole = end - first == len(batch.sites)
    pieces.append(batch.sites if whole else batch.sites.take(np.arange(first, end)))
    encoder.add(batch.rows.run(first, end), batch.escapes if whole else slice_escapes(batch.escapes, first, end))


def _finished(pieces: list[Sites], encoder: ChunkEncoder) -> SiteChunk:
    name = pieces[0].contigs[int(pieces[0].contig[0])]
    joined = Sites.concat(pieces) if len(pieces) > 1 else pieces[0]
    sites = replace(joined, contigs=(name,), contig=np.zeros(len(joined), np.int32))
    return SiteChunk(sites, int(site_ends(sites).max()), encoder.finish())


def slice_escapes(escapes: Escapes, first: int, end: int) -> Escapes:
    """The escapes of sites ``first`` to ``end``, counted from ``first``."""
    a, b = np.searchsorted(escapes.site, [first, end]).tolist()
    low, high = int(escapes.offset[a]), int(escapes.offset[b])
    return Escapes(
        escapes.site[a:b] - first,
        escapes.sample[a:b],
        escapes.offset[a : b + 1] - low,
        escapes.alleles[low:high],
        escapes.phased[low:high],
    )


def _contig_runs(sites: Sites) -> list[tuple[int, int, str]]:
    """(first, end, contig name) of each run of sites on one contig."""
    if not len(sites):
        return []
    edges = [0, *(np.flatnonzero(np.diff(sites.contig)) + 1).tolist(), len(sites)]
    return [(a, b, sites.contigs[int(sites.contig[a])]) for a, b in pairwise(edges)]
