"""Kernels that count the alleles of calls, site by site. ``allele_counts`` is the only caller."""

# ruff: noqa: C901, PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="arg-type, assignment, operator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.call_codes import ABSENT, DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, PHASED_OFFSET, diploid
from vault.genotypes.codec.format_constants import HAS_ABSENT, HAS_UNEVEN, IS_INVALID
from vault.genotypes.compute.jit import RO, RW, helper, kernel

_REF_PHASED = diploid(0, 0, phased=True)
_REF_UNPHASED = diploid(0, 0, phased=False)
_RUN = 64  # calls looked at together: most runs of a rare site are all reference, which vector code sees at 10 GB/s


@helper
def _add(code: Any, times: Any, row: Any, offsets: Any, counts: Any, an: Any, flags: Any) -> None:
    """Count one call code that stands ``times`` times (at least once) at a site."""
    if code == ABSENT:
        flags[row] |= HAS_ABSENT
        return
    if code >= HAPLOID_BASE:
        flags[row] |= HAS_UNEVEN
        if code == ESCAPE:
            return
        if code > ESCAPE:
            flags[row] |= IS_INVALID
            return
        a, b = code - HAPLOID_BASE - 1, -1
    else:
        pair = code % PHASED_OFFSET
        a, b = pair // DIPLOID_STRIDE - 1, pair % DIPLOID_STRIDE - 1
    base = offsets[row]
    if max(a, b) >= offsets[row + 1] - base:
        flags[row] |= IS_INVALID
        return
    if a >= 0:
        counts[base + a] += times
        an[row] += times
    if b >= 0:
        counts[base + b] += times
        an[row] += times


@kernel(
    types.void(RO(types.uint8, 2), types.int64, types.int64, RO(types.int64), RW(types.int64), RW(types.int64), RW(types.uint8))
)
def count_codes(codes: Any, first: Any, last: Any, offsets: Any, counts: Any, an: Any, flags: Any) -> None:
    """Add the calls of rows ``first`` to ``last`` of a matrix."""
    n = codes.shape[1]
    histogram = np.zeros(256, np.int64)
    for row in range(first, last):
        histogram[:] = 0
        line = codes[row]
        for start in range(0, n, _RUN):
            stop = min(start + _RUN, n)
            other = False
            for j in range(start, stop):
                other |= (line[j] != _REF_PHASED) & (line[j] != _REF_UNPHASED)
            if other:
                for j in range(start, stop):
                    histogram[line[j]] += 1
            else:
                histogram[_REF_PHASED] += stop - start
        for code in range(256):
            if histogram[code] > 0:
                _add(code, histogram[code], row, offsets, counts, an, flags)


@kernel(
    types.void(
        RO(types.int32, 2),  # tally of each site: fields 0 to 3, and the same where the default is haploid
        RO(types.uint16),  # alphabet of each site
        RO(types.uint8, 2),  # alphabets
        RO(types.int32),  # explicit calls: site
        RO(types.uint8),  # explicit calls: code
        RO(types.int64),
        RW(types.int64),
        RW(types.int64),
        RW(types.uint8),
    )
)
def count_fields(
    tally: Any, site_alphabet: Any, alphabets: Any, rows: Any, values: Any, offsets: Any, counts: Any, an: Any, flags: Any
) -> None:
    """Add the counts of ``decoder.count_chunk``."""
    # whether all four fields of an alphabet are diploid calls, and the alleles + 1 of each (0: missing)
    plain = np.empty(len(alphabets), np.bool_)
    one, two = np.zeros((len(alphabets), 4), np.int64), np.zeros((len(alphabets), 4), np.int64)
    for alphabet in range(len(alphabets)):
        plain[alphabet] = True
        for field in range(4):
            code = np.int64(alphabets[alphabet, field])
            plain[alphabet] &= code < HAPLOID_BASE
            one[alphabet, field] = code % PHASED_OFFSET // DIPLOID_STRIDE
            two[alphabet, field] = code % PHASED_OFFSET % DIPLOID_STRIDE
    held = np.zeros(DIPLOID_STRIDE, np.int64)
    for row in range(len(tally)):
        alphabet = site_alphabet[row]
        haploid = tally[row, 4] | tally[row, 5] | tally[row, 6] | tally[row, 7]
        base, alleles = offsets[row], offsets[row + 1] - offsets[row]
        if plain[alphabet] and haploid == 0:  # nearly every site: no branch depends on who carries what
            for field in range(4):
                held[one[alphabet, field]] += tally[row, field]
                held[two[alphabet, field]] += tally[row, field]
            called, listed = 0, 0
            for allele in range(1, DIPLOID_STRIDE):
                called += held[allele]
            for allele in range(min(alleles, DIPLOID_STRIDE - 1)):
                counts[base + allele] += held[allele + 1]
                listed += held[allele + 1]
            an[row] += called
            if listed != called:
                flags[row] |= IS_INVALID
            held[:] = 0
            continue
        for field in range(8):
            times = tally[row, field]
            if times > 0:
                code = np.int64(alphabets[alphabet, field & 3])
                if field >= 4 and code < HAPLOID_BASE:
                    code = HAPLOID_BASE + (code % PHASED_OFFSET) // DIPLOID_STRIDE
                _add(code, times, row, offsets, counts, an, flags)
    for e in range(len(rows)):
        _add(np.int64(values[e]), 1, rows[e], offsets, counts, an, flags)
