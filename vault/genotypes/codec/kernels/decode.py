"""The kernel that turns chosen subjects' payloads straight into a site-major code matrix, or into counts of it.

``decoder`` is the only caller; the code itself is described in docs/formats/genotypes.md. Subjects are decoded in strips of 256. The fields
of a strip, ``2*b1 + b2`` of subject j at bits ``2*(j % 32)`` of word ``j // 32``, one row for each wanted site and each site that it
refers to, stay in the processor's second-level cache from the first bit read to the last code written, whatever the size of the cohort.
"""

# ruff: noqa: PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="arg-type, assignment, operator, unreachable"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.format_constants import TOGGLE
from vault.genotypes.codec.kernels.strip_fields import read_gaps, read_raw, undo_references
from vault.genotypes.compute.jit import RO, RW, helper, kernel, popcount, store_u32

STRIP = 256  # subjects

DONE = 0

_U0, _U1 = np.uint64(0), np.uint64(1)
_LOW = np.uint64(0x5555555555555555)
_FOUR = np.uint32(0x01010101)


@helper
def _expand(fields: Any, row: Any, site_alphabet: Any, alphabets: Any, first: Any, stop: Any, codes: Any, n: Any) -> None:
    """Fields to codes: ``codes`` flat, ``n`` subjects a site."""
    columns = stop - first
    quads = columns >> 2
    packed = fields.view(np.uint8)
    for i in range(len(row)):
        r = row[i]
        alphabet = site_alphabet[i]
        zero, one = alphabets[alphabet, 0], alphabets[alphabet, 1]
        two, three = alphabets[alphabet, 2], alphabets[alphabet, 3]
        all_zero = np.uint32(zero) * _FOUR
        if_low, if_high = np.uint32(zero ^ one) * _FOUR, np.uint32(zero ^ two) * _FOUR
        if_both = np.uint32(zero ^ one ^ two ^ three) * _FOUR
        out = i * n + first
        for q in range(quads):  # four fields to four bytes, without a branch, so that the compiler takes sixteen quads at once
            x = np.uint32(packed[r, q])
            x = (x | (x << np.uint32(12))) & np.uint32(0x000F000F)
            x = (x | (x << np.uint32(6))) & np.uint32(0x03030303)
            low, high = x & _FOUR, (x >> np.uint32(1)) & _FOUR
            both = low & high
            low = (low << np.uint32(8)) - low  # 1 to 255 in each byte
            high = (high << np.uint32(8)) - high
            both = (both << np.uint32(8)) - both
            store_u32(codes, out + 4 * q, all_zero ^ (low & if_low) ^ (high & if_high) ^ (both & if_both))
        for j in range(4 * quads, columns):
            codes[out + j] = alphabets[alphabet, (fields[r, j >> 5] >> np.uint64(2 * (j & 31))) & np.uint64(3)]


@helper
def _count(fields: Any, row: Any, columns: Any, tally: Any) -> None:
    """Add to ``tally[i, f]`` how often field f stands in the row of each wanted site."""
    width = fields.shape[1]
    for i in range(len(row)):
        r = row[i]
        lows, highs, boths = np.int64(0), np.int64(0), np.int64(0)
        for w in range(width):
            word = fields[r, w]
            low, high = word & _LOW, (word >> _U1) & _LOW
            lows += popcount(low)
            highs += popcount(high)
            boths += popcount(low & high)
        tally[i, 0] += columns - lows - highs + boths
        tally[i, 1] += lows - boths
        tally[i, 2] += highs - boths
        tally[i, 3] += boths


@helper
def _discount(
    fields: Any,
    first: Any,
    row: Any,
    row_of_site: Any,
    site: Any,
    subject: Any,
    value: Any,
    begin: Any,
    stop: Any,
    marks: Any,
    tally: Any,
) -> None:
    """Take the fields of exceptions out of ``tally``, and move those of haploid stretches from column f to column 4 + f."""
    e = begin
    while e < stop:
        j = subject[e]
        word, low = (j - first) >> 5, np.uint64(2 * ((j - first) & 31))
        mine = e
        changes = False
        while e < stop and subject[e] == j:
            at = row_of_site[site[e]]
            if value[e] == TOGGLE:
                changes = True
            elif at >= 0:
                tally[at, (fields[row[at], word] >> low) & np.uint64(3)] -= 1
            e += 1
        if changes:
            for x in range(mine, e):
                marks[site[x]] = 1 if value[x] == TOGGLE else 2
            haploid = 0
            for s in range(len(marks)):
                mark = marks[s]
                haploid ^= mark & 1
                at = row_of_site[s]
                if haploid and mark < 2 and at >= 0:
                    field = (fields[row[at], word] >> low) & np.uint64(3)
                    tally[at, field] -= 1
                    tally[at, field + np.uint64(4)] += 1
            for x in range(mine, e):
                marks[site[x]] = 0


@kernel(
    types.int64(
        RO(types.uint8),  # payloads, 16 spare bytes at the end
        RO(types.int64),  # begin of each subject's payload
        RO(types.int64),  # end
        types.int64,  # end strip; progress[0] is the first
        RO(types.int64),  # class_end
        types.int64,  # places to read
        RO(types.int32),  # target of each place
        RO(types.uint8),  # default exception of each site
        RO(types.int32),  # row of each raw site
        RO(types.int32),  # row that each row refers to, -1 = none
        RW(types.int32),  # exceptions: site
        RW(types.int32),  # exceptions: subject
        RW(types.uint8),  # exceptions: value
        RW(types.int64),  # exceptions: byte offset of the escape record
        RW(types.int64),  # progress: next strip, number of exceptions
        RO(types.int32),  # row of each wanted site
        RO(types.int32),  # place among the wanted of each site, -1 = not wanted
        RO(types.uint16),  # alphabet of each wanted site
        RO(types.uint8, 2),  # alphabets
        RW(types.uint8),  # codes, flat; empty when only counting
        RW(types.int32, 2),  # tally[wanted sites, 8]; empty when only decoding
    )
)
def decode_strips(
    data: Any,
    begin: Any,
    end: Any,
    end_strip: Any,
    class_end: Any,
    n_places: Any,
    target: Any,
    default: Any,
    raw_row: Any,
    reference: Any,
    out_site: Any,
    out_subject: Any,
    out_value: Any,
    out_escape: Any,
    progress: Any,
    row: Any,
    row_of_site: Any,
    site_alphabet: Any,
    alphabets: Any,
    codes: Any,
    tally: Any,
) -> Any:
    """Decode or count strips, or both, ``progress[0]`` to ``end_strip``. Returns DONE, MALFORMED, or FULL: go on with longer lists."""
    n = len(begin)
    width = min(STRIP, n) + 31 >> 5
    fields = np.empty((len(reference), width), np.uint64)
    marks = np.zeros(len(row_of_site), np.uint8)
    raw_bytes = (len(raw_row) + 3) // 4
    counting, writing = len(tally) > 0, len(codes) > 0
    while progress[0] < end_strip:
        first = STRIP * progress[0]
        stop = min(first + STRIP, n)
        fields[:] = 0
        found = read_gaps(
            data,
            begin,
            end,
            first,
            stop,
            raw_bytes,
            class_end,
            n_places,
            target,
            default,
            fields,
            out_site,
            out_subject,
            out_value,
            out_escape,
            progress[1],
        )
        if found < 0:
            return found
        read_raw(data, begin, first, stop, raw_row, fields)
        undo_references(fields, reference)
        if counting:
            _count(fields, row, stop - first, tally)
            _discount(fields, first, row, row_of_site, out_site, out_subject, out_value, progress[1], found, marks, tally)
        if writing:
            _expand(fields, row, site_alphabet, alphabets, first, stop, codes, n)
        progress[0] += 1
        progress[1] = found
    return DONE
