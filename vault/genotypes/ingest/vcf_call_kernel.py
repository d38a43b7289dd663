"""Helpers of the VCF body kernel that read the calls of a line into packed rows, call codes or escapes (VCF 4.3 §1.6.2)."""
# ruff: noqa: C901, PLR0911, PLR0912, PLR0915, PLR0917 - a kernel is one pass over a line: statuses out of the middle, flat arguments
# ruff: noqa: PLR1714, SIM109 - "c in (a, b)" compiles to a loop over a tuple; nested ifs keep conditions short

from __future__ import annotations

from typing import Any

import numpy as np

from vault.genotypes.codec.call_codes import (
    DIPLOID_STRIDE,
    ESCAPE,
    HAPLOID_BASE,
    MAX_CODED_ALLELE,
    MISSING_HAPLOID,
    PHASED_OFFSET,
)
from vault.genotypes.codec.packed_calls import CODED, PHASED, UNPHASED
from vault.genotypes.compute.jit import bare_helper, masks_apart
from vault.genotypes.ingest.vcf_kernel_state import (
    ALLELE_OUT_OF_RANGE,
    BAD_GT,
    COLUMN,
    CONTROL_BYTE,
    DONE,
    EMPTY_COLUMN,
    ESCAPES_FULL,
    LEADING_PHASE,
    NUL_BYTE,
    PLOIDY_TOO_HIGH,
    TOO_FEW_COLUMNS,
    TOO_MANY_COLUMNS,
    TOO_MANY_SUBFIELDS,
)
from vault.genotypes.ingest.vcf_scan_kernel import BAR, COLON, CR, DOT, LF, SLASH, TAB, ZERO, ends_line, skip_subfields
from vault.limits import MAX_PLOIDY

_U0, _U1 = np.uint64(0), np.uint64(1)
_FOURTHS = np.uint64(0x1111111111111111)
_NOT_ALLELES = np.uint64(0xAAAAAAAAAAAAAAAA)  # of a cell of four bytes, the second and the fourth
_CELL_PHASED = np.uint32(int.from_bytes(b"0|0\t", "little"))
_CELL_UNPHASED = np.uint32(int.from_bytes(b"0/0\t", "little"))


@bare_helper
def _fields(apart: Any) -> Any:
    """32 bits of a packed row from the ones among 16 "a|b" cells: bit 4i is cell i's first allele, bit 4i + 2 its second."""
    word = ((apart & _FOURTHS) << _U1) | ((apart >> np.uint64(2)) & _FOURTHS)
    word = (word | (word >> np.uint64(2))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    word = (word | (word >> np.uint64(4))) & np.uint64(0x00FF00FF00FF00FF)
    word = (word | (word >> np.uint64(8))) & np.uint64(0x0000FFFF0000FFFF)
    return (word | (word >> np.uint64(16))) & np.uint64(0xFFFFFFFF)


@bare_helper
def packed_calls(buf: Any, p: Any, stop: Any, n: Any, row: Any) -> Any:
    """UNPHASED or PHASED if the line is nothing but "a|b" cells of 0 and 1 under one mark, and then ``row`` is filled; else CODED.

    A cell that is 0|0 is one comparison in sixteen, and most cells of most sites are.
    """
    if not ends_line(buf, p + 4 * n - 1, stop):
        return CODED
    mark = buf[p + 1]
    if mark != BAR and mark != SLASH:
        return CODED
    pattern = _CELL_PHASED if mark == BAR else _CELL_UNPHASED
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
        a, b = np.int64(buf[p]) - ZERO, np.int64(buf[p + 2]) - ZERO
        if a < 0 or a > 1 or b < 0 or b > 1 or buf[p + 1] != mark or (buf[p + 3] != TAB and j != n - 32 * full - 1):
            return CODED
        word |= np.uint64(2 * a + b) << np.uint64(2 * j)
        p += 4
    row[full] = word
    return PHASED if mark == BAR else UNPHASED


@bare_helper
def fixed_calls(buf: Any, p: Any, stop: Any, n_alleles: Any, out: Any) -> Any:
    """True if the line is nothing but "a|b" fields of one digit; then ``out`` has their codes. Four bytes a call, in vector registers."""
    n = len(out)
    if not ends_line(buf, p + 4 * n - 1, stop):
        return False
    # Unaligned little-endian words: first | separator << 8 | second << 16 | tab << 24.
    words = buf[p : p + 4 * n].view(np.uint32)
    top = np.uint32(1 + min(n_alleles, MAX_CODED_ALLELE + 1))  # '.' → 0, '0' → 2, … '9' → 11
    bad = np.uint32(0)
    for i in range(n):
        word = words[i]
        a = np.uint32((word & np.uint32(0xFF)) - np.uint32(DOT))
        s = np.uint32((word >> np.uint32(8)) & np.uint32(0xFF))
        b = np.uint32(((word >> np.uint32(16)) & np.uint32(0xFF)) - np.uint32(DOT))
        bar = s == np.uint32(BAR)
        wrong = (a > top) | (a == np.uint32(1)) | (b > top) | (b == np.uint32(1)) | ((not bar) & (s != np.uint32(SLASH)))
        wrong |= ((word >> np.uint32(24)) != np.uint32(TAB)) & (i != n - 1)
        bad |= np.uint32(wrong)
        ca = np.uint32(max(a, np.uint32(1)) - np.uint32(1))
        cb = np.uint32(max(b, np.uint32(1)) - np.uint32(1))
        code = np.uint32(ca * np.uint32(DIPLOID_STRIDE) + cb)
        code = np.uint32(code + (np.uint32(PHASED_OFFSET) if bar else np.uint32(0)))
        out[i] = np.uint8(code)
    return bad == 0


@bare_helper
def long_call(buf: Any, p: Any, n_alleles: Any, leading_phase: Any, scratch: Any) -> Any:
    """A GT of any ploidy: (status, byte behind it, ploidy); alleles in scratch[:8], separators before them in scratch[8:16]."""
    lead = 0
    if buf[p] == SLASH or buf[p] == BAR:
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
        if buf[p] == DOT:
            p += 1
        elif ZERO <= buf[p] <= 57:
            allele = 0
            while ZERO <= buf[p] <= 57:
                allele = min(allele * 10 + (np.int64(buf[p]) - ZERO), 1 << 20)
                p += 1
        else:
            return BAD_GT, p, 0
        if allele >= n_alleles:
            return ALLELE_OUT_OF_RANGE, p, 0
        scratch[ploidy] = allele
        scratch[MAX_PLOIDY + ploidy] = separator
        ploidy += 1
        c = buf[p]
        if c != SLASH and c != BAR:
            break
        separator = 1 if c == BAR else 0
        bars += separator
        p += 1
    if c >= 32 and c != COLON:
        return BAD_GT, p, 0
    # A written first mark must be what leaving it out means (VCF 4.4 §1.6.2): "|" where no other mark is "/".
    if lead and (lead == BAR) != (bars == ploidy - 1):
        return LEADING_PHASE, p, 0
    return DONE, p, ploidy


@bare_helper
def calls(
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
                a, b, s = np.int64(c) - DOT, np.int64(0), buf[p + 1] if c >= 32 else 0
                if s == BAR or s == SLASH:
                    b = np.int64(buf[p + 2]) - DOT
                    c = buf[p + 3] if b >= 0 else 0
                    quick = (
                        a != 1 and b != 1 and a >= 0 and b >= 0 and a <= 11 and b <= 11
                        and a <= n_alleles + 1 and b <= n_alleles + 1 and (c == COLON or c < 32)
                    )  # fmt: skip
                else:
                    quick = False
                if quick:
                    code = (a - (a > 0)) * DIPLOID_STRIDE + (b - (b > 0)) + (PHASED_OFFSET if s == BAR else 0)
                    p += 3
                else:
                    status, p, ploidy = long_call(buf, p, n_alleles, leading_phase, scratch)
                    if status != DONE:
                        return status, p, high, escaped, escaped_alleles
                    c = buf[p]
            else:
                start = p
                while c >= 32 and c != COLON:
                    high |= np.uint64(c)
                    p += 1
                    c = buf[p]
                if (key == ps or key == psl) and p > start and not (p == start + 1 and buf[start] == DOT):
                    phase_set = True
            if plain and key >= gt and c == COLON:
                p, colons, seen = skip_subfields(buf, p)
                high |= seen
                c = buf[p]
                if key + colons >= keys:
                    return TOO_MANY_SUBFIELDS, p, high, escaped, escaped_alleles
            if c != COLON:
                break
            key += 1
            if key == keys:
                return TOO_MANY_SUBFIELDS, p, high, escaped, escaped_alleles
            p += 1
        if c != TAB and c != LF and not (c == CR and buf[p + 1] == LF):
            return (NUL_BYTE if c == 0 else CONTROL_BYTE), p, high, escaped, escaped_alleles
        if p == field:
            return EMPTY_COLUMN, p, high, escaped, escaped_alleles
        if c == TAB and i == n - 1:
            fill[COLUMN] = 11 + i
            return TOO_MANY_COLUMNS, p, high, escaped, escaped_alleles
        if c != TAB and i < n - 1:
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
