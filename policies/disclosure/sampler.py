"""Discrete Laplace noise, sampled exactly in whole numbers.

    P(X = x) = (1 - e^-ε) / (1 + e^-ε) · e^(-ε |x|)          ε = s / t, both positive whole numbers

By Canonne, Kamath and Steinke (The discrete Gaussian for differential privacy, NeurIPS 2020, algorithms 1 and 2): every decision compares
uniform whole numbers, so no rounding of a float shows through (Mironov, CCS 2012). Bytes of randomness are an argument. How long a draw
takes depends on what is drawn; it is made once, and stored.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

RandomSource = Callable[[int], bytes]
"""``random(n)``: n unpredictable bytes."""


def discrete_laplace(epsilon: Fraction, random: RandomSource) -> int:
    """One draw. ``epsilon`` in nats, above 0."""
    if epsilon <= 0:
        raise ValueError("epsilon must be above 0")
    s, t = epsilon.numerator, epsilon.denominator
    while True:
        low = below(t, random)
        if not _exp(low, t, random):
            continue
        high = 0
        while _exp(1, 1, random):
            high += 1
        size = (low + t * high) // s
        negative = below(2, random) == 1
        if negative and size == 0:  # else 0 would be drawn twice as often
            continue
        return -size if negative else size


def below(bound: int, random: RandomSource) -> int:
    """A uniform whole number in 0 … ``bound`` - 1, ``bound`` above 0."""
    bits = (bound - 1).bit_length()
    if not bits:
        return 0
    n_bytes, spare = (bits + 7) // 8, -bits % 8
    while True:
        found = int.from_bytes(random(n_bytes), "big") >> spare
        if found < bound:
            return found


def _exp(numerator: int, denominator: int, random: RandomSource) -> bool:
    """True with probability e^(-numerator / denominator), of a fraction from 0 to 1."""
    k = 1
    while below(denominator * k, random) < numerator:
        k += 1
    return k % 2 == 1
