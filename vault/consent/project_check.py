"""Check of a project: a release by its own tests, made of nothing; who may be in it, and what stops it.

It opens no block, so it cannot tell that nobody carries anything where something is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policies.decisions import Tally
from policies.term_matching import Effect
from vault.access.scope import AccessScope, require_records
from vault.consent import ledger, release_decisions
from vault.consent.cohort_decisions import Decided
from vault.errors import RefusedError
from vault.ids import SubjectId
from vault.session.moments import Moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction

_BEST_FIRST = (Effect.PERMIT, Effect.REVIEW, Effect.DENY)


@dataclass(frozen=True)
class Refused:
    """A dataset of which nothing can be released, whoever permits it, and why."""

    dataset: str
    code: str
    message: str


@dataclass(frozen=True)
class ProjectCheck(Tally):
    """Counts over the datasets' subjects: each once, under the best that any of the datasets has for them.

    Those who permit the use, but whose dataset is refused, are counted under the code of the refusal.
    """

    refused: tuple[Refused, ...] = ()


def examine(
    vault: UnlockedVault, tx: Transaction, scopes: Sequence[AccessScope], *, when: Moment
) -> tuple[ProjectCheck, ledger.Head]:
    """Check releases of some scopes, one for each dataset, as the transaction sees everything.

    Raises:
        IntegrityError: as ``release_decisions.decide``.
    """
    best: dict[SubjectId, tuple[int, str]] = {}
    refusals: list[Refused] = []
    head = ledger.read(tx, vault).head
    for scope in scopes:
        decided = release_decisions.decide(vault, tx, scope, when)
        stopped = _stopped(tx, scope, decided, when)
        if stopped is not None:
            refusals.append(Refused(scope.dataset.name, stopped.code, stopped.message))
        for subject, found in _outcomes(decided, stopped):
            best[subject] = min(best.get(subject, found), found, key=lambda outcome: outcome[0])
    counts = Counter(best.values())
    deny, review = (
        tuple(sorted((code, size) for (rank, code), size in counts.items() if _BEST_FIRST[rank] is effect))
        for effect in (Effect.DENY, Effect.REVIEW)
    )
    permit = sum(size for (rank, _), size in counts.items() if _BEST_FIRST[rank] is Effect.PERMIT)
    return ProjectCheck(len(best), permit, deny, review, tuple(refusals)), head


def _stopped(tx: Transaction, scope: AccessScope, decided: Decided, when: Moment) -> RefusedError | None:
    try:
        require_records(scope.project)
        release_decisions.limits(tx, scope, decided, when)
    except RefusedError as error:
        return error
    return None


def _outcomes(decided: Decided, stopped: RefusedError | None) -> Iterator[tuple[SubjectId, tuple[int, str]]]:
    """Each subject with the rank of its outcome and the code of the first reason."""
    outcomes = []
    for verdict in decided.verdicts.verdicts:
        permitted = verdict.outcome is Effect.PERMIT
        if permitted and stopped is not None:
            outcomes.append((_BEST_FIRST.index(Effect.DENY), stopped.code))
        else:
            outcomes.append((_BEST_FIRST.index(verdict.outcome), "" if permitted else verdict.reasons[0].code))
    for subject, number in zip(decided.subjects, decided.verdicts.index.tolist(), strict=True):
        yield subject, outcomes[number]
