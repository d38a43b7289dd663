"""Numba kernels of the writers: VCF lines as bytes, straight from the columns of a view.

Arrays are C-contiguous. ``measure`` kernels count the bytes that the matching ``write`` kernel puts down, and where.
"""
# ruff: noqa: PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.call_codes import ESCAPE
from vault.genotypes.compute.jit import RO, RW, helper, kernel

_TAB, _COMMA, _DOT, _SEMICOLON = 9, 44, 46, 59


@helper
def put_number(out: Any, at: Any, value: Any) -> Any:
    """Decimal digits of a value >= 0 at ``out[at:]``; the position after them. With an empty ``out``, counts only."""
    digits = 1
    rest = value // 10
    while rest > 0:
        digits += 1
        rest //= 10
    if len(out) > 0:
        for k in range(digits - 1, -1, -1):
            out[at + k] = 48 + value % 10
            value //= 10
    return at + digits


@helper
def put_bytes(out: Any, at: Any, source: Any, start: Any, stop: Any) -> Any:
    """``source[start:stop]`` at ``out[at:]``; the position after it. With an empty ``out``, counts only."""
    if len(out) > 0:
        for k in range(start, stop):
            out[at + k - start] = source[k]
    return at + stop - start


@kernel(
    types.int64(
        types.int64,
        types.int64,
        RW(types.uint8),
        RW(types.int64),
        RO(types.uint8),
        RO(types.int64),
        RO(types.int32),
        RO(types.int64),
        RO(types.uint8),
        RO(types.int64),
        RO(types.uint8),
        RO(types.int64),
        RO(types.uint8),
        RO(types.int64),
        RO(types.uint8),
        RO(types.int64),
        RO(types.int64),
        RO(types.int64),
        RO(types.int64),
        RO(types.uint8),
    )
)
def fixed_columns(
    first: Any,
    last: Any,
    out: Any,
    starts: Any,
    name_data: Any,
    name_ends: Any,
    contig: Any,
    pos: Any,
    id_data: Any,
    id_ends: Any,
    allele_data: Any,
    allele_ends: Any,
    filter_data: Any,
    filter_ends: Any,
    info_data: Any,
    info_ends: Any,
    allele_offsets: Any,
    counts: Any,
    an: Any,
    words: Any,
) -> Any:
    """CHROM to FORMAT of rows first..last; ``starts[r + 1]`` becomes the end of row r. ``words``: b"AC=", b";AN=", b"GT"."""
    at = 0
    for r in range(first, last):
        at = put_bytes(out, at, name_data, name_ends[contig[r]], name_ends[contig[r] + 1])
        at = put_bytes(out, at, words, 0, 1)
        at = put_number(out, at, pos[r])
        at = put_bytes(out, at, words, 0, 1)
        at = put_bytes(out, at, id_data, id_ends[r], id_ends[r + 1])
        at = put_bytes(out, at, words, 0, 1)
        comma = allele_ends[r + 1]
        for p in range(allele_ends[r], allele_ends[r + 1]):
            if allele_data[p] == _COMMA:
                comma = p
                break
        at = put_bytes(out, at, allele_data, allele_ends[r], comma)
        at = put_bytes(out, at, words, 0, 1)
        if comma == allele_ends[r + 1]:
            at = put_bytes(out, at, words, 1, 2)
        else:
            at = put_bytes(out, at, allele_data, comma + 1, allele_ends[r + 1])
        at = put_bytes(out, at, words, 0, 3)  # "\t.\t": no QUAL
        at = put_bytes(out, at, filter_data, filter_ends[r], filter_ends[r + 1])
        at = put_bytes(out, at, words, 0, 1)
        for k in range(allele_offsets[r] + 1, allele_offsets[r + 1]):
            lead = k == allele_offsets[r] + 1  # "AC=", then ","
            at = put_bytes(out, at, words, 3 if lead else 6, 6 if lead else 7)
            at = put_number(out, at, counts[k])
        if allele_offsets[r + 1] > allele_offsets[r] + 1:
            at = put_bytes(out, at, words, 7, 8)  # ;
        at = put_bytes(out, at, words, 8, 11)  # AN=
        at = put_number(out, at, an[r])
        if info_ends[r + 1] > info_ends[r]:
            at = put_bytes(out, at, words, 7, 8)
            at = put_bytes(out, at, info_data, info_ends[r], info_ends[r + 1])
        at = put_bytes(out, at, words, 11, 14)  # \tGT
        starts[r - first + 1] = at
    return at


WORDS = np.frombuffer(b"\t.\tAC=,;AN=\tGT", np.uint8).copy()


@kernel(types.int64(RO(types.int64), RO(types.int16), RO(types.uint8), RW(types.uint8), RW(types.int64)))
def escape_texts(offset: Any, alleles: Any, phased: Any, out: Any, ends: Any) -> Any:
    """A tab and the GT text of each escaped call."""
    at = 0
    for e in range(len(offset) - 1):
        for k in range(offset[e], offset[e + 1]):
            if len(out) > 0:
                out[at] = _TAB if k == offset[e] else (124 if phased[k] else 47)
            at += 1
            if alleles[k] < 0:
                if len(out) > 0:
                    out[at] = _DOT
                at += 1
            else:
                at = put_number(out, at, alleles[k])
        ends[e + 1] = at
    return at


@kernel(
    types.void(
        RO(types.uint8, 2),
        types.int64,
        types.int64,
        RO(types.int64),
        RO(types.boolean),
        RO(types.int64),
        RO(types.int64),
        RO(types.int64),
        RW(types.int64),
    )
)
def measure_lines(
    codes: Any,
    first: Any,
    last: Any,
    prefix_ends: Any,
    uneven: Any,
    lengths: Any,
    escape_site: Any,
    escape_ends: Any,
    starts: Any,
) -> Any:
    """``starts[r - first + 1]`` becomes the end of line r within its batch."""
    n = codes.shape[1]
    e = np.searchsorted(escape_site, first)
    at = 0
    for r in range(first, last):
        at += prefix_ends[r - first + 1] - prefix_ends[r - first] + 1
        if uneven[r]:
            for j in range(n):
                at += lengths[codes[r, j]]
            while e < len(escape_site) and escape_site[e] == r:
                at += escape_ends[e + 1] - escape_ends[e]
                e += 1
        else:
            at += 4 * n
        starts[r - first + 1] = at


@kernel(
    types.void(
        RO(types.uint8, 2),
        types.int64,
        types.int64,
        RO(types.uint8),
        RO(types.int64),
        RO(types.boolean),
        RO(types.int64),
        RO(types.uint32),
        RO(types.int64),
        RO(types.uint8),
        RO(types.int64),
        RO(types.int64),
        RW(types.uint8),
    )
)
def write_lines(
    codes: Any,
    first: Any,
    last: Any,
    prefix: Any,
    prefix_ends: Any,
    uneven: Any,
    lengths: Any,
    texts: Any,
    escape_site: Any,
    escape_data: Any,
    escape_ends: Any,
    starts: Any,
    out: Any,
) -> Any:
    """Lines first..last. ``texts`` uint32[256]: a tab and the GT text of each code, little-endian; ``lengths`` its bytes, 0 for ESCAPE."""
    n = codes.shape[1]
    e = np.searchsorted(escape_site, first)
    for r in range(first, last):
        at = put_bytes(out, starts[r - first], prefix, prefix_ends[r - first], prefix_ends[r - first + 1])
        line = codes[r]
        if uneven[r]:
            for j in range(n):
                code = line[j]
                if code == ESCAPE:
                    at = put_bytes(out, at, escape_data, escape_ends[e], escape_ends[e + 1])
                    e += 1
                    continue
                text = texts[code]
                for _ in range(lengths[code]):
                    out[at] = text & 255
                    text >>= 8
                    at += 1
        else:
            for j in range(n):
                text = texts[line[j]]
                spot = at + 4 * j
                out[spot] = text & 255  # four stores side by side, which the compiler joins into one
                out[spot + 1] = (text >> 8) & 255
                out[spot + 2] = (text >> 16) & 255
                out[spot + 3] = text >> 24
            at += 4 * n
        out[at] = 10
