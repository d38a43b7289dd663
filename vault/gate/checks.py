"""Check of what a request would release now; no block is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vault.access import delivery, project_versions, projects, signed_approvals
from vault.access.scope import scope_of_check
from vault.audit.actions import Action, Outcome
from vault.consent import project_check
from vault.consent.project_check import ProjectCheck
from vault.gate import decision
from vault.genotypes.catalog import panels
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault


def check(
    vault: UnlockedVault,
    code: str,
    *,
    dataset: str | None = None,
    panel: str | None = None,
    regions: Sequence[str] = (),
    version: int | None = None,
) -> ProjectCheck:
    """Say what a request would release now and what stops it, by the tests of ``extract``; opens no block.

    Without ``dataset`` of all the project's datasets; with a ``panel`` of the panel's. ``version``: as if this one were approved.

    Raises:
        InputError: ``project_unknown``, or as ``scope_of_check``. IntegrityError: as ``release_decisions.decide`` and ``signed_approvals.require``.
    """
    with vault.trail.attempting(Action.PROJECT_CHECK):
        project = project_versions.as_project(vault, code, version)
        own = dataset or (panel and panels.by_name(vault, panel).dataset)
        names = [own] if own else project.declaration.datasets
        scopes = [scope_of_check(vault, project, name, panel=panel, regions=tuple(regions)) for name in names]
        decision.ready_decision_classes(vault)
        with vault.books.write() as tx:  # the entry quotes the ledger's head of its own transaction
            vault.require_standing(tx)
            if project.state == projects.APPROVED:
                signed_approvals.require(vault, tx, project)
            found, head = project_check.examine(vault, tx, scopes, when=(when := moment(vault, tx)))
            found = replace(found, undelivered=delivery.obstacle(vault, tx, project.declaration))
            fields = decision.decision_fields(found, head, {})
            vault.trail.append(tx, Action.PROJECT_CHECK, Outcome.DONE, project=code, flags=when.flags, **fields)
    return found
