"""The VCF body kernel: lines of text → call codes and site text, compiled, without the GIL (VCF 4.3 §1.6).

A call of ``parse_lines`` takes whole lines from ``buf`` until they, the batch or the room for results end. It knows nothing of
files: what cannot be settled inside (a new contig, no room, a malformed line) comes back as a status and leaves the cursor at the
start of the line in question, with nothing of that line committed.

Every scan ends at a byte below 32, so ``buf[stop - 1]`` must be a newline: that (and SLACK bytes behind it) is what makes unchecked reading safe.
Bytes below 32 other than tab and line end are refused where they are met; bytes above 127 only set ``fill[HIGH]``, and
the caller checks the text as UTF-8.
"""
# ruff: noqa: C901, PLR0911, PLR0912, PLR0915, PLR0917 - a kernel is one pass over a line: statuses out of the middle, flat arguments
# ruff: noqa: PLR1714 - "c in (a, b)" compiles to a loop over a tuple

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from vault.genotypes.codec.packed_calls import CODED
from vault.genotypes.compute.jit import RW, kernel
from vault.genotypes.ingest.vcf_call_kernel import calls, fixed_calls, packed_calls
from vault.genotypes.ingest.vcf_info_kernel import SPANS, copy_fields, structural_fields
from vault.genotypes.ingest.vcf_kernel_state import (
    ALLELE_TOO_LONG,
    BAD_ALT,
    BAD_FILTER,
    BAD_FORMAT,
    BAD_POSITION,
    BAD_QUAL,
    BAD_REF,
    BATCH_FULL,
    BEYOND_CONTIG,
    BLANK_LINE,
    COLUMN,
    COMMENT_LINE,
    CONTROL_BYTE,
    CURSOR,
    DONE,
    EMPTY_COLUMN,
    ESCAPE_ALLELES,
    ESCAPES,
    HIGH,
    LAST_POSITION,
    LIMIT,
    LINE_TOO_LONG,
    LINES,
    NEW_CONTIG,
    NUL_BYTE,
    ROW,
    TEXT,
    TEXT_FULL,
    TOO_FEW_COLUMNS,
    TOO_MANY_ALTS,
    TOO_MANY_COLUMNS,
    UNSORTED,
)
from vault.genotypes.ingest.vcf_scan_kernel import (
    COLON,
    COMMA,
    CR,
    DOT,
    GREATER,
    IS_BASE,
    LESS,
    LF,
    SEMICOLON,
    TAB,
    ZERO,
    alt_kind,
    copy,
    starts,
)
from vault.limits import MAX_ALLELE_BYTES, MAX_ALTS, MAX_LINE_BYTES, MAX_PLOIDY, MAX_POSITION

_PARSE_SIGNATURE = types.int64(
    RW(types.uint8), types.int64, types.int64, types.boolean, RW(types.uint8),  # buf … contig
    RW(types.uint8), RW(types.uint64, 2), RW(types.uint8, 2),  # form, bits, codes
    RW(types.int64), RW(types.int64, 2), RW(types.uint8),  # pos, bounds, text
    RW(types.int64), RW(types.int64), RW(types.int64), RW(types.int16), RW(types.uint8),  # escapes
    RW(types.int64), RW(types.int64),  # scratch, fill
)  # fmt: skip

_U0, _U1 = np.uint64(0), np.uint64(1)
_HIGH = np.uint64(0x8080808080808080)

_IS_QUAL = np.zeros(256, np.bool_)
_IS_QUAL[list(b"0123456789+-.eEinfINFatyATY")] = True


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
    fill[HIGH] = 0
    while fill[CURSOR] < stop:
        row = fill[ROW]
        if row == len(form):
            return BATCH_FULL
        line = fill[CURSOR]

        # Columns CHROM … INFO (FORMAT): ends[k] is the byte behind column k.
        p = line
        for k in range(fixed):
            start = p
            while buf[p] >= 32:
                p += 1
            ends[k] = p
            c = buf[p]
            last = k == fixed - 1 and samples == 0
            fill[COLUMN] = k + 1
            if c == TAB:
                if last:
                    return TOO_MANY_COLUMNS
            elif c == LF or (c == CR and buf[p + 1] == LF):
                if p == line:
                    return BLANK_LINE
                if not last:
                    return COMMENT_LINE if buf[line] == 35 else TOO_FEW_COLUMNS
            else:
                return NUL_BYTE if c == 0 else CONTROL_BYTE
            if p == start and k != 5 and k != 7:  # QUAL and INFO are not kept
                return EMPTY_COLUMN
            p += 1
        high = np.int64(0)
        for q in range(line, p):
            high |= np.int64(buf[q])
        if buf[line] == 35:
            fill[COLUMN] = 1
            return COMMENT_LINE

        # CHROM: only whether it is still the same; the caller knows the names.
        same = ends[0] - line == len(contig)
        if same:
            for q in range(len(contig)):
                same = same and buf[line + q] == contig[q]
        if not same:
            return NEW_CONTIG

        fill[COLUMN] = 2
        position: Any = 0
        if ends[1] - ends[0] > 11:
            return BAD_POSITION
        for q in range(ends[0] + 1, ends[1]):
            digit = np.int64(buf[q]) - ZERO
            if digit < 0 or digit > 9:
                return BAD_POSITION
            position = position * 10 + digit
        if position > MAX_POSITION:
            return BAD_POSITION
        if position > fill[LIMIT]:
            return BEYOND_CONTIG
        if position < fill[LAST_POSITION]:
            return UNSORTED

        fill[COLUMN] = 4
        if ends[3] - ends[2] - 1 > MAX_ALLELE_BYTES:
            return ALLELE_TOO_LONG
        for q in range(ends[2] + 1, ends[3]):
            if not IS_BASE[buf[q]]:
                return BAD_REF
        if position + (ends[3] - ends[2] - 2) > fill[LIMIT]:
            return BEYOND_CONTIG

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

        fill[COLUMN] = 6
        for q in range(ends[4] + 1, ends[5]):
            if not _IS_QUAL[buf[q]]:
                return BAD_QUAL

        fill[COLUMN] = 7
        start = ends[5] + 1
        for q in range(start, ends[6] + 1):
            if q == ends[6] or buf[q] == SEMICOLON:
                if q == start:
                    return BAD_FILTER
                start = q + 1
            elif buf[q] == 32 or buf[q] == COMMA or buf[q] == LESS or buf[q] == GREATER or buf[q] == 127:
                return BAD_FILTER  # it could not be declared in the header of an extract

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
