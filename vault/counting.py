"""Counts and presence: noisy numbers of carriers in a cohort, charged, stored and logged in one commit (docs/design/disclosure.md §4).

    decide    each subject of project and dataset by the subject's own consent; a floor of people
    price     ε for each new allele; refused where a budget of the family does not cover it, before anything is opened
    count     from the cohort's carriers in memory, else from the blocks that hold the alleles' surroundings, the intent durable first
    commit    the draw, the charge, the stored answer and the entry; a killed process leaves none of them or all
    answer    read from what was stored: nothing else is told of the number itself

``vault.gate`` lends the decision and the blocks; this module has no other way to either. An allele that is masked, that nobody carries and
that the dataset does not have are one: nought, with noise, at the same price.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from policies.disclosure import cells, nats, noise
from policies.disclosure.alleles import Allele
from policies.disclosure.budgets import Budget, BudgetScope
from policies.disclosure.noise import SHOWN
from policies.disclosure.sampler import discrete_laplace
from policies.purposes import RequestKind
from vault.access import publication
from vault.access.disclosure import budgets, stored_answers
from vault.access.disclosure.carrier_table import Read, Table, of_cohort
from vault.access.disclosure.questions import CountsQuestion
from vault.access.disclosure.stored_answers import StoredAnswer
from vault.access.scope import UNINFORMED_ROLES, AccessScope
from vault.audit.actions import Action, Outcome
from vault.audit.bands import banded, spoken
from vault.audit.log import Appended
from vault.consent import release_decisions
from vault.consent.cohort_decisions import Decided
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import RefusedError
from vault.ids import SubjectId
from vault.session.audit_trail import Attempt
from vault.session.caches import Cache
from vault.session.moments import Moment, moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.views.hidden_places import HiddenPlaces

Decide = Callable[[Transaction, AccessScope, Moment], Decided]
"""The gate's decision, in a transaction."""

OpenCalls = Callable[[AccessScope, Sequence[SubjectId]], Read]
"""The gate's reading of some people's calls."""

_PLACES: Cache[tuple[object, tuple[SubjectId, ...], bytes] | None] = Cache(lambda: None)  # of the cohort last asked


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


@dataclass(frozen=True)
class CountsAnswer:
    """Answer to a question for counts or presence.

    ``charged``: nats that this answer cost. ``false_exists``: share of the absent alleles that read as existing at this ε. ``reasons``: why an
    allele is not told, for those who may know; empty for others, and of answers drawn before.
    """

    kind: str
    request: str | None
    cohort: str  # digest, 64 hex digits
    n_band: str
    epsilon: float
    accuracy95: int
    false_exists: float
    answers: tuple[Counted, ...]
    charged: float
    spent: Mapping[str, Spent]
    receipt: str
    reasons: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON values, to be handed on: without ``reasons``."""
        said = asdict(self)
        del said["reasons"], said["n_band"]
        return {**said, "cohort": {"digest": self.cohort, "n_band": self.n_band}, "answers": list(said["answers"])}


@dataclass(frozen=True)
class _Cohort:
    decided: Decided
    hidden: HiddenPlaces
    digest: bytes

    @property
    def people(self) -> tuple[SubjectId, ...]:
        return self.decided.permitted


@dataclass(frozen=True)
class _Settled:
    """A question that was answered in a transaction that is to be committed."""

    cohort: _Cohort
    answers: Mapping[Allele, StoredAnswer]
    reasons: Mapping[Allele, str]
    charged: int
    left: Sequence[Budget]
    entry: Appended


def answer(
    vault: UnlockedVault, scope: AccessScope, question: CountsQuestion, *, decide: Decide, open_calls: OpenCalls
) -> CountsAnswer:
    """Answer a question; see the module for its steps.

    Raises:
        RefusedError: as ``decide`` and ``release_limits.limits``; ``cohort_too_small``; ``budget_spent``; ``consent_changed``.
        IntegrityError: as reading; ``stored_answer_altered``. UnavailableError: the answer cannot be logged.
    """
    with vault.trail.attempting(Action.COUNTS_ANSWER, project=scope.project.code, request=scope.request_id) as attempt:
        settled, cohort = _settle(vault, scope, question, decide, attempt)
        if settled is None:
            attempt.opens(cohort.people, project=scope.project.code, request=scope.request_id, detail=_asked(scope, question))
            table = of_cohort(vault, scope, cohort.digest)
            table.fill(table.missing(question.alleles), open_calls(scope, cohort.people))
            settled, cohort = _settle(vault, scope, question, decide, attempt)
        if settled is None:
            raise RefusedError("consent_changed", "who takes part changed while carriers were counted", hint="ask again")
    return _told(vault, scope, question, settled)


def _settle(
    vault: UnlockedVault, scope: AccessScope, question: CountsQuestion, decide: Decide, attempt: Attempt
) -> tuple[_Settled | None, _Cohort]:
    """Decide, price and commit in one transaction; None where the cohort's carriers are not all counted yet, and nothing was changed."""
    with vault.books.write() as tx:
        when = moment(vault, tx)
        cohort = _cohort(vault, tx, scope, decide, when)
        dataset_id = scope.dataset.dataset_id
        held = stored_answers.find(vault, tx, cohort.digest, question.alleles, dataset_id=dataset_id)
        fresh = [one for one in question.alleles if one not in held or held[one].epsilon < question.epsilon]
        price = question.epsilon * len(fresh)
        mine = budgets.of_project(vault, tx, scope.project, dataset_id)
        budgets.require(mine, price)
        table = of_cohort(vault, scope, cohort.digest)
        if table.missing(fresh):
            return None, cohort
        drawn, reasons = _draw(vault, table, cohort, fresh, question)
        left = budgets.charge(vault, tx, mine, dataset_id, price)
        stored_answers.keep(vault, tx, cohort.digest, drawn, held=held, dataset_id=dataset_id)
        tx.flush()
        fields = _entry(scope, question, cohort, reasons, price)
        intent = attempt.intent or _intent(vault, tx, scope, question, cohort)
        entry = vault.trail.append(tx, Action.COUNTS_ANSWER, Outcome.DONE, refers=intent, flags=when.flags, **fields)
        return _Settled(cohort, {**held, **drawn}, reasons, price, left, entry), cohort


def _cohort(vault: UnlockedVault, tx: Transaction, scope: AccessScope, decide: Decide, when: Moment) -> _Cohort:
    """People of project and dataset as of now. Raises RefusedError ``cohort_too_small``; as ``decide`` and ``release_decisions.limits``."""
    decided = decide(tx, scope, when)
    hidden = release_decisions.limits(tx, scope, decided, when).hidden
    if len(decided.permitted) < cells.FLOOR:
        raise RefusedError("cohort_too_small", f"fewer than {cells.FLOOR} people take part: nothing is counted")
    known = vault.caches.get(_PLACES)
    if known is None or known[0] is not decided.members or known[1] != decided.permitted:
        known = decided.members, decided.permitted, decided.members.places(decided.permitted)
        vault.caches.put(_PLACES, known)
    places = repr((hidden.masks, hidden.only)).encode()
    said = (scope.project.project_id, scope.dataset.dataset_id, len(decided.permitted), b"".join(decided.permitted))
    return _Cohort(decided, hidden, sha256(encode_context("genovault/cohort/v1", *said, known[2], sha256(places))))


def _draw(
    vault: UnlockedVault, table: Table, cohort: _Cohort, fresh: Sequence[Allele], question: CountsQuestion
) -> tuple[dict[Allele, StoredAnswer], dict[Allele, str]]:
    """A noisy number of each allele, and why it is not told, if it is not."""
    drawn, reasons, epsilon = {}, {}, nats.exact(question.epsilon)
    for allele in fresh:
        masked = cohort.hidden.hides(allele.contig, allele.position, allele.position + len(allele.ref) - 1)
        carriers = 0 if masked else table.carriers(allele)
        drawn[allele] = StoredAnswer(carriers + discrete_laplace(epsilon, vault.random), question.epsilon)
        if carriers < SHOWN:
            reasons[allele] = "masked" if masked else "small" if carriers else "absent"
    return drawn, reasons


def _intent(vault: UnlockedVault, tx: Transaction, scope: AccessScope, question: CountsQuestion, cohort: _Cohort) -> str:
    """Entry that names the people of an answer for which no block has to be opened; its event id."""
    people, project, detail = list(cohort.people), scope.project.code, _asked(scope, question)
    intent = vault.trail.append(
        tx, Action.COUNTS_ANSWER, Outcome.INTENT, subjects=people, project=project, request=scope.request_id, detail=detail
    )
    return intent.event_id


def _asked(scope: AccessScope, question: CountsQuestion) -> dict[str, Any]:
    return {**scope.detail(), "kind": question.kind.value, "alleles": [one.text for one in question.alleles]}


def _entry(
    scope: AccessScope, question: CountsQuestion, cohort: _Cohort, reasons: Mapping[Allele, str], charged: int
) -> dict[str, Any]:
    """Fields of the entry of an answer; what was asked and what it cost are sealed. It names nobody: its receipt goes to whoever asked, and a
    leaf that names people says how many.
    """
    detail: dict[str, Any] = {
        **_asked(scope, question),
        **scope.project.recipient_detail(),
        "cohort": cohort.digest.hex(),
        "epsilon": nats.text(question.epsilon),
        "charged": nats.text(charged),
        "why_not_told": {one.text: reason for one, reason in reasons.items()},
        "counts": {"subjects": len(cohort.people)},
    }
    return {
        "project": scope.project.code,
        "request": scope.request_id,
        "asserted_for": scope.asserted_for,
        "purpose": ",".join(scope.project.declaration.purpose.use_kinds),
        "consent": cohort.decided.head.entry(),
        "counts": banded({"subjects": len(cohort.people), "alleles": len(question.alleles)}),
        "detail": detail,
    }


def _told(vault: UnlockedVault, scope: AccessScope, question: CountsQuestion, settled: _Settled) -> CountsAnswer:
    counted, people = question.kind is RequestKind.COUNTS, len(settled.cohort.people)
    answers = []
    for allele in question.alleles:
        one = settled.answers[allele]
        cell = cells.cell(one.noisy, people=people, counted=counted)
        answers.append(Counted(allele.text, cell.exists, cell.carriers, nats.number(one.epsilon)))
    spent = {
        one.scope.value: Spent(nats.number(one.spent), nats.factor(one.spent), nats.number(one.left))
        for one in settled.left
        if one.scope is not BudgetScope.WORLD
    }
    informed = vault.role not in UNINFORMED_ROLES
    return CountsAnswer(
        kind=question.kind.value,
        request=scope.request_id,
        cohort=settled.cohort.digest.hex(),
        n_band=spoken(people),
        epsilon=nats.number(question.epsilon),
        accuracy95=noise.accuracy95(question.epsilon),
        false_exists=noise.false_exists(question.epsilon),
        answers=tuple(answers),
        charged=nats.number(settled.charged),
        spent=spent,
        receipt=publication.receive(vault, settled.entry.index),
        reasons={one.text: reason for one, reason in settled.reasons.items()} if informed else {},
    )
