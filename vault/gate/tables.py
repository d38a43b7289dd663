"""Exact frequency tables of approved panels, and their approval by stewards who have seen what they would tell."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from policies.purposes import RequestKind
from vault.access import askable, requests
from vault.access.disclosure import table_approvals
from vault.access.disclosure.table_approvals import TableApproval, TableTerms
from vault.access.scope import AccessScope, scope_of_counts
from vault.access.told import told
from vault.audit.actions import Action
from vault.errors import InputError, RefusedError, UsageError
from vault.extracts import frequency_files
from vault.extracts.staging import Staging
from vault.gate import blocks, decision
from vault.genotypes.catalog import panels
from vault.genotypes.catalog.panels import Panel
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault
from vault.tables import answers, risks
from vault.tables.answers import FrequencyTable
from vault.tables.risks import TableRisk

KIND = RequestKind.FREQUENCIES


def frequencies(vault: UnlockedVault, *, project: str, dataset: str, panel: str) -> FrequencyTable:
    """Answer with the exact frequencies of a panel that was approved for it (``vault.tables.answers``), in its newest version.

    Raises:
        InputError: a name that the asker may list is spelled wrongly. RefusedError, IntegrityError, UnavailableError: as ``view`` and ``answers.answer``.
    """

    def answered() -> FrequencyTable:
        with vault.trail.attempting(Action.TABLE_ANSWER):
            scope = scope_of_counts(vault, project=project, dataset=dataset, kind=KIND, panel=panel)
        return _table(vault, scope)

    return told(vault, answered, form=lambda: askable.require_names(vault, project, dataset, panel=panel, regions=()))


def deliver_table(vault: UnlockedVault, request_id: str, output: Path | None) -> FrequencyTable:
    """Answer a request for frequencies, with a signed folder that appears whole or not at all, or without one. What was charged and not seen is given again for nothing.

    Raises:
        InputError: ``request_unknown``; as ``Staging``. RefusedError, IntegrityError, UnavailableError: as ``frequencies``;
            ``kind_not_served``; as ``requests.require_served``.
    """

    def answered() -> FrequencyTable:
        with vault.trail.attempting(Action.TABLE_ANSWER, request=request_id):
            request = requests.to_be_served(vault, request_id)
            if request.kind is not KIND:
                raise RefusedError("kind_not_served", f"this request is for {request.kind.value}", hint="genovault request show")
            if output is not None:
                vault.release_signer()  # fail before anything is charged if no release-signing key is held
            spec = request.spec
            scope = scope_of_counts(
                vault, project=request.project, dataset=request.dataset, kind=KIND, panel=spec.panel, request=request
            )
        if output is None:
            return _table(vault, scope)
        with Staging(output, random=vault.random) as staging:
            found = _table(vault, scope)
            frequency_files.write(
                staging, found.rows, found.facts(), log=vault.trail.origin, key=vault.release_signer(), receipt=found.receipt
            )
            staging.publish()
        return found

    return told(vault, answered)


def assess_table(vault: UnlockedVault, project: str, panel: str) -> TableRisk:
    """Work out what an exact table of a panel's newest version would tell, for a steward; it is logged as an opening.

    Raises:
        InputError, RefusedError, IntegrityError: as ``risks.assess`` and ``scope_of_counts``.
    """
    return _assess(vault, project, panel)[2]


def approve_table(
    vault: UnlockedVault, project: str, panel: str, *, reason: str, shown: TableTerms | None = None
) -> tuple[TableRisk, TableApproval]:
    """Approve a panel's newest version for exact tables of a project, once it is worked out what they tell. ``shown``: what was shown of it before.

    Raises:
        InputError: ``reason_missing``; ``assessment_outdated``: it is not as it was shown. InputError, RefusedError, IntegrityError: as ``assess_table``, ``risks.require_safe`` and
            ``table_approvals.approve``.
    """
    with vault.trail.attempting(Action.TABLE_APPROVE, project=project):
        said = require_reason(reason)
    scope, held, risk = _assess(vault, project, panel)
    with vault.trail.attempting(Action.TABLE_APPROVE, project=project):
        if shown not in (None, TableTerms(held.version, risk.alleles, risk.price)):
            raise InputError(
                "assessment_outdated", "the panel or its price has changed since it was shown", hint="look at the report again"
            )
        risks.require_safe(risk, scope.project)
        agreed = table_approvals.approve(vault, scope.project, held, alleles=risk.alleles, price=risk.price, reason=said)
    return risk, agreed


def _assess(vault: UnlockedVault, project: str, panel: str) -> tuple[AccessScope, Panel, TableRisk]:
    with vault.trail.attempting(Action.TABLE_ASSESS, project=project):
        held = panels.by_name(vault, panel)
        scope = scope_of_counts(vault, project=project, dataset=held.dataset, kind=KIND, panel=panel)
    decision.ready_decision_classes(vault)
    decide, open_calls = partial(decision.with_limits, vault), partial(blocks.open_calls, vault)
    return scope, held, risks.assess(vault, scope, held, decide=decide, open_calls=open_calls)


def _table(vault: UnlockedVault, scope: AccessScope) -> FrequencyTable:
    """Steps 2 to 7: decision and blocks are lent to ``answers``, which keeps neither."""
    if scope.panel is None:
        raise UsageError("panel_missing", "exact frequencies are of a panel")
    decision.ready_decision_classes(vault)
    decide, open_calls = partial(decision.with_limits, vault), partial(blocks.open_calls, vault)
    return answers.answer(vault, scope, scope.panel, decide=decide, open_calls=open_calls)
