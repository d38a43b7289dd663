"""Stewards' rulings on points that a project leaves open: appended, never changed, each logged.

A ruling turns a *review* into a permission where nothing else stands against it; it never overrides a denial. It is on the purpose as it
was declared then, so that an amendment of anything else leaves it in force. Where there are two stewards it takes both: one rules, another confirms by ruling the same. Taking a ruling back takes one, and acts at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from policies.declaration_changes import purpose_digest
from policies.purposes import RULABLE
from vault.access import projects, version_records
from vault.access.version_records import ProjectVersion
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import InputError, IntegrityError, RefusedError
from vault.ids import ProjectId, new_uuid7
from vault.session import approvals
from vault.session.approvals import Approval
from vault.session.sealed_records import SealedRecord, altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ProjectRow, RulingRow
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros, rfc3339, to_micros

SEALED = SealedRecord("ruling", dumps=str, loads=str)


@dataclass(frozen=True)
class Ruling:
    """One ruling. ``confirmed_by`` None: it awaits a second steward and has no effect yet."""

    ruling_id: str
    project: str
    item: str
    allows: bool
    ruled_by: str
    ruled: str
    confirmed_by: str | None
    reason: str


def rule(vault: UnlockedVault, code: str, item: str, *, reason: str, allows: bool = True) -> Ruling:
    """Rule on one item of a project, or confirm what another steward ruled on it.

    Raises:
        InputError: ``item_unknown``, ``reason_missing``, ``project_unknown``, ``project_state``.
        RefusedError: ``self_confirmation``: the same steward ruled already, and another has to confirm.
    """
    with vault.trail.attempting(Action.PROJECT_RULE):
        if item not in RULABLE:
            raise InputError(
                "item_unknown", f"there is nothing to rule on called {item:.60}", hint=f"one of {', '.join(RULABLE)}"
            )
        if not reason.strip():
            raise InputError("reason_missing", "a ruling says why", hint="give --reason")
        now = vault.clock()
        with vault.books.write() as tx:
            project = projects.row_of(tx, code)
            if project.state == projects.CLOSED:
                raise InputError("project_state", f"project {code} is closed")
            alone = projects.stewards(tx) < 2
            declared = projects.by_id(vault, tx, ProjectId(project.project_id))
            row = _waiting(vault, tx, declared, item) if allows else None
            if row is not None and row.ruled_by == vault.principal:
                raise RefusedError("self_confirmation", "another steward confirms what this one ruled", hint="ask a colleague")
            if row is None:
                row = RulingRow(
                    ruling_id=(ruling_id := new_uuid7(vault.random, now)),
                    project_id=project.project_id,
                    item=item,
                    allows=allows,
                    ruled_by=vault.principal,
                    ruled=to_micros(now),
                    confirmed_by=None,
                    confirmed=None,
                    sealed=SEALED.seal(vault.records, ruling_id, reason),
                )
                tx.add(row)
                settled = alone or not allows
            else:
                settled = True
            if settled:
                row.confirmed_by, row.confirmed = vault.principal, to_micros(now)
            approvals.sign(vault, tx, approval_of(row, declared.purpose_sha256), signed=to_micros(now))
            if settled:
                projects.settle(vault, tx, project, item, allows=allows)
            tx.flush()
            vault.trail.append(
                tx,
                Action.PROJECT_RULE,
                Outcome.DONE,
                project=code,
                obj=ObjectRef("ruling", row.ruling_id),
                flags=("self_approved",) if settled and alone and allows else (),
                detail={"item": item, "allows": allows, "in_force": settled, "reason": reason},
            )
            return _opened(vault, row, code)


def waiting(vault: UnlockedVault) -> list[Ruling]:
    """Rulings that another steward has still to confirm."""
    with vault.books.read() as tx:
        rows = tx.execute(select(RulingRow, ProjectRow).join(ProjectRow, ProjectRow.project_id == RulingRow.project_id)).all()
        declared = {row.project_id: projects.by_id(vault, tx, ProjectId(row.project_id)) for _, row in rows}
        found = [
            (row, project.code) for row, project in rows if _waiting(vault, tx, declared[project.project_id], row.item) is row
        ]
        return [_opened(vault, row, code) for row, code in found]


def _waiting(vault: UnlockedVault, tx: Transaction, project: projects.Project, item: str) -> RulingRow | None:
    """The ruling on an item that awaits confirmation: not one on another purpose, nor one that was taken back since."""
    own = select(RulingRow).where(RulingRow.project_id == project.project_id, RulingRow.item == item)
    newest = tx.scalars(own.order_by(RulingRow.ruled.desc(), RulingRow.ruling_id.desc()).limit(1)).first()
    if newest is None or newest.confirmed_by is not None:
        return None
    if not vault.books.upgraded:
        return newest if newest.ruled >= project.created else None
    try:
        _require(vault, tx, newest, project, principal=newest.ruled_by, signed=newest.ruled)
    except IntegrityError:
        return None
    return newest


def require_signed(vault: UnlockedVault, tx: Transaction, project: projects.Project) -> None:
    """Hold each ruling that is in force for a project against the signatures of who made and confirmed it.

    Raises:
        IntegrityError: ``approval_missing``.
    """
    for item in project.ruled:
        query = select(RulingRow).where(RulingRow.project_id == project.project_id, RulingRow.item == item)
        newest = query.where(RulingRow.confirmed.is_not(None)).order_by(RulingRow.confirmed.desc()).limit(1)
        row = tx.scalars(newest).first()
        if row is None or not row.allows or row.confirmed_by is None or row.confirmed is None:
            raise altered(SEALED.collection)
        confirming = _require(vault, tx, row, project, principal=row.confirmed_by, signed=row.confirmed)
        if row.ruled_by != row.confirmed_by:
            ruling = _require(vault, tx, row, project, principal=row.ruled_by, signed=row.ruled)
            approval = approval_of(row, project.purpose_sha256)
            approvals.require_two(approval, ruling, confirming, principals=(row.ruled_by, row.confirmed_by))


def _require(
    vault: UnlockedVault, tx: Transaction, row: RulingRow, project: projects.Project, *, principal: str, signed: int
) -> bytes | None:
    """Hold a ruling on a project's purpose of now against a signature, as ``approvals.require``."""
    approval = approval_of(row, project.purpose_sha256)
    try:
        return approvals.require(vault, tx, approval, principal=principal, signed=signed)
    except IntegrityError:
        first = _first_version(vault, tx, project)
        if row.ruled < first.created or purpose_digest(first.declaration_text) != project.purpose_sha256:
            raise
    # Signed before purposes had versions: it speaks of the first.
    return approvals.require(vault, tx, approval_of(row, None), principal=principal, signed=signed)


def _first_version(vault: UnlockedVault, tx: Transaction, project: projects.Project) -> ProjectVersion:
    earlier = [] if project.version == 1 else version_records.of_project(vault, tx, project.project_id)
    return next((one for one in earlier if one.version == 1), project.as_version(project.state))


def carry(vault: UnlockedVault, tx: Transaction) -> None:
    """Sign the rulings of before the vault's upgrade in the administrator's name. Raises as ``approvals.carry``."""
    for row in tx.scalars(select(RulingRow)).all():
        approval = approval_of(row, projects.by_id(vault, tx, ProjectId(row.project_id)).purpose_sha256)
        approvals.carry(vault, tx, approval, principal=row.ruled_by, signed=row.ruled)
        if row.confirmed_by not in (None, row.ruled_by) and row.confirmed is not None:
            approvals.carry(vault, tx, approval, principal=row.confirmed_by, signed=row.confirmed)


def approval_of(row: RulingRow, purpose: bytes | None) -> Approval:
    """Approval that a steward signs to rule or confirm: of project, purpose (its digest), item, and whether it is allowed.

    Without ``purpose`` in the form of before projects had versions.
    """
    said = (row.project_id, row.item, int(row.allows))
    named = (
        encode_context("genovault/ruling/v1", *said) if purpose is None else encode_context("genovault/ruling/v2", *said, purpose)
    )
    return Approval(Action.PROJECT_RULE, "ruling", row.ruling_id.encode(), sha256(named))


def list_all(vault: UnlockedVault, code: str | None = None) -> list[Ruling]:
    """Rulings in the order they were made, of one project or of all."""
    query = select(RulingRow, ProjectRow.code).join(ProjectRow, ProjectRow.project_id == RulingRow.project_id)
    if code is not None:
        query = query.where(ProjectRow.code == code)
    with vault.books.read() as tx:
        return [_opened(vault, row, name) for row, name in tx.execute(query.order_by(RulingRow.ruled, RulingRow.ruling_id))]


def _opened(vault: UnlockedVault, row: RulingRow, code: str) -> Ruling:
    return Ruling(
        ruling_id=row.ruling_id,
        project=code,
        item=row.item,
        allows=row.allows,
        ruled_by=row.ruled_by,
        ruled=rfc3339(from_micros(row.ruled)),
        confirmed_by=row.confirmed_by,
        reason=SEALED.open(vault.records, row.ruling_id, row.sealed),
    )
