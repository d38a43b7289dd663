"""Risk reports: what a request would tell of its people, measured inside, before anybody approves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from policies.purposes import RequestKind
from vault.access import requests
from vault.access.disclosure import budgets, released_sites
from vault.access.request_records import Request
from vault.access.scope import AccessScope, scope_of_waiting
from vault.audit.actions import Action, Outcome
from vault.audit.bands import banded
from vault.consent import release_decisions
from vault.consent.cohort_decisions import Decided
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.gate import blocks, decision
from vault.session.audit_trail import Attempt
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.timestamps import rfc3339

if TYPE_CHECKING:
    from vault.access.release_limits import ReleaseLimits


def risk(vault: UnlockedVault, request_id: str) -> dict[str, Any]:
    """Report what a request would tell if it were served now, as JSON values (``vault.risk.risk_document``). For stewards.

    The people are decided on as the extract would, and named in the log before a block is opened. Nothing leaves: the report says what
    their genotypes have in common, and whether a few stand out, and no genotype.

    Raises:
        InputError: ``request_unknown``; as ``scope_of_waiting``. RefusedError: why nothing would be released; ``not_authorised``.
        IntegrityError: stored data was altered. UnavailableError: the access cannot be logged.
    """
    with vault.trail.attempting(Action.REQUEST_RISK, request=request_id) as attempt:
        request = requests.load(vault, request_id)
        scope = scope_of_waiting(vault, request)
        decision.ready_decision_classes(vault)
        decided, limits = _begin(vault, scope, request, attempt)
        if request.kind is RequestKind.RECORDS:
            found = _of_records(vault, scope, request, decided, limits)
        else:
            found = _of_counts(vault, scope, request, decided, limits)
        fields: dict[str, Any] = {
            "project": scope.project.code,
            "request": request_id,
            "counts": banded({"subjects": found["n"]}),
        }
        vault.trail.record(Action.REQUEST_RISK, Outcome.DONE, refers=attempt.intent, **fields)
    return found


def _begin(vault: UnlockedVault, scope: AccessScope, request: Request, attempt: Attempt) -> tuple[Decided, ReleaseLimits]:
    """Decide on each subject, apply the limits, and log of records whose blocks are about to be opened, in one transaction."""
    with vault.books.write() as tx:
        when = moment(vault, tx)
        decided = decision.decide(vault, tx, scope, when)
        limits = release_decisions.limits(tx, scope, decided, when)
        if request.kind is RequestKind.RECORDS:
            fields = decision.decision_fields(decided.tally, decided.head, scope.detail())
            fields |= {"project": scope.project.code, "request": request.request_id, "flags": when.flags}
            intent = vault.trail.append(tx, Action.REQUEST_RISK, Outcome.INTENT, subjects=list(decided.permitted), **fields)
            attempt.intent = intent.event_id
    return decided, limits


def _of_records(
    vault: UnlockedVault, scope: AccessScope, request: Request, decided: Decided, limits: ReleaseLimits
) -> dict[str, Any]:
    from vault.risk import measures, risk_document  # noqa: PLC0415 - kernels load when genotypes are opened, not with every command

    view, asked = blocks.open_measured(vault, scope, limits, decided.permitted)
    found = measures.measure(view, sha256(encode_context("genovault/risk-report/v1", request.request_id)))
    with vault.books.read() as tx:
        known = released_sites.known(vault, tx, scope.project)
    _, added = found.bits.sites().beyond(known.sites)
    cumulative = (known.total + added) / 1000
    about = risk_document.about(request, scope.project.declaration, limits.rules, made=rfc3339(vault.clock()))
    allowed = [one for one in (scope.project.declaration.disclosure.max_bits, decided.obligations.max_bits) if one is not None]
    return risk_document.of_records(about, found, asked, cumulative=cumulative, max_bits=min(allowed, default=None))


def _of_counts(
    vault: UnlockedVault, scope: AccessScope, request: Request, decided: Decided, limits: ReleaseLimits
) -> dict[str, Any]:
    from vault.risk import risk_document  # noqa: PLC0415 - as in ``_of_records``

    with vault.books.read() as tx:
        left = budgets.of_project(vault, tx, scope.project, scope.dataset.dataset_id)
    about = risk_document.about(request, scope.project.declaration, limits.rules, made=rfc3339(vault.clock()))
    return risk_document.of_counts(about, people=len(decided.permitted), price=request.spec.price, budgets=left)
