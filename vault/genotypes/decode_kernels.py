"""Kernels that turn chosen subjects' payloads straight into a site-major code matrix. ``blocks.decode_chunk`` is the only caller;
the code itself is described in docs/formats/genotypes.md.

The residual matrix holds, for each wanted site, two bits per chosen subject: field ``2*b1 + b2`` at bits ``2*(j % 4)`` of byte
``j // 4``; rows are padded to whole 64-bit words. Every read of a payload is bounded: a payload that says more than it holds
makes the kernel return an error, never read past its end by more than the 8 spare bytes behind the buffer.
"""

# ruff: noqa: C901, PLR0911, PLR0912, PLR0915, PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="arg-type, assignment, operator, unreachable"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.calls import ESCAPE, HAPLOID_BASE, PHASED_OFFSET
from vault.genotypes.code_numbers import HAS_ESCAPES, TOGGLE
from vault.genotypes.compiled import RO, RW, kernel, load_u64, trailing_zeros
from vault.limits import MAX_PLOIDY

MALFORMED = -1
FULL = -2

_U0, _U1 = np.uint64(0), np.uint64(1)
_B3 = np.uint64(3)


@kernel(types.void(RO(types.int64), RW(types.uint8)))
def close_references(reference: Any, wanted: Any) -> None:
    """Mark, beside the wanted sites, every site they are XOR-ed with. ``reference[s]`` < s, or -1."""
    for s in range(len(wanted) - 1, -1, -1):
        if wanted[s] and reference[s] >= 0:
            wanted[reference[s]] = 1


@kernel(
    types.int64(
        RO(types.uint8),  # payloads, 16 spare bytes at the end
        RO(types.int64),  # start[k + 1]
        types.int64,  # first subject
        types.int64,  # end subject
        types.int64,  # bytes of the raw part
        RO(types.int64),  # class_end
        types.int64,  # places to read (all, or up to the last one wanted)
        RO(types.int32),  # residual row of each place, -1 = not wanted
        RO(types.uint8),  # plane of each place: 0 b1, 1 b2, 2 exceptions
        RO(types.int32),  # site of each place
        RO(types.uint8),  # default exception of each place
        RW(types.uint8, 2),  # residual matrix
        RW(types.int32),  # exceptions: site
        RW(types.int32),  # exceptions: subject
        RW(types.uint8),  # exceptions: value
        RW(types.int64),  # exceptions: byte offset of the escape record
    )
)
def read_gaps(
    data: Any,
    start: Any,
    first_subject: Any,
    end_subject: Any,
    raw_bytes: Any,
    class_end: Any,
    n_places: Any,
    row: Any,
    plane: Any,
    site: Any,
    default: Any,
    residual: Any,
    out_site: Any,
    out_subject: Any,
    out_value: Any,
    out_escape: Any,
) -> Any:
    """Scatter the gap-coded ones of some subjects. Returns the number of exceptions, MALFORMED, or FULL (lists too short)."""
    count = 0
    n_classes = len(class_end)
    for j in range(first_subject, end_subject):
        begin = start[j]
        end_bit = start[j + 1] * 8
        bit = (begin + 1 + raw_bytes) * 8
        if bit > end_bit:
            return MALFORMED
        head = data[begin]
        shift = np.int64((head >> 1) & 3) - 1
        mine = count
        escapes = 0
        column = j >> 2
        low = 2 * (j & 3)
        place = np.int64(0)
        k = 0
        while k < n_classes and place < n_places:
            end = class_end[k]
            used = max(k + shift, 0)
            k += 1
            while place < end:
                if bit > end_bit:
                    return MALFORMED
                word = load_u64(data, bit >> 3) >> np.uint64(bit & 7)
                ones = trailing_zeros(~word)
                needed = (end - place + (np.int64(1) << used) - 1) >> used
                if ones >= needed:
                    bit += needed
                    place = end
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
                if place >= end or place >= n_places:
                    if place >= end:
                        return MALFORMED
                    break
                kind = plane[place]
                if kind < 2:
                    at = row[place]
                    if at >= 0:
                        residual[at, column] |= np.uint8(1 << (low + 1 - kind))
                else:
                    if bit > end_bit:
                        return MALFORMED
                    word = load_u64(data, bit >> 3) >> np.uint64(bit & 7)
                    value = np.int64(default[place])
                    bit += 1
                    if word & _U1:
                        value = np.int64((word >> _U1) & np.uint64(0xFF))
                        bit += 8
                    if count >= len(out_site):
                        return FULL
                    out_site[count] = site[place]
                    out_subject[count] = j
                    out_value[count] = value
                    out_escape[count] = 0
                    escapes += value == ESCAPE
                    count += 1
                place += 1
        if place < n_places:
            return MALFORMED
        if n_places < len(plane):
            continue
        if bit > end_bit:
            return MALFORMED
        at_byte = (bit + 7) >> 3
        for e in range(mine, count):
            if out_value[e] == ESCAPE:
                out_escape[e] = at_byte
                if at_byte + 2 > start[j + 1] or data[at_byte] < 1 or data[at_byte] > MAX_PLOIDY:
                    return MALFORMED
                at_byte += 2 + 2 * np.int64(data[at_byte])
        if at_byte != start[j + 1] or (escapes > 0) != ((head & HAS_ESCAPES) != 0):
            return MALFORMED
    return count


@kernel(types.void(RO(types.uint8), RO(types.int64), types.int64, types.int64, types.int64, RO(types.int32), RW(types.uint8, 2)))
def read_raw(data: Any, start: Any, first_subject: Any, end_subject: Any, n_raw: Any, row: Any, residual: Any) -> None:
    """Transpose the raw part: ``row[i]`` is the residual row of raw site i, -1 = not wanted. Subjects in fours."""
    for j in range(first_subject, end_subject, 4):
        width = min(4, end_subject - j)
        column = j >> 2
        for quad in range((n_raw + 3) // 4):
            word = np.uint64(0)
            for i in range(width):
                word |= np.uint64(data[start[j + i] + 1 + quad]) << np.uint64(8 * i)
            # 4 x 4 transpose of two-bit fields: byte i = subject, field q = site, to byte q, field i
            swap = (word ^ (word >> np.uint64(6))) & np.uint64(0x00CC00CC)
            word ^= swap ^ (swap << np.uint64(6))
            swap = (word ^ (word >> np.uint64(12))) & np.uint64(0x0000F0F0)
            word ^= swap ^ (swap << np.uint64(12))
            for q in range(min(4, n_raw - 4 * quad)):
                at = row[4 * quad + q]
                if at >= 0:
                    residual[at, column] = np.uint8((word >> np.uint64(8 * q)) & np.uint64(0xFF))


@kernel(
    types.void(
        RW(types.uint64, 2),  # residual rows as words
        RO(types.int32),  # reference row of each residual row, -1 = none
        types.int64,
        types.int64,
    )
)
def undo_references(residual: Any, reference: Any, first_row: Any, end_row: Any) -> None:
    """XOR each row with the row it refers to, in order. The range must hold whole tiles."""
    words = residual.shape[1]
    for r in range(first_row, end_row):
        source = reference[r]
        if source >= 0:
            for w in range(words):
                residual[r, w] ^= residual[source, w]


@kernel(
    types.void(
        RO(types.uint8, 2),  # fields, one row per wanted site
        RO(types.int64),  # row of each output site
        RO(types.uint16),  # alphabet of each output site
        RO(types.uint8, 2),  # alphabets
        types.int64,
        types.int64,
        RW(types.uint8, 2),  # codes
    )
)
def expand(fields: Any, row: Any, site_alphabet: Any, alphabets: Any, first: Any, end: Any, codes: Any) -> None:
    """Fields to codes for the output sites of a range."""
    n = codes.shape[1]
    table = np.empty((256, 4), np.uint8)
    words = table.view(np.uint32)
    current = np.int64(-1)
    full = n >> 2
    for i in range(first, end):
        alphabet = np.int64(site_alphabet[i])
        if alphabet != current:
            current = alphabet
            for byte in range(256):
                for q in range(4):
                    table[byte, q] = alphabets[alphabet, (byte >> (2 * q)) & 3]
        source = fields[row[i]]
        out = codes[i]
        zero = table[0, 0]
        step = 0
        while step + 8 <= full:
            if load_u64(source, step) == _U0:
                for q in range(4 * step, 4 * step + 32):
                    out[q] = zero
            else:
                for q in range(step, step + 8):
                    four = words[source[q], 0]
                    out[4 * q] = np.uint8(four & np.uint32(255))
                    out[4 * q + 1] = np.uint8((four >> np.uint32(8)) & np.uint32(255))
                    out[4 * q + 2] = np.uint8((four >> np.uint32(16)) & np.uint32(255))
                    out[4 * q + 3] = np.uint8((four >> np.uint32(24)) & np.uint32(255))
            step += 8
        for j in range(4 * step, n):
            out[j] = alphabets[alphabet, (source[j >> 2] >> (2 * (j & 3))) & 3]


@kernel(types.void(RW(types.uint8, 2), RO(types.int64), RO(types.int32), RO(types.int32)))
def apply_ploidy(codes: Any, sites: Any, toggle_site: Any, toggle_subject: Any) -> None:
    """Turn the calls of subjects that are haploid at a site into haploid codes. Toggles are sorted by site."""
    n = codes.shape[1]
    state = np.zeros(n, np.uint8)
    haploid = np.empty(256, np.uint8)
    for code in range(256):
        haploid[code] = HAPLOID_BASE + (code % PHASED_OFFSET) // 11 if code < HAPLOID_BASE else code
    active = 0
    t = 0
    for i in range(len(sites)):
        while t < len(toggle_site) and toggle_site[t] <= sites[i]:
            j = toggle_subject[t]
            active += 1 - 2 * np.int64(state[j])
            state[j] ^= 1
            t += 1
        if active:
            for j in range(n):
                if state[j]:
                    codes[i, j] = haploid[codes[i, j]]


@kernel(types.void(RW(types.uint8, 2), RO(types.int64), RO(types.int32), RO(types.int32), RO(types.uint8)))
def put_exceptions(codes: Any, row_of_site: Any, site: Any, subject: Any, value: Any) -> None:
    """Write explicit calls. ``row_of_site[s]``: output row, -1 = not wanted."""
    for e in range(len(site)):
        at = row_of_site[site[e]]
        if at >= 0 and value[e] != TOGGLE:
            codes[at, subject[e]] = value[e]
