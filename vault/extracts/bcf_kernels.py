"""Numba kernels of the BCF writer: records as bytes, straight from the columns of a view (BCF 2.2; VCF specification §6.3).

Called by ``vault.extracts.bcf`` only, with C-contiguous arrays. ``put`` functions write at ``out[at:]`` and return the position after; with
an empty ``out`` they only count.
"""
# ruff: noqa: PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.extracts.vcf_kernels import put_bytes
from vault.genotypes.codec.call_codes import ESCAPE
from vault.genotypes.compute.jit import RO, RW, helper, kernel

INT8, INT16, INT32, CHAR = 1, 2, 3, 7
_QUAL_MISSING = 0x7F800001
_END_OF_VECTOR = 0x81  # int8: the call has fewer alleles than the row's widest
_INLINE = 15  # lengths from here on follow their descriptor as a typed integer


@helper
def put_little(out: Any, at: Any, value: Any, size: Any) -> Any:
    """The lowest ``size`` bytes of an integer, little-endian."""
    if len(out) > 0:
        for k in range(size):
            out[at + k] = (value >> (8 * k)) & 255
    return at + size


@helper
def integer_type(largest: Any) -> Any:
    """The narrowest integer type of values up to ``largest`` >= 0."""
    if largest <= 127:
        return INT8
    return INT16 if largest <= 32767 else INT32


@helper
def put_head(out: Any, at: Any, length: Any, kind: Any) -> Any:
    """The descriptor of a vector."""
    if length < _INLINE:
        return put_little(out, at, (length << 4) | kind, 1)
    at = put_little(out, at, 0xF0 | kind, 1)
    return put_integer(out, at, length)


@helper
def put_integer(out: Any, at: Any, value: Any) -> Any:
    """A typed scalar."""
    kind = integer_type(value)
    at = put_little(out, at, 0x10 | kind, 1)
    return put_little(out, at, value, 1 << (kind - 1))


@helper
def put_text(out: Any, at: Any, data: Any, start: Any, stop: Any) -> Any:
    """A typed string, ``data[start:stop]``."""
    at = put_head(out, at, stop - start, CHAR)
    return put_bytes(out, at, data, start, stop)


@helper
def put_lengths(out: Any, at: Any, data: Any, start: Any, stop: Any) -> Any:
    """A typed vector of int32, the whole numbers of ``data[start:stop]`` with commas between, "." missing."""
    count = 1
    for p in range(start, stop):
        count += 1 if data[p] == 44 else 0  # ","
    at = put_head(out, at, count, INT32)
    value, sign, missing = 0, 1, False
    for p in range(start, stop + 1):
        if p == stop or data[p] == 44:
            at = put_little(out, at, 0x80000000 if missing else (sign * value) & 0xFFFFFFFF, 4)
            value, sign, missing = 0, 1, False
        elif data[p] == 46:  # "."
            missing = True
        elif data[p] == 45:  # "-"
            sign = -1
        else:
            value = min(value * 10 + data[p] - 48, 0x7FFFFFFF)
    return at


@helper
def put_info(out: Any, at: Any, data: Any, start: Any, stop: Any, keys: Any) -> Any:
    """Fields of "END=…;SVTYPE=…;SVLEN=…"; (position after, number of fields). ``keys``: dictionary numbers of AC, AN, END, SVTYPE, SVLEN."""
    fields = 0
    while start < stop:
        end = start
        while end < stop and data[end] != 59:  # ";"
            end += 1
        fields += 1
        if data[start] == 69:  # "E" of END=
            value = 0
            for p in range(start + 4, end):
                value = value * 10 + data[p] - 48
            at = put_integer(out, at, keys[2])
            at = put_integer(out, at, value)
        elif data[start + 2] == 84:  # "T" of SVTYPE=
            at = put_integer(out, at, keys[3])
            at = put_text(out, at, data, start + 7, end)
        else:
            at = put_integer(out, at, keys[4])
            at = put_lengths(out, at, data, start + 6, end)
        start = end + 1
    return at, fields


@kernel(
    types.int64(
        types.int64,
        types.int64,
        RW(types.uint8),
        RW(types.int64),
        types.int64,
        RO(types.int32),
        RO(types.int64),
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
        RO(types.int64),
    )
)
def shared_parts(
    first: Any,
    last: Any,
    out: Any,
    starts: Any,
    samples: Any,
    contig: Any,
    pos: Any,
    ends: Any,
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
    keys: Any,
) -> Any:
    """The shared part of records first..last, the two lengths at its front left open; ``starts[r + 1]`` becomes the end of part r."""
    at = 0
    for r in range(first, last):
        front = at
        alleles = allele_offsets[r + 1] - allele_offsets[r]
        at = put_little(out, at + 8, contig[r], 4)
        at = put_little(out, at, pos[r] - 1, 4)
        at = put_little(out, at, ends[r] - pos[r] + 1, 4)
        at = put_little(out, at, _QUAL_MISSING, 4)
        counted = at
        at += 8
        unnamed = id_ends[r + 1] - id_ends[r] == 1 and id_data[id_ends[r]] == 46  # "."
        at = put_text(out, at, id_data, id_ends[r + 1] if unnamed else id_ends[r], id_ends[r + 1])
        start = allele_ends[r]
        for p in range(allele_ends[r], allele_ends[r + 1]):
            if allele_data[p] == 44:  # ","
                at = put_text(out, at, allele_data, start, p)
                start = p + 1
        at = put_text(out, at, allele_data, start, allele_ends[r + 1])
        at = put_bytes(out, at, filter_data, filter_ends[r], filter_ends[r + 1])
        fields = 1
        if alleles > 1:
            at = put_integer(out, at, keys[0])
            largest = 0
            for k in range(allele_offsets[r] + 1, allele_offsets[r + 1]):
                largest = max(largest, counts[k])
            kind = integer_type(largest)
            at = put_head(out, at, alleles - 1, kind)
            for k in range(allele_offsets[r] + 1, allele_offsets[r + 1]):
                at = put_little(out, at, counts[k], 1 << (kind - 1))
            fields += 1
        at = put_integer(out, at, keys[1])
        at = put_integer(out, at, an[r])
        at, extra = put_info(out, at, info_data, info_ends[r], info_ends[r + 1], keys)
        put_little(out, counted, (alleles << 16) | (fields + extra), 4)
        put_little(out, counted + 4, (1 << 24) | samples, 4)
        put_little(out, front, at - front - 8, 4)
        starts[r - first + 1] = at
    return at


@kernel(
    types.void(
        types.int64, types.int64, RO(types.int64), types.int64, RO(types.int64), RO(types.int64), types.int64, RW(types.int64)
    )
)
def measure_records(first: Any, last: Any, shared_ends: Any, samples: Any, width: Any, size: Any, key: Any, starts: Any) -> Any:
    """``starts[r - first + 1]`` becomes the end of record r; ``width`` alleles a call and ``size`` bytes an allele are by row."""
    nothing = np.empty(0, np.uint8)
    at = 0
    for r in range(first, last):
        at += shared_ends[r - first + 1] - shared_ends[r - first]
        at = put_integer(nothing, at, key)
        at = put_head(nothing, at, width[r], size[r])
        at += samples * width[r] * size[r]
        starts[r - first + 1] = at


@helper
def put_allele(out: Any, at: Any, value: Any, inside: Any, size: Any) -> Any:
    """One allele; beyond the call's own (not ``inside``) the end-of-vector value."""
    if size == 1:
        out[at] = value if inside else _END_OF_VECTOR
        return at + 1
    return put_little(out, at, value if inside else 0x8001, 2)


@helper
def put_uneven(
    out: Any,
    at: Any,
    line: Any,
    width: Any,
    size: Any,
    pairs: Any,
    e: Any,
    escape_offset: Any,
    escape_alleles: Any,
    escape_phased: Any,
) -> Any:
    """The calls of a row of any ploidy; (position after, next escape)."""
    for j in range(len(line)):
        pair = pairs[line[j]]
        for k in range(width):
            if line[j] == ESCAPE:
                p = escape_offset[e] + k
                inside = p < escape_offset[e + 1]
                value = ((escape_alleles[p] + 1) << 1) | escape_phased[p] if inside else 0
            else:
                value = (pair >> (8 * k)) & 255 if k < 2 else _END_OF_VECTOR
                inside = value != _END_OF_VECTOR
            at = put_allele(out, at, value, inside, size)
        if line[j] == ESCAPE:
            e += 1
    return at, e


@kernel(
    types.void(
        RO(types.uint8, 2),
        types.int64,
        types.int64,
        RO(types.uint8),
        RO(types.int64),
        RO(types.int64),
        RO(types.int64),
        types.int64,
        RO(types.uint16),
        RO(types.int64),
        RO(types.int64),
        RO(types.int16),
        RO(types.uint8),
        RO(types.int64),
        RW(types.uint8),
    )
)
def write_records(
    codes: Any,
    first: Any,
    last: Any,
    shared: Any,
    shared_ends: Any,
    width: Any,
    size: Any,
    key: Any,
    pairs: Any,
    escape_site: Any,
    escape_offset: Any,
    escape_alleles: Any,
    escape_phased: Any,
    starts: Any,
    out: Any,
) -> Any:
    """Records first..last. ``pairs`` uint16[256]: the two int8 of each code, little-endian."""
    n = codes.shape[1]
    e = np.searchsorted(escape_site, first)
    for r in range(first, last):
        at = put_bytes(out, starts[r - first], shared, shared_ends[r - first], shared_ends[r - first + 1])
        begin = at
        at = put_integer(out, at, key)
        at = put_head(out, at, width[r], size[r])
        line = codes[r]
        if width[r] == 2 and size[r] == 1 and (e == len(escape_site) or escape_site[e] != r):
            for j in range(n):
                pair = pairs[line[j]]
                out[at + 2 * j] = pair & 255
                out[at + 2 * j + 1] = pair >> 8
            at += 2 * n
        else:
            calls = (escape_offset, escape_alleles, escape_phased)
            at, e = put_uneven(out, at, line, width[r], size[r], pairs, e, *calls)
        put_little(out, starts[r - first] + 4, at - begin, 4)
