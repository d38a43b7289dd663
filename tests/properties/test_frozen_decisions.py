"""After any history of acts by another session, a kept decision gives the answers, charges, refusals and entries that deciding anew would."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import asked_histories
from tests.support.asked_histories import ACTS, PEOPLE, QUESTIONS, play
from vault import counting

STEPS = st.lists(
    st.tuples(st.sampled_from(ACTS), st.sampled_from(PEOPLE), st.sampled_from(QUESTIONS), st.integers(0, 12)),
    min_size=1,
    max_size=6,
)
QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    found = tmp_path_factory.mktemp("asked")
    asked_histories.template(found)
    return found


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """No noise: both sides draw the same."""
    monkeypatch.setattr(counting, "discrete_laplace", lambda *_: 0)


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_asked_again_after_a_withdrawal_is_what_is_decided_anew(place, question):
    number = QUESTIONS.index(question)
    play(place, [("ask", "P000", question, number), ("withdraw", "P000", question, number)])


@pytest.mark.long
@settings(QUIET, max_examples=20)
@given(STEPS)
def test_a_kept_decision_answers_as_one_made_anew_in_many_histories(place, steps):
    play(place, steps)
