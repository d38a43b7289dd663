"""The kernel that encodes sites: bit planes, each as its difference from an earlier site where that is shorter, and their classes.

The code is described in docs/formats/genotypes.md; ``encoder.ChunkEncoder`` is the only caller.
"""

# ruff: noqa: C901, PLR0912, PLR0915, PLR0917, RUF046 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator, unreachable"

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.call_codes import DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, PHASED_OFFSET
from vault.genotypes.codec.format_constants import EMPTY, GOLOMB, MAX_K, RAW, TILE_SITES, TOGGLE
from vault.genotypes.codec.kernels.bit_planes import (
    ANY_HAPLOID,
    N_ESCAPES,
    N_EVENTS,
    N_RAW,
    N_SITES,
    TILE_FILL,
    choose_alphabet,
    codes_of,
    find_alphabet,
    pack_any,
    pack_biallelic,
)
from vault.genotypes.codec.packed_calls import CODED, PHASED
from vault.genotypes.compute.jit import RO, RW, helper, kernel, popcount, trailing_zeros

RAW_DENSITY = 0.36  # above this share of ones gap coding saves less than it costs to decode
SEARCH = 64  # earlier sites tried as XOR reference
# With fewer than one word in so many used, a loop over a list of those words beats a vector loop over all of them.
SPARSE = 8
REFERENCE_BITS = 12.0  # what naming a reference costs in the site table

SPLIT_RATIO = 3  # haplotype planes this different in density get a class each (unphased sites)

_U0, _U1 = np.uint64(0), np.uint64(1)
_EVEN = np.uint64(0x5555555555555555)
_ODD = np.uint64(0xAAAAAAAAAAAAAAAA)
_B3 = np.uint64(3)


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


@helper
def _count_carriers(histogram: Any, people: Any) -> None:
    """Add to ``people[a]`` how many calls of a site name ALT a, each call once; escapes are counted elsewhere."""
    for code in range(ESCAPE):  # no code behind it names an allele
        times = histogram[code]
        if times == 0:
            continue
        if code >= HAPLOID_BASE:
            one, two = code - HAPLOID_BASE - 1, -1
        else:
            pair = code % PHASED_OFFSET
            one, two = pair // DIPLOID_STRIDE - 1, pair % DIPLOID_STRIDE - 1
        if one > 0:
            people[one] += np.uint32(times)
        if two > 0 and two != one:
            people[two] += np.uint32(times)


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
    RW(types.uint32, 2),  # carriers[site, ALT]: people whose call names the ALT, as far as call codes go
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
    carriers: Any,
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
            codes_of(packed[i], n, form[i] == PHASED, spare)
        elif counters[ANY_HAPLOID] == 0:
            known = pack_biallelic(codes, start, n, phased, row)
            if not known:
                known = pack_biallelic(codes, start, n, not phased, row)
                phased = phased != known
        if known:
            ones, people = 0, 0
            for w in range(words):
                word = row[w]
                ones += popcount(word)
                people += popcount((word | (word >> _U1)) & _EVEN)
            carriers[site, 1] = people
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
            _count_carriers(histogram, carriers[site])
            choose_alphabet(histogram, n, plain, alphabet)
            end = pack_any(source, start, n, state, alphabet, row, events, begin, counters)
            ones = 0
            for w in range(words):
                ones += popcount(row[w])
        counts[t] = ones
        site_alphabet[site] = find_alphabet(alphabet, alphabets, counters)
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
