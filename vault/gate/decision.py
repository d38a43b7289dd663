"""Decision of an access: each subject by the subject's own consent, on a ledger head that the log confirms."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from policies.decisions import Tally
from vault.access import criteria_packs, delivery, projects, requests, signed_approvals
from vault.access.release_limits import ReleaseLimits
from vault.access.scope import AccessScope
from vault.audit.bands import banded
from vault.audit.entry import ObjectRef
from vault.consent import cohort_decisions, forms, ledger, release_decisions
from vault.consent.cohort_decisions import Decided
from vault.session.moments import Moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction


def ready_decision_classes(vault: UnlockedVault) -> None:
    """Work out classes of subjects who are decided alike, where they are not known: it is long, and outside the lock."""
    with vault.books.read() as tx:
        cohort_decisions.cached_decision_classes(vault, ledger.read(tx, vault))


def decide(vault: UnlockedVault, tx: Transaction, scope: AccessScope, when: Moment) -> Decided:
    """Decide each subject of the dataset, where principal, project and request still stand as the transaction sees them.

    Raises:
        RefusedError: ``principal_disabled``, ``project_changed``, ``recipient_changed``; as ``requests.require_served`` and
            ``criteria_packs.require``. IntegrityError: as ``release_decisions.decide`` and ``signed_approvals.require``.
    """
    vault.require_standing(tx)
    now = projects.by_id(vault, tx, scope.project.project_id)
    if (now.revision, now.state) != (scope.project.revision, projects.APPROVED):
        raise projects.changed_since(scope.project, now)
    signed_approvals.require(vault, tx, now)
    if scope.request_id is not None:
        requests.require_served(vault, tx, scope.request_id)
    if scope.criteria is not None:
        criteria_packs.require(vault, tx, scope)
    delivery.require_unchanged(vault, tx, now.declaration, scope.readers)
    return release_decisions.decide(vault, tx, scope, when)


def with_limits(vault: UnlockedVault, tx: Transaction, scope: AccessScope, when: Moment) -> tuple[Decided, ReleaseLimits]:
    """A decision and the limits of what it permits. Raises as ``decide`` and ``release_decisions.limits``."""
    decided = decide(vault, tx, scope, when)
    return decided, release_decisions.limits(tx, scope, decided, when)


def holds_until(vault: UnlockedVault, tx: Transaction, scope: AccessScope, decided: Decided, when: Moment) -> datetime | None:
    """First time at which a decision may be another one by itself, in the transaction that made it; None for never."""
    declared = scope.project.declaration
    begins = forms.rules(vault, tx).domain.start
    ends = (
        cohort_decisions.holds_until(vault, tx, decided, legal_at=when.at),
        declared.expires,
        declared.purpose.irb_expires,
        begins,
    )
    return min((end for end in ends if end is not None and end > when.at), default=None)


def access_fields(scope: AccessScope, release_id: str) -> dict[str, Any]:
    """Fields common to an access's log entries."""
    purpose = ",".join(scope.project.declaration.purpose.use_kinds)
    named = {"request": scope.request_id, "asserted_for": scope.asserted_for}
    return {"project": scope.project.code, "purpose": purpose, "obj": ObjectRef("release", release_id), **named}


def decision_fields(tally: Tally, head: ledger.Head, detail: dict[str, Any]) -> dict[str, Any]:
    """Entry fields of a decision: the ledger head it rests on, counts and reasons in bands, and exact in the sealed detail."""
    counted = {**dict(tally.deny), **{f"review:{code}": count for code, count in tally.review}}
    counts = {"asked": tally.subjects, "permitted": tally.permit}
    exact = {**detail, "counts": counts, "reasons": counted}
    return {"counts": banded(counts), "reasons": banded(counted), "consent": head.entry(), "detail": exact}
