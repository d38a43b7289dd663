"""Acts that take two stewards: the first proposes, and another gives the same act (docs/design/access.md §1).

Both sign (``vault.session.approvals``), so that one steward's keys make nobody a second one. With one steward, that one's act stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Select, select

from vault.access import projects
from vault.audit.actions import Action
from vault.errors import RefusedError
from vault.session import approvals
from vault.session.approvals import Approval
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ApprovalRow, PrincipalRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

HOLDS = timedelta(days=30)
"""Wait of a proposal for another steward."""


@dataclass(frozen=True)
class Agreement:
    """An act that was signed by whoever acts, at ``approved`` (µs). ``settled`` False: another steward has to give it; ``proposed_by``,
    ``proposed``: who gave it first, and when.
    """

    settled: bool
    approved: int
    proposed_by: str | None = None
    proposed: int | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of the entry of an act that is settled."""
        return () if self.proposed_by else ("self_approved",)


def needed(tx: Transaction) -> bool:
    """True if there are several stewards."""
    return projects.stewards(tx) > 1


def sign(vault: UnlockedVault, tx: Transaction, approval: Approval, *, two: bool) -> Agreement:
    """Sign an act in the caller's write transaction. ``two``: it takes another steward, as ``needed`` told.

    Raises:
        RefusedError: ``self_confirmation``. IntegrityError: ``approval_missing``. UnavailableError: as ``approvals.sign``.
    """
    now = vault.clock()
    first = _proposal(tx, approval, since=to_micros(now - HOLDS)) if two else None
    if first is not None and first.principal == vault.principal:
        raise RefusedError("self_confirmation", "another steward confirms what this one proposed", hint="ask a colleague")
    approvals.sign(vault, tx, approval, signed=(signed := to_micros(now)))
    if first is None:
        return Agreement(settled=not two, approved=signed)
    tx.flush()
    require(vault, tx, approval, approved=(vault.principal, signed), proposed=(first.principal, first.signed))
    return Agreement(settled=True, approved=signed, proposed_by=first.principal, proposed=first.signed)


def require(
    vault: UnlockedVault,
    tx: Transaction,
    approval: Approval,
    *,
    approved: tuple[str, int],
    proposed: tuple[str | None, int | None],
) -> None:
    """Hold an act that a record names against its signatures: who approved and who proposed it, each with the time that the record states.

    Raises:
        IntegrityError: ``approval_missing``: one of them did not sign this, or both are one.
    """
    second = approvals.require(vault, tx, approval, principal=approved[0], signed=approved[1])
    if proposed[0] is not None and proposed[1] is not None:
        first = approvals.require(vault, tx, approval, principal=proposed[0], signed=proposed[1])
        approvals.require_two(approval, first, second, principals=(proposed[0], approved[0]))


def proposals(vault: UnlockedVault, tx: Transaction, act: Action, kind: str) -> Sequence[ApprovalRow]:
    """Signatures under acts of one kind that another steward can still join, the newest first; of acts that are settled too."""
    return tx.scalars(_open(act, kind, since=to_micros(vault.clock() - HOLDS))).all()


def _proposal(tx: Transaction, approval: Approval, *, since: int) -> ApprovalRow | None:
    """The newest signature under the same act of a steward who is still one."""
    query = _open(approval.act, approval.kind, since=since)
    return tx.scalars(query.where(ApprovalRow.ref == approval.ref, ApprovalRow.content == approval.content).limit(1)).first()


def _open(act: Action, kind: str, *, since: int) -> Select[ApprovalRow]:
    return (
        select(ApprovalRow)
        .join(PrincipalRow, PrincipalRow.name == ApprovalRow.principal)
        .where(ApprovalRow.act == act.value, ApprovalRow.kind == kind, ApprovalRow.signed >= since)
        .where(PrincipalRow.state == "active", PrincipalRow.role == "steward")
        .order_by(ApprovalRow.signed.desc())
    )
