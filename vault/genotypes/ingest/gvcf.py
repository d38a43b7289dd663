"""gVCF text → one person's calls and tracks: feeds whole lines to the kernel and settles each contig as it ends.

Strict as ``vcf``; what a rule leaves out is counted, not refused. The rules are those of docs/design/genotypes.md §13.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vault.genotypes.codec.call_codes import Escapes
from vault.genotypes.codec.callable_track import CallableTrack
from vault.genotypes.codec.packed_calls import CallRows
from vault.genotypes.contigs import Assembly
from vault.genotypes.ingest import gvcf_kernel as kernel
from vault.genotypes.ingest import gvcf_kernel_state as state
from vault.genotypes.ingest import vcf_kernel_state as shared
from vault.genotypes.ingest.assay_rule import AssayRule
from vault.genotypes.ingest.contig_order import ContigOrder
from vault.genotypes.ingest.gvcf_mode_kernel import has_block
from vault.genotypes.ingest.lines import Lines
from vault.genotypes.ingest.own_pairs import combine_pairs
from vault.genotypes.ingest.personal_calls import GvcfCounts, PersonalCalls
from vault.genotypes.ingest.reading import Progress
from vault.genotypes.ingest.source import SiteBatch
from vault.genotypes.ingest.text_kernel import gather
from vault.genotypes.ingest.vcf_header import VcfHeader
from vault.genotypes.ingest.vcf_refusals import refuse
from vault.genotypes.sites import Sites, TextColumn

if TYPE_CHECKING:
    from vault.genotypes.ingest.aligned_batches import Aligner

MODE_RECORDS = 10_000  # records by which the content tells whether a file has blocks

_NOTHING = np.zeros((0, 2), np.int64)
_ROWS, _INTERVALS, _TEXT, _ESCAPES, _KEYS = 1 << 14, 1 << 16, 1 << 20, 1 << 8, 1 << 8  # room to begin with; it doubles


def is_gvcf(lines: Lines) -> bool:
    """Test whether a file of one sample has a block of reference among its first records; call it before any is read.

    Raises:
        InputError: as the stream.
    """
    lines.look_ahead(MODE_RECORDS)
    return bool(has_block(lines.text, lines.start, lines.stop, MODE_RECORDS))


def read_personal(
    lines: Lines, header: VcfHeader, assembly: Assembly, rule: AssayRule, progress: Progress, *, aligner: Aligner | None = None
) -> PersonalCalls:
    """Read a whole gVCF under a rule. ``aligner``: holds the records to a reference sequence.

    Raises:
        InputError: with file, line, column and reason (``vcf_refusals``); as ``Aligner.batches``.
    """
    contigs = ContigOrder(lines.file, assembly)
    current = np.zeros(0, np.uint8)
    given, person, arrays = _as_arrays(rule), _Person(aligner), _Arrays()
    fill = np.zeros(state.FILL_SLOTS, np.int64)
    while lines.next_block(header.lines + int(fill[shared.LINES]) + 1):
        fill[shared.CURSOR] = lines.start
        while True:
            start = int(fill[shared.CURSOR])
            status = kernel.parse_lines(
                lines.text,
                lines.stop,
                leading_phase=header.minor >= 4,
                contig=current,
                rule=given,
                intervals=arrays.intervals,
                rows=arrays.rows,
                escapes=arrays.escapes,
                begins=arrays.begins,
                fill=fill,
                counts=person.counted,
            )
            cursor, line = int(fill[shared.CURSOR]), header.lines + int(fill[shared.LINES])
            if fill[shared.HIGH] & 0x80:
                lines.require_utf8(start, cursor, line)
            if status == shared.DONE:
                lines.start = cursor
                break
            if status == shared.NEW_CONTIG:
                person.finish(contigs.names, arrays, fill)
                name = lines.contig_at(cursor)
                fill[shared.LIMIT] = contigs.enter(name, line + 1)
                current = np.frombuffer(bytearray(name), np.uint8)
            elif not arrays.grow(status):
                refuse(lines.file, line + 1, status, int(fill[shared.COLUMN]))
        progress(lines.position, person.records + int(fill[shared.ROW]))
    person.finish(contigs.names, arrays, fill)
    if fill[state.UNTOLD_LINE] and not fill[state.TOLD]:
        refuse(lines.file, header.lines + int(fill[state.UNTOLD_LINE]), state.NO_CONFIDENCE, 0)
    return person.calls()


class _Arrays:
    """The kernel's output arrays for one contig; they grow, and serve the next contig again."""

    def __init__(self) -> None:
        self.intervals = (np.empty(_INTERVALS, np.int64), np.empty(_INTERVALS, np.int64), np.empty(_INTERVALS, np.uint8))
        self.rows = (
            np.empty(_ROWS, np.uint8),
            np.empty(_ROWS, np.int64),
            np.empty((_ROWS, shared.BOUNDS), np.int64),
            np.empty(_TEXT, np.uint8),
        )
        self.begins = np.empty(_KEYS, np.int64)
        self.escapes = (
            np.empty(_ESCAPES, np.int64),
            np.zeros(_ESCAPES + 1, np.int64),
            np.empty(8 * _ESCAPES, np.int16),
            np.empty(8 * _ESCAPES, np.uint8),
        )

    def grow(self, status: int) -> bool:
        """Make room for what the status says is full; False if it says something else."""
        codes, pos, bounds, text = self.rows
        if status == state.INTERVALS_FULL:
            first, last, level = self.intervals
            self.intervals = (_longer(first), _longer(last), _longer(level))
        elif status == shared.BATCH_FULL:
            self.rows = (_longer(codes), _longer(pos), _longer(bounds), text)
        elif status == shared.TEXT_FULL:
            self.rows = (codes, pos, bounds, _longer(text))
        elif status == shared.ESCAPES_FULL:
            site, offset, alleles, phased = self.escapes
            self.escapes = (_longer(site), _longer(offset), _longer(alleles), _longer(phased))
        elif status == state.KEYS_FULL:
            self.begins = _longer(self.begins)
        else:
            return False
        return True

    def track(self, count: int) -> CallableTrack:
        """The track of the contig's intervals."""
        first, last, level = self.intervals
        return CallableTrack.lowest(first[:count], last[:count], level[:count])

    def batch(self, contig: str, rows: int, escaped: int) -> SiteBatch:
        """The contig's records in the order of their positions, which trimming may have changed."""
        codes, pos, bounds, text = self.rows
        columns = [TextColumn(*gather(text, bounds[:rows, k], bounds[:rows, k + 1])) for k in range(shared.BOUNDS - 1)]
        sites = Sites((contig,), np.zeros(rows, np.int32), pos[:rows].copy(), *columns)
        site, offset, alleles, phased = self.escapes
        total = int(offset[escaped])
        escapes = Escapes(site[:escaped], np.zeros(escaped, np.int64), offset[: escaped + 1], alleles[:total], phased[:total])
        order = np.argsort(sites.pos, kind="stable")
        place = np.empty(rows, np.int64)
        place[order] = np.arange(rows)
        moved = replace(escapes, site=place[escapes.site])
        kept = CallRows.from_codes(codes[:rows, None][order])
        return SiteBatch(sites.take(order), kept, moved.take(np.argsort(moved.site, kind="stable")))


class _Person:
    """Track of the person as far as it was read, contig by contig."""

    def __init__(self, aligner: Aligner | None) -> None:
        self._aligner = aligner
        self.counted = np.zeros(len(state.COUNTED), np.int64)
        self.records = 0
        self._batches: dict[str, SiteBatch] = {}
        self._tracks: dict[str, CallableTrack] = {}
        self._combined = self._apart = 0

    def finish(self, contigs: tuple[str, ...], arrays: _Arrays, fill: np.ndarray) -> None:
        """Take over what is in the arrays, of the last of the contigs, and reset ``fill`` for the next."""
        rows, intervals, escaped = (int(fill[k]) for k in (shared.ROW, state.INTERVALS, shared.ESCAPES))
        fill[[shared.ROW, shared.TEXT, shared.ESCAPES, shared.ESCAPE_ALLELES]] = 0
        fill[[state.INTERVALS, state.BLOCK_END, state.RECORD_END]] = 0, -1, -1
        fill[shared.LAST_POSITION] = -1
        batch, moved = (arrays.batch(contigs[-1], rows, escaped) if rows else None), _NOTHING
        if batch is not None and self._aligner is not None:
            batch, moved = self._aligner.whole(batch)
        if intervals:
            track = arrays.track(intervals)
            track = track.cut(moved[:, 0], moved[:, 1]) if len(moved) else track
            if len(track):
                self._tracks[contigs[-1]] = track
        if batch is not None:
            batch, combined, apart = combine_pairs(batch)
            self._combined += combined
            self._apart += apart
            self.records += len(batch.sites)
            if len(batch.sites):
                self._batches[contigs[-1]] = batch

    def calls(self) -> PersonalCalls:
        """All of it."""
        counted = dict(zip(state.COUNTED, self.counted.tolist(), strict=True))
        counts = GvcfCounts(**counted, kept=self.records, pairs_combined=self._combined, pairs_not_combined=self._apart)
        return PersonalCalls(self._batches, self._tracks, counts)


def _as_arrays(rule: AssayRule) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    numbers = np.zeros(state.RULE_SLOTS, np.int64)
    numbers[[state.RULE_GQ, state.RULE_DP, state.RULE_DP_HAPLOID]] = rule.min_gq, rule.min_dp, rule.min_dp_haploid
    numbers[state.RULE_KEEP] = rule.filtered == "keep"
    names = [name.encode() for name in rule.accepted_filters]
    ends = np.cumsum([len(name) for name in names], dtype=np.int64)
    return numbers, np.frombuffer(b"".join(names), np.uint8), ends


def _longer(array: np.ndarray) -> np.ndarray:
    """The array with as much room again behind it, of the same dtype."""
    return np.concatenate([array, np.empty_like(array)])
