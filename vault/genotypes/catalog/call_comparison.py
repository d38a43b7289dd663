"""Comparison of two sets of calls of the same people at the same sites, and the kinship that they show. Pure.

Calls are compared as sets of alleles by their bases, without order or phase, and one copy is as two of the same (a male's X).
Kinship is KING's robust estimator, φ = 1/2 - Σ(xᵢ - xⱼ)² / 4 min(Hᵢ, Hⱼ), over SNPs of two alleles on autosomes that both have called,
where x counts the ALT and H the heterozygous sites (Manichaikul et al., Bioinformatics 26:2867, 2010). The same person gives 1/2.
Files that list a person's variants alone share only sites at which both carry an ALT, where φ of strangers is near 0.39; there the share
of SNPs that differ tells more: near 0 of one person, over 0.4 of strangers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.call_codes import DIPLOID_STRIDE, HAPLOID_BASE, MAX_CODED_ALLELE, PHASED_OFFSET, Codes
from vault.genotypes.contigs import normal_contig
from vault.genotypes.site_identity import family_keys
from vault.genotypes.sites import Sites

SAME_PERSON = 0.35  # kinship of less is another person's: duplicates and identical twins are above 0.354 (KING)
UNLIKE_PERSON = 0.20  # share of unlike SNPs of which either carries the ALT: of more, the calls are another person's
LEAST_SNPS = 200  # shared ones, for a kinship to say anything
AUTOSOMES = frozenset(map(str, range(1, 23)))

_Place = tuple[str, int, bytes]  # contig, position, family
NONE, SAME, DIFFERENT = 0, 1, 2
"""States of a call: nobody had one, the same, another."""


@dataclass
class CallTally:
    """Counts for each of n people, int64[n]. ``told``: compared calls of which either carries an ALT; ``unlike``: those of them that differ."""

    same: NDArray[np.int64]
    different: NDArray[np.int64]
    told: NDArray[np.int64]
    unlike: NDArray[np.int64]
    snps: NDArray[np.int64]
    het: NDArray[np.int64]  # int64[2, n]: heterozygous SNPs of the new calls, and of the earlier ones
    square: NDArray[np.int64]  # sum of squared differences of ALT counts
    told_snps: NDArray[np.int64]  # SNPs of which either carries the ALT
    unlike_snps: NDArray[np.int64]  # those of them that differ

    @staticmethod
    def none(n: int) -> CallTally:
        """Nothing compared yet."""
        same, different, told, unlike, snps, square, told_snps, unlike_snps = np.zeros((8, n), np.int64)
        return CallTally(same, different, told, unlike, snps, np.zeros((2, n), np.int64), square, told_snps, unlike_snps)

    def add(self, other: CallTally, columns: NDArray[np.int64]) -> None:
        """Add another tally's counts of SNPs; ``columns`` int64[k]: which of the people its k are."""
        self.snps[columns] += other.snps
        self.het[:, columns] += other.het
        self.square[columns] += other.square
        self.told_snps[columns] += other.told_snps
        self.unlike_snps[columns] += other.unlike_snps

    def unlike_share(self) -> NDArray[np.float64]:
        """Share of SNPs that differ of those of which either call carries the ALT, float64[n]; NaN of fewer than ``LEAST_SNPS``."""
        enough = self.told_snps >= LEAST_SNPS
        return np.where(enough, self.unlike_snps / np.maximum(self.told_snps, 1), np.nan)

    def kinship(self) -> NDArray[np.float64]:
        """KING-robust φ of each person with their earlier calls, float64[n]; NaN where fewer than ``LEAST_SNPS`` or no heterozygous site is shared."""
        least = self.het.min(axis=0)
        enough = (self.snps >= LEAST_SNPS) & (least > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(enough, 0.5 - self.square / (4 * least), np.nan)


@dataclass(frozen=True)
class SharedSites:
    """Sites of two tables that are one family. ``mine``, ``theirs``: int64[k] rows; ``alleles``: int8[k, 11], their allele (+1)
    → the number of its bases in mine, or a further one; ``snp``: bool[k], of two alleles of one base on an autosome, the same in both.
    """

    mine: NDArray[np.int64]
    theirs: NDArray[np.int64]
    alleles: NDArray[np.int8]
    snp: NDArray[np.bool_]


def shared_sites(mine: Sites, theirs: Sites) -> SharedSites:
    """Sites of one family with the same ALTs, or that are the only ones of their family in both tables."""
    own, other = _places(mine), _places(theirs)
    there = {(place, listed): row for row, (place, listed) in enumerate(zip(other, theirs.alleles.items(), strict=True))}
    single, alone = _single(other), _single(own)
    rows, found = [], []
    for row, (place, listed) in enumerate(zip(own, mine.alleles.items(), strict=True)):
        match = there.get((place, listed), -1)
        if match < 0 and alone.get(place) == row:
            match = single.get(place, -1)
        if match >= 0:
            rows.append(row)
            found.append(match)
    left, right = np.array(rows, np.int64), np.array(found, np.int64)
    alleles, snp = _renumbered([mine.alleles[r] for r in rows], [theirs.alleles[r] for r in found])
    if rows:
        autosome = np.array([normal_contig(name) in AUTOSOMES for name in mine.contigs], np.bool_)
        snp &= autosome[mine.contig[left]]
    return SharedSites(left, right, alleles, snp)


def compare(shared: SharedSites, mine: Codes, theirs: Codes) -> tuple[NDArray[np.uint8], CallTally]:
    """State of each call, uint8[k, n], and the tally. ``mine``, ``theirs``: codes uint8[k, n] of the shared sites, people in one order."""
    k, n = mine.shape
    low, high = pairs(mine)
    first, second = pairs(theirs)
    row = np.arange(k)[:, None]
    first, second = shared.alleles[row, first + 1], shared.alleles[row, second + 1]
    first, second = np.minimum(first, second), np.maximum(first, second)
    both = (low >= 0) & (first >= 0)
    differ = both & ((low != first) | (high != second))
    told = both & ((high > 0) | (second > 0))
    tally = CallTally.none(n)
    tally.different, tally.told = differ.sum(axis=0), told.sum(axis=0)
    tally.same, tally.unlike = both.sum(axis=0) - tally.different, (differ & told).sum(axis=0)
    snp = both & shared.snp[:, None]
    tally.snps = snp.sum(axis=0)
    tally.het = np.stack([(snp & (low != high)).sum(axis=0), (snp & (first != second)).sum(axis=0)])
    tally.told_snps, tally.unlike_snps = (told & snp).sum(axis=0), (told & snp & differ).sum(axis=0)
    tally.square = np.where(snp, (low + high - first - second).astype(np.int64) ** 2, 0).sum(axis=0)
    return np.where(differ, DIFFERENT, np.where(both, SAME, NONE)).astype(np.uint8), tally


def pairs(codes: Codes) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Lower and higher allele of each call, int8 of the shape of ``codes``; both -1 where any is missing or no code holds the call."""
    return _LOW[codes], _HIGH[codes]


def _tables() -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    low, high = np.full(256, -1, np.int8), np.full(256, -1, np.int8)
    for allele in range(MAX_CODED_ALLELE + 1):
        low[HAPLOID_BASE + allele + 1] = high[HAPLOID_BASE + allele + 1] = allele
        for other in range(MAX_CODED_ALLELE + 1):
            code = (allele + 1) * DIPLOID_STRIDE + other + 1
            for phase in (0, PHASED_OFFSET):
                low[code + phase], high[code + phase] = min(allele, other), max(allele, other)
    return low, high


_LOW, _HIGH = _tables()


def _places(sites: Sites) -> list[_Place]:
    """Contig, position and family (``site_identity``) of each site."""
    names = [normal_contig(name) for name in sites.contigs]
    return [(names[c], p, key) for c, p, key in zip(sites.contig.tolist(), sites.pos.tolist(), family_keys(sites), strict=True)]


def _single(places: Sequence[_Place]) -> dict[_Place, int]:
    """Row of each place that one site alone has."""
    found: dict[_Place, int] = {}
    for row, place in enumerate(places):
        found[place] = -1 if place in found else row
    return found


def _renumbered(mine: Sequence[bytes], theirs: Sequence[bytes]) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """(int8[k, 11] as in ``SharedSites.alleles``, bool[k]: two alleles of one base each, the same in both)."""
    table = np.tile(np.arange(-1, MAX_CODED_ALLELE + 1, dtype=np.int8), (len(mine), 1))
    snp = np.zeros(len(mine), np.bool_)
    for row, (own, other) in enumerate(zip(mine, theirs, strict=True)):
        if own == other:
            snp[row] = len(own) == 3
            continue
        numbers = {allele: at for at, allele in enumerate(own.upper().split(b","))}
        for at, allele in enumerate(other.upper().split(b",")[: MAX_CODED_ALLELE + 1]):
            table[row, at + 1] = min(numbers.setdefault(allele, len(numbers)), 127)
    return table, snp
