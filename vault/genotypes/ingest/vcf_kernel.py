"""The VCF body kernel: lines of text → call codes and site text, compiled, without the GIL (VCF 4.3 §1.6).

A call of ``parse_lines`` takes whole lines from ``buf`` until they, the batch or the room for results end. It knows nothing of
files: what cannot be settled inside (a new contig, no room, a malformed line) comes back as a status and leaves the cursor at the
start of the line in question, with nothing of that line committed.

Every scan ends at a byte below 32, so ``buf[stop - 1]`` must be a newline: that (and SLACK bytes behind it) is what makes unchecked reading safe.
Bytes below 32 other than tab and line end are refused where they are met; bytes above 127 only set ``fill[HIGH]``, and
the caller checks the text as UTF-8.

One file, because numba's cache follows one source file: helpers elsewhere could change without a recompile. Helpers come before the
kernels, because a kernel is compiled where its decorator stands.
"""
# ruff: noqa: C901, PLR0911, PLR0912, PLR0915, PLR0917 - a kernel is one pass over a line: statuses out of the middle, flat arguments
# ruff: noqa: PLR1714, SIM109, SIM102 - "c in (a, b)" compiles to a loop over a tuple; nested ifs keep conditions short

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types
from numpy.typing import NDArray

from vault.genotypes.codec.call_codes import (
    DIPLOID_STRIDE,
    ESCAPE,
    HAPLOID_BASE,
    MAX_CODED_ALLELE,
    MISSING_HAPLOID,
    PHASED_OFFSET,
)
from vault.genotypes.codec.packed_calls import CODED, PHASED, UNPHASED
from vault.genotypes.compute.jit import RO, RW, helper, kernel, load_u64, masks_apart, popcount, trailing_zeros
from vault.limits import MAX_ALLELE_BYTES, MAX_ALTS, MAX_LINE_BYTES, MAX_PLOIDY, MAX_POSITION

# Slots of ``fill``, the state that outlives a call.
ROW: Final = 0  # rows of the batch that are filled
TEXT: Final = 1  # bytes of ``text`` that are filled
ESCAPES: Final = 2  # escaped calls so far
ESCAPE_ALLELES: Final = 3  # their alleles so far
LAST_POSITION: Final = 4  # of the line before, on the same contig; -1 at a contig's start
CURSOR: Final = 5  # where in ``buf`` the next line starts
LINES: Final = 6  # body lines read so far
COLUMN: Final = 7  # 1-based column that an error status is about
HIGH: Final = 8  # bit 7 is set when some byte of this call's lines was above 127
LIMIT: Final = 9  # largest position that a site of the current contig may have or reach
FILL_SLOTS: Final = 10

# Statuses.
DONE: Final = 0
BATCH_FULL: Final = 1
NEW_CONTIG: Final = 2
TEXT_FULL: Final = 3
ESCAPES_FULL: Final = 4
BLANK_LINE: Final = 10
TOO_FEW_COLUMNS: Final = 11
TOO_MANY_COLUMNS: Final = 12
NUL_BYTE: Final = 13
CONTROL_BYTE: Final = 14
LINE_TOO_LONG: Final = 15
BAD_POSITION: Final = 16
UNSORTED: Final = 17
EMPTY_COLUMN: Final = 18
BAD_REF: Final = 19
BAD_ALT: Final = 20
TOO_MANY_ALTS: Final = 21
ALLELE_TOO_LONG: Final = 22
BAD_QUAL: Final = 23
BAD_FORMAT: Final = 24
BAD_END: Final = 25
BAD_GT: Final = 26
ALLELE_OUT_OF_RANGE: Final = 27
PLOIDY_TOO_HIGH: Final = 28
LEADING_PHASE: Final = 29
TOO_MANY_SUBFIELDS: Final = 30
COMMENT_LINE: Final = 31
BAD_FILTER: Final = 32
BEYOND_CONTIG: Final = 33

SLACK: Final = 64  # bytes of ``buf`` behind ``stop`` that may be read

# Bounds of a row's text in ``text``: alleles, id, filter and info lie between consecutive ones.
BOUNDS: Final = 5

_PARSE_SIGNATURE = types.int64(
    RW(types.uint8), types.int64, types.int64, types.boolean, RW(types.uint8),  # buf … contig
    RW(types.uint8), RW(types.uint64, 2), RW(types.uint8, 2),  # form, bits, codes
    RW(types.int64), RW(types.int64, 2), RW(types.uint8),  # pos, bounds, text
    RW(types.int64), RW(types.int64), RW(types.int64), RW(types.int16), RW(types.uint8),  # escapes
    RW(types.int64), RW(types.int64),  # scratch, fill
)  # fmt: skip

_TAB, _LF, _CR, _DOT, _COLON, _COMMA, _SEMICOLON = 9, 10, 13, 46, 58, 44, 59
_SLASH, _BAR, _ZERO, _LESS, _GREATER, _OPEN, _CLOSE, _STAR = 47, 124, 48, 60, 62, 91, 93, 42

_U0, _U1 = np.uint64(0), np.uint64(1)
_HIGH = np.uint64(0x8080808080808080)
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_SPACES = np.uint64(0x2020202020202020)
_COLONS = np.uint64(0x3A3A3A3A3A3A3A3A)
_FOURTHS = np.uint64(0x1111111111111111)
_NOT_ALLELES = np.uint64(0xAAAAAAAAAAAAAAAA)  # of a cell of four bytes, the second and the fourth
_CELL_PHASED = np.uint32(int.from_bytes(b"0|0\t", "little"))
_CELL_UNPHASED = np.uint32(int.from_bytes(b"0/0\t", "little"))

_IS_BASE = np.zeros(256, np.bool_)
_IS_BASE[list(b"ACGTUNRYSWKMBDHVacgtunryswkmbdhv")] = True
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


def gather(
    text: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Copy the runs ``text[starts[i]:ends[i]]`` one after another: (data, offsets) of a text column."""
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(ends - starts, out=offsets[1:])
    data = np.empty(int(offsets[-1]), np.uint8)
    _gather(text, np.ascontiguousarray(starts), offsets, data)
    return data, offsets


@helper
def _copy(buf: Any, start: Any, end: Any, text: Any, t: Any) -> Any:
    for q in range(start, end):
        text[t] = buf[q]
        t += 1
    return t


@helper
def _starts(buf: Any, start: Any, end: Any, a: Any, b: Any, c: Any) -> Any:
    return end - start >= 3 and buf[start] == a and buf[start + 1] == b and buf[start + 2] == c


@helper
def _alt_kind(buf: Any, start: Any, end: Any) -> Any:
    """0 malformed, 1 bases or "*", 2 symbolic or breakend (VCF 4.3 §1.6.1 field 5, §5.4)."""
    if start == end:
        return 0
    bases = 0  # leading bases
    while start + bases < end and _IS_BASE[buf[start + bases]]:
        bases += 1
    if start + bases == end:
        return 1
    if end - start == 1:
        return 1 if buf[start] == _STAR else 0
    for q in range(start, end):
        if buf[q] <= 32 or buf[q] == 34 or buf[q] == 127:
            return 0
    # <ID>, and bases with an inserted contig, T<ctg>
    if buf[start + bases] == _LESS:
        for q in range(start + bases + 1, end - 1):
            if buf[q] == _LESS or buf[q] == _GREATER:
                return 0
        return 2 if buf[end - 1] == _GREATER and end - (start + bases) > 2 else 0
    # single breakends, "G." and ".G"
    if buf[start + bases] == _DOT and bases > 0:
        return 2 if start + bases + 1 == end else 0
    if buf[start] == _DOT:
        for q in range(start + 1, end):
            if not _IS_BASE[buf[q]]:
                return 0
        return 2
    # paired breakends: t[p[, t]p], ]p]t, [p[t
    bracket = buf[start + bases]
    if bracket != _OPEN and bracket != _CLOSE:
        return 0
    second = start + bases + 1
    while second < end and buf[second] != _OPEN and buf[second] != _CLOSE:
        second += 1
    if second == end or buf[second] != bracket or second - (start + bases) < 4:
        return 0
    for q in range(second + 1, end):
        if not _IS_BASE[buf[q]] and buf[q] != _DOT:
            return 0
    return 2 if (bases > 0) != (second + 1 < end) else 0


@helper
def _ends_line(buf: Any, end: Any, stop: Any) -> Any:
    """Whether the line ends right at ``end``."""
    if end >= stop:
        return False
    c = buf[end]
    return c == _LF or (c == _CR and buf[end + 1] == _LF)


@helper
def _fields(apart: Any) -> Any:
    """32 bits of a packed row from the ones among 16 "a|b" cells: bit 4i is cell i's first allele, bit 4i + 2 its second."""
    word = ((apart & _FOURTHS) << _U1) | ((apart >> np.uint64(2)) & _FOURTHS)
    word = (word | (word >> np.uint64(2))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    word = (word | (word >> np.uint64(4))) & np.uint64(0x00FF00FF00FF00FF)
    word = (word | (word >> np.uint64(8))) & np.uint64(0x0000FFFF0000FFFF)
    return (word | (word >> np.uint64(16))) & np.uint64(0xFFFFFFFF)


@helper
def _packed_calls(buf: Any, p: Any, stop: Any, n: Any, row: Any) -> Any:
    """UNPHASED or PHASED if the line is nothing but "a|b" cells of 0 and 1 under one mark, and then ``row`` is filled; else CODED.

    A cell that is 0|0 is one comparison in sixteen, and most cells of most sites are.
    """
    if not _ends_line(buf, p + 4 * n - 1, stop):
        return CODED
    mark = buf[p + 1]
    if mark != _BAR and mark != _SLASH:
        return CODED
    pattern = _CELL_PHASED if mark == _BAR else _CELL_UNPHASED
    full = (n - 1) // 32  # the last cell has no tab
    for w in range(full):
        low, wrong = masks_apart(buf, p, pattern)
        high, wrong_too = masks_apart(buf, p + 64, pattern)
        if (wrong | wrong_too | ((low | high) & _NOT_ALLELES)) != _U0:
            return CODED
        word = _U0
        if (low | high) != _U0:
            word = _fields(low) | (_fields(high) << np.uint64(32))
        row[w] = word
        p += 128
    word = _U0
    for j in range(n - 32 * full):
        a, b = np.int64(buf[p]) - _ZERO, np.int64(buf[p + 2]) - _ZERO
        if a < 0 or a > 1 or b < 0 or b > 1 or buf[p + 1] != mark or (buf[p + 3] != _TAB and j != n - 32 * full - 1):
            return CODED
        word |= np.uint64(2 * a + b) << np.uint64(2 * j)
        p += 4
    row[full] = word
    return PHASED if mark == _BAR else UNPHASED


@helper
def _fixed_calls(buf: Any, p: Any, stop: Any, n_alleles: Any, out: Any) -> Any:
    """Whether the line is nothing but "a|b" fields of one digit, and if so their codes: four bytes a call, in vector registers."""
    n = len(out)
    if not _ends_line(buf, p + 4 * n - 1, stop):
        return False
    # Unaligned little-endian words: first | separator << 8 | second << 16 | tab << 24.
    words = buf[p : p + 4 * n].view(np.uint32)
    top = np.uint32(1 + min(n_alleles, MAX_CODED_ALLELE + 1))  # '.' → 0, '0' → 2, … '9' → 11
    bad = np.uint32(0)
    for i in range(n):
        word = words[i]
        a = np.uint32((word & np.uint32(0xFF)) - np.uint32(_DOT))
        s = np.uint32((word >> np.uint32(8)) & np.uint32(0xFF))
        b = np.uint32(((word >> np.uint32(16)) & np.uint32(0xFF)) - np.uint32(_DOT))
        bar = s == np.uint32(_BAR)
        wrong = (a > top) | (a == np.uint32(1)) | (b > top) | (b == np.uint32(1)) | ((not bar) & (s != np.uint32(_SLASH)))
        wrong |= ((word >> np.uint32(24)) != np.uint32(_TAB)) & (i != n - 1)
        bad |= np.uint32(wrong)
        ca = np.uint32(max(a, np.uint32(1)) - np.uint32(1))
        cb = np.uint32(max(b, np.uint32(1)) - np.uint32(1))
        code = np.uint32(ca * np.uint32(DIPLOID_STRIDE) + cb)
        code = np.uint32(code + (np.uint32(PHASED_OFFSET) if bar else np.uint32(0)))
        out[i] = np.uint8(code)
    return bad == 0


@helper
def _long_call(buf: Any, p: Any, n_alleles: Any, leading_phase: Any, scratch: Any) -> Any:
    """A GT of any ploidy: (status, byte behind it, ploidy); alleles in scratch[:8], separators before them in scratch[8:16]."""
    lead = 0
    if buf[p] == _SLASH or buf[p] == _BAR:
        if not leading_phase:
            return BAD_GT, p, 0
        lead = buf[p]
        p += 1
    ploidy = 0
    separator = 0
    bars = 0
    while True:
        if ploidy == MAX_PLOIDY:
            return PLOIDY_TOO_HIGH, p, 0
        allele: Any = -1
        if buf[p] == _DOT:
            p += 1
        elif _ZERO <= buf[p] <= 57:
            allele = 0
            while _ZERO <= buf[p] <= 57:
                allele = min(allele * 10 + (np.int64(buf[p]) - _ZERO), 1 << 20)
                p += 1
        else:
            return BAD_GT, p, 0
        if allele >= n_alleles:
            return ALLELE_OUT_OF_RANGE, p, 0
        scratch[ploidy] = allele
        scratch[MAX_PLOIDY + ploidy] = separator
        ploidy += 1
        c = buf[p]
        if c != _SLASH and c != _BAR:
            break
        separator = 1 if c == _BAR else 0
        bars += separator
        p += 1
    if c >= 32 and c != _COLON:
        return BAD_GT, p, 0
    # A written first mark must be what leaving it out means (VCF 4.4 §1.6.2): "|" where no other mark is "/".
    if lead and (lead == _BAR) != (bars == ploidy - 1):
        return LEADING_PHASE, p, 0
    return DONE, p, ploidy


@helper
def _skip_subfields(buf: Any, p: Any) -> Any:
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


@helper
def _calls(
    buf: Any,
    p: Any,
    gt: Any,
    ps: Any,
    psl: Any,
    keys: Any,
    n_alleles: Any,
    leading_phase: Any,
    row: Any,
    out: Any,
    site: Any,
    sample: Any,
    offset: Any,
    alleles: Any,
    phased: Any,
    escaped: Any,
    escaped_alleles: Any,
    scratch: Any,
    fill: Any,
) -> Any:
    """The calls of one line, any FORMAT. Returns (status, line end, bytes or-ed, escapes, their alleles)."""
    n = len(out)
    high = _U0
    plain = ps < 0 and psl < 0  # no subfield behind GT matters
    for i in range(n):
        fill[COLUMN] = 10 + i
        field = p
        key = 0
        code: Any = MISSING_HAPLOID
        ploidy = 0  # of a call read the long way; its alleles and separators are in scratch
        phase_set = False
        while True:
            c = buf[p]
            if key == gt:
                # Nearly all calls are two single digits.
                a, b, s = np.int64(c) - _DOT, np.int64(0), buf[p + 1] if c >= 32 else 0
                if s == _BAR or s == _SLASH:
                    b = np.int64(buf[p + 2]) - _DOT
                    c = buf[p + 3] if b >= 0 else 0
                    quick = (
                        a != 1 and b != 1 and a >= 0 and b >= 0 and a <= 11 and b <= 11
                        and a <= n_alleles + 1 and b <= n_alleles + 1 and (c == _COLON or c < 32)
                    )  # fmt: skip
                else:
                    quick = False
                if quick:
                    code = (a - (a > 0)) * DIPLOID_STRIDE + (b - (b > 0)) + (PHASED_OFFSET if s == _BAR else 0)
                    p += 3
                else:
                    status, p, ploidy = _long_call(buf, p, n_alleles, leading_phase, scratch)
                    if status != DONE:
                        return status, p, high, escaped, escaped_alleles
                    c = buf[p]
            else:
                start = p
                while c >= 32 and c != _COLON:
                    high |= np.uint64(c)
                    p += 1
                    c = buf[p]
                if (key == ps or key == psl) and p > start and not (p == start + 1 and buf[start] == _DOT):
                    phase_set = True
            if plain and key >= gt and c == _COLON:
                p, colons, seen = _skip_subfields(buf, p)
                high |= seen
                c = buf[p]
                if key + colons >= keys:
                    return TOO_MANY_SUBFIELDS, p, high, escaped, escaped_alleles
            if c != _COLON:
                break
            key += 1
            if key == keys:
                return TOO_MANY_SUBFIELDS, p, high, escaped, escaped_alleles
            p += 1
        if c != _TAB and c != _LF and not (c == _CR and buf[p + 1] == _LF):
            return (NUL_BYTE if c == 0 else CONTROL_BYTE), p, high, escaped, escaped_alleles
        if p == field:
            return EMPTY_COLUMN, p, high, escaped, escaped_alleles
        if c == _TAB and i == n - 1:
            fill[COLUMN] = 11 + i
            return TOO_MANY_COLUMNS, p, high, escaped, escaped_alleles
        if c != _TAB and i < n - 1:
            return TOO_FEW_COLUMNS, p, high, escaped, escaped_alleles

        if ploidy == 1 and scratch[0] <= MAX_CODED_ALLELE:
            code = HAPLOID_BASE + 1 + scratch[0]
        elif ploidy == 2 and scratch[0] <= MAX_CODED_ALLELE and scratch[1] <= MAX_CODED_ALLELE:
            code = (scratch[0] + 1) * DIPLOID_STRIDE + scratch[1] + 1 + PHASED_OFFSET * scratch[MAX_PLOIDY + 1]
        elif ploidy > 0:
            code = ESCAPE
            if escaped == len(site) or escaped_alleles + ploidy > len(alleles):
                return ESCAPES_FULL, p, high, escaped, escaped_alleles
            for k in range(ploidy):
                alleles[escaped_alleles + k] = scratch[k]
                phased[escaped_alleles + k] = 0 if phase_set else scratch[MAX_PLOIDY + k]
            site[escaped] = row
            sample[escaped] = i
            escaped += 1
            escaped_alleles += ploidy
            offset[escaped] = escaped_alleles
        # The phase set is not stored, and phase without its set would claim too much.
        if phase_set and PHASED_OFFSET <= code < HAPLOID_BASE:
            code -= PHASED_OFFSET
        out[i] = code
        p += 1
    return DONE, p - 1, high, escaped, escaped_alleles


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
            if c == _TAB:
                if last:
                    return TOO_MANY_COLUMNS
            elif c == _LF or (c == _CR and buf[p + 1] == _LF):
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
            digit = np.int64(buf[q]) - _ZERO
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
            if not _IS_BASE[buf[q]]:
                return BAD_REF
        if position + (ends[3] - ends[2] - 2) > fill[LIMIT]:
            return BEYOND_CONTIG

        fill[COLUMN] = 5
        n_alleles = 1
        structural = False
        if not (ends[4] - ends[3] == 2 and buf[ends[3] + 1] == _DOT):
            start = ends[3] + 1
            for q in range(start, ends[4] + 1):
                if q == ends[4] or buf[q] == _COMMA:
                    if q - start > MAX_ALLELE_BYTES:
                        return ALLELE_TOO_LONG
                    kind = _alt_kind(buf, start, q)
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
            if q == ends[6] or buf[q] == _SEMICOLON:
                if q == start:
                    return BAD_FILTER
                start = q + 1
            elif buf[q] == 32 or buf[q] == _COMMA or buf[q] == _LESS or buf[q] == _GREATER or buf[q] == 127:
                return BAD_FILTER  # it could not be declared in the header of an extract

        # INFO: only END and SVTYPE, only where an ALT has no bases of its own.
        fill[COLUMN] = 8
        end_from, end_to, type_from, type_to = 0, 0, 0, 0
        if structural:
            start = ends[6] + 1
            for q in range(start, ends[7] + 1):
                if q == ends[7] or buf[q] == _SEMICOLON:
                    if _starts(buf, start, q, 69, 78, 68) and buf[start + 3] == 61 and end_to == 0:  # END=
                        end_from, end_to = start, q
                        if q == start + 4 or q > start + 14:
                            return BAD_END
                        for d in range(start + 4, q):
                            if buf[d] < _ZERO or buf[d] > 57:
                                return BAD_END
                    elif (
                        q - start > 7 and _starts(buf, start, q, 83, 86, 84) and _starts(buf, start + 3, q, 89, 80, 69)
                    ):  # SVTYPE
                        if buf[start + 6] == 61 and type_to == 0:
                            type_from, type_to = start, q
                    start = q + 1

        # FORMAT: where GT and the phase set are among the subfields.
        gt, ps, psl, keys = -1, -1, -1, 0
        if samples:
            fill[COLUMN] = 9
            start = ends[7] + 1
            for q in range(start, ends[8] + 1):
                if q == ends[8] or buf[q] == _COLON:
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
                    elif q - start == 3 and _starts(buf, start, q, 80, 83, 76):  # PSL
                        if psl >= 0:
                            return BAD_FORMAT
                        psl = keys
                    keys += 1
                    start = q + 1

        need = (ends[4] - ends[2]) + (ends[2] - ends[1]) + (ends[6] - ends[5]) + (end_to - end_from) + (type_to - type_from) + 8
        if fill[TEXT] + need > len(text):
            return TEXT_FULL

        escaped, escaped_alleles = fill[ESCAPES], fill[ESCAPE_ALLELES]
        packed = CODED
        if gt == 0 and keys == 1 and n_alleles > 1:
            packed = _packed_calls(buf, p, stop, samples, bits[row])
        if samples == 0:
            p = ends[fixed - 1]
        elif packed != CODED or (gt == 0 and keys == 1 and _fixed_calls(buf, p, stop, n_alleles, codes[row])):
            p += 4 * samples - 1
        else:
            status, p, seen, escaped, escaped_alleles = _calls(
                buf, p, gt, ps, psl, keys, n_alleles, leading_phase, row, codes[row],
                site, sample, offset, alleles, phased, escaped, escaped_alleles, scratch, fill,
            )  # fmt: skip
            if status != DONE:
                return status
            if (seen & _HIGH) != _U0:
                high |= 0x80
        p += 1 if buf[p] == _LF else 2
        if p - line > MAX_LINE_BYTES:
            return LINE_TOO_LONG

        # Commit the line.
        t = fill[TEXT]
        bounds[row, 0] = t
        for q in range(ends[2] + 1, ends[4] if n_alleles > 1 else ends[3]):
            text[t] = _COMMA if q == ends[3] else buf[q]
            t += 1
        bounds[row, 1] = t
        t = _copy(buf, ends[1] + 1, ends[2], text, t)
        bounds[row, 2] = t
        t = _copy(buf, ends[5] + 1, ends[6], text, t)
        bounds[row, 3] = t
        t = _copy(buf, end_from, end_to, text, t)
        if end_to and type_to:
            text[t] = _SEMICOLON
            t += 1
        t = _copy(buf, type_from, type_to, text, t)
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


@kernel(types.void(RO(types.uint8), RO(types.int64), RO(types.int64), RW(types.uint8)))
def _gather(text: Any, starts: Any, offsets: Any, data: Any) -> None:
    for i in range(len(starts)):
        shift = starts[i] - offsets[i]
        for k in range(offsets[i], offsets[i + 1]):
            data[k] = text[k + shift]
