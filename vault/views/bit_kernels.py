"""Numba kernels of ``released_bits``, called by its typed functions only."""
# ruff: noqa: PLR0917 - a kernel is one loop nest over arrays, which numba takes by position
# inside kernels the types are numba's, not numpy's:
# mypy: disable-error-code="assignment, operator"

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from vault.genotypes.codec.call_codes import DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, MAX_CODED_ALLELE, PHASED_OFFSET
from vault.genotypes.compute.jit import RO, RW, helper, kernel

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


_TOGETHER = 4  # rows whose bits are added at once: sums are then loaded and stored for every fourth only


@helper
def _fill(table: Any, bits: Any) -> None:
    """Set the surprisal of each call code of a site, from the ``bits`` of its alleles; ESCAPE and ABSENT have none."""
    alleles = min(len(bits), MAX_CODED_ALLELE + 1)
    for a in range(-1, alleles):
        bits_a = bits[a] if a >= 0 else 0.0
        table[HAPLOID_BASE + a + 1] = bits_a
        for b in range(-1, alleles):
            both = bits_a + (bits[b] if b >= 0 else 0.0)
            if a >= 0 and b >= 0 and a != b:
                both -= 1.0
            code = (a + 1) * DIPLOID_STRIDE + b + 1
            table[code] = both
            table[PHASED_OFFSET + code] = both


@kernel(types.void(RO(types.uint8, 2), types.int64, types.int64, RO(types.float64), RO(types.int64), RW(types.float64)))
def add_person_bits(codes: Any, first: Any, last: Any, bits: Any, offsets: Any, out: Any) -> Any:
    """Add each person's surprisal at rows ``first`` to ``last`` of ``codes`` uint8[m, n] to ``out`` float64[n]; ``bits`` of alleles beside ``offsets``."""
    tables = np.zeros((_TOGETHER, 256))
    for r in range(first, last, _TOGETHER):
        for k in range(_TOGETHER):
            if r + k < last:
                _fill(tables[k], bits[offsets[r + k] : offsets[r + k + 1]])
            else:
                tables[k] = 0.0
        a, b, c, d = codes[r], codes[min(r + 1, last - 1)], codes[min(r + 2, last - 1)], codes[min(r + 3, last - 1)]
        of_a, of_b, of_c, of_d = tables[0], tables[1], tables[2], tables[3]
        for j in range(len(out)):
            out[j] += of_a[a[j]] + of_b[b[j]] + of_c[c[j]] + of_d[d[j]]


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
