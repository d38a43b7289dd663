"""Register of projects: declared purposes, each with its own pseudonym key.

Declaration and state are sealed under the books branch, so that editing the row approves nothing. Every change of state raises the
project's version, which the gate reads before it decides and again before it releases.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from sqlalchemy import func, select

from policies import canonical, declarations, purposes
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import sha256
from vault.errors import InputError, RefusedError
from vault.files.yaml_documents import declared
from vault.genotypes.catalog.datasets import HELD
from vault.ids import ProjectId, new_id
from vault.session import approvals
from vault.session.approvals import Approval
from vault.session.reasons import require_reason
from vault.session.sealed_records import SealedRecord, altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow, PrincipalRow, ProjectRow
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros, to_micros

SEALED = SealedRecord("project", dumps=canonical.dumps)
DRAFT, APPROVED, SUSPENDED, CLOSED = "draft", "approved", "suspended", "closed"

CHANGES = {  # verb -> (act, states it may start from, state it ends in)
    "approve": (Action.PROJECT_APPROVE, (DRAFT, SUSPENDED), APPROVED),
    "suspend": (Action.PROJECT_SUSPEND, (APPROVED,), SUSPENDED),
    "close": (Action.PROJECT_CLOSE, (DRAFT, APPROVED, SUSPENDED), CLOSED),
    "reopen": (Action.PROJECT_REOPEN, (CLOSED,), SUSPENDED),  # or the draft that it was
}


@dataclass(frozen=True)
class Project:
    """A project, as recorded."""

    project_id: ProjectId
    code: str
    version: int
    state: str
    created_by: str
    created: int  # microseconds since 1970 UTC: when the declaration was recorded that it has now
    approved_by: str | None
    approved: int | None  # microseconds since 1970 UTC
    self_approved: bool
    ruled: tuple[str, ...]  # items that stewards have allowed
    declaration: purposes.ProjectDeclaration
    declaration_text: str  # as it was recorded
    declaration_sha256: bytes

    def recipient_names(self) -> list[str]:
        """Names of the declared recipients; without any, the organisation's name or the project's code."""
        declared_names = [recipient.name for recipient in self.declaration.recipients]
        return declared_names or [self.declaration.purpose.organisation.name or self.code]

    def recipient_detail(self) -> dict[str, Any]:
        """Recipients and title as the sealed detail of an access states them, for an accounting of disclosures."""
        organisation = self.declaration.purpose.organisation
        return {
            "recipients": self.recipient_names(),
            "organisation": organisation.name,
            "country": organisation.country,
            "title": self.declaration.title,
        }


def create(vault: UnlockedVault, document: dict[str, Any]) -> Project:
    """Record a declaration as a draft, with a new pseudonym key.

    Raises:
        InputError: ``document_rejected``; ``project_exists``.
    """
    with vault.trail.attempting(Action.PROJECT_CREATE):
        return _create(vault, declared(lambda: declarations.parse_project(document), name="the declaration"))


def edit(vault: UnlockedVault, document: dict[str, Any], *, reason: str) -> tuple[Project, Project]:
    """Put another declaration in the place of a draft's, under the same code and pseudonym key; the draft before and after.

    The declaration before stays in the log. Whoever edits is who declares it: another approves. Rulings on the one before are out of force. What says the same changes nothing.

    Raises:
        InputError: ``document_rejected``, ``project_unknown``, ``reason_missing``, ``reason_too_long``; ``project_state``: it was approved.
    """
    with vault.trail.attempting(Action.PROJECT_EDIT):
        said = require_reason(reason)
        declaration = declared(lambda: declarations.parse_project(document), name="the declaration")
        text = canonical.dumps(purposes.as_dict(declaration))
        with vault.books.write() as tx:
            row = row_of(tx, declaration.code)
            before = _opened(vault, row)
            if row.state != DRAFT or row.approved is not None:
                message = f"project {row.code} is {row.state}{'' if row.approved is None else ' and was approved'}: only a draft is edited"
                raise InputError("project_state", message, hint="close it, and declare another")
            if text == before.declaration_text:
                return before, before
            row.declaration_sha256, row.version, row.rulings = sha256(text.encode()), row.version + 1, ""
            row.created_by, row.created = vault.principal, to_micros(vault.clock())
            row.sealed = _seal(vault, row, text)
            approvals.sign(
                vault, tx, approval_of(Action.PROJECT_EDIT, row.project_id, row.declaration_sha256), signed=row.created
            )
            tx.flush()
            entry = _entry(row, declaration, text)
            entry["detail"] |= {"replaces": before.declaration_sha256.hex(), "reason": said}
            vault.trail.append(tx, Action.PROJECT_EDIT, Outcome.DONE, **entry)
    return before, _opened(vault, row)


def change(vault: UnlockedVault, code: str, verb: str, *, reason: str = "") -> Project:
    """Approve, suspend, close or reopen a project; one that is reopened releases nothing until it is approved again.

    With one steward, approving one's own project is allowed and logged ``self_approved``; with two it is refused.

    Raises:
        InputError: ``project_unknown``; ``project_state``: the verb does not fit its state; ``dataset_unknown``: to be approved, it names one
            that is not there; ``reason_missing``, ``reason_too_long``: to be reopened.
        RefusedError: ``self_approval``.
    """
    act, allowed, target = CHANGES[verb]
    with vault.trail.attempting(act), vault.books.write() as tx:
        row = row_of(tx, code)
        project = _opened(vault, row)
        if row.state not in allowed:
            raise InputError("project_state", f"project {code} is {row.state}: it cannot be changed with {verb}")
        flags: tuple[str, ...] = ()
        said = require_reason(reason) if verb == "reopen" else ""
        if verb == "reopen" and row.approved is None:
            target = DRAFT
        if verb == "approve":
            _require_datasets(tx, project)
            own = row.created_by == vault.principal
            if own and stewards(tx) > 1:
                raise RefusedError("self_approval", "another steward approves what this one declared", hint="ask a colleague")
            flags = ("self_approved",) if own else ()
            row.approved_by, row.self_approved, row.approved = vault.principal, own, (now := to_micros(vault.clock()))
            approvals.sign(vault, tx, approval_of(act, row.project_id, row.declaration_sha256), signed=now)
        row.state, row.version = target, row.version + 1
        row.sealed = _seal(vault, row, project.declaration_text)
        tx.flush()
        entry = _entry(row, project.declaration, project.declaration_text)
        entry["detail"] |= {"reason": said} if said else {}
        vault.trail.append(tx, act, Outcome.DONE, flags=flags, **entry)
    return _opened(vault, row)


def missing_datasets(tx: Transaction, declaration: purposes.ProjectDeclaration) -> list[str]:
    """Datasets that a declaration names and that are not there, or were removed."""
    held = set(tx.scalars(select(DatasetRow.name).where(HELD)))
    return [name for name in declaration.datasets if name not in held]


def _require_datasets(tx: Transaction, project: Project) -> None:
    missing = missing_datasets(tx, project.declaration)
    if missing:
        close = get_close_matches(missing[0], tx.scalars(select(DatasetRow.name).where(HELD)).all())
        meant = f"did you mean {', '.join(close)}? " if close else ""
        raise InputError(
            "dataset_unknown", f"there is no dataset {missing[0]}", hint=f"{meant}import it first, or declare another"
        )


def settle(vault: UnlockedVault, tx: Transaction, row: ProjectRow, item: str, *, allows: bool) -> None:
    """Put a ruling in force, or take it out, in the caller's write transaction; what is in progress is decided anew."""
    text = _opened(vault, row).declaration_text
    held = {one for one in row.rulings.split(",") if one}
    row.rulings = ",".join(sorted(held | {item} if allows else held - {item}))
    row.version += 1
    row.sealed = _seal(vault, row, text)
    tx.flush()


def load(vault: UnlockedVault, code: str) -> Project:
    """A project by its code. Raises InputError ``project_unknown``."""
    with vault.books.read() as tx:
        return _opened(vault, row_of(tx, code))


def by_id(vault: UnlockedVault, tx: Transaction, project_id: ProjectId) -> Project:
    """A project as the caller's transaction sees it."""
    return _opened(vault, tx.get_one(ProjectRow, project_id))


def list_all(vault: UnlockedVault) -> list[Project]:
    """All projects, by code."""
    with vault.books.read() as tx:
        return list_in(vault, tx)


def list_in(vault: UnlockedVault, tx: Transaction) -> list[Project]:
    """All projects as the caller's transaction sees them, by code."""
    return [_opened(vault, row) for row in tx.scalars(select(ProjectRow).order_by(ProjectRow.code))]


def _create(vault: UnlockedVault, declaration: purposes.ProjectDeclaration) -> Project:
    text = canonical.dumps(purposes.as_dict(declaration))
    project_id = ProjectId(new_id(vault.random))
    vault.keys.create(KeyPurpose.PROJECT, [project_id])
    row = ProjectRow(
        project_id=project_id,
        code=declaration.code,
        version=1,
        state=DRAFT,
        sealed=b"",
        declaration_sha256=sha256(text.encode()),
        created=to_micros(vault.clock()),
        created_by=vault.principal,
        approved_by=None,
        approved=None,
        self_approved=False,
        rulings="",
    )
    row.sealed = _seal(vault, row, text)
    with vault.books.write() as tx:
        if tx.scalar(select(ProjectRow.code).where(ProjectRow.code == declaration.code)) is not None:
            raise InputError("project_exists", f"there is a project {declaration.code} already", hint="choose another code")
        tx.add(row)
        approvals.sign(vault, tx, approval_of(Action.PROJECT_CREATE, project_id, row.declaration_sha256), signed=row.created)
        tx.flush()
        vault.trail.append(tx, Action.PROJECT_CREATE, Outcome.DONE, **_entry(row, declaration, text))
    return _opened(vault, row)


def approval_of(act: Action, project_id: bytes, declaration_sha256: bytes) -> Approval:
    """Approval that a principal signs to declare or approve a project: of its declaration."""
    return Approval(act, "project", project_id, declaration_sha256)


def row_of(tx: Transaction, code: str) -> ProjectRow:
    """The row of a project in the caller's transaction. Raises InputError ``project_unknown``."""
    row = tx.scalars(select(ProjectRow).where(ProjectRow.code == code)).one_or_none()
    if row is None:
        raise InputError("project_unknown", f"there is no project {code}", hint="genovault project list")
    return row


def _seal(vault: UnlockedVault, row: ProjectRow, declaration: str) -> bytes:
    return SEALED.seal(vault.records, row.project_id, {"declaration": declaration}, standing=_standing(row))


def _standing(row: ProjectRow) -> dict[str, Any]:
    """The clear columns that decide, as they are sealed too."""
    return {
        "code": row.code,
        "state": row.state,
        "created_by": row.created_by,
        "approved_by": row.approved_by or "",
        "approved": str(row.approved or ""),
        "self_approved": row.self_approved,
        "rulings": row.rulings,
    }


def _opened(vault: UnlockedVault, row: ProjectRow) -> Project:
    text = SEALED.open(vault.records, row.project_id, row.sealed, standing=_standing(row))["declaration"]
    if sha256(text.encode()) != row.declaration_sha256:
        raise altered(SEALED.collection)
    declaration = declared(lambda: declarations.parse_stored(text), name=f"project {row.code}")
    if row.approved is not None:
        # A form's material change binds purposes approved after it, so the declaration dates from its approval.
        declaration = replace(declaration, purpose=replace(declaration.purpose, declared_at=from_micros(row.approved)))
    ruled = (*declaration.purpose.rulings, *(item for item in row.rulings.split(",") if item))
    in_force = tuple(item for item in purposes.RULABLE if item in ruled)
    declaration = replace(declaration, purpose=replace(declaration.purpose, rulings=in_force))
    return Project(
        project_id=ProjectId(row.project_id),
        code=row.code,
        version=row.version,
        state=row.state,
        created_by=row.created_by,
        created=row.created,
        approved_by=row.approved_by,
        approved=row.approved,
        ruled=tuple(item for item in row.rulings.split(",") if item),
        self_approved=row.self_approved,
        declaration=declaration,
        declaration_text=text,
        declaration_sha256=row.declaration_sha256,
    )


def stewards(tx: Transaction) -> int:
    """Number of active stewards."""
    query = select(func.count()).select_from(PrincipalRow).where(PrincipalRow.role == "steward", PrincipalRow.state == "active")
    return tx.scalar(query) or 0


def _entry(row: ProjectRow, declaration: purposes.ProjectDeclaration, text: str) -> dict[str, Any]:
    """Entry fields of a project: code, purpose, and digest of the declaration with its version; the declaration itself for auditors."""
    return {
        "project": row.code,
        "purpose": ",".join(declaration.purpose.use_kinds),
        "obj": ObjectRef("declaration", f"{row.declaration_sha256.hex()}:{row.version}"),
        "detail": {"declaration": text},
    }
