"""Bits of genotype information: how well genotypes tell people apart (docs/design/disclosure.md §7). Pure.

    site    -log2 PI; PI is the chance that two unrelated people have the same genotype: 2(Σp²)² - Σp⁴ of two diploid ones,
            Σp² of two haploid ones, p the frequency of each allele
    person  the surprisal: -log2 of the chance of their very genotype, p² or 2·p·r, of a haploid call p

Bits of several sites are added, linked ones too: a bound that no linkage passes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def frequencies(counts: Ints, offsets: Ints) -> Floats:
    """float64[k]: frequency of each allele among those called at its site; 0 where nobody was called.

    ``counts`` int64[k]: copies of each allele, those of site i from ``offsets[i]`` on; ``offsets`` int64[m+1].
    """
    called = np.add.reduceat(counts, offsets[:-1]) if len(counts) else np.zeros(0, np.int64)
    found: Floats = counts / np.maximum(np.repeat(called, np.diff(offsets)), 1)
    return found


def site_bits(counts: Ints, offsets: Ints, haploid: NDArray[np.bool_]) -> Floats:
    """float64[m]: -log2 PI of each site. ``haploid`` bool[m]: all calls are; other arguments as in ``frequencies``."""
    if not len(haploid):
        return np.zeros(0)
    squares = frequencies(counts, offsets) ** 2
    same = np.add.reduceat(squares, offsets[:-1])
    alike = np.where(haploid, same, 2 * same**2 - np.add.reduceat(squares**2, offsets[:-1]))
    return np.log2(1 / np.clip(np.where(alike > 0, alike, 1), None, 1))


def allele_bits(counts: Ints, offsets: Ints) -> Floats:
    """float64[k]: -log2 of each allele's frequency; 0 of those that nobody carries. Arguments as in ``frequencies``."""
    found = frequencies(counts, offsets)
    return -np.log2(found, out=np.zeros_like(found), where=found > 0)


def orders(lengths: Ints, alleles: NDArray[np.int16]) -> Floats:
    """float64[c]: log2 of the number of orders in which each call's known alleles can stand, 1 for a heterozygous diploid call.

    ``lengths`` int64[c] of the calls, of one allele and more; ``alleles`` int16[sum]: call after call, -1 missing.
    """
    call = np.repeat(np.arange(len(lengths)), lengths)
    known = alleles >= 0
    call, alleles = call[known], alleles[known]
    log_factorial = np.concatenate([np.zeros(1), np.cumsum(np.log2(np.arange(1, int(lengths.max(initial=0)) + 1)))])
    total = log_factorial[np.bincount(call, minlength=len(lengths))]
    alike = np.lexsort((alleles, call))
    call, alleles = call[alike], alleles[alike]
    starts = np.flatnonzero(
        np.concatenate([np.ones(min(1, len(call)), np.bool_), (np.diff(call) != 0) | (np.diff(alleles) != 0)])
    )
    sizes = np.diff(np.concatenate([starts, [len(call)]]))
    np.subtract.at(total, call[starts], log_factorial[sizes])
    return total
