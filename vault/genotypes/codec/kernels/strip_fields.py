"""Helpers of the decoder that read payloads into the fields of a strip of subjects (docs/formats/genotypes.md §3).

Every read of a payload is bounded: a payload that says more than it holds makes the helper return MALFORMED, and nothing is read past its
end by more than the 8 spare bytes behind the buffer.
"""

# ruff: noqa: C901, PLR0911, PLR0912, PLR0915, PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="arg-type, assignment, operator, unreachable"

from __future__ import annotations

from typing import Any

import numpy as np

from vault.genotypes.codec.call_codes import ESCAPE
from vault.genotypes.codec.format_constants import HAS_ESCAPES
from vault.genotypes.codec.kernels.decode_plan import UNWANTED
from vault.genotypes.compute.jit import helper, load_u64, trailing_zeros
from vault.limits import MAX_PLOIDY

MALFORMED = -1  # the payload says more than it holds
FULL = -2  # no room left for exceptions

_U0, _U1 = np.uint64(0), np.uint64(1)


@helper
def read_gaps(
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
def read_raw(data: Any, begin: Any, first: Any, stop: Any, raw_row: Any, fields: Any) -> None:
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
def undo_references(fields: Any, reference: Any) -> None:
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
