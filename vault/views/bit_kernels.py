"""Numba kernels of ``released_bits``, called by its typed functions only."""
# ruff: noqa: C901, PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.call_codes import DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, MAX_CODED_ALLELE, PHASED_OFFSET
from vault.genotypes.compute.jit import RO, RW, kernel

_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_HALF = np.uint64(32)


@kernel(types.void(RO(types.uint64), RO(types.int32), RO(types.int64), RO(types.uint8), RO(types.int64), RW(types.uint64)))
def name_sites(seeds: Any, contig: Any, pos: Any, data: Any, ends: Any, out: Any) -> Any:
    """A number for each site, of its contig's seed, POS and alleles: FNV-1a over 64-bit words and bytes, mixed at the end."""
    for i in range(len(out)):
        name = (seeds[contig[i]] ^ np.uint64(pos[i])) * _MIX
        name ^= name >> _HALF
        for p in range(ends[i], ends[i + 1]):
            name = (name ^ np.uint64(data[p])) * _PRIME
        name ^= name >> _HALF
        name *= _MIX
        out[i] = name ^ (name >> _HALF)


_RUN = 64  # calls looked at together: most runs of a rare site are all the same, which vector code sees at 10 GB/s


@kernel(types.void(RO(types.uint8, 2), types.int64, types.int64, RO(types.float64), RO(types.int64), RW(types.float64)))
def add_person_bits(codes: Any, first: Any, last: Any, bits: Any, offsets: Any, out: Any) -> Any:
    """Add each person's surprisal at rows ``first`` to ``last`` of ``codes`` uint8[m, n] to ``out`` float64[n]; ``bits`` of alleles beside ``offsets``.

    What the least surprising call tells is added once for all, and of the others what they tell more.
    """
    table = np.zeros(256)
    for_all = 0.0
    n = len(out)
    for r in range(first, last):
        begin = offsets[r]
        alleles = min(offsets[r + 1] - begin, MAX_CODED_ALLELE + 1)
        common = 0
        for a in range(1, alleles):
            if bits[begin + a] > 0.0 and (bits[begin + a] < bits[begin + common] or bits[begin + common] == 0.0):
                common = a
        line = codes[r]
        usual = (common + 1) * (DIPLOID_STRIDE + 1)
        if n > 0 and PHASED_OFFSET <= line[0] < HAPLOID_BASE:
            usual += PHASED_OFFSET
        base = 2.0 * bits[begin + common]
        for a in range(-1, alleles):
            bits_a = bits[begin + a] if a >= 0 else 0.0
            table[HAPLOID_BASE + a + 1] = bits_a - base
            for b in range(-1, alleles):
                both = bits_a + (bits[begin + b] if b >= 0 else 0.0) - base
                if a >= 0 and b >= 0 and a != b:
                    both -= 1.0
                code = (a + 1) * DIPLOID_STRIDE + b + 1
                table[code] = both
                table[PHASED_OFFSET + code] = both
        table[ESCAPE] = -base
        for_all += base
        for start in range(0, n, _RUN):
            end = min(start + _RUN, n)
            other = False
            for j in range(start, end):
                other |= line[j] != usual
            if other:
                for j in range(start, end):
                    out[j] += table[line[j]]
    for j in range(n):
        out[j] += for_all


@kernel(types.void(RO(types.uint8, 2), RO(types.int64), RO(types.boolean), RW(types.boolean)))
def find_haploid(codes: Any, rows: Any, escaped: Any, haploid: Any) -> Any:
    """Set ``haploid[r]`` of the chosen rows to whether somebody is called there and nobody as diploid or more; ``escaped`` bool[m]: somebody is by an escape."""
    for r in rows:
        some = False
        every = not escaped[r]
        for code in codes[r]:
            if 0 < code < HAPLOID_BASE and code != PHASED_OFFSET:
                every = False
                break
            some = some or HAPLOID_BASE < code < ESCAPE
        haploid[r] = some and every
