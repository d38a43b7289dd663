"""Kernels that turn chosen subjects' payloads straight into a site-major code matrix, or into counts of it. ``decoding`` is the only
caller; the code itself is described in docs/formats/genotypes.md.

People are decoded in strips of 256. The fields of a strip, ``2*b1 + b2`` of subject j at bits ``2*(j % 32)`` of word ``j // 32``, one
row for each wanted site and each site that such a site refers to, stay in the processor's second-level cache from the first bit read
to the last code written, whatever the size of the cohort. Every read of a payload is bounded: a payload that says more than it holds
makes the kernel return an error, never read past its end by more than the 8 spare bytes behind the buffer.
"""

# ruff: noqa: C901, PLR0911, PLR0912, PLR0915, PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="arg-type, assignment, operator, unreachable"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.call_codes import ESCAPE
from vault.genotypes.codec.format_constants import HAS_ESCAPES, TOGGLE
from vault.genotypes.codec.kernels.decode_plan import UNWANTED
from vault.genotypes.compute.jit import RO, RW, helper, kernel, load_u64, popcount, store_u32, trailing_zeros
from vault.limits import MAX_PLOIDY

STRIP = 256  # subjects

DONE = 0
MALFORMED = -1
FULL = -2

_U0, _U1 = np.uint64(0), np.uint64(1)
_LOW = np.uint64(0x5555555555555555)
_FOUR = np.uint32(0x01010101)


@helper
def _read_gaps(
    data: Any,
    begin: Any,
    end: Any,
    first: Any,
    stop: Any,
    raw_bytes: Any,
    class_end: Any,
    n_places: Any,
    target: Any,
    default: Any,
    fields: Any,
    out_site: Any,
    out_subject: Any,
    out_value: Any,
    out_escape: Any,
    count: Any,
) -> Any:
    """Scatter the gap-coded ones of a strip. Returns the number of exceptions in the lists, MALFORMED, or FULL (lists too short)."""
    n_classes = len(class_end)
    for j in range(first, stop):
        at_head = begin[j]
        end_bit = end[j] * 8
        bit = (at_head + 1 + raw_bytes) * 8
        if bit > end_bit:
            return MALFORMED
        head = data[at_head]
        shift = np.int64((head >> 1) & 3) - 1
        mine = count
        escapes = 0
        word_of = (j - first) >> 5
        low = 2 * ((j - first) & 31)
        place = np.int64(0)
        k = 0
        while k < n_classes and place < n_places:
            stop_place = class_end[k]
            used = max(k + shift, 0)
            k += 1
            while place < stop_place:
                if bit > end_bit:
                    return MALFORMED
                word = load_u64(data, bit >> 3) >> np.uint64(bit & 7)
                ones = trailing_zeros(~word)
                needed = (stop_place - place + (np.int64(1) << used) - 1) >> used
                if ones >= needed:
                    bit += needed
                    place = stop_place
                    break
                if ones >= 48:
                    bit += 48
                    place += np.int64(48) << used
                    continue
                bit += ones + 1
                if ones + 1 + used <= 56:
                    word >>= np.uint64(ones + 1)
                else:
                    if bit > end_bit:
                        return MALFORMED
                    word = load_u64(data, bit >> 3) >> np.uint64(bit & 7)
                rest = np.int64(word & ((_U1 << np.uint64(used)) - _U1))
                bit += used
                place += (ones << used) + rest
                if place >= stop_place or place >= n_places:
                    if place >= stop_place:
                        return MALFORMED
                    break
                aimed = target[place]
                if aimed >= 0:
                    fields[aimed >> 1, word_of] |= _U1 << np.uint64(low + (aimed & 1))
                elif aimed != UNWANTED:
                    if bit > end_bit:
                        return MALFORMED
                    word = load_u64(data, bit >> 3) >> np.uint64(bit & 7)
                    site = -2 - aimed
                    value = np.int64(default[site])
                    bit += 1
                    if word & _U1:
                        value = np.int64((word >> _U1) & np.uint64(0xFF))
                        bit += 8
                    if count >= len(out_site):
                        return FULL
                    out_site[count] = site
                    out_subject[count] = j
                    out_value[count] = value
                    out_escape[count] = 0
                    escapes += value == ESCAPE
                    count += 1
                place += 1
        if place < n_places:
            return MALFORMED
        if n_places < len(target):
            continue
        if bit > end_bit:
            return MALFORMED
        at_byte = (bit + 7) >> 3
        for e in range(mine, count):
            if out_value[e] == ESCAPE:
                out_escape[e] = at_byte
                if at_byte + 2 > end[j] or data[at_byte] < 1 or data[at_byte] > MAX_PLOIDY:
                    return MALFORMED
                at_byte += 2 + 2 * np.int64(data[at_byte])
        if at_byte != end[j] or (escapes > 0) != ((head & HAS_ESCAPES) != 0):
            return MALFORMED
    return count


@helper
def _read_raw(data: Any, begin: Any, first: Any, stop: Any, raw_row: Any, fields: Any) -> None:
    """The raw part of a strip: ``raw_row[i]`` is the row of raw site i, -1 = not wanted. Subjects in fours, which share a byte."""
    n_raw = len(raw_row)
    columns = fields.view(np.uint8)
    for j in range(first, stop, 4):
        width = min(4, stop - j)
        column = (j - first) >> 2
        for quad in range((n_raw + 3) // 4):
            word = _U0
            for i in range(width):
                word |= np.uint64(data[begin[j + i] + 1 + quad]) << np.uint64(8 * i)
            # 4 x 4 transpose of two-bit fields: byte i = subject, field q = site, to byte q, field i
            swap = (word ^ (word >> np.uint64(6))) & np.uint64(0x00CC00CC)
            word ^= swap ^ (swap << np.uint64(6))
            swap = (word ^ (word >> np.uint64(12))) & np.uint64(0x0000F0F0)
            word ^= swap ^ (swap << np.uint64(12))
            for q in range(min(4, n_raw - 4 * quad)):
                at = raw_row[4 * quad + q]
                if at >= 0:
                    columns[at, column] = np.uint8((word >> np.uint64(8 * q)) & np.uint64(0xFF))


@helper
def _undo_references(fields: Any, reference: Any) -> None:
    """XOR each row with the row it refers to, in order."""
    width = fields.shape[1]
    for r in range(len(reference)):
        source = reference[r]
        if source >= 0:
            if width == 8:  # a whole strip, which the compiler makes one vector instruction of
                for w in range(8):
                    fields[r, w] ^= fields[source, w]
            else:
                for w in range(width):
                    fields[r, w] ^= fields[source, w]


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
        found = _read_gaps(
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
        _read_raw(data, begin, first, stop, raw_row, fields)
        _undo_references(fields, reference)
        if counting:
            _count(fields, row, stop - first, tally)
            _discount(fields, first, row, row_of_site, out_site, out_subject, out_value, progress[1], found, marks, tally)
        if writing:
            _expand(fields, row, site_alphabet, alphabets, first, stop, codes, n)
        progress[0] += 1
        progress[1] = found
    return DONE
