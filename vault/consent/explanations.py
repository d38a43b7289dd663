"""Explanation of one decision in plain words, with the questions that the subject was asked and the answers given."""

from __future__ import annotations

from dataclasses import dataclass, replace

from policies import consent, states
from policies.consent import ConsentEvent, PolicyAnswer
from policies.decisions import NO_SATISFIED_POLICY, Decision
from policies.purposes import REQUIRED_POLICY
from policies.term_matching import Effect
from vault.access import projects
from vault.audit.actions import Action, Outcome
from vault.consent import forms, ledger
from vault.consent.subject_decision import decide_subject
from vault.errors import InputError
from vault.session.moments import moment
from vault.session.time_zone import zone_of
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects.references import resolve

ANSWERED = {
    consent.Answer.ACCEPTED: "yes",
    consent.Answer.DECLINED: "no",
    consent.Answer.NOT_ASKED: "nothing",
    consent.Answer.WITHDRAWN: "withdrawn",
    consent.Answer.INVALIDATED: "declared invalid",
    consent.Answer.OBJECTED: "an objection",
}
VERDICTS = {
    Effect.PERMIT: "Yes: this person's data can be released to the project.",
    Effect.DENY: "No: this person's data cannot be released to the project.",
    Effect.REVIEW: "Not yet: a steward must rule first; until then it is a no.",
}


@dataclass(frozen=True)
class Clause:
    """Clause behind a decision: the wording of a question with the answer, or an act without a form."""

    event: str
    seq: int
    legal_time: str
    form: str
    question: str
    wording: str
    answer: str


@dataclass(frozen=True)
class Explanation:
    """A decision, its effect and reasons in plain words and in order, and the clauses behind it."""

    project: str
    decision: Decision
    has_data: bool
    words: tuple[str, ...]
    clauses: tuple[Clause, ...]


def explain(vault: UnlockedVault, reference: str, code: str) -> Explanation:
    """Explain the current decision for one subject and one project.

    Raises:
        InputError: ``subject_unknown``, ``subject_ambiguous``, ``project_unknown``, ``dataset_unknown``.
    """
    with vault.trail.attempting(Action.CONSENT_EXPLAIN, project=None):
        subject = resolve(vault, reference)
        project = projects.load(vault, code)
        with vault.books.read() as tx:
            book = ledger.read(tx, vault)
            events = book.events_of(subject)
            state = states.fold(events, head=book.head.seq)
            found = decide_subject(vault, tx, project, subject, state, legal_at=moment(vault, tx).at)
        decision, has_data = found.decision, found.data_at is not None
        asked = {REQUIRED_POLICY[project.declaration.purpose.action]}
        if any(event.status is consent.Status.DECEASED for event in events):
            asked.add(consent.USE_AFTER_DEATH)
        clauses = tuple(clause for event in _deciding(decision, events) for clause in _clauses(vault, event, asked))
        vault.trail.record(Action.CONSENT_EXPLAIN, Outcome.DONE, subjects=[subject], project=project.code)
    words = [VERDICTS[decision.outcome], *(reason.words() for reason in decision.reasons)]
    if not has_data:
        words.insert(1, "The project's datasets hold no data of this person.")
    if project.state != projects.APPROVED:
        words.append(f"The project is {project.state}: it releases nothing.")
    return Explanation(project.code, decision, has_data, tuple(words), clauses)


def _deciding(decision: Decision, events: tuple[ConsentEvent, ...]) -> list[ConsentEvent]:
    """Events that permitted or refused, and facts about the subject; if there are none, all events."""
    spoke = {item.event_id for item in decision.evidence if item.outcome.endswith("SATISFIED_POLICY")}
    if not decision.permitted:
        against = {item.event_id for item in decision.evidence if item.outcome == NO_SATISFIED_POLICY}
        spoke = against or spoke
    return [event for event in events if event.event_id in spoke or (spoke and event.status)] or list(events)


def _clauses(vault: UnlockedVault, event: ConsentEvent, asked: set[str]) -> list[Clause]:
    found = []
    when = event.legal_time.astimezone(zone_of(vault)).date().isoformat()
    if event.withdrawal is not None:
        level = event.withdrawal.level.name.lower()
        found.append(Clause(event.event_id, event.seq, when, "", "", f"withdrawal of {event.withdrawal.scope}", level))
    if event.status is not None:
        found.append(Clause(event.event_id, event.seq, when, "", "", "recorded fact", str(event.status)))
    spoken = [answer for answer in event.answers if answer.policy in asked or ":" in answer.policy]
    return found + [
        replace(_clause(vault, event, answer), event=event.event_id, seq=event.seq, legal_time=when) for answer in spoken
    ]


def _clause(vault: UnlockedVault, event: ConsentEvent, answer: PolicyAnswer) -> Clause:
    """Clause with the question's wording in the version that was signed."""
    given = ANSWERED[answer.answer]
    if answer.terms is not None:
        given += f" ({' or '.join(_terms(answer))})"
    if event.form is None:
        return Clause("", 0, "", "", "", answer.policy, given)
    name = f"{event.form.form}@{event.form.version}"
    question = answer.module.partition("/")[2]
    try:
        form, _ = forms.find(vault, name)
    except InputError:
        return Clause("", 0, "", name, question, "the text of this form is not held", given)
    asked = form.question(question)
    known = asked is not None and form.wording_sha256 == event.form.wording_sha256
    wording = " ".join(asked.wording.split()) if asked is not None and known else "the text of this form is not held"
    return Clause("", 0, "", name, question, wording, given)


def _terms(answer: PolicyAnswer) -> list[str]:
    alternatives = answer.terms.alternatives if answer.terms is not None else ()
    return [
        " + ".join(
            [item.permission + (f"({','.join(item.diseases)})" if item.diseases else ""), *(m.code for m in item.modifiers)]
        )
        for item in alternatives
    ]
