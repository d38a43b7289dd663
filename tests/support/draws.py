"""Draws of discrete Laplace noise against the exact chances."""

from __future__ import annotations

import math
from collections import Counter


def chi_square(draws: Counter[int], epsilon: float, n: int) -> tuple[float, int]:
    """Statistic over single values and two open tails, each with an expectation of at least 20, and its degrees of freedom."""
    head, decay = (1 - math.exp(-epsilon)) / (1 + math.exp(-epsilon)), math.exp(-epsilon)
    edge = max(k for k in range(10_000) if n * decay ** (k + 1) / (1 + decay) >= 20)
    statistic = sum((draws[x] - n * head * decay ** abs(x)) ** 2 / (n * head * decay ** abs(x)) for x in range(-edge, edge + 1))
    tail = n * decay ** (edge + 1) / (1 + decay)
    for far in (sum(c for x, c in draws.items() if x > edge), sum(c for x, c in draws.items() if x < -edge)):
        statistic += (far - tail) ** 2 / tail
    return statistic, 2 * edge + 2


def threshold(degrees: int, z: float = 3.09) -> float:
    """Wilson and Hilferty's quantile of chi square: p = 0.001."""
    return degrees * (1 - 2 / (9 * degrees) + z * math.sqrt(2 / (9 * degrees))) ** 3
