"""The VCF body kernel: lines of text → call codes and site text, compiled, without the GIL (VCF 4.3 §1.6).

A call of ``parse_lines`` takes whole lines from ``buf`` until they, the batch or the room for results end. It knows nothing of
files: what cannot be settled inside (a new contig, no room, a malformed line) comes back as a status and leaves the cursor at the
start of the line in question, with nothing of that line committed.

Every scan ends at a byte below 32, so ``buf[stop - 1]`` must be a newline: that (and SLACK bytes behind it) is what makes unchecked reading safe.
Bytes below 32 other than tab and line end are refused where they are met; bytes above 127 only set ``fill[HIGH]``, and
the caller checks the text as UTF-8.
"""
# ruff: noqa: C901, PLR0911, PLR0912, PLR0915, PLR0917 - a kernel is one pass over a line: statuses out of the middle, flat arguments

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from vault.genotypes.codec.packed_calls import CODED
from vault.genotypes.compute.jit import RW, kernel
from vault.genotypes.ingest.gvcf_kernel_state import INFO_SLOTS
from vault.genotypes.ingest.gvcf_mode_kernel import is_block
from vault.genotypes.ingest.vcf_call_kernel import calls, fixed_calls, packed_calls
from vault.genotypes.ingest.vcf_info_kernel import SPANS, copy_fields, structural_fields
from vault.genotypes.ingest.vcf_kernel_state import (
    ALLELE_TOO_LONG,
    BAD_ALT,
    BAD_FORMAT,
    BATCH_FULL,
    COLUMN,
    CURSOR,
    DONE,
    ESCAPE_ALLELES,
    ESCAPES,
    HIGH,
    LAST_POSITION,
    LINE_TOO_LONG,
    LINES,
    NEW_CONTIG,
    ROW,
    TEXT,
    TEXT_FULL,
    TOO_MANY_ALTS,
    UNEXPECTED_BLOCK,
)
from vault.genotypes.ingest.vcf_line_kernel import bytes_or, columns, is_contig, place, qual_and_filter
from vault.genotypes.ingest.vcf_scan_kernel import (
    COLON,
    COMMA,
    DOT,
    LF,
    alt_kind,
    copy,
    starts,
)
from vault.limits import MAX_ALLELE_BYTES, MAX_ALTS, MAX_LINE_BYTES, MAX_PLOIDY

_PARSE_SIGNATURE = types.int64(
    RW(types.uint8), types.int64, types.int64, types.boolean, RW(types.uint8),  # buf … contig
    RW(types.uint8), RW(types.uint64, 2), RW(types.uint8, 2),  # form, bits, codes
    RW(types.int64), RW(types.int64, 2), RW(types.uint8),  # pos, bounds, text
    RW(types.int64), RW(types.int64), RW(types.int64), RW(types.int16), RW(types.uint8),  # escapes
    RW(types.int64), RW(types.int64),  # scratch, fill
)  # fmt: skip

_U0, _U1 = np.uint64(0), np.uint64(1)
_HIGH = np.uint64(0x8080808080808080)


def parse_lines(
    buf: NDArray[np.uint8],
    stop: int,
    *,
    samples: int,
    leading_phase: bool,
    contig: NDArray[np.uint8],
    rows: tuple[NDArray[np.uint8], NDArray[np.uint64], NDArray[np.uint8]],
    batch: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]],
    escapes: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int16], NDArray[np.uint8]],
    fill: NDArray[np.int64],
) -> int:
    """Parse the lines of ``buf[fill[CURSOR]:stop]`` and return a status; the one typed entrance to the kernel.

    ``buf`` uint8[], ``buf[stop - 1]`` a newline, with SLACK bytes behind ``stop``. ``contig``: name of the current contig. ``rows``: form,
    bits and codes of ``CallRows``. ``batch``: pos int64[rows], bounds int64[rows, BOUNDS], text uint8[]. ``escapes``: site, sample, offset
    (one longer), alleles, phased, with room to spare; ``fill``: int64[FILL_SLOTS].
    """
    form, bits, codes = rows
    pos, bounds, text = batch
    site, sample, offset, alleles, phased = escapes
    return int(
        _parse_lines(
            buf, stop, samples, leading_phase, contig, form, bits, codes, pos, bounds, text,
            site, sample, offset, alleles, phased, np.empty(2 * MAX_PLOIDY, np.int64), fill,
        )
    )  # fmt: skip


@kernel(_PARSE_SIGNATURE)
def _parse_lines(
    buf: Any,
    stop: Any,
    samples: Any,
    leading_phase: Any,
    contig: Any,
    form: Any,
    bits: Any,
    codes: Any,
    pos: Any,
    bounds: Any,
    text: Any,
    site: Any,
    sample: Any,
    offset: Any,
    alleles: Any,
    phased: Any,
    scratch: Any,
    fill: Any,
) -> Any:
    fixed = 9 if samples else 8
    ends = np.empty(9, np.int64)
    spans = np.zeros(SPANS, np.int64)
    numbers = np.empty(INFO_SLOTS, np.int64)
    fill[HIGH] = 0
    while fill[CURSOR] < stop:
        row = fill[ROW]
        if row == len(form):
            return BATCH_FULL
        line = fill[CURSOR]

        status, p = columns(buf, line, fixed, samples == 0, ends, fill)
        if status != DONE:
            return status
        high = bytes_or(buf, line, p)
        if not is_contig(buf, line, ends[0], contig):
            return NEW_CONTIG
        status, position = place(buf, ends, fill)
        if status != DONE:
            return status

        fill[COLUMN] = 5
        n_alleles = 1
        structural = False
        if not (ends[4] - ends[3] == 2 and buf[ends[3] + 1] == DOT):
            start = ends[3] + 1
            for q in range(start, ends[4] + 1):
                if q == ends[4] or buf[q] == COMMA:
                    if q - start > MAX_ALLELE_BYTES:
                        return ALLELE_TOO_LONG
                    kind = alt_kind(buf, start, q)
                    if kind == 0:
                        return BAD_ALT
                    structural |= kind == 2
                    n_alleles += 1
                    start = q + 1
            if n_alleles - 1 > MAX_ALTS:
                return TOO_MANY_ALTS

        status = qual_and_filter(buf, ends, fill)
        if status != DONE:
            return status

        if samples and n_alleles <= 2 and (structural or n_alleles == 1) and is_block(buf, ends, numbers):
            fill[COLUMN] = 5
            return UNEXPECTED_BLOCK

        # INFO: only what tells structural variants apart, only where an ALT has no bases of its own.
        fill[COLUMN] = 8
        spans[:] = 0
        if structural:
            status = structural_fields(buf, ends[6] + 1, ends[7], spans)
            if status != DONE:
                return status

        # FORMAT: where GT and the phase set are among the subfields.
        gt, ps, psl, keys = -1, -1, -1, 0
        if samples:
            fill[COLUMN] = 9
            start = ends[7] + 1
            for q in range(start, ends[8] + 1):
                if q == ends[8] or buf[q] == COLON:
                    if q == start:
                        return BAD_FORMAT
                    if q - start == 2 and buf[start] == 71 and buf[start + 1] == 84:  # GT
                        if gt >= 0:
                            return BAD_FORMAT
                        gt = keys
                    elif q - start == 2 and buf[start] == 80 and buf[start + 1] == 83:  # PS
                        if ps >= 0:
                            return BAD_FORMAT
                        ps = keys
                    elif q - start == 3 and starts(buf, start, q, 80, 83, 76):  # PSL
                        if psl >= 0:
                            return BAD_FORMAT
                        psl = keys
                    keys += 1
                    start = q + 1

        need = (ends[4] - ends[2]) + (ends[2] - ends[1]) + (ends[6] - ends[5]) + 8
        for k in range(0, SPANS, 2):
            need += spans[k + 1] - spans[k]
        if fill[TEXT] + need > len(text):
            return TEXT_FULL

        escaped, escaped_alleles = fill[ESCAPES], fill[ESCAPE_ALLELES]
        packed = CODED
        if gt == 0 and keys == 1 and n_alleles > 1:
            packed = packed_calls(buf, p, stop, samples, bits[row])
        if samples == 0:
            p = ends[fixed - 1]
        elif packed != CODED or (gt == 0 and keys == 1 and fixed_calls(buf, p, stop, n_alleles, codes[row])):
            p += 4 * samples - 1
        else:
            status, p, seen, escaped, escaped_alleles = calls(
                buf, p, gt, ps, psl, keys, n_alleles, leading_phase, row, codes[row],
                site, sample, offset, alleles, phased, escaped, escaped_alleles, scratch, fill,
            )  # fmt: skip
            if status != DONE:
                return status
            if (seen & _HIGH) != _U0:
                high |= 0x80
        p += 1 if buf[p] == LF else 2
        if p - line > MAX_LINE_BYTES:
            return LINE_TOO_LONG

        # Commit the line.
        t = fill[TEXT]
        bounds[row, 0] = t
        for q in range(ends[2] + 1, ends[4] if n_alleles > 1 else ends[3]):
            text[t] = COMMA if q == ends[3] else buf[q]
            t += 1
        bounds[row, 1] = t
        t = copy(buf, ends[1] + 1, ends[2], text, t)
        bounds[row, 2] = t
        t = copy(buf, ends[5] + 1, ends[6], text, t)
        bounds[row, 3] = t
        t = copy_fields(buf, spans, text, t)
        bounds[row, 4] = t
        pos[row] = position
        form[row] = packed
        fill[TEXT] = t
        fill[ESCAPES] = escaped
        fill[ESCAPE_ALLELES] = escaped_alleles
        fill[LAST_POSITION] = position
        fill[HIGH] |= high
        fill[ROW] = row + 1
        fill[LINES] += 1
        fill[CURSOR] = p
    return DONE
