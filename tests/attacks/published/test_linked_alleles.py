"""Alleles that always go together: asked one after another their noise averages away, and noise made of the member set would tell sets apart."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest

from policies.disclosure import nats, noise
from policies.disclosure.budgets import DEFAULT_CAPS, BudgetScope
from policies.disclosure.sampler import discrete_laplace
from tests.support import counted, people
from tests.support.attack_figures import shown
from tests.support.membership import auc, most_auc

ATTACK = "Linked variants"
EPSILON = noise.DEFAULT
AFFORDABLE = DEFAULT_CAPS[BudgetScope.PROJECT] // EPSILON
TRIALS = 2_000


def europeans():
    found = people.chr22()
    return found.copies[:, people.of_population(found.people, "EUR")] > 0


def together(carried, *, least=30, most=300):
    """Rows of the largest group of alleles that the very same people carry, so many of them."""
    groups = {}
    for row, carriers in enumerate(carried):
        if least <= carriers.sum() <= most:
            groups.setdefault(carriers.tobytes(), []).append(row)
    return max(groups.values(), key=len)


def all_but_one(carried, *, least=30):
    """Rows of two alleles that the same people carry, but for one."""
    rows = [row for row in range(len(carried)) if carried[row].sum() >= least]
    table = carried[rows].astype(np.int32)
    apart = table.sum(axis=1)[:, None] + table.sum(axis=1)[None, :] - 2 * table @ table.T
    first, second = np.argwhere(apart == 1)[0]
    return rows[first], rows[second]


def averaged(carriers, twins, source):
    """Sum of noisy numbers of so many linked alleles, with the victim among the carriers and without."""
    draw = lambda n: sum(n + discrete_laplace(nats.exact(EPSILON), source.randbytes) for _ in range(twins))  # noqa: E731 - one formula
    return [np.array([draw(n) for _ in range(TRIALS // 4)]) for n in (carriers, carriers - 1)]


def keyed(members, key):
    """Noise that is worked out from who the carriers are, under a key of the cohort."""
    source = random.Random(hashlib.sha256(key + members.tobytes()).digest())
    return discrete_laplace(nats.exact(EPSILON), source.randbytes)


@pytest.mark.long
def test_averaging_over_linked_alleles():
    """Without a price for each, hundreds of alleles that go together tell their number; the budget pays for 23."""
    carried = europeans()
    rows = together(carried)
    carriers = int(carried[rows[0]].sum())
    off, guarded = (auc(*averaged(carriers, twins, random.Random(31))) for twins in (500, AFFORDABLE))
    bound = most_auc(nats.number(AFFORDABLE * EPSILON))
    assert off >= 0.75
    assert guarded <= bound
    assert guarded < off
    shown(
        ATTACK,
        "members told from others by averaging (0.50 is guessing)",
        on=f"alleles as the {len(rows)} of chromosome 22 that the same {carriers} Europeans of 1000 Genomes carry; 500 answers without guard, {AFFORDABLE} with",
        off=off,
        guarded=guarded,
        bound=f"≤ {bound:.2f}",
    )


def test_equal_answers_do_not_tell_equal_sets():
    """Two alleles whose carriers differ by the victim alone: with noise made of the set, equal answers mean that the victim is away."""
    carried = europeans()
    first, second = all_but_one(carried)
    (victim,) = np.flatnonzero(carried[first] != carried[second])
    scores = {"keyed": ([], []), "fresh": ([], [])}
    source = random.Random(32)
    for trial in range(TRIALS):
        for side, there in enumerate((True, False)):
            sets = [np.delete(carried[row], [] if there else victim) for row in (first, second)]
            # the group is known to hold the others: only whether both answers are the same is looked at
            answers = {
                "keyed": [int(one.sum()) + keyed(np.flatnonzero(one), trial.to_bytes(4, "big")) for one in sets],
                "fresh": [int(one.sum()) + discrete_laplace(nats.exact(EPSILON), source.randbytes) for one in sets],
            }
            for how, (a, b) in answers.items():
                scores[how][side].append(a != b)
    off, guarded = (auc(np.array(scores[how][0], float), np.array(scores[how][1], float)) for how in ("keyed", "fresh"))
    bound = most_auc(nats.number(2 * EPSILON))
    assert off >= 0.95
    assert guarded <= bound
    shown(
        ATTACK,
        "the same, by whether two answers are equal",
        on="1000 Genomes, Europeans, two alleles whose carriers differ by one person",
        off=off,
        guarded=guarded,
        bound=f"≤ {bound:.2f}",
        tolerance=0.03,
    )


def test_a_vault_draws_for_each_allele_and_charges_each(tmp_path):
    """Guards of both: two names of one set of carriers are two draws at two prices, and one name is one, however it is asked."""
    held = counted.make(tmp_path)
    alleles = ["22:600:CA:CG", "22:601:A:G", "22:600:CAT:CGT"]  # one allele, spelled thrice
    told = counted.ask(held, *alleles[:1], epsilon="1")
    again = counted.ask(held, *alleles[1:], epsilon="1")
    assert (told.charged, again.charged) == (1, 0)
    assert {one.carriers for one in (*told.answers, *again.answers)} == {told.answers[0].carriers}
    assert counted.ask(held, counted.COMMON, counted.RARE).charged == pytest.approx(0.2)
    held.vault.close()
