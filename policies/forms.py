"""Consent forms: one version of one form in one language, its questions, and what each answer means.

The caller loads the YAML; ``parse_form`` gives a frozen ``Form`` or every problem with its place. A question is one of

* ``use``: a tick box that grants one or more policies with DUO alternatives, or one of several ``options``;
* ``codes``: the answer itself is a DUO expression (``HMB + NPU``), for consents that were coded elsewhere;
* ``agree``: a plain yes to a policy (``recontact``, ``use_after_death``) or a scope key (``purpose:commercial``);
* ``loci``: may these places be used? Only a yes includes them;
* ``preference``: want, not want, undecided. Kept apart from consent, it never decides a release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum

from policies import canonical, consent
from policies.consent import Answer, ConsentEvent, FormRef, Majority, PolicyAnswer, QcState, Signer
from policies.errors import PolicyInputError, Problem
from policies.loci import LocusRule, read_rule
from policies.reading import HANDLE, Section
from policies.terms import MAX_MONTHS, Terms, parse_expression, read_alternative
from policies.times import add_months

YES = frozenset({"yes", "y", "true", "1", "accept", "accepted", "agree", "agreed"})
NO = frozenset({"no", "n", "false", "0", "decline", "declined", "refuse", "refused"})
BLANK = frozenset({"", "not_asked", "not asked", "na", "n/a"})
OTHER = {
    "withdrawn": Answer.WITHDRAWN,
    "withdraw": Answer.WITHDRAWN,
    "object": Answer.OBJECTED,
    "objected": Answer.OBJECTED,
    "invalidated": Answer.INVALIDATED,
}
PREFERENCES = ("want", "not_want", "undecided")


class QuestionKind(StrEnum):
    """What a question asks."""

    USE = "use"
    CODES = "codes"
    AGREE = "agree"
    LOCI = "loci"
    PREFERENCE = "preference"


@dataclass(frozen=True)
class Option:
    """One of several ways to say yes."""

    id: str
    wording: str
    terms: Terms


@dataclass(frozen=True)
class Question:
    """One question. ``policies`` are the policies or the scope key that a yes grants; more than one is a bundle."""

    id: str
    kind: QuestionKind
    wording: str
    required: bool = False
    policies: tuple[str, ...] = ()
    terms: Terms | None = None
    options: tuple[Option, ...] = ()
    loci: tuple[LocusRule, ...] = ()
    validity_months: int | None = None
    category: str = ""

    @property
    def wording_sha256(self) -> str:
        """64 hex digits over the words shown for this question and its options."""
        return canonical.sha256([self.wording, [item.wording for item in self.options]])


@dataclass(frozen=True)
class Form:
    """One version of a form. ``material_change`` says that it ends what earlier versions allowed for purposes declared later."""

    id: str
    version: str
    title: str
    language: str
    questions: tuple[Question, ...]
    material_change: bool = False
    effective: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    validity_months: int | None = None
    on_majority: Majority = Majority.LAPSE

    @property
    def wording_sha256(self) -> str:
        """64 hex digits over everything a person read: title, language, every question and option in order."""
        shown = [[item.id, item.wording, [[one.id, one.wording] for one in item.options]] for item in self.questions]
        return canonical.sha256([self.title, self.language, shown])

    @property
    def digest(self) -> str:
        """64 hex digits over the whole form: words and meaning."""
        return canonical.sha256(canonical.plain(self))

    def ref(self) -> FormRef:
        """What a consent event keeps of the form."""
        return FormRef(self.id, self.version, self.wording_sha256)

    def question(self, name: str) -> Question | None:
        """The question with this id, if the form has it."""
        return next((item for item in self.questions if item.id == name), None)

    def accept_all(self) -> dict[str, str]:
        """Answers that accept everything, as ANSWERS.csv writes them: the first option, GRU for codes, ``want`` for preferences."""
        return {item.id: _acceptance(item) for item in self.questions}


@dataclass(frozen=True)
class Preference:
    """One preference a person stated; kept apart from consent."""

    question: str
    category: str
    value: str


def parse_form(data: object, *, zone: tzinfo = UTC) -> Form:
    """A form from the mapping that the caller loaded. A bare date means its first moment in ``zone``, the study's time zone.

    Raises:
        PolicyInputError: with every problem and its place; unknown fields are problems.
    """
    problems: list[Problem] = []
    top = Section(data, "", problems)
    form = _form(top, zone)
    if problems:
        raise PolicyInputError.of(problems)
    return form


def answers_to_event(
    form: Form,
    answers: Mapping[str, str],
    *,
    event_id: str,
    seq: int,
    legal_time: datetime,
    recorded_at: datetime,
    signer: Signer = Signer.SELF,
    signer_ref: str = "",
    lapses_at: datetime | None = None,
    qc: QcState = QcState.VALID,
    supersedes: str = "",
    recorded_by: str = "",
    evidence_hash: str = "",
    channel: str = "",
) -> ConsentEvent:
    """The event that these answers make. A question that is missing or blank is ``NOT_ASKED``.

    Raises:
        PolicyInputError: ``unknown_question``, ``answer_missing``, ``unknown_answer`` (place: the question) and what a bad
            expression or event raises.
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
        answers=tuple(given),
        form=form.ref(),
        signer=signer,
        signer_ref=signer_ref,
        lapses_at=lapses_at,
        on_majority=form.on_majority,
        valid_from=form.valid_from,
        valid_to=form.valid_to,
        qc=qc,
        supersedes=supersedes,
        recorded_by=recorded_by,
        evidence_hash=evidence_hash,
        channel=channel,
        language=form.language,
    )


def check_answer(question: Question, text: str) -> None:
    """Whether the text is an answer to the question; a blank one is, as far as the question alone can tell.

    Raises:
        PolicyInputError: ``unknown_answer`` and what a bad expression raises, with the question as place.
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


def _form(top: Section, zone: tzinfo) -> Form:
    name = top.handle("form")
    version = top.text("version", longest=40)
    title = top.text("title", longest=300)
    language = top.text("language", longest=35)
    material, effective = top.flag("material_change"), top.instant("effective", zone=zone)
    if material and effective is None:
        top.note("missing", "a material change says from when it takes effect", "effective")
    validity = top.section("validity")
    start, end = validity.instant("from", zone=zone), validity.instant("until", zone=zone)
    months = validity.whole("months", 1, MAX_MONTHS)
    validity.finish()
    if start is not None and end is not None and start >= end:
        validity.note("bad_window", "the form would end before it begins", "until")
    majority = Majority(top.choice("on_majority", tuple(Majority), default=Majority.LAPSE))
    questions = tuple(_question(item) for item in top.sections("questions", required=True))
    top.finish()
    _note_clashes(top, questions)
    return Form(name, version, title, language, questions, material, effective, start, end, months, majority)


def _question(section: Section) -> Question:
    ident = section.handle("id")
    kind = QuestionKind(section.choice("kind", tuple(QuestionKind), default=QuestionKind.USE))
    wording = section.text("wording")
    required = section.flag("required")
    question = Question(ident, kind, wording, required)
    if kind is QuestionKind.PREFERENCE:
        question = Question(ident, kind, wording, required, category=section.handle("category", default=ident))
    else:
        months = section.section("validity")
        limit = months.whole("months", 1, MAX_MONTHS)
        months.finish()
        question = _meaning(section, question, limit)
    section.finish()
    return question


def _meaning(section: Section, bare: Question, months: int | None) -> Question:
    """What a yes grants, for the kinds that are consent."""
    ident, kind, wording, required = bare.id, bare.kind, bare.wording, bare.required
    if kind is QuestionKind.LOCI:
        rules = tuple(rule for item in section.sections("loci", required=True) if (rule := read_rule(item)))
        return Question(
            ident, kind, wording, required, (f"{consent.ScopeKind.LOCI}:{ident}",), loci=rules, validity_months=months
        )
    policies = section.texts("policies") or (ident,)
    for index, policy in enumerate(policies):
        _note_policy(section, policy, kind, f"policies[{index}]")
    if kind is not QuestionKind.USE:
        return Question(ident, kind, wording, required, policies, validity_months=months)
    if not section.has("options"):
        terms = _terms(section)
        return Question(ident, kind, wording, required, policies, terms, validity_months=months)
    options = tuple(_option(item) for item in section.sections("options", required=True))
    names = [item.id for item in options]
    for index, name in enumerate(names):
        if name in names[:index] or name in YES | NO | BLANK | set(OTHER):
            section.note("bad_option", f"{name!r:.40} is given twice or means yes or no", f"options[{index}].id")
    return Question(ident, kind, wording, required, policies, options=options, validity_months=months)


def _option(section: Section) -> Option:
    found = Option(section.handle("id"), section.text("wording"), _terms(section))
    section.finish()
    return found


def _terms(section: Section) -> Terms:
    return Terms.of(*(read_alternative(item) for item in section.sections("alternatives", required=True)))


def _note_policy(section: Section, policy: str, kind: QuestionKind, key: str) -> None:
    plain = HANDLE.fullmatch(policy) is not None
    scoped = kind is QuestionKind.AGREE and policy.startswith(("purpose:", "recipient:")) and not policy.endswith(":")
    if not plain and not scoped:
        section.note("bad_policy", "a policy's name is lower-case letters, digits and hyphens or underscores", key)


def _note_clashes(top: Section, questions: tuple[Question, ...]) -> None:
    seen: dict[str, int] = {}
    names: set[str] = set()
    for index, question in enumerate(questions):
        if question.id in names:
            top.note("repeated", f"the question {question.id!r:.60} is given twice", f"questions[{index}].id")
        names.add(question.id)
        for policy in question.policies:
            if policy in seen:
                top.note("repeated", f"{policy!r:.60} is already granted by another question", f"questions[{index}].policies")
            seen[policy] = index


def _acceptance(question: Question) -> str:
    if question.kind is QuestionKind.PREFERENCE:
        return "want"
    if question.kind is QuestionKind.CODES:
        return "GRU"
    return question.options[0].id if question.options else "yes"


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
    """The terms of a coded answer. An error does not repeat the text: in a sheet with shifted columns it is somebody's name."""
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
    """The end that the form gives: the shortest of its own and the question's period from the signature."""
    months = [item for item in (form.validity_months, question.validity_months) if item is not None]
    return add_months(legal_time, min(months)) if months else None
