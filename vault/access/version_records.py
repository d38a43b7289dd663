"""Records of the versions of a project's declaration that the project does not have now: proposed, or of before.

The version that a project has, in force or a draft, is in the project's own record. A version never changes once it was declared: what
is put in its place has the next number, so that a number is the content.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from policies import canonical, declarations, purposes
from vault.audit.actions import Action
from vault.crypto.primitives import sha256
from vault.files.yaml_documents import declared
from vault.session.approvals import Approval
from vault.session.sealed_records import SealedRecord, altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ProjectVersionRow
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros

SEALED = SealedRecord("project_version", dumps=canonical.dumps)
PROPOSED, REPLACED, TAKEN_BACK, SUPERSEDED = "proposed", "replaced", "taken_back", "superseded"


@dataclass(frozen=True)
class ProjectVersion:
    """One version of a project's declaration. Times in microseconds since 1970 UTC.

    ``state``: as its record has it; of the version that the project has, ``in_force`` or the project's own.
    """

    project_id: bytes
    version: int
    state: str
    created_by: str
    created: int
    approved_by: str | None
    approved: int | None
    self_approved: bool
    declaration_text: str  # as it was recorded
    reason: str  # why it was edited or amended; empty of a first version

    @property
    def declaration_sha256(self) -> bytes:
        """Digest that its declarer and approver sign, 32 bytes."""
        return sha256(self.declaration_text.encode())


def approval_of(act: Action, project_id: bytes, declaration_sha256: bytes, *, version: int) -> Approval:
    """Approval that a principal signs to declare, approve or take back one version of a project: of its declaration."""
    return Approval(act, "project", version_ref(project_id, version), declaration_sha256)


def version_ref(project_id: bytes, version: int) -> bytes:
    """Name of one version of a project in approvals: of the first, the project's id alone."""
    return project_id if version == 1 else project_id + version.to_bytes(4, "big")


def declaration_in_force(code: str, text: str, *, approved: int | None, ruled: tuple[str, ...]) -> purposes.ProjectDeclaration:
    """A declaration as decisions use it: with the rulings in force, dated from its approval."""
    declaration = declared(lambda: declarations.parse_stored(text), name=f"project {code}")
    in_force = tuple(item for item in purposes.RULABLE if item in {*declaration.purpose.rulings, *ruled})
    purpose = replace(declaration.purpose, rulings=in_force)
    if approved is not None:  # a form's material change binds purposes approved after it
        purpose = replace(purpose, declared_at=from_micros(approved))
    return replace(declaration, purpose=purpose)


def add(vault: UnlockedVault, tx: Transaction, version: ProjectVersion) -> None:
    """Record a version in the caller's write transaction."""
    row = ProjectVersionRow(
        project_id=version.project_id,
        version=version.version,
        state=version.state,
        sealed=b"",
        declaration_sha256=version.declaration_sha256,
        created=version.created,
        created_by=version.created_by,
        approved_by=version.approved_by,
        approved=version.approved,
        self_approved=version.self_approved,
    )
    row.sealed = _seal(vault, row, {"declaration": version.declaration_text, "reason": version.reason})
    tx.add(row)
    tx.flush()


def proposal(vault: UnlockedVault, tx: Transaction, project_id: bytes) -> ProjectVersion | None:
    """The version of a project that waits to be approved, if one does. Raises IntegrityError ``project_version_altered``."""
    own = select(ProjectVersionRow).where(ProjectVersionRow.project_id == project_id, ProjectVersionRow.state == PROPOSED)
    row = tx.scalars(own.order_by(ProjectVersionRow.version.desc()).limit(1)).first()
    return None if row is None else _opened(vault, row)


def of_project(vault: UnlockedVault, tx: Transaction, project_id: bytes) -> list[ProjectVersion]:
    """Versions that a project does not have now, by number. Raises IntegrityError ``project_version_altered``."""
    own = select(ProjectVersionRow).where(ProjectVersionRow.project_id == project_id)
    return [_opened(vault, row) for row in tx.scalars(own.order_by(ProjectVersionRow.version))]


def last_number(tx: Transaction, project_id: bytes) -> int:
    """The largest number among versions that a project does not have now; 0 without any."""
    query = select(ProjectVersionRow.version).where(ProjectVersionRow.project_id == project_id)
    return tx.scalars(query.order_by(ProjectVersionRow.version.desc()).limit(1)).first() or 0


def end(vault: UnlockedVault, tx: Transaction, version: ProjectVersion, state: str) -> None:
    """Put a proposed version into a state that nobody approves any more, in the caller's write transaction."""
    row = tx.get_one(ProjectVersionRow, (version.project_id, version.version))
    row.state = state
    row.sealed = _seal(vault, row, {"declaration": version.declaration_text, "reason": version.reason})
    tx.flush()


def take_out(tx: Transaction, version: ProjectVersion) -> None:
    """Take out the record of a version that its project has from now on, in the caller's write transaction."""
    tx.delete(tx.get_one(ProjectVersionRow, (version.project_id, version.version)))
    tx.flush()


def _seal(vault: UnlockedVault, row: ProjectVersionRow, content: dict[str, str]) -> bytes:
    return SEALED.seal(vault.records, _place(row), content, standing=_standing(row))


def _opened(vault: UnlockedVault, row: ProjectVersionRow) -> ProjectVersion:
    content = SEALED.open(vault.records, _place(row), row.sealed, standing=_standing(row))
    found = ProjectVersion(
        project_id=row.project_id,
        version=row.version,
        state=row.state,
        created_by=row.created_by,
        created=row.created,
        approved_by=row.approved_by,
        approved=row.approved,
        self_approved=row.self_approved,
        declaration_text=content["declaration"],
        reason=content["reason"],
    )
    if found.declaration_sha256 != row.declaration_sha256:
        raise altered(SEALED.collection)
    return found


def _place(row: ProjectVersionRow) -> bytes:
    return row.project_id + row.version.to_bytes(4, "big")


def _standing(row: ProjectVersionRow) -> dict[str, Any]:
    """The clear columns that decide, as they are sealed too."""
    return {
        "state": row.state,
        "created": row.created,
        "created_by": row.created_by,
        "approved_by": row.approved_by or "",
        "approved": str(row.approved or ""),
        "self_approved": row.self_approved,
    }
