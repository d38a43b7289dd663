"""Pairs of relatives among the people of a view, by KING's robust estimator over its common sites. Pure.

φ = 1/2 - Σ(xᵢ - xⱼ)² / 4 min(Hᵢ, Hⱼ) over sites that both have called (Manichaikul and others, Bioinformatics 26:2867, 2010; the
between-family estimator, as ``plink2 --make-king``), with a bit for each site and a count of bits for each pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from policies.disclosure import kinship_degrees
from vault.genotypes.compute.threads import over_rows
from vault.risk import kernels


@dataclass(frozen=True)
class KinPairs:
    """Number of ``pairs`` of each degree of ``kinship_degrees.CUTS``; ``people`` who have a relative of the second degree or closer."""

    pairs: tuple[int, ...]
    people: int


def count(dosage: NDArray[np.int8]) -> KinPairs:
    """Count all pairs. ``dosage`` int8[m, n]: ALT counts 0 to 2 of each person, negative where there is none."""
    n = dosage.shape[1]
    refs, hets, alts = (_packed(dosage == copies) for copies in (0, 1, 2))
    cuts = np.array(list(kinship_degrees.CUTS.values()))
    pairs, nearest, lock = np.zeros(len(cuts), np.int64), np.full(n, len(cuts), np.int64), Lock()
    blocks = -(-n // kernels.TOGETHER)

    def kernel(first: int, last: int) -> None:
        own_pairs, own_nearest = np.zeros(len(cuts), np.int64), np.full(n, len(cuts), np.int64)
        for early in range(first, last):
            for block in sorted({early, blocks - 1 - early}):  # an early block has few people before it, its twin has many
                kernels.count_pairs(refs, hets, alts, block, block + 1, cuts, own_pairs, own_nearest)
        with lock:
            np.add(pairs, own_pairs, out=pairs)
            np.minimum(nearest, own_nearest, out=nearest)

    over_rows(kernel, blocks - blocks // 2, work=n * n * refs.shape[1])
    close = list(kinship_degrees.CUTS).index("second")
    return KinPairs(tuple(pairs.tolist()), int((nearest <= close).sum()))


def _packed(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """uint64[n, words] of bool[m, n]."""
    m, n = bits.shape
    padded = np.zeros((n, -(-m // 64) * 64), np.bool_)
    padded[:, :m] = bits.T
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)
