"""Short ways to build consent events and purposes in tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

import yaml

from policies.consent import Answer, ConsentEvent, PolicyAnswer, Withdrawal
from policies.decisions import Decision, decide
from policies.form_answers import answers_to_event
from policies.forms import Form
from policies.ontology import TermGraph
from policies.purposes import Commitment, Organisation, Profit, Purpose, UseKind
from policies.states import ConsentState, fold
from policies.terms import Terms, parse_expression

T0 = datetime(2025, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, tzinfo=UTC)

CANCER = "MONDO:0004992"
LUNG = "MONDO:0008903"
DIABETES = "MONDO:0005015"
DISEASE = "MONDO:0000001"
ONTOLOGY = TermGraph.from_pairs([(LUNG, CANCER), (CANCER, DISEASE), (DIABETES, DISEASE)], version="tiny 1")


def day(number: float) -> datetime:
    """Day ``number`` after T0."""
    return T0 + timedelta(days=number)


def answer(said: Answer, expression: str | None = None, *, policy: str = "research_use", **rest: Any) -> PolicyAnswer:
    """One answer; an acceptance of ``research_use`` takes its terms from ``expression``."""
    terms = parse_expression(expression) if expression else None
    return PolicyAnswer(policy, said, terms=terms, **rest)


def event(seq: int, *answers: PolicyAnswer, legal: float = 0, recorded: float | None = None, **rest: Any) -> ConsentEvent:
    """Event ``e<seq>`` at legal day ``legal``, recorded on the same day unless said otherwise."""
    at = day(legal if recorded is None else recorded)
    return ConsentEvent(f"e{seq}", seq, day(legal), at, answers=answers, **rest)


def accept(
    seq: int, expression: str = "GRU", *, legal: float = 0, policy: str = "research_use", explicit: bool = True, **rest: Any
) -> ConsentEvent:
    """An acceptance of one policy."""
    return event(seq, answer(Answer.ACCEPTED, expression, policy=policy, explicit=explicit), legal=legal, **rest)


def withdraw(seq: int, scope: str = "everything", *, legal: float = 0, **rest: Any) -> ConsentEvent:
    """A withdrawal by the verb."""
    withdrawal = Withdrawal(scope, **{key: rest.pop(key) for key in ("level", "loci") if key in rest})
    return event(seq, legal=legal, withdrawal=withdrawal, **rest)


def purpose(*kinds: UseKind, **rest: Any) -> Purpose:
    """A purpose with the no-re-identification commitment and nothing else declared."""
    rest.setdefault("commitments", (Commitment.NO_REID,))
    return Purpose(tuple(kind for kind in UseKind if kind in kinds), **rest)


HMB = purpose(UseKind.HMB)
NON_PROFIT = Organisation(profit=Profit.NON_PROFIT)


def ask(events: list[ConsentEvent] | ConsentState, what: Purpose = HMB, *, at: datetime = NOW, **rest: Any) -> Decision:
    """The decision on one subject with the tiny ontology loaded."""
    state = events if isinstance(events, ConsentState) else fold(events)
    return decide(state, what, legal_at=at, **{"ontology": ONTOLOGY, **rest})


def why(decision: Decision) -> tuple[str, str]:
    """The outcome and the first reason code."""
    return str(decision.outcome), decision.reasons[0].code


def state_of(terms: Terms) -> ConsentState:
    """A subject who accepted exactly these terms."""
    return fold([event(1, PolicyAnswer("research_use", Answer.ACCEPTED, terms=terms))])


def load(name: str) -> Any:
    """A shipped form as YAML gives it."""
    return yaml.safe_load((resources.files("policies.packs") / "forms" / f"{name}.yaml").read_text(encoding="utf-8"))


def form_event(form: Form, **answers: str) -> ConsentEvent:
    """The event of these answers."""
    return answers_to_event(form, answers, event_id="e1", seq=1, legal_time=T0, recorded_at=T0)
