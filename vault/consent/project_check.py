"""Check of a project: a release by its own tests, made of nothing; who may be in it, and what stops it.

It opens no block, so it cannot tell that nobody carries anything where something is asked for, nor how many bits that would be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from policies.decisions import Tally
from policies.term_matching import Effect
from vault.access.disclosure.questions import COUNTED
from vault.access.scope import AccessScope, require_kind
from vault.consent import ledger, release_decisions
from vault.consent.cohort_decisions import Decided
from vault.errors import RefusedError
from vault.ids import SubjectId
from vault.session.moments import Moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction

_BEST_FIRST = (Effect.PERMIT, Effect.REVIEW, Effect.DENY)


@dataclass(frozen=True)
class Judged:
    """Outcome for one subject with all its reasons, the strongest first: (code, about, words) of each."""

    outcome: Effect
    reasons: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Refused:
    """A dataset of which nothing can be released, whoever permits it, and why."""

    dataset: str
    code: str
    message: str


@dataclass(frozen=True)
class ProjectCheck(Tally):
    """Counts over the datasets' subjects: each once, under the best that any of the datasets has for them.

    Those who permit the use, but whose dataset is refused, are counted under the code of the refusal. ``people``: each subject's outcome,
    in the order of their random ids. ``undelivered``: why an extract would be refused for want of a recipient's key, which stops no view.
    """

    refused: tuple[Refused, ...] = ()
    undelivered: RefusedError | None = None
    people: Mapping[SubjectId, Judged] = field(default_factory=dict, repr=False)

    def by_reason(self) -> tuple[tuple[Judged, int], ...]:
        """Number of subjects by effect and first reason, the most frequent first; those who are permitted apart."""
        counts = Counter(Judged(one.outcome, one.reasons[:1]) for one in self.people.values() if one.outcome is not Effect.PERMIT)
        return tuple(sorted(counts.items(), key=lambda item: (item[0].outcome, -item[1], item[0].reasons)))


def examine(
    vault: UnlockedVault, tx: Transaction, scopes: Sequence[AccessScope], *, when: Moment
) -> tuple[ProjectCheck, ledger.Head]:
    """Check releases of some scopes, one for each dataset, as the transaction sees everything.

    Raises:
        IntegrityError: as ``release_decisions.decide``.
    """
    best: dict[SubjectId, Judged] = {}
    refusals: list[Refused] = []
    head = ledger.read(tx, vault).head
    for scope in scopes:
        decided = release_decisions.decide(vault, tx, scope, when)
        stopped = _stopped(tx, scope, decided, when)
        if stopped is not None:
            refusals.append(Refused(scope.dataset.name, stopped.code, stopped.message))
        for subject, found in _outcomes(decided, stopped):
            held = best.get(subject)
            if held is None or _BEST_FIRST.index(found.outcome) < _BEST_FIRST.index(held.outcome):
                best[subject] = found
    counts = Counter((one.outcome, one.reasons[0][0]) for one in best.values())
    deny, review = (
        tuple(sorted((code, size) for (outcome, code), size in counts.items() if outcome is effect))
        for effect in (Effect.DENY, Effect.REVIEW)
    )
    permit = sum(size for (outcome, _), size in counts.items() if outcome is Effect.PERMIT)
    return ProjectCheck(len(best), permit, deny, review, tuple(refusals), people=dict(sorted(best.items()))), head


def _stopped(tx: Transaction, scope: AccessScope, decided: Decided, when: Moment) -> RefusedError | None:
    try:
        if not set(COUNTED) & set(scope.project.declaration.kinds):
            require_kind(scope.project)
        release_decisions.limits(tx, scope, decided, when)
    except RefusedError as error:
        return error
    return None


def _outcomes(decided: Decided, stopped: RefusedError | None) -> Iterator[tuple[SubjectId, Judged]]:
    """Each subject with its outcome; those who share one share it as an object."""
    outcomes = []
    for verdict in decided.verdicts.verdicts:
        if verdict.outcome is Effect.PERMIT and stopped is not None:
            outcomes.append(Judged(Effect.DENY, ((stopped.code, "", stopped.message),)))
        else:
            outcomes.append(Judged(verdict.outcome, tuple((one.code, one.about, one.words()) for one in verdict.reasons)))
    for subject, number in zip(decided.subjects, decided.verdicts.index.tolist(), strict=True):
        yield subject, outcomes[number]
