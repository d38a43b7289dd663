"""Membership in yes/no answers (Shringarpure and Bustamante, 2015; von Thenen, Ayday and Cicek, 2019)."""

from __future__ import annotations

import random

import numpy as np
import pytest

from policies.disclosure import cells, nats, noise
from policies.disclosure.budgets import DEFAULT_CAPS, BudgetScope
from policies.disclosure.sampler import discrete_laplace
from tests.support import counted, membership, people
from tests.support.attack_figures import shown
from vault import counting

ATTACK = "Membership in yes/no answers"
ALPHA = 0.01
PROJECT = DEFAULT_CAPS[BudgetScope.PROJECT]
MOST = 1_000  # questions about one person


class Beacon:
    """Some people of many, and what is asked of them: ``carried`` bool[m, k], ``frequency`` float64[m] known to everybody."""

    def __init__(self, copies, inside, seed):
        minor = np.where(copies.mean(axis=1, keepdims=True) > 1, 2 - copies, copies)
        self.carried = minor > 0
        self.frequency = np.clip(minor.mean(axis=1) / 2, 1e-9, 1 - 1e-9)
        self.inside = inside
        self.draw = np.random.default_rng(seed)
        self.source = random.Random(seed)

    def power(self, answers, *, splits):
        """Share of members found at ``ALPHA``; ``answers(carriers, frequency)`` gives the evidence, large for members."""
        members, others = [], []
        for _ in range(splits):
            order = self.draw.permutation(self.carried.shape[1])
            within, without = order[: self.inside], order[self.inside :]
            carriers = self.carried[:, within].sum(axis=1)
            for found, columns in ((members, within), (others, without)):
                for column in columns:
                    mine = np.flatnonzero(self.carried[:, column])
                    rarest = mine[np.argsort(self.frequency[mine], kind="stable")][:MOST]
                    found.append(answers(carriers[rarest], self.frequency[rarest]))
        return membership.power(np.array(members), np.array(others), ALPHA)

    def plain(self, carriers, frequency):
        """Answers that are right: yes, if anybody carries it."""
        none, others = (membership.nobody_carries(frequency, n) for n in (self.inside, self.inside - 1))
        return -float(membership.beacon_ratio(carriers >= 1, none, others))

    def noisy(self, epsilon):
        """Answers of the vault, as many as the project's budget pays for, read by who knows how they are made."""
        affordable = PROJECT // epsilon

        def evidence(carriers, frequency):
            asked = carriers[:affordable].tolist()
            said = [self.exists(n, epsilon) for n in asked]
            return sum(
                told_by(yes, f, self.inside, epsilon) for yes, f in zip(said, frequency[:affordable].tolist(), strict=True)
            )

        return evidence

    def exists(self, carriers, epsilon):
        noisy = carriers + discrete_laplace(nats.exact(epsilon), self.source.randbytes)
        return cells.cell(noisy, people=self.inside, counted=False).exists


def yes_of(carriers, epsilon):
    """Chance of a yes about so many carriers: P(noise ≥ 21 - carriers)."""
    rate, gap = epsilon / nats.UNIT, noise.SHOWN - carriers
    tail = np.exp(-rate * np.abs(np.where(gap > 0, gap, 1 - gap))) / (1 + np.exp(-rate))
    return np.where(gap > 0, tail, 1 - tail)


def told_by(yes, frequency, people_in, epsilon):
    """Evidence of one answer for membership of somebody who carries the allele, in nats."""
    carries = 1 - (1 - frequency) ** 2
    k = np.arange(people_in + 1)

    def chance(n):
        logs = np.cumsum(np.log(np.maximum(1, np.arange(n + 1))))
        weights = (
            logs[n]
            - logs[k[: n + 1]]
            - logs[n - k[: n + 1]]
            + k[: n + 1] * np.log(carries)
            + (n - k[: n + 1]) * np.log1p(-carries)
        )
        return np.exp(weights)

    without = float((chance(people_in) * yes_of(k, epsilon)).sum())
    within = float((chance(people_in - 1) * yes_of(k[:-1] + 1, epsilon)).sum())
    return float(np.log(within / without) if yes else np.log((1 - within) / (1 - without)))


def made_up():
    """505 people at 20,000 unlinked sites, as many of them rare as without selection (frequencies uniform in their logarithm)."""
    draw = np.random.default_rng(11)
    p = np.exp(draw.uniform(np.log(5e-4), np.log(0.5), 20_000))
    return draw.binomial(2, p[:, None], (20_000, 505)).astype(np.int8)


def bound():
    """Of any attack at all on answers that cost a project's budget."""
    return membership.most_power(nats.number(PROJECT), ALPHA)


def test_the_published_vectors():
    """N = 1000, a = b = 1, δ = 1e-6 (Shringarpure and Bustamante): answers yes, yes, yes, no."""
    none, others = membership.nobody_carries_unknown(1_000), membership.nobody_carries_unknown(999)
    assert (none, others) == (pytest.approx(1 / 2001, rel=1e-9), pytest.approx(1 / 1999, rel=1e-9))
    told = membership.beacon_ratio(np.array([True, True, True, False]), none, others)
    assert float(told) == pytest.approx(13.813010934257, rel=1e-9)
    assert float(membership.beacon_ratio(np.array([False]), none, others)) == pytest.approx(13.814510557881, rel=1e-9)


def test_evidence_of_a_noisy_answer_is_at_most_its_epsilon():
    for frequency in (0.001, 0.03, 0.04, 0.3):
        for epsilon in (100_000, PROJECT):
            assert max(abs(told_by(yes, frequency, 250, epsilon)) for yes in (True, False)) <= epsilon / nats.UNIT + 1e-9


def test_the_optimal_attack_on_made_up_people():
    beacon = Beacon(made_up(), 250, 21)
    off = beacon.power(beacon.plain, splits=1)
    guarded = beacon.power(beacon.noisy(noise.DEFAULT), splits=1)
    assert off >= 0.9
    assert guarded <= bound() + 0.02
    shown(
        ATTACK,
        "members found, 1 % of others accused, rarest alleles first",
        on="505 made-up people, 250 in; at most 1,000 questions each without guard, 23 with",
        off=off,
        guarded=guarded,
        bound="≤ 0.12",
    )


@pytest.mark.long
def test_the_optimal_attack_on_real_people():
    columns = people.of_population(people.chr22().people, "EUR")
    beacon = Beacon(people.several_places()[:, columns], 250, 22)
    off = beacon.power(beacon.plain, splits=4)
    guarded = beacon.power(beacon.noisy(noise.DEFAULT), splits=4)
    at_once = beacon.power(beacon.noisy(PROJECT), splits=4)
    assert off >= 0.8
    assert max(guarded, at_once) <= bound() + 0.02
    shown(
        ATTACK,
        "the same, real people",
        on=f"1000 Genomes, {len(columns)} Europeans, 250 in, 13,000 sites of chromosome 22 and seven other places",
        off=off,
        guarded=guarded,
        bound="≤ 0.12",
    )
    shown(
        ATTACK,
        "the same, the whole budget for one allele",
        on=f"1000 Genomes, {len(columns)} Europeans, 250 in",
        off=off,
        guarded=at_once,
        bound="≤ 0.12",
    )


def test_the_sharpest_question_of_all():
    """Somebody who knows every other member asks about the allele whose 21st carrier is the victim, with all that there is to spend."""
    draws, source = 40_000, random.Random(23)
    epsilon = nats.exact(PROJECT)
    told = [[carriers + discrete_laplace(epsilon, source.randbytes) for _ in range(draws)] for carriers in (21, 20)]
    within, without = (np.array(one) for one in told)
    found = membership.power(
        within + np.random.default_rng(1).random(draws), without + np.random.default_rng(2).random(draws), ALPHA
    )
    assert 0.05 < found <= bound() + 0.02
    shown(
        ATTACK,
        "members found by one question about the 21st carrier, all others known",
        on=f"{draws:,} draws of the vault's noise",
        off=1.0,
        guarded=found,
        bound="≤ 0.12",
    )


def test_answers_of_a_vault_are_that_function(tmp_path, monkeypatch):
    """What the attacks above are given is what a vault tells: its cell of the carriers and one draw, until the budget is spent."""
    drawn = []
    monkeypatch.setattr(counting, "discrete_laplace", lambda *given: drawn.append(discrete_laplace(*given)) or drawn[-1])
    held = counted.make(tmp_path)
    alleles = [f"22:{at}:A:G" for at in counted.CARRIERS]
    for kind in ("presence", "counts"):
        answers = counted.ask(held, *alleles, kind=kind).answers
        expected = [
            cells.cell(carriers + noisy, people=len(counted.PEOPLE), counted=kind == "counts")
            for carriers, noisy in zip(counted.CARRIERS.values(), drawn, strict=True)
        ]
        assert [(one.exists, one.carriers) for one in answers] == [(one.exists, one.carriers) for one in expected]
    held.vault.close()
    assert len(drawn) == len(alleles)
