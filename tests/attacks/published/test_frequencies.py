"""Membership in exact allele frequencies (Homer and others, 2008; the likelihood ratio of Sankararaman and others, 2009)."""

from __future__ import annotations

import random

import numpy as np
import pytest

from policies.disclosure import membership, nats, noise
from policies.disclosure.budgets import DEFAULT_CAPS, BudgetScope
from policies.disclosure.sampler import discrete_laplace
from tests.support import people
from tests.support.attack_figures import shown
from tests.support.membership import frequency_ratio, most_power, power

ATTACK = "Membership in allele frequencies"
ALPHA = membership.ALPHA
FAMILY = 4  # sites per person of a table that keeps to no limit
PROJECT = DEFAULT_CAPS[BudgetScope.PROJECT]
most_sites = membership.m_max


def test_the_attack_is_the_evidence_that_the_vault_reckons_with():
    genotypes = np.array([0, 1, 2, 1], np.int8)
    published, reference = np.array([0.1, 0.3, 0.4, 0.22]), np.array([0.12, 0.25, 0.42, 0.2])
    expected = membership.evidence(genotypes.tolist(), published.tolist(), reference.tolist())
    assert float(frequency_ratio(genotypes, published, reference)) == pytest.approx(expected, abs=1e-9)


def simulated(n, p, *, copies=None, repeats=2_000, seed=1, n_ref=None):
    """Power on tables of ``n`` people at unlinked sites of frequencies p; ``copies``: everybody who is looked for has so many at each."""
    draw = np.random.default_rng(seed)
    shape = (repeats, len(p))
    looked_for = [np.full(shape, copies) if copies is not None else draw.binomial(2, p, shape) for _ in range(2)]
    member, other = (g.astype(np.int8) for g in looked_for)
    with_member = (draw.binomial(2 * n - 2, p, shape) + member) / (2 * n)
    without = draw.binomial(2 * n, p, shape) / (2 * n)
    known = p if n_ref is None else np.clip(draw.binomial(2 * n_ref, p, (2, *shape)) / (2 * n_ref), 0.002, 0.998)
    known_in, known_out = (known, known) if n_ref is None else known
    return power(frequency_ratio(member, with_member, known_in), frequency_ratio(other, without, known_out), ALPHA)


def real(copies, m, *, repeats=1_000, seed=2):
    """Power on tables of half the people at m sites; whoever attacks knows the frequencies among all of them."""
    draw = np.random.default_rng(seed)
    known = copies.mean(axis=1) / 2
    common = np.flatnonzero((known >= 0.05) & (known <= 0.95))
    n = copies.shape[1] // 2
    members, others = [], []
    for _ in range(repeats):
        order, sites = draw.permutation(copies.shape[1]), draw.choice(common, m, replace=False)
        table = copies[sites][:, order[:n]].mean(axis=1) / 2
        for found, columns in ((members, order[:n]), (others, order[n:])):
            found.append(frequency_ratio(copies[sites][:, columns].T, table, known[sites]))
    return power(np.concatenate(members), np.concatenate(others), ALPHA)


def test_random_sites_of_made_up_people():
    n = 1_000
    off = simulated(n, people.frequencies(FAMILY * n, 3), repeats=600)
    guarded = simulated(n, people.frequencies(most_sites(n), 3), repeats=6_000)
    assert 0.59 <= off <= 0.69
    assert guarded <= 0.15
    shown(
        ATTACK,
        "members found, 5 % of others accused, random sites",
        on=f"1,000 made-up people; 4,000 sites without guard, {most_sites(n)} with",
        off=off,
        guarded=guarded,
        bound="≤ 0.15",
    )


def test_random_sites_of_real_people():
    copies = people.hapmap3("CEU", "TSI")
    n = copies.shape[1] // 2
    off, guarded = real(copies, FAMILY * n), real(copies, most_sites(n))
    assert off >= 0.59
    assert guarded <= 0.15
    shown(
        ATTACK,
        "the same, real people",
        on=f"HapMap 3, Utah and Tuscany, {n} of {copies.shape[1]} in the table; {FAMILY * n} sites without guard, {most_sites(n)} with",
        off=off,
        guarded=guarded,
        bound="≤ 0.15",
    )


# docs/design/disclosure.md §3: simulated powers of 4,000 replicates each
VECTORS = [
    (200, 50, 0.125, {}),
    (200, 200, 0.285, {}),
    (20, 80, 0.653, {}),
    *(
        pytest.param(*one, marks=pytest.mark.long)
        for one in (
            (200, 800, 0.632, {}),
            (500, 2_000, 0.642, {}),
            (500, 2_000, 0.404, {"n_ref": 500}),
            (500, 2_000, 0.205, {"n_ref": 100}),
        )
    ),
]


@pytest.mark.parametrize(("n", "m", "expected", "more"), VECTORS)
def test_the_attack_is_as_strong_as_it_was_published(n, m, expected, more):
    found = simulated(n, people.frequencies(m, 5), repeats=min(4_000, 6_000_000 // m), **more)
    assert found == pytest.approx(expected, abs=0.06)


CHOSEN = [
    pytest.param(0.05, 0.28, "the same, the victim has a variant of frequency 0.05 at each site", marks=pytest.mark.long),
    pytest.param(0.02, 0.49, "the same, of frequency 0.02", marks=pytest.mark.long),
    (0.01, 0.80, "the same, of frequency 0.01"),
]


@pytest.mark.parametrize(("frequency", "least", "measured"), CHOSEN)
def test_a_limit_of_sites_alone_fails_against_chosen_ones(frequency, least, measured):
    """Every site is one at which the victim has one copy; the table keeps to the limit of sites, as one of any sites would."""
    n = 2_504
    off = simulated(n, np.full(most_sites(n), frequency), copies=1, repeats=20_000)
    assert off >= least
    assert most_sites(n) == 330
    guarded = noisy(n, frequency)
    bound = most_power(nats.number(PROJECT), ALPHA)
    assert guarded <= 0.15 < bound
    shown(
        ATTACK,
        measured,
        on=f"2,504 made-up people; an exact table of 330 chosen sites without guard, {PROJECT // noise.DEFAULT} noisy answers with",
        off=off,
        guarded=guarded,
        bound="≤ 0.15",
        tolerance=0.03,
    )


def noisy(n, frequency, *, repeats=1_500):
    """Power of the sum of what a project's budget pays for, each answer of another allele that the victim carries."""
    draw, source, answers = np.random.default_rng(7), random.Random(7), PROJECT // noise.DEFAULT
    carried = 1 - (1 - frequency) ** 2
    epsilon = nats.exact(noise.DEFAULT)

    def told(others, more):
        carriers = draw.binomial(others, carried, (repeats, answers)).sum(axis=1) + more
        return np.array([float(k + sum(discrete_laplace(epsilon, source.randbytes) for _ in range(answers))) for k in carriers])

    return power(told(n - 1, answers), told(n, 0), ALPHA)
