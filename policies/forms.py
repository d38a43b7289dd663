"""Consent forms: one version of one form in one language, its questions, and the meaning of each answer.

The caller loads the YAML; ``parse_form`` returns a frozen ``Form`` or raises every problem with its place. A question is one of

* ``use``: a tick box that grants one or more policies with DUO alternatives, or one of several ``options``;
* ``codes``: the answer itself is a DUO expression (``HMB + NPU``), for consents that were coded elsewhere;
* ``agree``: a plain yes to a policy (``recontact``, ``use_after_death``) or a scope key (``purpose:commercial``);
* ``loci``: use of named places on the genome; only a yes includes them;
* ``preference``: want, not want, undecided; held apart from consent, it never decides a release.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from functools import cached_property

from policies import canonical, consent
from policies.consent import Answer, FormRef, OnMajority
from policies.errors import InputProblem, PolicyInputError
from policies.loci import LocusRule, read_rule
from policies.purposes import ASKED
from policies.strict_mapping import HANDLE, Section
from policies.terms import MAX_MONTHS, Terms, read_alternative

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


class QuestionKind(StrEnum):
    """Kind of a question; the module's docstring describes each."""

    USE = "use"
    CODES = "codes"
    AGREE = "agree"
    LOCI = "loci"
    PREFERENCE = "preference"


@dataclass(frozen=True)
class Option:
    """One of several accepting answers."""

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
    """One version of a form. ``material_change``: acceptances of earlier versions do not cover purposes declared later."""

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
    on_majority: OnMajority = OnMajority.LAPSE

    @cached_property
    def wording_sha256(self) -> str:
        """64 hex digits over the whole text shown: title, language, every question and option in order."""
        shown = [[item.id, item.wording, [[one.id, one.wording] for one in item.options]] for item in self.questions]
        return canonical.sha256([self.title, self.language, shown])

    @property
    def digest(self) -> str:
        """64 hex digits over the whole form: wording and meaning."""
        return canonical.sha256(canonical.plain(self))

    def ref(self) -> FormRef:
        """Reference to the form, as a consent event carries it."""
        return FormRef(self.id, self.version, self.wording_sha256)

    def question(self, name: str) -> Question | None:
        """The question with this id, if the form has it."""
        return next((item for item in self.questions if item.id == name), None)

    def unasked(self) -> tuple[tuple[str, str], ...]:
        """(question, policy) of each policy that a yes grants and no project asks for."""
        granted = ((question.id, policy) for question in self.questions for policy in question.policies)
        return tuple((name, policy) for name, policy in granted if ":" not in policy and policy not in ASKED)

    def accept_all(self) -> dict[str, str]:
        """Answers that accept everything, as ANSWERS.csv writes them: the first option, GRU for codes, ``want`` for preferences."""
        return {item.id: _acceptance(item) for item in self.questions}


def parse_form(data: object, *, zone: tzinfo = UTC) -> Form:
    """Parse the mapping that the caller loaded. A bare date means its first moment in ``zone``, the study's time zone.

    Raises:
        PolicyInputError: with every problem and its place; unknown fields are problems.
    """
    problems: list[InputProblem] = []
    top = Section(data, "", problems)
    form = _form(top, zone)
    if problems:
        raise PolicyInputError.from_problems(problems)
    return form


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
    majority = OnMajority(top.choice("on_majority", tuple(OnMajority), default=OnMajority.LAPSE))
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
    """Add what a yes grants, for the kinds of question that are consent."""
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
    return Terms.from_alternatives(*(read_alternative(item) for item in section.sections("alternatives", required=True)))


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
