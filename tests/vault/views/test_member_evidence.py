"""Λ of many people: against the formula person by person, and the test's power in drawn cohorts."""

import numpy as np
import pytest

from policies.disclosure import membership
from vault.views.member_evidence import MISSING, member_evidence


def drawn(m, n, *, seed, low=0.05, high=0.5):
    """int8[m, n] genotypes under Hardy-Weinberg, and their true frequencies."""
    random = np.random.default_rng(seed)
    truth = random.uniform(low, high, m)
    return random.binomial(2, truth[:, None], (m, n)).astype(np.int8), truth


def test_each_person_has_what_the_formula_says_against_a_reference():
    copies, truth = drawn(30, 50, seed=1)
    published = np.clip(copies.mean(axis=1) / 2, 0.01, 0.99)
    found = member_evidence(copies, published, truth)
    expected = [membership.evidence(copies[:, at].tolist(), published.tolist(), truth.tolist()) for at in range(50)]
    assert found == pytest.approx(expected)


def test_a_table_tells_nothing_against_its_own_frequencies_and_something_against_the_others():
    copies, _ = drawn(40, 200, seed=2, low=0.2)
    own = copies.mean(axis=1) / 2
    assert member_evidence(copies, own, own) == pytest.approx(np.zeros(200))
    others = [(copies.sum(axis=1) - copies[:, at]) / (2 * 200 - 2) for at in range(200)]
    expected = [membership.evidence(copies[:, at].tolist(), own.tolist(), others[at].tolist()) for at in range(200)]
    found = member_evidence(copies)
    assert found == pytest.approx(expected)
    assert (found > 0).all()
    assert found.mean() == pytest.approx(40 / 200, rel=0.1)


def test_missing_calls_add_nothing_and_haploid_ones_half():
    copies = np.array([[1, MISSING, 0, 1], [2, 1, 0, 1]], np.int8)
    called = np.array([[1, 1, 1, 1], [2, 2, 2, 2]], np.int8)
    published, reference = np.array([0.6, 0.5]), np.array([0.5, 0.4])
    found = member_evidence(copies, published, reference, called=called)
    of_second = membership.evidence([1], [0.5], [0.4])
    assert found[1] == pytest.approx(of_second)
    assert found[3] == pytest.approx(np.log(0.6 / 0.5) + of_second)
    assert found[2] == pytest.approx(np.log(0.4 / 0.5) + membership.evidence([0], [0.5], [0.4]))


def test_the_only_carrier_is_given_away():
    copies = np.zeros((1, 100), np.int8)
    copies[0, 3] = 1
    assert np.isinf(member_evidence(copies)[3])


def test_the_root_of_evidence_against_the_others_is_the_power_to_find_this_person():
    m, n, repeats, frequency = 330, 2504, 4000, 0.05
    victim = np.ones((m, 1), np.int8)
    others, _ = drawn(m, n - 1, seed=3, low=frequency, high=frequency)
    own = member_evidence(np.concatenate([victim, others], axis=1))[0]
    random = np.random.default_rng(4)
    out = random.binomial(2 * n, frequency, (repeats, m)) / (2 * n)
    within = (random.binomial(2 * (n - 1), frequency, (repeats, m)) + 1) / (2 * n)
    statistic = [
        np.log(seen / frequency).sum(axis=1) + np.log((1 - seen) / (1 - frequency)).sum(axis=1) for seen in (out, within)
    ]
    cut = np.quantile(statistic[0], 0.95)
    assert (statistic[1] > cut).mean() == pytest.approx(membership.power_against(own), abs=0.04)


@pytest.mark.parametrize(("n", "m"), [(200, 200), (200, 800), (1000, 131)])
def test_drawn_cohorts_are_found_as_often_as_the_formula_says(n, m):
    hits = total = 0
    for seed in range(4):
        copies, truth = drawn(m, 2 * n, seed=seed)
        published = np.clip(copies[:, :n].mean(axis=1) / 2, 1e-3, 1 - 1e-3)
        found = member_evidence(copies, published, truth)
        hits += int((found[:n] > np.quantile(found[n:], 0.95)).sum())
        total += n
    assert hits / total == pytest.approx(membership.power(m, n), abs=0.06)


def test_a_site_where_one_copy_is_all_there_is_is_no_fault():
    """Who has two copies of it is nobody: the others' share would be below nought."""
    assert member_evidence(np.array([[0, 1, 0], [2, 0, 1]], np.int8))[1] == np.inf
