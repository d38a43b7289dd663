"""Counts and presence: noisy numbers of carriers in a cohort, charged, stored and logged in one commit (docs/design/disclosure.md §4).

    decide    each subject of project and dataset by the subject's own consent; a floor of people
    price     ε for each new allele; refused where a budget of the family does not cover it, before anything is opened
    count     from the cohort's carriers in memory, else from the blocks that hold the alleles' surroundings, the intent durable first
    commit    the draw, the charge, the stored answer and the entry; a killed process leaves none of them or all
    answer    read from what was stored: nothing else is told of the number itself

``vault.gate`` lends the decision and the blocks; this module has no other way to either. An allele that is masked, that nobody carries and
that the dataset does not have are one: nought, with noise, at the same price. What is counted may be something else (``NumberSource``): the
steps are the same, and ``vault.match_counting`` takes them for criteria.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from policies.disclosure import cells, nats, noise
from policies.disclosure.alleles import Allele
from policies.disclosure.budgets import Budget, BudgetScope
from policies.disclosure.nats import Micronats
from policies.disclosure.noise import SHOWN
from policies.disclosure.sampler import discrete_laplace
from policies.purposes import RequestKind
from vault.access import publication
from vault.access.disclosure import budgets, stored_answers
from vault.access.disclosure.carrier_table import Read, Table, of_cohort
from vault.access.disclosure.questions import CountsQuestion
from vault.access.disclosure.stored_answers import AnsweredCohort, Spelled, StoredAnswer
from vault.access.scope import UNINFORMED_ROLES, AccessScope
from vault.audit.actions import Action, Outcome
from vault.audit.bands import banded, spoken
from vault.audit.log import Appended
from vault.consent import counted_cohorts
from vault.consent.counted_cohorts import CountedCohort, Decide
from vault.errors import RefusedError
from vault.ids import SubjectId
from vault.session.audit_trail import Attempt
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction

OpenCalls = Callable[[AccessScope, Sequence[SubjectId]], Read]
"""The gate's reading of some people's calls."""


@dataclass(frozen=True)
class Counted:
    """Answer about one allele, as it was drawn with ``epsilon`` nats; ``carriers`` as in ``cells.Cell``."""

    allele: str
    exists: bool
    carriers: int | None
    epsilon: float


@dataclass(frozen=True)
class Spent:
    """Evidence that left under one budget, the factor that it multiplies odds by at most, and the nats that are left."""

    nats: float
    factor: float
    left: float


@dataclass(frozen=True, kw_only=True)
class ChargedAnswer:
    """Fields of every answer by noisy numbers.

    ``charged``: nats that this answer cost. ``reasons``: why an item is not told, for those who may know; empty for others, and of answers drawn
    before.
    """

    cohort: str  # digest, 64 hex digits
    n_band: str
    epsilon: float
    accuracy95: int
    charged: float
    spent: Mapping[str, Spent]
    receipt: str
    reasons: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON values, to be handed on: without ``reasons``."""
        said = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        del said["reasons"], said["n_band"]
        return {**said, "cohort": {"digest": self.cohort, "n_band": self.n_band}}


@dataclass(frozen=True, kw_only=True)
class CountsAnswer(ChargedAnswer):
    """Answer to a question for counts or presence. ``false_exists``: share of the absent alleles that read as existing at this ε."""

    kind: str
    request: str | None
    false_exists: float
    answers: tuple[Counted, ...]


T = TypeVar("T", bound=Spelled)
T_contra = TypeVar("T_contra", bound=Spelled, contravariant=True)


class NumberSource(Protocol[T_contra]):
    """Source of numbers of people, without noise. They stay inside."""

    def missing(self, cohort: CountedCohort, items: Sequence[T_contra]) -> bool:
        """True if genotypes have to be opened for some of the items."""
        ...

    def count(self, cohort: CountedCohort, items: Sequence[T_contra]) -> None:
        """Count what is missing, from genotypes that are opened for it."""
        ...

    def number(self, cohort: CountedCohort, item: T_contra) -> tuple[int, str]:
        """People, and why they are not told where they are too few: ``masked``, ``absent`` or ``small``."""
        ...


@dataclass(frozen=True)
class Settled(Generic[T]):
    """A question that was answered in a transaction that is to be committed."""

    about: AnsweredCohort
    answers: Mapping[T, StoredAnswer]
    reasons: Mapping[T, str]
    charged: int
    left: Sequence[Budget]
    entry: Appended

    def told(self, vault: UnlockedVault, epsilon: Micronats, *, name: Callable[[T], str]) -> dict[str, Any]:
        """Fields of ``ChargedAnswer``; the receipt is taken now. ``name``: of an item, among ``reasons``."""
        spent = {
            one.scope.value: Spent(nats.number(one.spent), nats.factor(one.spent), nats.number(one.left))
            for one in self.left
            if one.scope is not BudgetScope.WORLD
        }
        informed = vault.role not in UNINFORMED_ROLES
        return {
            "cohort": self.about.digest.hex(),
            "n_band": spoken(self.about.people),
            "epsilon": nats.number(epsilon),
            "accuracy95": noise.accuracy95(epsilon),
            "charged": nats.number(self.charged),
            "spent": spent,
            "receipt": publication.receive(vault, self.entry.index),
            "reasons": {name(item): reason for item, reason in self.reasons.items()} if informed else {},
        }


@dataclass(frozen=True)
class CountedItems(Generic[T]):
    """Distinct items, asked with ``epsilon`` each. ``said``: the question as entries hold it, sealed; ``counted``: what of it a leaf counts."""

    items: tuple[T, ...]
    epsilon: int
    said: Mapping[str, Any]
    counted: str


@dataclass(frozen=True)
class _AlleleNumbers:
    """Carriers of alleles, from the cohort's table in memory."""

    vault: UnlockedVault
    scope: AccessScope
    open_calls: OpenCalls

    def missing(self, cohort: CountedCohort, items: Sequence[Allele]) -> bool:
        return bool(self._table(cohort).missing(items))

    def count(self, cohort: CountedCohort, items: Sequence[Allele]) -> None:
        table = self._table(cohort)
        table.fill(table.missing(items), self.open_calls(self.scope, cohort.people))

    def number(self, cohort: CountedCohort, item: Allele) -> tuple[int, str]:
        if cohort.masks_allele(item):
            return 0, "masked"
        carriers = self._table(cohort).carriers(item)
        return carriers, "small" if carriers else "absent"

    def _table(self, cohort: CountedCohort) -> Table:
        return of_cohort(self.vault, self.scope, cohort.digest)


def answer(
    vault: UnlockedVault, scope: AccessScope, question: CountsQuestion, *, decide: Decide, open_calls: OpenCalls
) -> CountsAnswer:
    """Answer a question for alleles. Raises as ``settle``."""
    said = {"kind": question.kind.value, "alleles": [one.text for one in question.alleles]}
    asked = CountedItems(question.alleles, question.epsilon, said, "alleles")
    return _told(vault, scope, question, settle(vault, scope, asked, _AlleleNumbers(vault, scope, open_calls), decide=decide))


def settle(
    vault: UnlockedVault, scope: AccessScope, asked: CountedItems[T], source: NumberSource[T], *, decide: Decide
) -> Settled[T]:
    """Take the steps of the module for what is asked, of whatever source.

    Raises:
        RefusedError: as ``counted_cohorts.cohort``; ``budget_spent``; ``consent_changed``.
        IntegrityError: as reading; ``stored_answer_altered``. UnavailableError: the answer cannot be logged.
    """
    with vault.trail.attempting(Action.COUNTS_ANSWER, project=scope.project.code, request=scope.request_id) as attempt:
        settled, cohort = _settle(vault, scope, asked, source, decide=decide, attempt=attempt)
        if settled is None:
            attempt.opens(cohort.people, project=scope.project.code, request=scope.request_id, detail=_said(scope, asked))
            source.count(cohort, asked.items)
            settled, cohort = _settle(vault, scope, asked, source, decide=decide, attempt=attempt)
        if settled is None:
            raise RefusedError("consent_changed", "who takes part changed while carriers were counted", hint="ask again")
    return settled


def _settle(
    vault: UnlockedVault, scope: AccessScope, asked: CountedItems[T], source: NumberSource[T], *, decide: Decide, attempt: Attempt
) -> tuple[Settled[T] | None, CountedCohort]:
    """Decide, price and commit in one transaction; None where the cohort's carriers are not all counted yet, and nothing was changed."""
    with vault.books.write() as tx:
        when = moment(vault, tx)
        cohort = counted_cohorts.cohort(vault, tx, scope, decide, when)
        dataset_id = scope.dataset.dataset_id
        about, held = _held(vault, tx, scope, asked, cohort)
        fresh = [one for one in asked.items if one not in held or held[one].epsilon < asked.epsilon]
        price = asked.epsilon * len(fresh)
        mine = budgets.of_project(vault, tx, scope.project, dataset_id)
        budgets.require(mine, price)
        if source.missing(cohort, fresh):
            return None, cohort
        drawn, reasons = _draw(vault, source, cohort, fresh, asked.epsilon)
        left = budgets.charge(vault, tx, mine, dataset_id, price)
        stored_answers.keep(vault, tx, cohort.digest, drawn, held=held, dataset_id=dataset_id)
        if scope.request_id is not None:
            stored_answers.keep_request(vault, tx, scope.request_id, about, dataset_id=dataset_id)
        tx.flush()
        fields = _entry(scope, asked, about, cohort, reasons, charged=price)
        intent = attempt.intent or _intent(vault, tx, scope, asked, cohort)
        entry = vault.trail.append(tx, Action.COUNTS_ANSWER, Outcome.DONE, refers=intent, flags=when.flags, **fields)
        return Settled(about, {**held, **drawn}, reasons, price, left, entry), cohort


def _held(
    vault: UnlockedVault, tx: Transaction, scope: AccessScope, asked: CountedItems[T], cohort: CountedCohort
) -> tuple[AnsweredCohort, dict[T, StoredAnswer]]:
    """Answers drawn before, and their cohort: the one that the request was answered about, if it was answered whole; else this one."""
    dataset_id, now = scope.dataset.dataset_id, AnsweredCohort(cohort.digest, len(cohort.people))
    then = None if scope.request_id is None else stored_answers.of_request(vault, tx, scope.request_id, dataset_id=dataset_id)
    if then is not None and then != now:
        held = stored_answers.find(vault, tx, then.digest, asked.items, dataset_id=dataset_id)
        if all(one in held and held[one].epsilon >= asked.epsilon for one in asked.items):
            return then, held
    return now, stored_answers.find(vault, tx, cohort.digest, asked.items, dataset_id=dataset_id)


def _draw(
    vault: UnlockedVault, source: NumberSource[T], cohort: CountedCohort, fresh: Sequence[T], epsilon: int
) -> tuple[dict[T, StoredAnswer], dict[T, str]]:
    """A noisy number of each item, and why it is not told, if it is not."""
    drawn, reasons, exact = {}, {}, nats.exact(epsilon)
    for item in fresh:
        people, why = source.number(cohort, item)
        drawn[item] = StoredAnswer(people + discrete_laplace(exact, vault.random), epsilon)
        if people < SHOWN:
            reasons[item] = why
    return drawn, reasons


def _intent(vault: UnlockedVault, tx: Transaction, scope: AccessScope, asked: CountedItems[T], cohort: CountedCohort) -> str:
    """Entry that names the people of an answer for which no block has to be opened; its event id."""
    people, project, detail = list(cohort.people), scope.project.code, _said(scope, asked)
    intent = vault.trail.append(
        tx, Action.COUNTS_ANSWER, Outcome.INTENT, subjects=people, project=project, request=scope.request_id, detail=detail
    )
    return intent.event_id


def _said(scope: AccessScope, asked: CountedItems[T]) -> dict[str, Any]:
    return {**scope.detail(), **asked.said}


def _entry(
    scope: AccessScope,
    asked: CountedItems[T],
    about: AnsweredCohort,
    cohort: CountedCohort,
    reasons: Mapping[T, str],
    *,
    charged: int,
) -> dict[str, Any]:
    """Fields of the entry of an answer; what was asked and what it cost are sealed. It names nobody: its receipt goes to whoever asked, and a
    leaf that names people says how many.
    """
    detail: dict[str, Any] = {
        **_said(scope, asked),
        **scope.project.recipient_detail(),
        "cohort": about.digest.hex(),
        "epsilon": nats.text(asked.epsilon),
        "charged": nats.text(charged),
        "why_not_told": {one.text: reason for one, reason in reasons.items()},
        "counts": {"subjects": about.people},
    }
    return {
        "project": scope.project.code,
        "request": scope.request_id,
        "asserted_for": scope.asserted_for,
        "purpose": ",".join(scope.project.declaration.purpose.use_kinds),
        "consent": cohort.decided.head.entry(),
        "counts": banded({"subjects": about.people, asked.counted: len(asked.items)}),
        "detail": detail,
    }


def _told(vault: UnlockedVault, scope: AccessScope, question: CountsQuestion, settled: Settled[Allele]) -> CountsAnswer:
    counted, people = question.kind is RequestKind.COUNTS, settled.about.people
    answers = []
    for allele in question.alleles:
        one = settled.answers[allele]
        cell = cells.cell(one.noisy, people=people, counted=counted)
        answers.append(Counted(allele.text, cell.exists, cell.carriers, nats.number(one.epsilon)))
    return CountsAnswer(
        kind=question.kind.value,
        request=scope.request_id,
        false_exists=noise.false_exists(question.epsilon),
        answers=tuple(answers),
        **settled.told(vault, question.epsilon, name=lambda allele: allele.text),
    )
