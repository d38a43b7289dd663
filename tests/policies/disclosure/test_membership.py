"""Membership in frequency tables: the published vectors, and what the test finds in simulated cohorts."""

import math

import pytest

from policies.disclosure import membership

M_MAX = """
20 2 54 41 190 193
100 13 270 208 954 966
500 65 1352 1044 4774 4831
1000 131 2705 2089 9549 9663
5000 659 13527 10445 47747 48316
10000 1319 27055 20891 95495 96632
"""
"""n, then m_max at (alpha, power) of ``LEVELS``."""

LEVELS = [(0.05, 0.10), (0.05, 0.50), (0.001, 0.05), (0.001, 0.50), (1e-6, 0.05)]

POWER = [
    (200, 50, None, 0.126),
    (200, 200, None, 0.260),
    (200, 800, None, 0.639),
    (500, 2000, None, 0.639),
    (1000, 4000, None, 0.639),
    (1000, 10000, None, 0.935),
    (20, 80, None, 0.639),
    (500, 2000, 500, 0.409),
    (500, 2000, 100, 0.204),
]


@pytest.mark.parametrize("line", M_MAX.strip().splitlines())
def test_m_max_agrees_with_the_vectors(line):
    n, *expected = map(int, line.split())
    assert [membership.m_max(n, alpha=alpha, power=power) for alpha, power in LEVELS] == expected


@pytest.mark.parametrize(("n", "m", "n_ref", "expected"), POWER)
def test_power_agrees_with_the_vectors(n, m, n_ref, expected):
    assert membership.power(m, n, n_ref=n_ref) == pytest.approx(expected, abs=0.0006)


def test_defaults_are_a_strength_of_0_363():
    assert membership.strength_at() == pytest.approx(0.3633, abs=1e-4)
    assert membership.m_max(2504) == 330
    assert membership.strength(330, 2504) == pytest.approx(0.363, abs=5e-4)


def test_no_site_may_be_shown_where_less_than_chance_is_allowed():
    assert membership.m_max(10_000, alpha=0.05, power=0.05) == 0
    assert membership.m_max(10_000, alpha=0.05, power=0.01) == 0


@pytest.mark.parametrize("n", [100, 999, 2504, 50_000])
def test_one_site_more_than_m_max_has_more_than_the_allowed_power(n):
    most = membership.m_max(n)
    assert membership.power(most, n) <= 0.10 < membership.power(most + 1, n)


def test_evidence_is_the_sum_over_sites_and_nothing_against_the_same_frequencies():
    published, reference = [0.2, 0.5], [0.1, 0.4]
    by_hand = 2 * math.log(2) + math.log(0.5 / 0.4) + math.log(0.5 / 0.6)
    assert membership.evidence([2, 1], published, reference) == pytest.approx(by_hand)
    assert membership.evidence([2, 0], published, published) == 0


@pytest.mark.parametrize(("frequency", "expected"), [(0.05, 0.30), (0.02, 0.52), (0.01, 0.84)])
def test_chosen_sites_find_their_victim_far_more_often_than_m_max_allows(frequency, expected):
    spread = 330 * (1 - 2 * frequency) ** 2 / (2 * 2504 * frequency * (1 - frequency))
    assert membership.power_against(spread) == pytest.approx(expected, abs=0.035)


def test_no_evidence_leaves_the_test_at_its_level():
    assert membership.power_against(0.0) == pytest.approx(0.05)
    assert membership.power_against(-1.0) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="counted"):
        membership.power(1, 0)
