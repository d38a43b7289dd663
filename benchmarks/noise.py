"""Our noise and OpenDP's: draws of each against the exact chances and against each other.

    python -m benchmarks.noise [--draws 1000000] [--seed 1]              # where benchmarks/peers.txt is installed

``GENOVAULT_ATTACKS=write`` before it writes the figure into docs/attacks.md.

p is the chance of a worse fit of the right distribution; below 0.001 one would doubt it. OpenDP draws from the operating system's randomness,
ours from a seeded generator.
"""

from __future__ import annotations

import argparse
import math
import random
from collections import Counter
from fractions import Fraction
from statistics import NormalDist
from time import perf_counter

from policies.disclosure.sampler import discrete_laplace
from tests.support.attack_figures import shown
from tests.support.draws import chi_square

EPSILONS = (Fraction(1), Fraction(1, 10))
WRONG = Fraction(11, 100)


def p_of(statistic: float, degrees: int) -> float:
    """Chance of a larger chi square (Wilson and Hilferty, PNAS 17:684, 1931)."""
    spread = 2 / (9 * degrees)
    return 1 - NormalDist().cdf(((statistic / degrees) ** (1 / 3) - (1 - spread)) / math.sqrt(spread))


def between(ours: Counter[int], theirs: Counter[int]) -> tuple[float, int]:
    """Chi square of two samples of one size; values drawn fewer than 40 times together are one cell."""
    pairs = [(ours[x], theirs[x]) for x in ours.keys() | theirs.keys()]
    kept = [pair for pair in pairs if sum(pair) >= 40]
    rare = [sum(column) for column in zip(*(pair for pair in pairs if sum(pair) < 40), strict=True)] or [0, 0]
    cells = [*kept, (rare[0], rare[1])] if sum(rare) else kept
    return sum((a - b) ** 2 / (a + b) for a, b in cells), len(cells) - 1


def of_opendp(epsilon: Fraction, draws: int) -> Counter[int]:
    """OpenDP's discrete Laplace of scale 1/ε around nought."""
    import opendp.prelude as dp

    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l1_distance(T=int)
    drawn = dp.m.make_laplace(*space, scale=float(1 / epsilon))([0] * draws)
    return Counter(drawn)


def of_ours(epsilon: Fraction, draws: int, seed: int) -> Counter[int]:
    """Draws of our sampler from a seeded generator."""
    source = random.Random(seed)
    return Counter(discrete_laplace(epsilon, source.randbytes) for _ in range(draws))


def main() -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for epsilon in EPSILONS:
        begun = perf_counter()
        ours = of_ours(epsilon, given.draws, given.seed)
        taken = perf_counter() - begun
        begun = perf_counter()
        theirs = of_opendp(epsilon, given.draws)
        other = perf_counter() - begun
        fits = [p_of(*chi_square(drawn, float(epsilon), given.draws)) for drawn in (ours, theirs)]
        alike = p_of(*between(ours, theirs))
        print(
            f"epsilon {float(epsilon):g}: ours p {fits[0]:.3f}, OpenDP p {fits[1]:.3f}, one against the other p {alike:.3f};"
            f" {1e6 * taken / given.draws:.1f} and {1e6 * other / given.draws:.1f} µs a draw"
        )
    shown(
        "Noise that is not as noisy as it should be",
        "p of a chi square test of draws against OpenDP's",
        on=f"{given.draws:,} draws of each at 0.1 nats; without guard of a scale wrong by a tenth",
        off=p_of(*between(of_ours(WRONG, given.draws, given.seed), theirs)),
        guarded=alike,
        bound="> 0.001",
        tolerance=1.0,  # OpenDP's draws are new each time
    )


if __name__ == "__main__":
    main()
