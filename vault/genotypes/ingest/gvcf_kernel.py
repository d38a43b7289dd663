"""The gVCF body kernel: lines of one person's text → intervals of the track and the records that are kept (docs/design/genotypes.md §13).

As ``vcf_kernel``: whole lines are taken from ``buf``; what cannot be settled inside comes back as a status, with nothing of that line
committed. Intervals come out in the order of the file, which is that of their starts; ``CallableTrack.lowest`` settles what overlaps.
"""
# ruff: noqa: C901, PLR0911, PLR0912, PLR0915, PLR0917 - a kernel is one pass over a line: statuses out of the middle, flat arguments
# ruff: noqa: PLR1714 - "c in (a, b)" compiles to a loop over a tuple
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from vault.genotypes.codec.call_codes import ESCAPE
from vault.genotypes.codec.format_constants import TRACK_HAPLOID
from vault.genotypes.compute.jit import RO, RW, bare_helper, kernel
from vault.genotypes.ingest import gvcf_kernel_state as state
from vault.genotypes.ingest.gvcf_field_kernel import (
    alts,
    format_keys,
    has_value,
    info_numbers,
    is_accepted,
    least_depth,
    subfield_number,
    subfields,
)
from vault.genotypes.ingest.gvcf_kernel_state import (
    ABSENT,
    BAD_NUMBER,
    BLOCK_BEYOND,
    BLOCK_DISAGREES,
    BLOCK_END,
    BLOCK_END_BEFORE,
    BLOCK_END_TEXT,
    BLOCK_LENGTH,
    INFO_END,
    INTERVALS,
    INTERVALS_FULL,
    KEYS_FULL,
    MALFORMED,
    NO_CONFIDENCE,
    RECORD_END,
)
from vault.genotypes.ingest.gvcf_record_kernel import call_code, common_ends, copy_alleles, deletes, drop_uncalled
from vault.genotypes.ingest.vcf_call_kernel import long_call
from vault.genotypes.ingest.vcf_info_kernel import SPANS, copy_fields, structural_fields
from vault.genotypes.ingest.vcf_kernel_state import (
    BAD_GT,
    BATCH_FULL,
    COLUMN,
    CURSOR,
    DONE,
    ESCAPE_ALLELES,
    ESCAPES,
    ESCAPES_FULL,
    HIGH,
    LAST_POSITION,
    LIMIT,
    LINE_TOO_LONG,
    LINES,
    NEW_CONTIG,
    ROW,
    TEXT,
    TEXT_FULL,
)
from vault.genotypes.ingest.vcf_line_kernel import bytes_or, columns, is_contig, place, qual_and_filter
from vault.genotypes.ingest.vcf_scan_kernel import LF, copy
from vault.limits import MAX_ALTS, MAX_LINE_BYTES, MAX_PLOIDY

_COLUMNS: Final = 9
_CACHED = 512  # bytes of a FORMAT that is remembered from line to line

_PARSE_SIGNATURE = types.int64(
    RW(types.uint8), types.int64, types.boolean, RW(types.uint8),  # buf … contig
    RO(types.int64), RO(types.uint8), RO(types.int64),  # rule, names, name_ends
    RW(types.int64), RW(types.int64), RW(types.uint8),  # first, last, level
    RW(types.uint8), RW(types.int64), RW(types.int64, 2), RW(types.uint8),  # codes, pos, bounds, text
    RW(types.int64), RW(types.int64), RW(types.int16), RW(types.uint8),  # escapes
    RW(types.int64), RW(types.int64), RW(types.int64),  # begins, fill, counts
)  # fmt: skip


def parse_lines(
    buf: NDArray[np.uint8],
    stop: int,
    *,
    leading_phase: bool,
    contig: NDArray[np.uint8],
    rule: tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]],
    intervals: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]],
    rows: tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]],
    escapes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int16], NDArray[np.uint8]],
    begins: NDArray[np.int64],
    fill: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> int:
    """Parse the lines of ``buf[fill[CURSOR]:stop]`` and return a status; the one typed entrance to the kernel.

    ``buf`` as in ``vcf_kernel``. ``rule``: int64[RULE_SLOTS], and the names of accepted filters, uint8[] and int64[k] ends. ``intervals``:
    start and end int64[], level uint8[]. ``rows``: codes uint8[m], pos int64[m], bounds int64[m, BOUNDS], text uint8[]. ``escapes``:
    site int64[], offset (one longer), alleles, phased. ``begins``: int64[], longer than a FORMAT has keys. ``fill`` int64[FILL_SLOTS], ``counts`` int64[COUNTED].
    """
    return int(_parse_lines(buf, stop, leading_phase, contig, *rule, *intervals, *rows, *escapes, begins, fill, counts))


@bare_helper
def _reach(buf: Any, position: Any, ref_length: Any, begins: Any, count: Any, length_key: Any, values: Any) -> Any:
    """(status, last base) of a block: INFO/END, else FORMAT/LEN, else over REF (VCF 4.5 §1.6.1 field 8, §1.6.2)."""
    end = position + ref_length - 1
    if values[INFO_END] == MALFORMED:
        return BLOCK_END_TEXT, end
    if values[INFO_END] != ABSENT:
        end = values[INFO_END]
        if end < position:
            return BLOCK_END_BEFORE, end
    length = subfield_number(buf, begins, count, length_key)
    if length != ABSENT:
        if length < 1:
            return BLOCK_LENGTH, end
        if values[INFO_END] != ABSENT and end != position + length - 1:
            return BLOCK_DISAGREES, end
        end = position + length - 1
    return DONE, end


@bare_helper
def _add(start: Any, end: Any, grade: Any, first: Any, last: Any, level: Any, fill: Any) -> None:
    """Add an interval, or lengthen the one before, which it continues."""
    found = fill[INTERVALS]
    start = max(start, 1)  # VCF puts what lies before a chromosome at 0
    if end < start:
        return
    if found and level[found - 1] == grade and (last[found - 1] + 1 == start or (grade == 0 and last[found - 1] >= start - 1)):
        last[found - 1] = max(last[found - 1], end)
        return
    first[found], last[found], level[found] = start, end, grade
    fill[INTERVALS] = found + 1


@kernel(_PARSE_SIGNATURE)
def _parse_lines(
    buf: Any,
    stop: Any,
    leading_phase: Any,
    contig: Any,
    rule: Any,
    names: Any,
    name_ends: Any,
    first: Any,
    last: Any,
    level: Any,
    codes: Any,
    pos: Any,
    bounds: Any,
    text: Any,
    site: Any,
    offset: Any,
    alleles: Any,
    phased: Any,
    begins: Any,
    fill: Any,
    counts: Any,
) -> Any:
    ends = np.empty(_COLUMNS, np.int64)
    alt_ends, kinds = np.empty(MAX_ALTS, np.int64), np.empty(MAX_ALTS, np.int64)
    renumber = np.empty(MAX_ALTS + 1, np.int64)
    call = np.empty(2 * MAX_PLOIDY, np.int64)
    where = np.empty(len(state.KEYS), np.int64)
    values = np.empty(state.INFO_SLOTS, np.int64)
    spans = np.zeros(SPANS, np.int64)
    cached = np.empty(_CACHED, np.uint8)
    cached_size, keys = 0, 0
    fill[HIGH] = 0
    while fill[CURSOR] < stop:
        row = fill[ROW]
        if row == len(codes):
            return BATCH_FULL
        if fill[INTERVALS] == len(first):
            return INTERVALS_FULL
        line = fill[CURSOR]
        status, p = columns(buf, line, _COLUMNS, False, ends, fill)
        if status != DONE:
            return status
        if not is_contig(buf, line, ends[0], contig):
            return NEW_CONTIG
        status, position = place(buf, ends, fill)
        if status != DONE:
            return status
        ref, ref_end = ends[2] + 1, ends[3]
        status, n_alts, real = alts(buf, ref_end + 1, ends[4], alt_ends, kinds, fill)
        if status != DONE:
            return status
        status = qual_and_filter(buf, ends, fill)
        if status != DONE:
            return status

        # FORMAT, which is most often that of the line before.
        size = ends[8] - ends[7] - 1
        same = size == cached_size
        if same:
            for d in range(size):
                same = same and buf[ends[7] + 1 + d] == cached[d]
        if not same:
            fill[COLUMN] = 9
            status, keys = format_keys(buf, ends[7] + 1, ends[8], where)
            if status != DONE:
                return status
            cached_size = size if size <= _CACHED else 0
            for d in range(cached_size):
                cached[d] = buf[ends[7] + 1 + d]
        if keys >= len(begins):
            return KEYS_FULL
        status, p, count = subfields(buf, p, keys, begins, fill)
        if status != DONE:
            return status
        high = bytes_or(buf, line, p)
        ploidy = 0
        gt = where[state.GT]
        if gt >= 0 and gt < count:
            status, behind, ploidy = long_call(buf, begins[gt], n_alts + 1, leading_phase, call)
            if status != DONE:
                return status
            if behind != begins[gt + 1] - 1:
                return BAD_GT
        p += 1 if buf[p] == LF else 2
        if p - line > MAX_LINE_BYTES:
            return LINE_TOO_LONG
        own, missing = 0, 0
        for k in range(ploidy):
            own += call[k] > 0
            missing += call[k] < 0

        # How far the record reaches.
        end = position + (ref_end - ref) - 1
        block = real == 0
        if block or own == 0:
            info_numbers(buf, ends[6] + 1, ends[7], values)
        if block:
            fill[COLUMN] = 8
            status, end = _reach(buf, position, ref_end - ref, begins, count, where[state.LEN], values)
            if status != DONE:
                return status
            if end > fill[LIMIT]:
                return BLOCK_BEYOND
        passes = is_accepted(buf, ends[5] + 1, ends[6], names, name_ends)
        if passes and has_value(buf, begins, count, where[state.FT]):
            passes = is_accepted(buf, begins[where[state.FT]], begins[where[state.FT] + 1] - 1, names, name_ends)

        if own == 0:
            grade = 0
            if ploidy == 0 or missing or ploidy > 2:
                outcome = state.NO_CALL_BLOCKS if block or (not missing and ploidy) else state.NO_CALL_RECORDS
            else:
                fill[COLUMN] = 10
                gq = subfield_number(buf, begins, count, where[state.GQ])
                if gq == ABSENT:
                    gq = subfield_number(buf, begins, count, where[state.RGQ])
                if gq == ABSENT:
                    gq = subfield_number(buf, begins, count, where[state.GQX])
                depth = least_depth(buf, begins, count, where[state.MIN_DP], where[state.OLD_MIN_DP], where[state.DP], values)
                if gq == MALFORMED or depth == MALFORMED:
                    return BAD_NUMBER
                told = where[state.GQ] >= 0 or where[state.RGQ] >= 0 or where[state.GQX] >= 0
                if told:
                    fill[state.TOLD] += 1
                elif block and rule[state.RULE_GQ] > 0:
                    if values[INFO_END] != ABSENT or where[state.LEN] >= 0:
                        return NO_CONFIDENCE
                    if fill[state.UNTOLD_LINE] == 0:
                        fill[state.UNTOLD_LINE] = fill[LINES] + 1
                if not passes:
                    outcome = state.FILTERED_BLOCKS
                elif gq < rule[state.RULE_GQ] and rule[state.RULE_GQ] > 0:
                    outcome = state.LOW_GQ
                elif depth != ABSENT and depth < rule[state.RULE_DP_HAPLOID if ploidy == 1 else state.RULE_DP]:
                    outcome = state.LOW_DP
                else:
                    outcome = state.CONFIDENT
                    grade = (1 if gq < 20 else (2 if gq < 30 else 3)) + (TRACK_HAPLOID if ploidy == 1 else 0)
            counts[outcome] += 1
            if outcome != state.NO_CALL_RECORDS:
                counts[state.BLOCKS] += 1
                counts[state.OVERLAPPING] += position <= fill[BLOCK_END]
                counts[state.OVER_VARIANTS] += position <= fill[RECORD_END]
                fill[BLOCK_END] = max(fill[BLOCK_END], end)
            _add(position, end, grade, first, last, level, fill)
        else:
            kept, plain, symbolic = drop_uncalled(call, ploidy, kinds, n_alts + 1, renumber)
            if kept == 0:
                counts[state.UNKNOWN_ALLELE] += 1
            elif not passes and rule[state.RULE_KEEP] == 0:
                counts[state.FILTERED_RECORDS] += 1
            else:
                spans[:] = 0
                if symbolic:
                    fill[COLUMN] = 8
                    status = structural_fields(buf, ends[6] + 1, ends[7], spans)
                    if status != DONE:
                        return status
                if fill[TEXT] + (ends[7] - ends[1]) + 8 > len(text):
                    return TEXT_FULL
                escaped, escaped_alleles = fill[ESCAPES], fill[ESCAPE_ALLELES]
                if escaped == len(site) or escaped_alleles + ploidy > len(alleles):
                    return ESCAPES_FULL
                phase_set = has_value(buf, begins, count, where[state.PS]) or has_value(buf, begins, count, where[state.PSL])
                codes[row] = call_code(call, ploidy, phase_set)
                if codes[row] == ESCAPE:
                    for k in range(ploidy):
                        alleles[escaped_alleles + k] = call[k]
                        phased[escaped_alleles + k] = 0 if phase_set else call[MAX_PLOIDY + k]
                    site[escaped] = row
                    fill[ESCAPES] = escaped + 1
                    fill[ESCAPE_ALLELES] = escaped_alleles + ploidy
                    offset[escaped + 1] = escaped_alleles + ploidy
                before, trailing = 0, 0
                if plain:
                    before, trailing = common_ends(buf, ref, ref_end, alt_ends, n_alts + 1, renumber)
                t = fill[TEXT]
                bounds[row, 0] = t
                t = copy_alleles(buf, ref, ref_end, alt_ends, n_alts + 1, renumber, before, trailing, text, t)
                bounds[row, 1] = t
                t = copy(buf, ends[1] + 1, ends[2], text, t)
                bounds[row, 2] = t
                t = copy(buf, ends[5] + 1, ends[6], text, t)
                bounds[row, 3] = t
                t = copy_fields(buf, spans, text, t)
                bounds[row, 4] = t
                pos[row] = position + before
                fill[TEXT] = t
                fill[ROW] = row + 1
                if symbolic and deletes(buf, ref_end + 1, alt_ends, n_alts + 1, renumber):
                    info_numbers(buf, ends[6] + 1, ends[7], values)
                    end = max(end, min(values[INFO_END], fill[LIMIT]))
            counts[state.OVER_VARIANTS] += position <= fill[BLOCK_END]
            fill[RECORD_END] = max(fill[RECORD_END], end)
            _add(position, end, 0, first, last, level, fill)
        fill[HIGH] |= high
        fill[LAST_POSITION] = position
        fill[LINES] += 1
        fill[CURSOR] = p
    return DONE
