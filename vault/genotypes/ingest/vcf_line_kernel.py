"""Helpers of the VCF and gVCF body kernels over the columns in front of the calls (VCF 4.3 §1.6.1).

A column ends at a byte below 32, of which the text has one before its end and SLACK bytes behind it.
"""
# ruff: noqa: C901, PLR0911, PLR0917 - a kernel is one pass over a line: statuses out of the middle, flat arguments
# ruff: noqa: PLR1714 - "c in (a, b)" compiles to a loop over a tuple

from __future__ import annotations

from typing import Any

import numpy as np

from vault.genotypes.compute.jit import bare_helper, load_u64, mask_below, trailing_zeros
from vault.genotypes.ingest.vcf_kernel_state import (
    ALLELE_TOO_LONG,
    BAD_FILTER,
    BAD_POSITION,
    BAD_QUAL,
    BAD_REF,
    BEYOND_CONTIG,
    BLANK_LINE,
    COLUMN,
    COMMENT_LINE,
    CONTROL_BYTE,
    DONE,
    EMPTY_COLUMN,
    LAST_POSITION,
    LIMIT,
    NUL_BYTE,
    TOO_FEW_COLUMNS,
    TOO_MANY_COLUMNS,
    UNSORTED,
)
from vault.genotypes.ingest.vcf_scan_kernel import COMMA, CR, GREATER, IS_BASE, LESS, LF, SEMICOLON, TAB, ZERO
from vault.limits import MAX_ALLELE_BYTES, MAX_POSITION

_HASH = 35
_U0, _U1 = np.uint64(0), np.uint64(1)
_HIGH = np.uint64(0x8080808080808080)
_SPACE = np.uint8(32)

_IS_QUAL = np.zeros(256, np.bool_)
_IS_QUAL[list(b"0123456789+-.eEinfINFatyATY")] = True


@bare_helper
def columns(buf: Any, line: Any, count: Any, whole: Any, ends: Any, fill: Any) -> Any:
    """(status, byte behind the columns): ``ends[k]`` is the byte behind column k of ``count``, which are the ``whole`` line or its start."""
    base, start = line, line
    below = mask_below(buf, base, _SPACE)
    for k in range(count):
        while below == _U0:
            base += 64
            below = mask_below(buf, base, _SPACE)
        end = base + trailing_zeros(below)
        below &= below - _U1
        ends[k] = end
        c = buf[end]
        last = whole and k == count - 1
        fill[COLUMN] = k + 1
        if c == TAB:
            if last:
                return TOO_MANY_COLUMNS, end
        elif c == LF or (c == CR and buf[end + 1] == LF):
            if end == line:
                return BLANK_LINE, end
            if not last:
                return (COMMENT_LINE if buf[line] == _HASH else TOO_FEW_COLUMNS), end
        else:
            return (NUL_BYTE if c == 0 else CONTROL_BYTE), end
        if end == start and k != 5 and k != 7:  # QUAL and INFO are not kept
            return EMPTY_COLUMN, end
        start = end + 1
    if buf[line] == _HASH:
        fill[COLUMN] = 1
        return COMMENT_LINE, start
    return DONE, start


@bare_helper
def bytes_or(buf: Any, start: Any, end: Any) -> Any:
    """Above 127 where a byte of ``buf[start:end]`` is, or one of the few behind it; eight bytes at a time."""
    high = _U0
    for q in range(start, end, 8):
        high |= load_u64(buf, q)
    return np.int64((high & _HIGH) != _U0) << 7


@bare_helper
def is_contig(buf: Any, line: Any, end: Any, contig: Any) -> Any:
    """Test whether CHROM is still the same; the caller knows the names."""
    if end - line != len(contig):
        return False
    same = True
    for q in range(len(contig)):
        same = same and buf[line + q] == contig[q]
    return same


@bare_helper
def place(buf: Any, ends: Any, fill: Any) -> Any:
    """(status, position) of POS and REF."""
    fill[COLUMN] = 2
    position = np.int64(0)
    if ends[1] - ends[0] > 11:
        return BAD_POSITION, position
    for q in range(ends[0] + 1, ends[1]):
        digit = np.int64(buf[q]) - ZERO
        if digit < 0 or digit > 9:
            return BAD_POSITION, position
        position = position * 10 + digit
    if position > MAX_POSITION:
        return BAD_POSITION, position
    if position > fill[LIMIT]:
        return BEYOND_CONTIG, position
    if position < fill[LAST_POSITION]:
        return UNSORTED, position
    fill[COLUMN] = 4
    if ends[3] - ends[2] - 1 > MAX_ALLELE_BYTES:
        return ALLELE_TOO_LONG, position
    for q in range(ends[2] + 1, ends[3]):
        if not IS_BASE[buf[q]]:
            return BAD_REF, position
    if position + (ends[3] - ends[2] - 2) > fill[LIMIT]:
        return BEYOND_CONTIG, position
    return DONE, position


@bare_helper
def qual_and_filter(buf: Any, ends: Any, fill: Any) -> Any:
    """Status of the shapes of QUAL and FILTER."""
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
    return DONE
