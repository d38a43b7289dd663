"""The decision against a second, naive implementation on random histories."""

from collections import Counter
from random import Random

import pytest

from policies.decisions import decide
from policies.states import fold
from tests.support.consent_oracle import oracle
from tests.support.consenting import ONTOLOGY
from tests.support.histories import AT, a_purpose, history


def compare(seeds: range) -> Counter[str]:
    seen: Counter[str] = Counter()
    for seed in seeds:
        random = Random(seed)
        events, what = history(random), a_purpose(random)
        ours = str(decide(fold(events), what, legal_at=AT, ontology=ONTOLOGY).outcome)
        assert ours == oracle(events, what, AT), f"seed {seed}"
        seen[ours] += 1
    return seen


def test_agrees_with_the_oracle_on_2000_histories():
    seen = compare(range(2_000))
    assert all(seen[outcome] > 50 for outcome in ("permit", "deny", "review")), seen


@pytest.mark.long
def test_agrees_with_the_oracle_on_50000_histories():
    compare(range(2_000, 52_000))
