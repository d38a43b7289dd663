"""Noise: the sampler against exact probabilities, accuracy and price against the published vectors."""

import math
import os
from collections import Counter
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.disclosure import cells, nats, noise
from policies.disclosure.sampler import below, discrete_laplace
from policies.errors import PolicyInputError
from tests.support.attack_figures import shown
from tests.support.draws import chi_square, threshold

UNIT = nats.UNIT
FIT = "Noise that is not as noisy as it should be", "chi square test of draws against the exact chances"
DRAWS = {"on": "1,000,000 draws; 8,000 of a scale wrong by a tenth", "bound": "p > 0.001"}


@pytest.mark.parametrize("epsilon", [Fraction(1, 10), Fraction(1), Fraction(123457, 1_000_000), Fraction(5, 2)])
def test_draws_fit_the_distribution(epsilon):
    random = Random(20260101)
    n = 8_000
    draws = Counter(discrete_laplace(epsilon, random.randbytes) for _ in range(n))
    statistic, degrees = chi_square(draws, float(epsilon), n)
    assert statistic < threshold(degrees)


def test_the_statistic_finds_a_wrong_scale():
    random = Random(20260101)
    draws = Counter(discrete_laplace(Fraction(11, 100), random.randbytes) for _ in range(8_000))
    statistic, degrees = chi_square(draws, 0.1, 8_000)
    assert statistic > threshold(degrees)
    shown(*FIT, off="p < 0.001", **DRAWS)


@pytest.mark.long
def test_a_million_draws_of_the_systems_randomness():
    n = 1_000_000
    draws = Counter(discrete_laplace(Fraction(1, 10), os.urandom) for _ in range(n))
    statistic, degrees = chi_square(draws, 0.1, n)
    assert statistic < threshold(degrees)
    shown(*FIT, guarded="p > 0.001", **DRAWS)


def test_uniform_numbers_are_below_their_bound_and_reach_it():
    random = Random(1)
    assert {below(5, random.randbytes) for _ in range(200)} == {0, 1, 2, 3, 4}


def test_an_epsilon_of_nothing_is_none():
    with pytest.raises(ValueError, match="above 0"):
        discrete_laplace(Fraction(0), os.urandom)


@pytest.mark.parametrize(("epsilon", "within5"), [(UNIT, 0.996376), (UNIT // 2, 0.938019), (UNIT // 10, 0.423771)])
def test_share_within_five(epsilon, within5):
    rate = epsilon / UNIT
    tail = 2 * math.exp(-rate * 6) / (1 + math.exp(-rate))
    assert 1 - tail == pytest.approx(within5, abs=1e-6)


def test_the_default_is_within_30_and_says_exists_of_nothing_in_6_4_percent():
    assert noise.accuracy95(noise.DEFAULT) == 30
    assert noise.false_exists(noise.DEFAULT) == pytest.approx(0.064, abs=5e-4)


@given(st.integers(noise.LEAST, noise.MOST))
def test_accuracy_is_the_smallest_that_holds(epsilon):
    rate, a = epsilon / UNIT, noise.accuracy95(epsilon)

    def missed(within: int) -> float:
        return 2 * math.exp(-rate * (within + 1)) / (1 + math.exp(-rate))

    assert missed(a) <= 0.05 + 1e-9
    assert a == 0 or missed(a - 1) > 0.05 - 1e-9


@given(st.integers(noise.accuracy95(noise.MOST), noise.accuracy95(noise.LEAST)))
def test_epsilon_is_the_smallest_for_its_accuracy(accuracy):
    epsilon = noise.epsilon_for(accuracy)
    assert noise.accuracy95(epsilon) <= accuracy
    assert epsilon == noise.LEAST or noise.accuracy95(epsilon - 1) > accuracy


def test_what_is_asked_is_one_of_two():
    assert noise.chosen(epsilon=None, accuracy=None) == noise.DEFAULT
    assert noise.chosen(epsilon=UNIT, accuracy=None) == UNIT
    with pytest.raises(PolicyInputError, match="not both"):
        noise.chosen(epsilon=UNIT, accuracy=30)
    with pytest.raises(PolicyInputError, match="epsilon is from"):
        noise.chosen(epsilon=noise.MOST + 1, accuracy=None)
    with pytest.raises(PolicyInputError, match="accuracy is from"):
        noise.chosen(epsilon=None, accuracy=10_000_000)


@pytest.mark.parametrize(("text", "amount"), [("0.1", 100_000), ("2", 2_000_000), ("0.000001", 1), ("12.5", 12_500_000)])
def test_nats_are_exact(text, amount):
    assert nats.parse(text, place="epsilon") == amount
    assert nats.text(amount) == text


@pytest.mark.parametrize("text", ["", "1e-1", "-1", "0.1234567", ".1", "1.", "\u0661", "99999", "nan", "0,1"])
def test_what_is_no_number_of_nats(text):
    with pytest.raises(PolicyInputError, match="number of nats"):
        nats.parse(text, place="epsilon")


def test_factors():
    assert nats.factor(2_300_000) == 9.97
    assert nats.factor(10**12) > 1e300


@pytest.mark.parametrize(
    ("noisy", "exists", "carriers"),
    [
        (-7, False, None),
        (0, False, None),
        (20, False, None),
        (21, True, 21),
        (979, True, 979),
        (980, True, None),
        (1_004, True, None),
    ],
)
def test_cells(noisy, exists, carriers):
    assert cells.cell(noisy, people=1_000, counted=True) == cells.Cell(exists, carriers)
    assert cells.cell(noisy, people=1_000, counted=False) == cells.Cell(exists, None)
