"""Counts and presence: noisy numbers in place of genotypes."""

from __future__ import annotations

from collections.abc import Sequence

from policies.purposes import RequestKind
from vault import counting
from vault.access import askable, requests
from vault.access.disclosure import questions
from vault.access.scope import scope_of_counts
from vault.access.told import told
from vault.audit.actions import Action
from vault.counting import CountsAnswer
from vault.errors import RefusedError
from vault.gate import frozen_decisions
from vault.gate.blocks import Lent
from vault.gate.frozen_decisions import AskedScope
from vault.session.unlocked_vault import UnlockedVault


def counts(
    vault: UnlockedVault,
    *,
    project: str,
    dataset: str,
    kind: RequestKind,
    alleles: Sequence[str] = (),
    panel: str | None = None,
    epsilon: str | None = None,
    accuracy: int | None = None,
) -> CountsAnswer:
    """Answer which alleles are carried in the cohort of a project and dataset, by noisy numbers that are charged (``vault.counting``).

    Raises:
        InputError: the question is none, told to everybody. RefusedError, IntegrityError, UnavailableError: as ``view`` and ``counting.answer``.
    """
    with vault.trail.attempting(Action.COUNTS_ANSWER):
        amount = questions.accuracy(epsilon=epsilon, within=accuracy)
        asked = questions.read_alleles(alleles)
        questions.require_one_source(asked, panel)

    def answered() -> CountsAnswer:
        with vault.trail.attempting(Action.COUNTS_ANSWER):
            where = {"project": project, "dataset": dataset, "kind": kind, "panel": panel}
            decides = frozen_decisions.ask(vault, "counts", *where.values(), load=lambda: scope_of_counts(vault, **where))  # type: ignore[arg-type]
            scope = decides.scope
            own = questions.of_project(scope.project, amount)
            question = questions.of_scope(scope.dataset, scope.panel, asked, kind=kind, epsilon=own)
        return _count(vault, decides, question)

    return told(vault, answered, form=lambda: askable.require_names(vault, project, dataset, panel=panel, regions=()))


def result(vault: UnlockedVault, request_id: str) -> CountsAnswer:
    """Answer a request for counts or presence. Raises as ``counts``; InputError ``request_unknown``; RefusedError as ``requests.require_served``."""

    def answered() -> CountsAnswer:
        with vault.trail.attempting(Action.COUNTS_ANSWER, request=request_id):
            request = requests.to_be_served(vault, request_id)
            kind, spec = request.kind, request.spec
            if kind not in questions.COUNTED:
                raise RefusedError("kind_not_served", f"this request is for {kind.value}", hint="genovault request show")
            scope = scope_of_counts(
                vault, project=request.project, dataset=request.dataset, kind=kind, panel=spec.panel, request=request
            )
            asked = questions.read_alleles(spec.alleles)
            epsilon = questions.of_project(scope.project, spec.epsilon)
            question = questions.of_scope(scope.dataset, scope.panel, asked, kind=kind, epsilon=epsilon)
            decides = frozen_decisions.once(vault, scope)
        return _count(vault, decides, question)

    return told(vault, answered)


def _count(vault: UnlockedVault, asked: AskedScope, question: questions.CountsQuestion) -> CountsAnswer:
    """Steps 2 to 7 of counts: decision and blocks are lent to ``counting``, which keeps neither."""
    lent = Lent(vault, asked)
    return counting.answer(vault, asked.scope, question, decide=lent.decide, open_calls=lent.open_calls)
