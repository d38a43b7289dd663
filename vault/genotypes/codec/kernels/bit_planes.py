"""Helpers of the encoder that turn the calls of a site into bits: an alphabet of four calls, two bits a subject, and exceptions.

Bits of a site: two per subject, the field ``2*b1 + b2`` at bits ``2*(j % 32)`` of word ``j // 32``; alphabet[field] is the call
(docs/formats/genotypes.md §2).
"""

# ruff: noqa: C901, PLR0912, PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator, unreachable"

from __future__ import annotations

from typing import Any

import numpy as np

from vault.genotypes.codec.call_codes import ESCAPE, HAPLOID_BASE, PHASED_OFFSET
from vault.genotypes.codec.format_constants import TOGGLE
from vault.genotypes.compute.jit import helper, load_u64

# positions in the ``counters`` array shared by encoder and kernels
N_SITES, N_EVENTS, N_RAW, N_ALPHABETS, TILE_FILL, ANY_HAPLOID, N_ESCAPES = range(7)

_U0, _U1 = np.uint64(0), np.uint64(1)
_PACK4, _PACK8, _PACK16 = np.uint64(0x000F000F000F000F), np.uint64(0x000000FF000000FF), np.uint64(0xFFFF)
_HIGH = np.uint64(0x8080808080808080)
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONES = np.uint64(0x0101010101010101)
_NOT_BIT0 = np.uint64(0xFEFEFEFEFEFEFEFE)
_B3 = np.uint64(3)


@helper
def _fields(codes: Any, phased: Any) -> Any:
    """Eight codes in a word -> (their 16 bits of fields, non-zero if one of them is not 0/0, 0/1, 1/0 or 1/1 of that phase)."""
    if phased:
        bad = (codes & _HIGH) ^ _HIGH
        shifted = (codes | _HIGH) - _ONES * np.uint64(5)
    else:
        bad = codes & _HIGH
        shifted = (codes | _HIGH) - _ONES * np.uint64(12)
    bad |= (shifted & _HIGH) ^ _HIGH
    value = shifted & _LOW7
    first = ((value + _ONES * np.uint64(0x75)) >> np.uint64(7)) & _ONES
    second = value - first * np.uint64(11)
    bad |= second & _NOT_BIT0
    packed = second | (first << _U1)
    packed = (packed | (packed >> np.uint64(6))) & _PACK4
    packed = (packed | (packed >> np.uint64(12))) & _PACK8
    packed = (packed | (packed >> np.uint64(24))) & _PACK16
    return packed, bad


@helper
def pack_biallelic(codes: Any, start: Any, n: Any, phased: Any, row: Any) -> Any:
    """Fill ``row`` from biallelic codes; False (row undefined) if some call is anything else."""
    bad = _U0
    full = n // 32
    for w in range(full):
        at = start + w * 32
        a, x = _fields(load_u64(codes, at), phased)
        b, y = _fields(load_u64(codes, at + 8), phased)
        c, z = _fields(load_u64(codes, at + 16), phased)
        d, v = _fields(load_u64(codes, at + 24), phased)
        row[w] = a | (b << np.uint64(16)) | (c << np.uint64(32)) | (d << np.uint64(48))
        bad |= x | y | z | v
        if bad != _U0:
            return False
    if full * 32 < n:
        base = 133 if phased else 12
        word = _U0
        for j in range(full * 32, n):
            value = np.int64(codes[start + j]) - base
            first = np.int64(value >= 11)
            second = value - 11 * first
            if second < 0 or second > 1:
                return False
            word |= np.uint64(2 * first + second) << np.uint64(2 * (j - full * 32))
        row[full] = word
    return True


@helper
def codes_of(packed: Any, n: Any, phased: Any, spare: Any) -> None:
    """The call codes of a packed row."""
    base = 133 if phased else 12
    for j in range(n):
        field = (packed[j >> 5] >> np.uint64(2 * (j & 31))) & _B3
        spare[j] = np.uint8(base + 11 * np.int64(field >> _U1) + np.int64(field & _U1))


@helper
def _haploid_of(code: Any) -> Any:
    """The code that a haploid subject has where the alphabet says ``code``: the first allele alone."""
    if code < HAPLOID_BASE:
        return HAPLOID_BASE + (code % PHASED_OFFSET) // 11
    return code


@helper
def choose_alphabet(histogram: Any, n: Any, plain: Any, alphabet: Any) -> Any:
    """Four codes for a site's fields: two alleles in the commoner phase, or the four commonest calls where that covers more."""
    alleles = np.zeros(11, np.int64)
    phased = 0
    unphased = 0
    for code in range(HAPLOID_BASE):
        if histogram[code]:
            alleles[(code % PHASED_OFFSET) // 11] += histogram[code]
            alleles[(code % PHASED_OFFSET) % 11] += histogram[code]
            if code >= PHASED_OFFSET:
                phased += histogram[code]
            else:
                unphased += histogram[code]
    for code in range(HAPLOID_BASE, ESCAPE):
        alleles[code - HAPLOID_BASE] += histogram[code]
    major, minor = 0, 1
    offset = PHASED_OFFSET if phased > unphased else 0
    if not plain:
        for allele in range(1, 10):
            if alleles[allele + 1] > alleles[major + 1]:
                major = allele
        minor = 1 if major == 0 else 0
        for allele in range(10):
            if allele != major and alleles[allele + 1] > alleles[minor + 1]:
                minor = allele
    for field in range(4):
        first = minor if field & 2 else major
        second = minor if field & 1 else major
        alphabet[field] = offset + (first + 1) * 11 + second + 1
    if plain:
        return
    calls = histogram.copy()
    calls[ESCAPE] = 0
    for code in range(HAPLOID_BASE, ESCAPE):
        if calls[code]:
            calls[offset + (code - HAPLOID_BASE) * 12] += calls[code]
            calls[code] = 0
    covered = 0
    for field in range(4):
        covered += calls[alphabet[field]]
    top = np.zeros(4, np.int64)
    best = 0
    for field in range(4):
        commonest = np.argmax(calls)
        if calls[commonest] == 0:
            commonest = top[0]
        top[field] = commonest
        best += calls[commonest]
        calls[commonest] = 0
    if best > covered + n // 32:
        for field in range(4):
            alphabet[field] = top[field]


@helper
def find_alphabet(alphabet: Any, alphabets: Any, counters: Any) -> Any:
    """Number of the alphabet in the chunk's list, to which it is added if it is new."""
    count = counters[N_ALPHABETS]
    for i in range(count):
        if (
            alphabets[i, 0] == alphabet[0]
            and alphabets[i, 1] == alphabet[1]
            and alphabets[i, 2] == alphabet[2]
            and alphabets[i, 3] == alphabet[3]
        ):
            return i
    alphabets[count] = alphabet
    counters[N_ALPHABETS] = count + 1
    return count


@helper
def pack_any(codes: Any, start: Any, n: Any, state: Any, alphabet: Any, row: Any, events: Any, at: Any, counters: Any) -> Any:
    """Fill ``row`` for any calls; exceptions and ploidy changes go to ``events`` from ``at``. Returns the end."""
    fields = np.full((2, 256), 255, np.uint8)
    for field in range(3, -1, -1):
        fields[0, alphabet[field]] = field
        fields[1, _haploid_of(alphabet[field])] = field
    word = _U0
    for j in range(n):
        code = codes[start + j]
        ploidy = state[j]
        field = fields[ploidy, code]
        if field == 255:
            other = fields[1 - ploidy, code]
            if other != 255 and (
                (ploidy == 0 and code >= HAPLOID_BASE and code < ESCAPE) or (ploidy == 1 and code < HAPLOID_BASE)
            ):
                state[j] = 1 - ploidy
                counters[ANY_HAPLOID] += 1 if ploidy == 0 else -1
                events[at] = np.uint32(j) | (np.uint32(TOGGLE) << np.uint32(24))
                field = other
            else:
                events[at] = np.uint32(j) | (np.uint32(code) << np.uint32(24))
                field = np.uint8(0)
            at += 1
        word |= np.uint64(field) << np.uint64(2 * (j & 31))
        if (j & 31) == 31:
            row[j >> 5] = word
            word = _U0
    if n & 31:
        row[n >> 5] = word
    return at
