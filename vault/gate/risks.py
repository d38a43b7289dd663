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
from vault.crypto.context import encode_context, fitting
from vault.crypto.primitives import sha256
from vault.errors import InputError, RefusedError
from vault.gate import blocks, decision
from vault.risk import stored_reports
from vault.session.audit_trail import Attempt
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.storage.timestamps import rfc3339

if TYPE_CHECKING:
    from vault.access.release_limits import ReleaseLimits


def risk(vault: UnlockedVault, request_id: str) -> dict[str, Any]:
    """Report what a request would tell if it were served now, as JSON values (``vault.risk.risk_document``), and store the report. For stewards.

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
        with vault.books.write() as tx:
            stored_reports.keep(vault, tx, request, found, basis=_basis(vault, tx, scope, decided, limits))
            counts, project = banded({"subjects": found["n"]}), scope.project.code
            vault.trail.append(
                tx, Action.REQUEST_RISK, Outcome.DONE, refers=attempt.intent, project=project, request=request_id, counts=counts
            )
    return {**found, "stale": False}


def last_risk(vault: UnlockedVault, request_id: str) -> dict[str, Any]:
    """The last report of a request, as it was stored; ``stale``: what it rests on is not so any more. Opens no block. For stewards.

    Raises:
        InputError: ``request_unknown``, ``no_report``. IntegrityError: ``risk_report_altered``; as the decision.
    """
    with vault.trail.attempting(Action.REQUEST_RISK, request=request_id):
        request = requests.load(vault, request_id)
        decision.ready_decision_classes(vault)
        with vault.books.write() as tx:
            found = stored_reports.last(vault, tx, request_id)
            vault.trail.append(
                tx, Action.REQUEST_RISK, Outcome.DONE, project=request.project, request=request_id, flags=("stored",)
            )
    return {**found.document, "stale": _now(vault, request) != found.basis}


def _now(vault: UnlockedVault, request: Request) -> str | None:
    """Basis of a report that were made now; None where none could be."""
    try:
        scope = scope_of_waiting(vault, request)
        with vault.books.write() as tx:
            when = moment(vault, tx)
            decided = decision.decide(vault, tx, scope, when)
            return _basis(vault, tx, scope, decided, release_decisions.limits(tx, scope, decided, when))
    except (RefusedError, InputError):
        return None


def _basis(vault: UnlockedVault, tx: Transaction, scope: AccessScope, decided: Decided, limits: ReleaseLimits) -> str:
    """Digest of what a report rests on, 64 hex digits: people, the parts that hold their calls, what is hidden, the rules, and what left before."""
    people, project = decided.permitted, scope.project
    hidden = repr(
        (limits.hidden.masks, limits.hidden.only, limits.excluded, limits.rules, project.declaration.disclosure)
    ).encode()
    left = released_sites.known(vault, tx, project).total
    said = (bytes(scope.dataset.dataset_id), fitting(b"".join(people)), decided.members.places(people), sha256(hidden), left)
    return sha256(encode_context("genovault/risk-basis/v1", *said)).hex()


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

    view, asked = blocks.open_measured(vault, scope, limits, decided)
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
