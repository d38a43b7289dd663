"""Imputation of a hidden place from what is shown around it: a person's two chromosomes as mosaics of a reference panel's.

Li and Stephens, Genetics 165:2213, 2003, for genotypes without phase: walking along a chromosome, each of the two copies one of H reference
haplotypes, changes to any of them with chance 1 - e^(-4 N_e r d/H) over d bases, and copies an allele wrongly now and then.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EFFECTIVE = 11_418
"""N_e of Europeans as IMPUTE2 takes it (Howie, Donnelly and Marchini, PLoS Genet 5:e1000529, 2009)."""

RATE = 1e-8
"""Recombinations of one base in one generation."""

WRONG = 1e-3

Floats = NDArray[np.float32]
Bytes = NDArray[np.int8]
Places = NDArray[np.int64]


def changed(distance: float, haplotypes: int) -> float:
    """Chance that the copied haplotype changes over ``distance`` bases."""
    return float(-np.expm1(-4 * EFFECTIVE * RATE * distance / haplotypes))


def seen(wrong: float = WRONG) -> Floats:
    """float32[3, 3]: chance of ``[true copies, copies seen]`` where each allele is wrong with chance ``wrong``."""
    right = 1 - wrong
    none = [right**2, 2 * right * wrong, wrong**2]
    one = [right * wrong, right**2 + wrong**2, right * wrong]
    return np.array([none, one, none[::-1]], np.float32)


def walked(panel: Bytes, copies: Bytes, positions: Places, *, to: int) -> Floats:
    """Chance float32[t, H, H] of each pair of reference haplotypes at position ``to``, from the sites up to there.

    ``panel`` int8[m, H] alleles and ``copies`` int8[m, t] at ``positions`` int64[m], in the order in which they are walked.
    """
    n, emission = panel.shape[1], seen()
    chances = np.full((copies.shape[1], n, n), 1 / n**2, np.float32)
    for row, position in enumerate(positions.tolist()):
        pairs = panel[row][:, None] + panel[row][None, :]
        chances *= np.moveaxis(emission[:, copies[row]][pairs], 2, 0)
        chances /= chances.sum(axis=(1, 2), keepdims=True)
        following = int(positions[row + 1]) if row + 1 < len(positions) else to
        step = np.float32(changed(abs(following - position), n))
        one = chances.sum(axis=2, keepdims=True) + chances.sum(axis=1, keepdims=True)
        chances = (1 - step) ** 2 * chances + step * (1 - step) / n * one + (step / n) ** 2
    return chances


def imputed(panel: Bytes, hidden: Bytes, copies: Bytes, positions: Places, *, place: int, sites: int = 120) -> Floats:
    """Expected copies float32[h, t] of each hidden allele at ``place``, from at most so many shown ``sites`` on each side.

    ``panel`` int8[m, H] and ``copies`` int8[m, t] at ``positions`` int64[m] ascending are what is shown, ``hidden`` int8[h, H] the panel's own alleles
    at the hidden sites, all taken to lie at ``place``.
    """
    middle = int(np.searchsorted(positions, place))
    left, right = slice(max(0, middle - sites), middle), slice(middle, middle + sites)
    pairs = walked(panel[left], copies[left], positions[left], to=place)
    pairs *= walked(panel[right][::-1], copies[right][::-1], positions[right][::-1], to=place)
    pairs /= pairs.sum(axis=(1, 2), keepdims=True)
    either = pairs.sum(axis=2) + pairs.sum(axis=1)
    return np.asarray(hidden.astype(np.float32) @ either.T, np.float32)
