"""Kernels that turn sites into bit planes and bit planes into per-subject payloads. The code itself is described in
docs/formats/genotypes.md; ``blocks.ChunkEncoder`` is the only caller.

Bits of a site: two per subject, the field ``2*b1 + b2`` at bits ``2*(j % 32)`` of word ``j // 32``; alphabet[field] is the call.
"""

# ruff: noqa: C901, PLR0912, PLR0915, PLR0917, RUF046 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator, unreachable"

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.call_codes import ESCAPE, HAPLOID_BASE, PHASED_OFFSET
from vault.genotypes.codec.format_constants import EMPTY, GOLOMB, MAX_K, RAW, TILE_SITES, TOGGLE
from vault.genotypes.codec.packed_calls import CODED, PHASED
from vault.genotypes.compute.jit import RO, RW, helper, kernel, load_u64, popcount, store_u64, trailing_zeros

RAW_DENSITY = 0.36  # above this share of ones gap coding saves less than it costs to decode
SEARCH = 64  # earlier sites tried as XOR reference
SPARSE = (
    8  # with fewer than one word in this many used, going through a list of those words is quicker than through all in vectors
)
REFERENCE_BITS = 12.0  # what naming a reference costs in the site table

SPLIT_RATIO = 3  # haplotype planes this different in density get a class each (unphased sites)

# positions in the ``counters`` array shared by encoder and kernel
N_SITES, N_EVENTS, N_RAW, N_ALPHABETS, TILE_FILL, ANY_HAPLOID, N_ESCAPES = range(7)

_HIGH = np.uint64(0x8080808080808080)
_LOW7 = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONES = np.uint64(0x0101010101010101)
_NOT_BIT0 = np.uint64(0xFEFEFEFEFEFEFEFE)
_EVEN = np.uint64(0x5555555555555555)
_ODD = np.uint64(0xAAAAAAAAAAAAAAAA)
_U0, _U1 = np.uint64(0), np.uint64(1)
_B3 = np.uint64(3)
_PACK4, _PACK8, _PACK16 = np.uint64(0x000F000F000F000F), np.uint64(0x000000FF000000FF), np.uint64(0xFFFF)


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
def _pack_biallelic(codes: Any, start: Any, n: Any, phased: Any, row: Any) -> Any:
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
def _codes_of(packed: Any, n: Any, phased: Any, spare: Any) -> None:
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
def _choose_alphabet(histogram: Any, n: Any, plain: Any, alphabet: Any) -> Any:
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
def _find_alphabet(alphabet: Any, alphabets: Any, counters: Any) -> Any:
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
def _pack_any(codes: Any, start: Any, n: Any, state: Any, alphabet: Any, row: Any, events: Any, at: Any, counters: Any) -> Any:
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


@helper
def _cost(ones: Any, bits: Any) -> Any:
    """About how many bits ``ones`` ones among ``bits`` cost when gap-coded or kept raw."""
    if ones == 0:
        return 0.0
    gap = ones * (math.log2(bits / ones) + 1.5)
    return min(gap, float(bits))


@helper
def _find_reference(bits: Any, counts: Any, t: Any, words: Any, n: Any, search: Any, used: Any) -> Any:
    """Earlier site of the tile whose bits are nearest to site t's, if XOR with it pays: (its index or -1, ones left)."""
    ones = counts[t]
    if ones < 3:
        return -1, ones
    n_used = 0
    for w in range(words):
        if bits[t, w] != _U0:
            used[n_used] = w
            n_used += 1
    sparse = n_used * SPARSE < words
    best, left = -1, ones
    tried = 0
    for r in range(t - 1, -1, -1):
        count = counts[r]
        if count >= 2 * ones or count * 4 < ones:
            continue
        tried += 1
        shared = 0
        if sparse:
            for i in range(n_used):
                shared += popcount(bits[t, used[i]] & bits[r, used[i]])
        else:
            for w in range(words):
                shared += popcount(bits[t, w] & bits[r, w])
        distance = ones + count - 2 * shared
        if distance < left:
            best, left = r, distance
            if distance == 0:
                break
        if tried >= search:
            break
    if best >= 0 and _cost(ones, 2.0 * n) - _cost(left, 2.0 * n) < REFERENCE_BITS:
        return -1, ones
    return best, left


@helper
def _parameter(ones: Any, places: Any) -> Any:
    """Golomb parameter k for this share of ones."""
    share = ones / places
    if share >= 0.5:
        return 0
    k = int(math.floor(math.log2(-1.0 / math.log2(1.0 - share)) + 0.5))
    return min(max(k, 0), MAX_K)


@helper
def _append_plane(row: Any, mask: Any, words: Any, events: Any, at: Any) -> Any:
    """Subjects whose bit of one plane is set, appended to ``events``. Returns the end."""
    for w in range(words):
        word = row[w] & mask
        while word != _U0:
            events[at] = np.uint32(w * 32 + (trailing_zeros(word) >> 1))
            at += 1
            word &= word - _U1
    return at


_ENCODE = types.int64(
    RO(types.uint8),  # form, packed rows and flat codes of the sites
    RO(types.uint64, 2),
    RO(types.uint8),
    types.int64,  # n subjects
    types.int64,  # first site to take
    RW(types.uint8),  # spare[n], and the same to read from
    RO(types.uint8),
    types.boolean,  # plain
    types.int64,  # search
    RW(types.uint8),  # state[n]: 1 = haploid by default
    RW(types.uint64, 2),  # bits[TILE_SITES, words]
    RW(types.int64),  # counts[TILE_SITES]
    RW(types.uint16),  # alphabet index per site
    RW(types.uint8, 2),  # alphabets[., 4]
    RW(types.uint16),  # distance to the XOR reference, 0 = none
    RW(types.uint8, 2),  # classes[site, 3]
    RW(types.uint8),  # commonest exception per site
    RW(types.uint32),  # events: subject | value << 24
    RW(types.int64),  # end of each row's events, [3 * capacity + 1]
    RW(types.uint64, 2),  # raw rows
    RW(types.int64),  # counters
)


@kernel(_ENCODE)
def encode_sites(
    form: Any,
    packed: Any,
    codes: Any,
    n: Any,
    first_site: Any,
    spare: Any,
    spare_codes: Any,
    plain: Any,
    search: Any,
    state: Any,
    bits: Any,
    counts: Any,
    site_alphabet: Any,
    alphabets: Any,
    reference: Any,
    classes: Any,
    default: Any,
    events: Any,
    row_end: Any,
    raw_rows: Any,
    counters: Any,
) -> Any:
    """Take sites from the first on while the buffers have room; returns the next one, or -1 - i if site i has an unknown code."""
    words = bits.shape[1]
    used = np.empty(words, np.int64)
    alphabet = np.empty(4, np.uint8)
    histogram = np.zeros(256, np.int64)
    residual = np.empty(words, np.uint64)
    last_mask = ~_U0 if n % 32 == 0 else (_U1 << np.uint64(2 * (n % 32))) - _U1
    phased = True
    for i in range(first_site, len(form)):
        if counters[N_EVENTS] + 3 * n > len(events) or counters[N_RAW] >= len(raw_rows):
            return i
        if counters[TILE_FILL] == TILE_SITES:
            counters[TILE_FILL] = 0
        t = counters[TILE_FILL]
        site = counters[N_SITES]
        row = bits[t]
        source, start = codes, i * n
        begin = counters[N_EVENTS]
        end = begin
        known = False
        if form[i] != CODED and counters[ANY_HAPLOID] == 0:
            known = True
            phased = form[i] == PHASED
            for w in range(words):
                row[w] = packed[i, w]
        elif form[i] != CODED:
            source, start = spare_codes, 0
            _codes_of(packed[i], n, form[i] == PHASED, spare)
        elif counters[ANY_HAPLOID] == 0:
            known = _pack_biallelic(codes, start, n, phased, row)
            if not known:
                known = _pack_biallelic(codes, start, n, not phased, row)
                phased = phased != known
        if known:
            ones = 0
            for w in range(words):
                ones += popcount(row[w])
            flip = not plain and ones > n
            if flip:
                ones = 2 * n - ones
                for w in range(words):
                    row[w] = ~row[w]
                row[words - 1] &= last_mask
            for field in range(4):
                written = 3 - field if flip else field
                alphabet[field] = (133 if phased else 12) + 11 * (written >> 1) + (written & 1)
        else:
            histogram[:] = 0
            for j in range(n):
                histogram[source[start + j]] += 1
            if histogram[TOGGLE]:
                return -1 - i
            counters[N_ESCAPES] += histogram[ESCAPE]
            _choose_alphabet(histogram, n, plain, alphabet)
            end = _pack_any(source, start, n, state, alphabet, row, events, begin, counters)
            ones = 0
            for w in range(words):
                ones += popcount(row[w])
        counts[t] = ones
        site_alphabet[site] = _find_alphabet(alphabet, alphabets, counters)
        exceptions = end - begin

        # XOR reference; where the call is an exception the bits are free, so they follow the reference
        best = -1
        if not plain:
            best, _left = _find_reference(bits, counts, t, words, n, search, used)
        reference[site] = t - best if best >= 0 else 0
        if best >= 0:
            for e in range(begin, end):
                if (events[e] >> np.uint32(24)) != TOGGLE:
                    j = np.int64(events[e] & np.uint32(0xFFFFFF))
                    field_mask = _B3 << np.uint64(2 * (j & 31))
                    row[j >> 5] = (row[j >> 5] & ~field_mask) | (bits[best, j >> 5] & field_mask)
            if exceptions:
                ones = 0
                for w in range(words):
                    ones += popcount(row[w])
                counts[t] = ones
            for w in range(words):
                residual[w] = row[w] ^ bits[best, w]
        else:
            for w in range(words):
                residual[w] = row[w]

        # classes and events of the two haplotype planes
        second = 0
        first = 0
        for w in range(words):
            second += popcount(residual[w] & _EVEN)
            first += popcount(residual[w] & _ODD)
        # exceptions were written first; the rows are kept in the order b1, b2, exceptions
        if plain or first + second > RAW_DENSITY * 2 * n:
            classes[site, 0] = RAW
            classes[site, 1] = RAW
            for w in range(words):
                raw_rows[counters[N_RAW], w] = residual[w]
            counters[N_RAW] += 1
            first = 0
            second = 0
        else:
            apart = first + second > 8 and max(first, second) > SPLIT_RATIO * min(first, second)
            both = _parameter(first + second, 2 * n) if first + second else 0
            classes[site, 0] = EMPTY if first == 0 else GOLOMB + (_parameter(first, n) if apart else both)
            classes[site, 1] = EMPTY if second == 0 else GOLOMB + (_parameter(second, n) if apart else both)
        haplotypes = first + second
        for e in range(exceptions - 1, -1, -1):
            events[begin + haplotypes + e] = events[begin + e]
        at = _append_plane(residual, _ODD, words, events, begin) if first else begin
        row_end[3 * site + 1] = at
        at = _append_plane(residual, _EVEN, words, events, at) if second else at
        row_end[3 * site + 2] = at
        row_end[3 * site + 3] = at + exceptions
        counters[N_EVENTS] = at + exceptions

        # exceptions: class by how many, default value = the commonest
        classes[site, 2] = EMPTY
        default[site] = 0
        if exceptions:
            histogram[:] = 0
            for e in range(at, at + exceptions):
                histogram[events[e] >> np.uint32(24)] += 1
            default[site] = 0 if plain else np.argmax(histogram)
            classes[site, 2] = GOLOMB + (5 if plain else _parameter(exceptions, n))
        counters[N_SITES] = site + 1
        counters[TILE_FILL] = t + 1
    return len(form)


@kernel(types.void(RO(types.uint32), RO(types.int64), RO(types.int64), RW(types.int64)))
def count_events(events: Any, row_end: Any, order: Any, count: Any) -> None:
    """``count[j + 1]`` = events of subject j in the rows named by ``order``."""
    for g in range(len(order)):
        row = order[g]
        for e in range(row_end[row], row_end[row + 1]):
            count[np.int64(events[e] & np.uint32(0xFFFFFF)) + 1] += 1


@kernel(types.void(RO(types.uint32), RO(types.int64), RO(types.int64), RW(types.int64), RW(types.uint32)))
def sort_events(events: Any, row_end: Any, order: Any, fill: Any, by_subject: Any) -> None:
    """Events by subject, each ``place | value << 24``, places ascending. ``fill[j]`` starts as subject j's first index."""
    for g in range(len(order)):
        row = order[g]
        for e in range(row_end[row], row_end[row + 1]):
            j = np.int64(events[e] & np.uint32(0xFFFFFF))
            by_subject[fill[j]] = np.uint32(g) | (events[e] & np.uint32(0xFF000000))
            fill[j] += 1


@kernel(
    types.void(
        RO(types.uint32), RO(types.int64), RO(types.int64), RO(types.uint8), RO(types.uint8), RW(types.uint8), RW(types.int64)
    )
)
def measure(by_subject: Any, first: Any, class_end: Any, plane: Any, default: Any, shift: Any, bits: Any) -> None:
    """Bits of each subject's gap-coded part under the best of three parameter shifts.

    ``class_end[k]``: end of the places whose parameter is k. ``plane``, ``default``: of each place.
    """
    n_classes = len(class_end)
    for j in range(len(shift)):
        best = np.int64(-1)
        for choice in range(3):
            total = np.int64(0)
            e = first[j]
            place = np.int64(0)
            for k in range(n_classes):
                end = class_end[k]
                if place == end:
                    continue
                used = max(k + choice - 1, 0)
                while e < first[j + 1]:
                    at = np.int64(by_subject[e] & np.uint32(0xFFFFFF))
                    if at >= end:
                        break
                    total += ((at - place) >> used) + 1 + used
                    if plane[at] == 2:
                        total += 1 if (by_subject[e] >> np.uint32(24)) == default[at] else 9
                    place = at + 1
                    e += 1
                total += (end - place + (np.int64(1) << used) - 1) >> used
                place = end
            if best < 0 or total < best:
                best = total
                shift[j] = choice
        bits[j] = best


@kernel(
    types.void(
        RO(types.uint32),
        RO(types.int64),
        RO(types.int64),
        RO(types.uint8),
        RO(types.uint8),
        RO(types.uint8),
        RO(types.int64),
        RW(types.uint8),
    )
)
def write_gaps(by_subject: Any, first: Any, class_end: Any, plane: Any, default: Any, shift: Any, start: Any, out: Any) -> None:
    """Write each subject's gap-coded part at byte ``start[j]`` of ``out`` (which has 16 spare bytes behind the last)."""
    n_classes = len(class_end)
    for j in range(len(shift)):
        at_byte = start[j]
        acc = _U0
        held = np.int64(0)
        e = first[j]
        place = np.int64(0)
        for k in range(n_classes):
            end = class_end[k]
            if place == end:
                continue
            used = max(k + np.int64(shift[j]) - 1, 0)
            while True:
                more = False
                at = end
                if e < first[j + 1]:
                    at = np.int64(by_subject[e] & np.uint32(0xFFFFFF))
                    more = at < end
                if more:
                    run = at - place
                    unary = run >> used
                else:
                    run = end - place
                    unary = (run + (np.int64(1) << used) - 1) >> used
                while unary > 0:
                    step = min(unary, 32)
                    acc |= ((_U1 << np.uint64(step)) - _U1) << np.uint64(held)
                    held += step
                    unary -= step
                    if held >= 32:
                        store_u64(out, at_byte, acc & np.uint64(0xFFFFFFFF))
                        at_byte += 4
                        acc >>= np.uint64(32)
                        held -= 32
                if not more:
                    break
                acc |= np.uint64(run & ((np.int64(1) << used) - 1)) << np.uint64(held + 1)
                held += 1 + used
                if held >= 32:
                    store_u64(out, at_byte, acc & np.uint64(0xFFFFFFFF))
                    at_byte += 4
                    acc >>= np.uint64(32)
                    held -= 32
                if plane[at] == 2:
                    value = np.uint64(by_subject[e] >> np.uint32(24))
                    if value == np.uint64(default[at]):
                        held += 1
                    else:
                        acc |= (_U1 | (value << _U1)) << np.uint64(held)
                        held += 9
                    if held >= 32:
                        store_u64(out, at_byte, acc & np.uint64(0xFFFFFFFF))
                        at_byte += 4
                        acc >>= np.uint64(32)
                        held -= 32
                place = at + 1
                e += 1
            place = end
        while held > 0:
            out[at_byte] = np.uint8(acc & np.uint64(0xFF))
            at_byte += 1
            acc >>= np.uint64(8)
            held -= 8


@kernel(types.void(RO(types.uint64, 2), types.int64, RO(types.int64), RW(types.uint8)))
def write_raw(raw_rows: Any, n_raw: Any, start: Any, out: Any) -> None:
    """Transpose the raw rows: subject j's fields, four sites a byte, at byte ``start[j]`` of ``out``."""
    n = len(start)
    for quad in range((n_raw + 3) // 4):
        rows = min(4, n_raw - 4 * quad)
        for j in range(n):
            value = _U0
            for i in range(rows):
                value |= ((raw_rows[4 * quad + i, j >> 5] >> np.uint64(2 * (j & 31))) & _B3) << np.uint64(2 * i)
            out[start[j] + quad] = np.uint8(value)
