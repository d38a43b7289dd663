"""Share of people whom a few common sites tell apart from all others in the view. Pure.

For each number of sites that many are drawn from the sample, 16 times over, and the shares averaged; the draws follow from the request,
so that the same view gives the same curve. Genotypes are compared without phase, and a missing one is a value of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vault.risk.common_sites import generator
from vault.risk.people_tally import unique_share

SITES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40)
DRAWS = 16

_CHOICES = 3  # of the seed's generators


def curve(dosage: NDArray[np.int8], seed: bytes) -> dict[int, float]:
    """Share of people unique by so many sites, of each of ``SITES`` that the sample has. ``dosage`` int8[k, n]; ``seed``: 32 bytes."""
    random = generator(seed, _CHOICES)
    numbers = [number for number in SITES if number <= len(dosage)]
    shares = np.zeros(len(numbers))
    for _ in range(DRAWS if numbers else 0):
        chosen = random.permutation(len(dosage))[: numbers[-1]]
        factors = random.integers(0, 1 << 64, len(chosen), np.uint64) | np.uint64(1)
        marks = np.zeros(dosage.shape[1], np.uint64)
        for number, (row, factor) in enumerate(zip(chosen.tolist(), factors, strict=True), 1):
            marks += (dosage[row] + 2).astype(np.uint64) * factor
            if number in numbers:
                shares[numbers.index(number)] += unique_share(marks) / DRAWS
    return dict(zip(numbers, shares.tolist(), strict=True))
