"""Answers to a consent form: from the words of an ANSWERS.csv to a consent event, and preferences apart from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from policies import canonical
from policies.consent import Answer, ConsentEvent, PolicyAnswer, Precision, QcState, SignerRole
from policies.errors import PolicyInputError
from policies.forms import BLANK, NO, OTHER, YES, Form, Question, QuestionKind
from policies.terms import Terms, parse_expression
from policies.times import add_months

PREFERENCES = ("want", "not_want", "undecided")


@dataclass(frozen=True)
class Preference:
    """One stated preference, held apart from consent."""

    question: str
    category: str
    value: str


def answers_to_event(
    form: Form,
    answers: Mapping[str, str],
    *,
    event_id: str,
    seq: int,
    legal_time: datetime,
    recorded_at: datetime,
    precision: Precision = Precision.INSTANT,
    signer: SignerRole = SignerRole.SELF,
    signer_ref: str = "",
    lapses_at: datetime | None = None,
    qc: QcState = QcState.VALID,
    recorded_by: str = "",
    evidence_hash: str = "",
    channel: str = "",
) -> ConsentEvent:
    """Convert answers to a consent event. A question that is missing or blank is ``NOT_ASKED``.

    Raises:
        PolicyInputError: ``unknown_question``, ``answer_missing``, ``unknown_answer`` (place: the question), and as
            ``terms.parse_expression`` and ``ConsentEvent``.
    """
    for name in answers:
        if form.question(name) is None:
            raise PolicyInputError("unknown_question", f"the form {form.id}@{form.version} has no question {name!r:.60}", name)
    legal_time = canonical.aware(legal_time, place="legal_time")
    given = [item for question in form.questions for item in _answers(form, question, answers.get(question.id, ""), legal_time)]
    if not given:
        raise PolicyInputError("empty_event", "only preferences are answered: there is no consent to record")
    return ConsentEvent(
        event_id=event_id,
        seq=seq,
        legal_time=legal_time,
        recorded_at=recorded_at,
        precision=precision,
        answers=tuple(given),
        form=form.ref(),
        signer=signer,
        signer_ref=signer_ref,
        lapses_at=lapses_at,
        on_majority=form.on_majority,
        valid_from=form.valid_from,
        valid_to=form.valid_to,
        qc=qc,
        recorded_by=recorded_by,
        evidence_hash=evidence_hash,
        channel=channel,
        language=form.language,
    )


def check_answer(question: Question, text: str) -> None:
    """Check that the text can answer the question; a blank text passes, since only the form tells whether it is required.

    Raises:
        PolicyInputError: ``unknown_answer``, or the code of a bad expression, with the question as place.
    """
    if question.kind is QuestionKind.PREFERENCE:
        _preference(text, question.id)
    else:
        _read_answer(question, text.strip())


def preferences(form: Form, answers: Mapping[str, str]) -> tuple[Preference, ...]:
    """The preferences among the answers, in the form's order; blank is ``undecided``.

    Raises:
        PolicyInputError: ``unknown_answer`` with the question as place.
    """
    found = []
    for question in form.questions:
        if question.kind is QuestionKind.PREFERENCE:
            value = _preference(answers.get(question.id, ""), question.id)
            found.append(Preference(question.id, question.category or question.id, value))
    return tuple(found)


def _answers(form: Form, question: Question, text: str, legal_time: datetime) -> list[PolicyAnswer]:
    """The answers to the policies of one question; none for a preference."""
    if question.kind is QuestionKind.PREFERENCE:
        _preference(text, question.id)
        return []
    answer, terms = _read_answer(question, text.strip())
    if answer is Answer.NOT_ASKED and question.required:
        raise PolicyInputError("answer_missing", "this question needs an answer", question.id)
    accepted = answer is Answer.ACCEPTED
    return [
        PolicyAnswer(
            policy=policy,
            answer=answer,
            version=form.version,
            module=f"{form.id}/{question.id}",
            explicit=len(question.policies) == 1,
            terms=terms if accepted else None,
            loci=question.loci,
            valid_to=_end(form, question, legal_time) if accepted else None,
        )
        for policy in question.policies
    ]


def _read_answer(question: Question, text: str) -> tuple[Answer, Terms | None]:
    word = text.lower()
    if word in BLANK:
        return Answer.NOT_ASKED, None
    if word in NO:
        return Answer.DECLINED, None
    if word in OTHER:
        return OTHER[word], None
    if question.kind is QuestionKind.CODES and word not in YES:
        return Answer.ACCEPTED, _coded(question, text)
    chosen = next((item for item in question.options if item.id == word), None)
    if chosen is not None:
        return Answer.ACCEPTED, chosen.terms
    if word not in YES or question.options or question.kind is QuestionKind.CODES:
        raise PolicyInputError("unknown_answer", _wanted(question), question.id)
    return Answer.ACCEPTED, question.terms


def _coded(question: Question, text: str) -> Terms:
    """Terms of a coded answer. An error does not repeat the text: in a sheet with shifted columns it may be a person's name."""
    try:
        return parse_expression(text, place=question.id)
    except PolicyInputError as error:
        raise PolicyInputError(error.code, _wanted(question), question.id) from None


def _wanted(question: Question) -> str:
    if question.kind is QuestionKind.CODES:
        return "write a DUO expression such as GRU or HMB + NPU, no, or nothing"
    if question.options:
        return f"write {', '.join(item.id for item in question.options)}, no, or nothing"
    return "write yes, no, or nothing"


def _preference(text: str, place: str) -> str:
    word = text.strip().lower().replace(" ", "_")
    plain = {**dict.fromkeys(YES, "want"), **dict.fromkeys(NO, "not_want"), **dict.fromkeys(BLANK, "undecided")}
    value = plain.get(word, word)
    if value not in PREFERENCES:
        raise PolicyInputError("unknown_answer", "write want, not_want or undecided", place)
    return value


def _end(form: Form, question: Question, legal_time: datetime) -> datetime | None:
    """End of validity by the form: the shorter of the form's and the question's period, counted from the signature."""
    months = [item for item in (form.validity_months, question.validity_months) if item is not None]
    return add_months(legal_time, min(months)) if months else None


def restated(event: ConsentEvent, form: Form | None, given: Mapping[str, str], legal_time: datetime) -> tuple[PolicyAnswer, ...]:
    """Answers of an event with those to some questions given anew, for another time of signature; the others' ends follow the form.

    ``form`` None: no form was signed.

    Raises:
        PolicyInputError: ``unknown_question``, ``answer_missing``, ``unknown_answer`` (place: the question).
    """
    if form is None:
        if given:
            raise PolicyInputError("unknown_question", "the event answers no form")
        return event.answers
    for name in given:
        if form.question(name) is None:
            raise PolicyInputError("unknown_question", f"the form {form.id}@{form.version} has no question {name!r:.60}", name)
    anew = [
        item
        for question in form.questions
        if question.id in given
        for item in _answers(form, question, given[question.id], legal_time)
    ]
    modules = {f"{form.id}/{question.id}": question for question in form.questions}
    kept = [
        replace(item, valid_to=_end(form, modules[item.module], legal_time)) if item.valid_to and item.module in modules else item
        for item in event.answers
        if item.module.partition("/")[2] not in given
    ]
    order = {question.id: at for at, question in enumerate(form.questions)}
    return tuple(sorted([*kept, *anew], key=lambda item: order.get(item.module.partition("/")[2], -1)))
