"""KING-robust kinship of all pairs of people over one set of SNPs, by matrix products. Pure.

φ = 1/2 - Σ(xᵢ - xⱼ)² / 4 min(Hᵢ, Hⱼ) over the SNPs that both have called; x counts the ALT, H the heterozygous ones of each
(Manichaikul et al., Bioinformatics 26:2867, 2010; the between-family estimator, as plink2 --make-king).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

BLOCK = 1_024  # people of a block of the matrix
MISSING = -1  # an ALT count that is not known


def kinship(dosage: NDArray[np.int8]) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.int64]]]:
    """For each block of people: who, φ float32[b, n] with everybody, and shared SNPs int64[b, n]. φ is NaN where it is undefined.

    ``dosage``: int8[m, n], ALT counts 0 to 2, ``MISSING`` elsewhere. Sums of up to 4 times 4,096 are exact in float32.
    """
    called = (dosage >= 0).astype(np.float32)
    alts = np.where(dosage >= 0, dosage, 0).astype(np.float32)
    het = (dosage == 1).astype(np.float32)
    squares = alts * alts
    for first in range(0, dosage.shape[1], BLOCK):
        some = slice(first, min(first + BLOCK, dosage.shape[1]))
        c, a, h, s = called[:, some].T, alts[:, some].T, het[:, some].T, squares[:, some].T
        distance = s @ called + c @ squares - 2 * (a @ alts)
        least = np.minimum(h @ called, c @ het)
        with np.errstate(divide="ignore", invalid="ignore"):
            phi = np.where(least > 0, 0.5 - distance / (4 * least), np.nan).astype(np.float32)
        yield some, phi, np.rint(c @ called).astype(np.int64)
