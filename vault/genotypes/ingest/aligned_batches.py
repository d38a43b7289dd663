"""Batches of a file held against a reference sequence: REF is checked, indels are left-aligned, and the order of positions is kept.

What has been read is held back as far as a later record may move before it. A record is left where it is if an ALT is no sequence, or if
its INFO says where it ends. Bases that the reference does not know (N and other codes) settle nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vault.errors import InputError
from vault.genotypes.codec.call_codes import join_escapes
from vault.genotypes.codec.packed_calls import CallRows
from vault.genotypes.ingest.left_alignment import MOST_SHIFT, is_indel, left_aligned
from vault.genotypes.ingest.reference_sequence import ReferenceSequence
from vault.genotypes.ingest.source import SiteBatch
from vault.genotypes.sites import Sites

_KNOWN = np.zeros(256, np.bool_)
_KNOWN[list(b"ACGT")] = True
_UPPER = np.arange(256, dtype=np.uint8)
_UPPER[ord("a") : ord("z") + 1] -= 32


@dataclass
class Aligner:
    """A reference sequence, and the file that is held against it."""

    reference: ReferenceSequence
    file: str
    _seen: int = 0

    def whole(self, batch: SiteBatch) -> tuple[SiteBatch, NDArray[np.int64]]:
        """All of one contig of one person: by position, and int64[k, 2] the first and last base of each REF that was moved. Raises as ``batches``."""
        sites, moved = self._aligned(batch.sites)
        spans = np.stack([sites.pos[moved], sites.pos[moved] + sites.ref_lengths()[moved] - 1], axis=1)
        return taken(replace(batch, sites=sites), np.argsort(sites.pos, kind="stable")), spans

    def batches(self, read: Iterable[SiteBatch]) -> Iterator[SiteBatch]:
        """The batches, in the order of the positions that records have now.

        Raises:
            InputError: ``ref_mismatch``, ``fasta_lacks_contig``, ``bad_fasta``.
        """
        held: SiteBatch | None = None
        for batch in read:
            for run in _runs(batch):
                if held is not None and _contig(held) != _contig(run):
                    yield held
                    held = None
                last = int(run.sites.pos[-1])
                sites, _ = self._aligned(run.sites)
                joined = replace(run, sites=sites) if held is None else _joined(held, replace(run, sites=sites))
                order = np.argsort(joined.sites.pos, kind="stable")
                ready = int(np.searchsorted(joined.sites.pos[order], last - MOST_SHIFT))
                if ready:
                    yield taken(joined, order[:ready])
                held = taken(joined, order[ready:])
        if held is not None and len(held.sites):
            yield held

    def _aligned(self, sites: Sites) -> tuple[Sites, NDArray[np.int64]]:
        """Sites of one contig, left-aligned in their places, and int64[k]: which were changed."""
        contig = sites.contigs[int(sites.contig[0])]
        self.reference.require(contig)
        self._require_ref(contig, sites)
        lengths, commas = np.diff(sites.alleles.offsets), sites.n_alleles() - 1
        told = np.diff(sites.info.offsets) > 0
        rows, places, texts = [], [], []
        for row in np.flatnonzero((lengths > 2 * commas + 1) & ~told).tolist():
            alleles = sites.alleles[row].upper()
            if is_indel(alleles):
                before = int(sites.pos[row]), alleles.split(b",")
                after = left_aligned(*before, lambda first, last: self.reference.bases(contig, first, last))
                if after != before:
                    rows.append(row)
                    places.append(after[0])
                    texts.append(b",".join(after[1]))
        changed = np.array(rows, np.int64)
        if not rows:
            return sites, changed
        pos = sites.pos.copy()
        pos[changed] = places
        return replace(sites, pos=pos, alleles=sites.alleles.replace(changed, texts)), changed

    def _require_ref(self, contig: str, sites: Sites) -> None:
        """Hold every base of every REF against the reference. Raises InputError ``ref_mismatch``."""
        lengths = sites.ref_lengths()
        row = np.repeat(np.arange(len(sites)), lengths)
        inner = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        stated = _UPPER[sites.alleles.data[sites.alleles.offsets[:-1][row] + inner]]
        there = self.reference.at(contig, sites.pos[row] + inner)
        wrong = len(np.unique(row[((stated != there) & _KNOWN[stated] & _KNOWN[there]) | (there == 0)]))
        self._seen += len(sites)
        if wrong:
            raise InputError(
                "ref_mismatch",
                f"{self.file}: {wrong:,} of the first {self._seen:,} records have another REF than {self.reference.name}",
                hint="another assembly, or another FASTA, than the file was made with; bcftools norm -c w -f names the records",
            )


def taken(batch: SiteBatch, order: NDArray[np.int64]) -> SiteBatch:
    """The chosen rows of a batch, in the order given."""
    place = np.full(len(batch.sites), -1, np.int64)
    place[order] = np.arange(len(order))
    site = place[batch.escapes.site]
    kept = np.flatnonzero(site >= 0)
    kept = kept[np.lexsort((batch.escapes.sample[kept], site[kept]))]
    rows = batch.rows
    calls = CallRows(rows.form[order], rows.bits[order], rows.codes[order])
    return SiteBatch(batch.sites.take(order), calls, replace(batch.escapes.take(kept), site=site[kept]))


def _joined(one: SiteBatch, other: SiteBatch) -> SiteBatch:
    first, second = one.rows, other.rows
    rows = CallRows(
        np.concatenate([first.form, second.form]),
        np.concatenate([first.bits, second.bits]),
        np.concatenate([first.codes, second.codes]),
    )
    escapes = join_escapes([one.escapes, other.escapes], [0, len(one.sites)])
    return SiteBatch(Sites.concat([one.sites, other.sites]), rows, escapes)


def _runs(batch: SiteBatch) -> Iterator[SiteBatch]:
    """Runs of rows on one contig."""
    edges = np.flatnonzero(np.diff(batch.sites.contig)) + 1
    for rows in np.split(np.arange(len(batch.sites)), edges):
        if len(rows):
            yield batch if len(rows) == len(batch.sites) else taken(batch, rows)


def _contig(batch: SiteBatch) -> str:
    return batch.sites.contigs[int(batch.sites.contig[0])]
