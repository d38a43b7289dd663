"""Helpers of the VCF body kernel over bytes of a line: copies, comparisons, ALT alleles, subfields to skip.

Every scan ends at a byte below 32, so the text must end with a newline and have SLACK bytes behind it (``vcf_kernel``).
"""
# ruff: noqa: C901, PLR0911, PLR0912, PLR0917 - a kernel is one pass over a line: statuses out of the middle, flat arguments
# ruff: noqa: PLR1714 - "c in (a, b)" compiles to a loop over a tuple; nested ifs keep conditions short

from __future__ import annotations

from typing import Any

import numpy as np

from vault.genotypes.compute.jit import bare_helper, load_u64, popcount, trailing_zeros

TAB, LF, CR, DOT, COLON, COMMA, SEMICOLON = 9, 10, 13, 46, 58, 44, 59
SLASH, BAR, ZERO, LESS, GREATER, OPEN, CLOSE, STAR = 47, 124, 48, 60, 62, 91, 93, 42


_U0, _U1 = np.uint64(0), np.uint64(1)
_HIGH = np.uint64(0x8080808080808080)
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_SPACES = np.uint64(0x2020202020202020)
_COLONS = np.uint64(0x3A3A3A3A3A3A3A3A)

IS_BASE = np.zeros(256, np.bool_)
IS_BASE[list(b"ACGTUNRYSWKMBDHVacgtunryswkmbdhv")] = True


@bare_helper
def copy(buf: Any, start: Any, end: Any, text: Any, t: Any) -> Any:
    """Copy ``buf[start:end]`` to ``text[t:]``; the position after it."""
    for q in range(start, end):
        text[t] = buf[q]
        t += 1
    return t


@bare_helper
def starts(buf: Any, start: Any, end: Any, a: Any, b: Any, c: Any) -> Any:
    """Test whether ``buf[start:end]`` starts with the bytes a, b, c."""
    return end - start >= 3 and buf[start] == a and buf[start + 1] == b and buf[start + 2] == c


@bare_helper
def alt_kind(buf: Any, start: Any, end: Any) -> Any:
    """0 malformed, 1 bases or "*", 2 symbolic or breakend (VCF 4.3 §1.6.1 field 5, §5.4)."""
    if start == end:
        return 0
    bases = 0  # leading bases
    while start + bases < end and IS_BASE[buf[start + bases]]:
        bases += 1
    if start + bases == end:
        return 1
    if end - start == 1:
        return 1 if buf[start] == STAR else 0
    for q in range(start, end):
        if buf[q] <= 32 or buf[q] == 34 or buf[q] == 127:
            return 0
    # <ID>, and bases with an inserted contig, T<ctg>
    if buf[start + bases] == LESS:
        for q in range(start + bases + 1, end - 1):
            if buf[q] == LESS or buf[q] == GREATER:
                return 0
        return 2 if buf[end - 1] == GREATER and end - (start + bases) > 2 else 0
    # single breakends, "G." and ".G"
    if buf[start + bases] == DOT and bases > 0:
        return 2 if start + bases + 1 == end else 0
    if buf[start] == DOT:
        bases = 1  # of a telomere: .[p[
        if buf[start + 1] != OPEN and buf[start + 1] != CLOSE:
            for q in range(start + 1, end):
                if not IS_BASE[buf[q]]:
                    return 0
            return 2
    # paired breakends: t[p[, t]p], ]p]t, [p[t
    bracket = buf[start + bases]
    if bracket != OPEN and bracket != CLOSE:
        return 0
    second = start + bases + 1
    while second < end and buf[second] != OPEN and buf[second] != CLOSE:
        second += 1
    if second == end or buf[second] != bracket or second - (start + bases) < 4:
        return 0
    for q in range(second + 1, end):
        if not IS_BASE[buf[q]] and buf[q] != DOT:
            return 0
    return 2 if (bases > 0) != (second + 1 < end) else 0


@bare_helper
def ends_line(buf: Any, end: Any, stop: Any) -> Any:
    """Test whether the line ends right at ``end``."""
    if end >= stop:
        return False
    c = buf[end]
    return c == LF or (c == CR and buf[end + 1] == LF)


@bare_helper
def skip_subfields(buf: Any, p: Any) -> Any:
    """(first byte below 32 at or after p, colons before it, bytes or-ed), eight bytes at a time."""
    colons = np.int64(0)
    high = _U0
    while True:
        word = load_u64(buf, p)
        ends = (word - _SPACES) & ~word & _HIGH  # exact up to its lowest one, which is all that is used
        other = word ^ _COLONS
        marks = ~(((other & _LOW7) + _LOW7) | other | _LOW7)
        if ends != _U0:
            before = (ends ^ (ends - _U1)) >> _U1
            return p + (trailing_zeros(ends) >> 3), colons + popcount(marks & before), high | (word & before)
        colons += popcount(marks)
        high |= word
        p += 8
