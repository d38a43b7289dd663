"""Register of projects: declared purposes, each with its own pseudonym key.

Declaration and state are sealed under the books branch, so that editing the row approves nothing. Every change raises the revision of
the record, which the gate reads before it decides and again before it releases. A declaration has versions, each with a number of its
own: the project's record has the one in force, or the draft; ``version_records`` the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select

from policies import canonical, declaration_changes, declarations, purposes
from vault.access import declared_datasets, version_records, view_profiles
from vault.access.version_records import ProjectVersion, approval_of, declaration_in_force
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.primitives import sha256
from vault.errors import InputError, RefusedError
from vault.files.yaml_documents import declared
from vault.ids import ProjectId, new_id
from vault.session import approvals
from vault.session.reasons import require_reason
from vault.session.sealed_records import SealedRecord, altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PrincipalRow, ProjectRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

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
    """A project, as recorded, with the version of its declaration that is in force, or the draft."""

    project_id: ProjectId
    code: str
    version: int  # of the declaration
    revision: int  # of the record: any change raises it
    state: str
    created_by: str
    created: int  # microseconds since 1970 UTC: when this version of the declaration was recorded
    approved_by: str | None
    approved: int | None  # microseconds since 1970 UTC
    self_approved: bool
    ruled: tuple[str, ...]  # items that stewards have allowed
    declaration: purposes.ProjectDeclaration
    declaration_text: str  # as it was recorded
    declaration_sha256: bytes
    reason: str = ""  # why this version was edited or amended

    @property
    def purpose_sha256(self) -> bytes:
        """Digest of what the data are for, which rulings are on; 32 bytes."""
        return declaration_changes.purpose_digest(self.declaration_text)

    def as_version(self, state: str) -> ProjectVersion:
        """The version of the declaration that it has, under a state."""
        return ProjectVersion(
            project_id=self.project_id,
            version=self.version,
            state=state,
            created_by=self.created_by,
            created=self.created,
            approved_by=self.approved_by,
            approved=self.approved,
            self_approved=self.self_approved,
            declaration_text=self.declaration_text,
            reason=self.reason,
        )

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


def change(vault: UnlockedVault, code: str, verb: str, *, reason: str = "", version: int | None = None) -> Project:
    """Approve, suspend, close or reopen a project; one that is reopened releases nothing until it is approved again.

    With one steward, approving one's own project is allowed and logged ``self_approved``; with two it is refused. ``version``: the one
    to be approved, as it was shown; not needed for a first declaration that was never edited, nor for the one that was in force.

    Raises:
        InputError: ``project_unknown``; ``project_state``: the verb does not fit its state; ``dataset_unknown``, ``profile_unknown``: what
            it names is not there; ``version_needed``, ``version_not_proposed``; ``reason_missing``, ``reason_too_long``: to be reopened.
        RefusedError: ``self_approval``.
    """
    act, allowed, target = CHANGES[verb]
    with vault.trail.attempting(act), vault.books.write() as tx:
        row = row_of(tx, code)
        project = opened(vault, row)
        proposed = _chosen(vault, tx, project, version) if verb == "approve" else None
        if row.state not in (allowed if proposed is None else (APPROVED, SUSPENDED)):
            message = f"project {code} is {row.state}: {verb} is for projects that are {' or '.join(allowed)}"
            raise InputError("project_state", message, hint="genovault project versions; another declaration: project amend")
        flags: tuple[str, ...] = ()
        said = require_reason(reason) if verb == "reopen" else ""
        if verb == "reopen" and row.approved is None:
            target = DRAFT
        if verb == "approve":
            if proposed is not None:
                project = _supersede(vault, tx, row, project, proposed)
            declared_datasets.require(tx, project.declaration)
            view_profiles.require(tx, project.declaration)
            if (own := row.created_by == vault.principal) and stewards(tx) > 1:
                raise RefusedError("self_approval", "another steward approves what this one declared", hint="ask a colleague")
            flags = ("self_approved",) if own else ()
            row.approved_by, row.self_approved, row.approved = vault.principal, own, (now := to_micros(vault.clock()))
            approvals.sign(
                vault, tx, approval_of(act, row.project_id, row.declaration_sha256, version=row.declared_version), signed=now
            )
        row.state, row.version = target, row.version + 1
        row.sealed = seal(vault, row, project.declaration_text, project.reason)
        tx.flush()
        entry = entry_fields(project)
        entry["detail"] |= {"reason": said} if said else {}
        vault.trail.append(tx, act, Outcome.DONE, flags=flags, **entry)
    return opened(vault, row)


def _chosen(vault: UnlockedVault, tx: Transaction, project: Project, version: int | None) -> ProjectVersion | None:
    """The proposed version that is to be approved; None for the one that the project has. Nothing is approved that was not shown.

    Raises:
        InputError: ``version_needed``, ``version_not_proposed``.
    """
    proposed = version_records.proposal(vault, tx, project.project_id)
    shown = f"genovault project versions {project.code}, then project approve {project.code} --version N"
    if version is None:
        if proposed is not None:
            said = f"version {proposed.version} of project {project.code} is proposed: say that it is the one that you approve"
            raise InputError("version_needed", said, hint=shown)
        if project.approved is None and project.version > 1:
            said = f"the draft of project {project.code} was edited and is version {project.version}: say that it is the one that you approve"
            raise InputError("version_needed", said, hint=shown)
        return None
    if version == project.version:
        return None
    if proposed is None or version != proposed.version:
        raise InputError("version_not_proposed", f"version {version} of project {project.code} is not proposed", hint=shown)
    return proposed


def _supersede(vault: UnlockedVault, tx: Transaction, row: ProjectRow, project: Project, proposed: ProjectVersion) -> Project:
    """Put a proposed version into the project's record, for its approval; the one in force is kept. Rulings stay with their purpose."""
    version_records.add(vault, tx, project.as_version(version_records.SUPERSEDED))
    version_records.take_out(tx, proposed)
    row.declared_version, row.declaration_sha256 = proposed.version, proposed.declaration_sha256
    row.created, row.created_by = proposed.created, proposed.created_by
    if declaration_changes.purpose_digest(proposed.declaration_text) != project.purpose_sha256:
        row.rulings = ""
    row.sealed = seal(vault, row, proposed.declaration_text, proposed.reason)
    return opened(vault, row)


def settle(vault: UnlockedVault, tx: Transaction, row: ProjectRow, item: str, *, allows: bool) -> None:
    """Put a ruling in force, or take it out, in the caller's write transaction; what is in progress is decided anew."""
    before = opened(vault, row)
    held = {one for one in row.rulings.split(",") if one}
    row.rulings = ",".join(sorted(held | {item} if allows else held - {item}))
    row.version += 1
    row.sealed = seal(vault, row, before.declaration_text, before.reason)
    tx.flush()


def load(vault: UnlockedVault, code: str) -> Project:
    """A project by its code. Raises InputError ``project_unknown``."""
    with vault.books.read() as tx:
        return opened(vault, row_of(tx, code))


def by_id(vault: UnlockedVault, tx: Transaction, project_id: ProjectId) -> Project:
    """A project as the caller's transaction sees it."""
    return opened(vault, tx.get_one(ProjectRow, project_id))


def list_all(vault: UnlockedVault) -> list[Project]:
    """All projects, by code."""
    with vault.books.read() as tx:
        return list_in(vault, tx)


def list_in(vault: UnlockedVault, tx: Transaction) -> list[Project]:
    """All projects as the caller's transaction sees them, by code."""
    return [opened(vault, row) for row in tx.scalars(select(ProjectRow).order_by(ProjectRow.code))]


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
        declared_version=1,
    )
    row.sealed = seal(vault, row, text)
    with vault.books.write() as tx:
        if tx.scalar(select(ProjectRow.code).where(ProjectRow.code == declaration.code)) is not None:
            raise InputError("project_exists", f"there is a project {declaration.code} already", hint="choose another code")
        tx.add(row)
        approvals.sign(
            vault, tx, approval_of(Action.PROJECT_CREATE, project_id, row.declaration_sha256, version=1), signed=row.created
        )
        tx.flush()
        made = opened(vault, row)
        vault.trail.append(tx, Action.PROJECT_CREATE, Outcome.DONE, **entry_fields(made))
    return made


def row_of(tx: Transaction, code: str) -> ProjectRow:
    """The row of a project in the caller's transaction. Raises InputError ``project_unknown``."""
    row = tx.scalars(select(ProjectRow).where(ProjectRow.code == code)).one_or_none()
    if row is None:
        raise InputError("project_unknown", f"there is no project {code}", hint="genovault project list")
    return row


def seal(vault: UnlockedVault, row: ProjectRow, declaration: str, reason: str = "") -> bytes:
    """Sealed part of a project's row, whose clear columns are set."""
    content = {"declaration": declaration} | ({"reason": reason} if reason else {})
    return SEALED.seal(vault.records, row.project_id, content, standing=_standing(row))


def _standing(row: ProjectRow) -> dict[str, Any]:
    """The clear columns that decide, as they are sealed too; of a first version in the form of before there were several."""
    found = {
        "code": row.code,
        "state": row.state,
        "created_by": row.created_by,
        "approved_by": row.approved_by or "",
        "approved": str(row.approved or ""),
        "self_approved": row.self_approved,
        "rulings": row.rulings,
    }
    return found if row.declared_version == 1 else {**found, "declared_version": row.declared_version}


def opened(vault: UnlockedVault, row: ProjectRow) -> Project:
    """A project as its row has it. Raises IntegrityError ``project_altered``, ``seal_broken``."""
    content = SEALED.open(vault.records, row.project_id, row.sealed, standing=_standing(row))
    text = content["declaration"]
    if sha256(text.encode()) != row.declaration_sha256:
        raise altered(SEALED.collection)
    ruled = tuple(item for item in row.rulings.split(",") if item)
    return Project(
        project_id=ProjectId(row.project_id),
        code=row.code,
        version=row.declared_version,
        revision=row.version,
        state=row.state,
        created_by=row.created_by,
        created=row.created,
        approved_by=row.approved_by,
        approved=row.approved,
        ruled=ruled,
        self_approved=row.self_approved,
        declaration=declaration_in_force(row.code, text, approved=row.approved, ruled=ruled),
        declaration_text=text,
        declaration_sha256=row.declaration_sha256,
        reason=content.get("reason", ""),
    )


def with_version(project: Project, version: ProjectVersion) -> Project:
    """A project as it would be with another version of its declaration; rulings stay with their purpose."""
    text = version.declaration_text
    ruled = project.ruled if declaration_changes.purpose_digest(text) == project.purpose_sha256 else ()
    return replace(
        project,
        version=version.version,
        state=version.state,
        created_by=version.created_by,
        created=version.created,
        approved_by=version.approved_by,
        approved=version.approved,
        self_approved=version.self_approved,
        ruled=ruled,
        declaration=declaration_in_force(project.code, text, approved=version.approved, ruled=ruled),
        declaration_text=text,
        declaration_sha256=version.declaration_sha256,
        reason=version.reason,
    )


def stewards(tx: Transaction) -> int:
    """Number of active stewards."""
    query = select(func.count()).select_from(PrincipalRow).where(PrincipalRow.role == "steward", PrincipalRow.state == "active")
    return tx.scalar(query) or 0


def entry_fields(project: Project) -> dict[str, Any]:
    """Entry fields of a project: code, purpose, and digest of the declaration with its version; the declaration itself for auditors."""
    return {
        "project": project.code,
        "purpose": ",".join(project.declaration.purpose.use_kinds),
        "obj": ObjectRef("declaration", f"{project.declaration_sha256.hex()}:{project.version}"),
        "detail": {"declaration": project.declaration_text},
    }


def changed_since(before: Project, now: Project) -> RefusedError:
    """``project_changed``: what happened to a project while something was made for it, in one line."""
    happened = f"is {now.state} since" if now.state != APPROVED else "was changed"
    if now.version != before.version:
        happened = f"was amended: version {now.version} is in force since"
    return RefusedError("project_changed", f"project {now.code} {happened}, while the view was made", hint="ask again")
