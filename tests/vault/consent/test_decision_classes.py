"""Deciding a cohort by classes of equal people is deciding each person alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.consent import Answer, ConsentEvent, CorrectionKind, Level, PolicyAnswer, Status, Withdrawal
from policies.decisions import Decision, DecisionRequest, decide
from policies.purposes import UseKind
from policies.states import fold
from policies.term_matching import Effect
from policies.terms import parse_expression
from policies.times import add_months as exact_months
from tests.support.columns import columns_of, subject
from tests.support.consenting import HMB, ONTOLOGY, T0, accept, day, purpose, withdraw
from tests.support.histories import AT, a_purpose, history
from vault.consent import cohort_decisions, decision_classes
from vault.consent.decision_classes import DecisionClasses
from vault.storage.timestamps import to_micros

MIN, MAX = datetime(1900, 1, 1), datetime(2900, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone itself
seeds = st.integers(0, 2**40).map(Random)


def people(random: Random) -> list[list[ConsentEvent]]:
    """A cohort in which many say the same on other days: a few histories, each told again with its clocks moved."""
    patterns = [history(random) for _ in range(3)]
    histories = []
    for _ in range(12):
        moved = [
            replace(
                event,
                legal_time=event.legal_time + timedelta(days=random.choice([0, 0, 1, 14])),
                valid_to=None if event.valid_to is None else event.valid_to + timedelta(days=random.choice([0, 1])),
                lapses_at=None if event.lapses_at is None else event.lapses_at + timedelta(days=random.choice([0, 1])),
                withdrawal=_level(random, event.withdrawal),
                status=None if event.correction is CorrectionKind.VOID else random.choice([None] * 9 + list(Status)),
            )
            for event in random.choice(patterns)
        ]
        histories.append(moved)
    return histories


def _level(random: Random, withdrawal: Withdrawal | None) -> Withdrawal | None:
    if withdrawal is None or random.random() < 0.7:
        return withdrawal
    return replace(withdrawal, level=Level.NO_NEW_DATA)


def alone(events: list[ConsentEvent], ask: DecisionRequest, head: int, data_at: datetime) -> Decision:
    return decide(
        fold(events, head=head),
        ask.purpose,
        legal_at=ask.legal_at,
        ontology=ask.ontology,
        rules=ask.rules,
        data_at=data_at,
        understood=ask.understood,
    )


def compare(random: Random) -> None:
    histories = people(random)
    columns, numbered = columns_of(histories)
    data_at = [T0 + timedelta(days=random.choice([-1, 3, 20])) for _ in histories]
    order = random.sample(range(len(histories)), len(histories))
    held = cohort_decisions.Members([subject(n) for n in order], np.array([to_micros(data_at[n]) for n in order]))
    ask = DecisionRequest(a_purpose(random), AT, ONTOLOGY, understood=cohort_decisions.ENFORCED)
    answers = cohort_decisions.decide_members(DecisionClasses.from_columns(columns), held, ask)
    single = [alone(numbered[n], ask, len(columns), data_at[n]) for n in order]
    assert [answers.verdicts[at].outcome for at in answers.index] == [one.outcome for one in single]
    assert [answers.verdicts[at].reasons for at in answers.index] == [one.reasons for one in single]
    ends = [one.obligations.expires for one in single if one.permitted and one.obligations.expires is not None]
    assert answers.expires == min(ends, default=None)
    assert answers.permits().tolist() == [one.permitted for one in single]
    tally = answers.tally()
    assert (tally.subjects, tally.permit) == (len(histories), sum(one.permitted for one in single))


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_classes_decide_as_their_members_alone(random):
    compare(random)


@pytest.mark.long
def test_classes_decide_as_their_members_alone_2000_cohorts():
    for seed in range(2_000):
        compare(Random(seed))


@given(st.lists(st.datetimes(MIN, MAX, timezones=st.just(UTC)), min_size=1), st.integers(1, 1200))
def test_months_are_added_as_the_rules_add_them(moments, months):
    moved = decision_classes.add_months(np.array([to_micros(at) for at in moments]), months)
    assert moved.tolist() == [to_micros(exact_months(at, months)) for at in moments]


def test_months_beyond_the_last_year_end_with_it():
    late = datetime(9990, 5, 1, tzinfo=UTC)
    assert decision_classes.add_months(np.array([to_micros(late)]), 1200).tolist() == [to_micros(exact_months(late, 1200))]


def held_of(count: int, data_at: datetime = T0) -> cohort_decisions.Members:
    return cohort_decisions.Members([subject(n) for n in range(count)], np.full(count, to_micros(data_at)))


def test_nobody_said_anything():
    columns, _ = columns_of([[]])
    answers = cohort_decisions.decide_members(DecisionClasses.from_columns(columns), held_of(3), DecisionRequest(HMB, AT))
    assert answers.tally().as_dict() == {"subjects": 3, "permit": 0, "deny": {"no_active_consent": 3}, "review": {}}


def test_many_dates_are_one_class_and_end_with_the_earliest():
    histories = [[accept(1, legal=-n, valid_to=day(900 - n))] for n in range(40)]
    columns, _ = columns_of(histories)
    answers = cohort_decisions.decide_members(DecisionClasses.from_columns(columns), held_of(40), DecisionRequest(HMB, AT))
    assert len(answers.verdicts) == 2  # those who said nothing, and these
    assert answers.permits().all()
    assert answers.expires == day(900 - 39)


def test_months_from_the_signature_end_a_release():
    histories = [[accept(1, "HMB + TS(12)", legal=-n)] for n in range(5)]
    columns, _ = columns_of(histories)
    answers = cohort_decisions.decide_members(DecisionClasses.from_columns(columns), held_of(5), DecisionRequest(HMB, AT))
    assert answers.expires == exact_months(day(-4), 12)


def test_no_new_data_stops_what_came_in_afterwards_alone():
    histories = [[accept(1), ConsentEvent("e2", 2, day(5), day(5), withdrawal=Withdrawal(level=Level.NO_NEW_DATA))]] * 2
    columns, _ = columns_of(histories)
    held = cohort_decisions.Members([subject(0), subject(1)], np.array([to_micros(day(4)), to_micros(day(6))]))
    answers = cohort_decisions.decide_members(DecisionClasses.from_columns(columns), held, DecisionRequest(HMB, AT))
    assert answers.permits().tolist() == [True, False]
    assert answers.tally().deny == (("no_new_data", 1),)


def test_an_accepted_purpose_that_runs_out_ends_the_release_too():
    answers = (
        PolicyAnswer("research_use", Answer.ACCEPTED, terms=parse_expression("GRU")),
        PolicyAnswer("purpose:commercial", Answer.ACCEPTED, valid_to=day(300)),
    )
    columns, _ = columns_of([[ConsentEvent("e1", 1, day(0), day(0), answers=answers)]])
    asked = purpose(UseKind.HMB, commercial=True)
    found = cohort_decisions.decide_members(DecisionClasses.from_columns(columns), held_of(1), DecisionRequest(asked, AT))
    assert found.verdicts[found.index[0]].outcome is Effect.PERMIT
    assert found.expires == day(300)


def test_everybody_counts_once_under_the_first_reason():
    histories = [[accept(1)]] * 3 + [[accept(1), withdraw(2, legal=1)], [], [accept(1, "HMB+NPU")]]
    columns, _ = columns_of(histories)
    answers = cohort_decisions.decide_members(DecisionClasses.from_columns(columns), held_of(6), DecisionRequest(HMB, AT))
    assert answers.tally().as_dict() == {
        "subjects": 6,
        "permit": 3,
        "deny": {"no_active_consent": 1, "withdrawn": 1},
        "review": {"purpose_incomplete": 1},
    }
    assert next(iter(answers.counts().values())) == 3  # the most frequent first
