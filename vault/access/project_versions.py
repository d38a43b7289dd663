"""Versions of a project's declaration: drafts edited, amendments proposed and taken back, and all of them listed.

An approved project is amended by proposing its next version; what was approved stays in force until that one is approved. Another
amendment takes the place of one that waits. A version's number is its content: what replaces it has another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from policies import canonical, declaration_changes, declarations, purposes
from policies.declaration_changes import Change
from vault.access import askable, projects, version_records
from vault.access.projects import APPROVED, CLOSED, DRAFT, Project
from vault.access.scope import UNINFORMED_ROLES
from vault.access.version_records import PROPOSED, REPLACED, TAKEN_BACK, ProjectVersion
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.errors import InputError
from vault.files.yaml_documents import declared
from vault.session import approvals
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ProjectRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros

IN_FORCE = "in_force"


@dataclass(frozen=True)
class ListedVersion:
    """One version, and what it changes against the one that it was declared to follow; nothing for the first."""

    version: ProjectVersion
    changes: tuple[Change, ...]


def edit(vault: UnlockedVault, document: dict[str, Any], *, reason: str) -> tuple[Project, Project]:
    """Put another declaration in the place of a draft's, under the same code and pseudonym key; the draft before and after.

    It is the project's next version. Whoever edits is who declares it: another approves. Rulings on another purpose are out of force.
    What says the same changes nothing.

    Raises:
        InputError: ``document_rejected``, ``project_unknown``, ``reason_missing``, ``reason_too_long``; ``project_state``: it was approved.
    """
    with vault.trail.attempting(Action.PROJECT_EDIT):
        said, (declaration, text) = require_reason(reason), _parsed(document)
        with vault.books.write() as tx:
            row = projects.row_of(tx, declaration.code)
            before = projects.opened(vault, row)
            if row.state != DRAFT or row.approved is not None:
                message = f"project {row.code} is {row.state}{'' if row.approved is None else ' and was approved'}: only a draft is edited"
                raise InputError("project_state", message, hint="genovault project amend, or close it and declare another")
            if text == before.declaration_text:
                return before, before
            _sign_end(vault, tx, before.as_version(REPLACED))
            version_records.add(vault, tx, before.as_version(REPLACED))
            made = replace(_new(vault, tx, before, text, said), state=row.state)
            row.declared_version, row.declaration_sha256, row.version = made.version, made.declaration_sha256, row.version + 1
            row.created_by, row.created = made.created_by, made.created
            if declaration_changes.purpose_digest(text) != before.purpose_sha256:
                row.rulings = ""
            row.sealed = projects.seal(vault, row, text, said)
            _sign(vault, tx, Action.PROJECT_EDIT, made)
            tx.flush()
            after = projects.opened(vault, row)
            entry = projects.entry_fields(after)
            entry["detail"] |= {"replaces": before.declaration_sha256.hex(), "reason": said}
            vault.trail.append(tx, Action.PROJECT_EDIT, Outcome.DONE, **entry)
    return before, after


def amend(vault: UnlockedVault, document: dict[str, Any], *, reason: str) -> tuple[Project, ProjectVersion]:
    """Propose the next version of a project that was approved; the project, as it stays in force, and what is proposed.

    Another proposal that waited is replaced; what says the same as it changes nothing.

    Raises:
        InputError: ``document_rejected``, ``reason_missing``, ``reason_too_long``; ``project_unknown``: another code is another project;
            ``project_state``: it is a draft, or closed; ``pseudonyms_changed``; ``nothing_changed``: it says what is in force.
    """
    with vault.trail.attempting(Action.PROJECT_AMEND):
        said, (declaration, text) = require_reason(reason), _parsed(document)
        with vault.books.write() as tx:
            project = projects.opened(vault, _row_to_amend(tx, declaration.code))
            if declaration.pseudonyms is not project.declaration.pseudonyms:
                message = f"project {project.code} makes its pseudonyms for each {project.declaration.pseudonyms}, and an amendment keeps them"
                raise InputError("pseudonyms_changed", message, hint="declare another project, under a code of its own")
            if text == project.declaration_text:
                raise InputError("nothing_changed", f"this is what version {project.version} of {project.code} declares already")
            waiting = version_records.proposal(vault, tx, project.project_id)
            if waiting is not None and waiting.declaration_text == text:
                return project, waiting
            made = _new(vault, tx, project, text, said)
            if waiting is not None:
                _sign_end(vault, tx, waiting)
                version_records.end(vault, tx, waiting, REPLACED)
            version_records.add(vault, tx, made)
            _sign(vault, tx, Action.PROJECT_AMEND, made)
            entry = _entry(project, made)
            entry["detail"] |= {"declaration": text, "reason": said}
            entry["detail"] |= {} if waiting is None else {"replaces": waiting.declaration_sha256.hex()}
            vault.trail.append(tx, Action.PROJECT_AMEND, Outcome.DONE, **entry)
    return project, made


def take_back(vault: UnlockedVault, code: str, *, reason: str) -> ProjectVersion:
    """Take back the version that is proposed: nobody can approve it any more. What is in force stays so.

    Raises:
        InputError: ``project_unknown``, ``reason_missing``, ``reason_too_long``; ``version_not_proposed``: none is.
    """
    with vault.trail.attempting(Action.PROJECT_TAKE_BACK):
        said = require_reason(reason)
        with vault.books.write() as tx:
            project = projects.opened(vault, projects.row_of(tx, code))
            waiting = version_records.proposal(vault, tx, project.project_id)
            if waiting is None:
                message = f"no version of project {code} is proposed"
                raise InputError("version_not_proposed", message, hint=f"genovault project versions {code}")
            _sign_end(vault, tx, waiting)
            version_records.end(vault, tx, waiting, TAKEN_BACK)
            entry = _entry(project, waiting)
            vault.trail.append(tx, Action.PROJECT_TAKE_BACK, Outcome.DONE, **{**entry, "detail": {"reason": said}})
    return replace(waiting, state=TAKEN_BACK)


def list_all(vault: UnlockedVault, code: str) -> list[ListedVersion]:
    """All versions of a project by number; for engines and researchers the one in force. Callers log the look.

    Raises:
        InputError: ``project_unknown``.
    """
    project = askable.visible_project(vault, code)
    own = project.as_version(IN_FORCE if project.state == APPROVED else project.state)
    if vault.role in UNINFORMED_ROLES:
        return [ListedVersion(own, ())]
    with vault.books.read() as tx:
        others = version_records.of_project(vault, tx, project.project_id)
    every = sorted([own, *others], key=lambda one: one.version)
    return [ListedVersion(one, _changes(every, one)) for one in every]


def proposed(vault: UnlockedVault) -> list[tuple[str, ListedVersion]]:
    """Versions that wait to be approved, each with its project's code: amendments, and drafts."""
    listed = ((one.code, list_all(vault, one.code)) for one in projects.list_all(vault) if one.state != CLOSED)
    return [(code, one) for code, versions in listed for one in versions if one.version.state in (PROPOSED, DRAFT)]


def as_project(vault: UnlockedVault, code: str, version: int | None = None) -> Project:
    """A project as it would be with a version that is proposed; without ``version`` as it is.

    Raises:
        InputError: ``project_unknown``, ``version_not_proposed``.
    """
    project = projects.load(vault, code)
    if version in (None, project.version):
        return project
    with vault.books.read() as tx:
        waiting = version_records.proposal(vault, tx, project.project_id)
    if waiting is None or waiting.version != version:
        message = f"version {version} of project {code} is not proposed"
        raise InputError("version_not_proposed", message, hint=f"genovault project versions {code}")
    return projects.with_version(project, waiting)


def _row_to_amend(tx: Transaction, code: str) -> ProjectRow:
    try:
        row = projects.row_of(tx, code)
    except InputError as error:
        hint = "a project's code never changes: genovault project list names them; another code is another project"
        raise InputError(error.code, error.message, hint=hint) from None
    if row.approved is None:
        raise InputError(
            "project_state", f"project {code} was never approved: its draft is edited", hint="genovault project edit"
        )
    if row.state == CLOSED:
        raise InputError("project_state", f"project {code} is closed: it cannot be amended", hint="genovault project reopen")
    return row


def _parsed(document: dict[str, Any]) -> tuple[purposes.ProjectDeclaration, str]:
    declaration = declared(lambda: declarations.parse_project(document), name="the declaration")
    return declaration, canonical.dumps(purposes.as_dict(declaration))


def _new(vault: UnlockedVault, tx: Transaction, project: Project, text: str, reason: str) -> ProjectVersion:
    """The next version of a project, as whoever acts declares it now."""
    return ProjectVersion(
        project_id=project.project_id,
        version=max(project.version, version_records.last_number(tx, project.project_id)) + 1,
        state=PROPOSED,
        created_by=vault.principal,
        created=to_micros(vault.clock()),
        approved_by=None,
        approved=None,
        self_approved=False,
        declaration_text=text,
        reason=reason,
    )


def _sign(vault: UnlockedVault, tx: Transaction, act: Action, version: ProjectVersion, *, at: int | None = None) -> None:
    approval = version_records.approval_of(act, version.project_id, version.declaration_sha256, version=version.version)
    approvals.sign(vault, tx, approval, signed=version.created if at is None else at)


def _sign_end(vault: UnlockedVault, tx: Transaction, version: ProjectVersion) -> None:
    """Sign that a version is not to be approved any more: its declarer's signature stays, and is not to be used."""
    _sign(vault, tx, Action.PROJECT_TAKE_BACK, version, at=to_micros(vault.clock()))


def _entry(project: Project, version: ProjectVersion) -> dict[str, Any]:
    obj = ObjectRef("declaration", f"{version.declaration_sha256.hex()}:{version.version}")
    return {**projects.entry_fields(project), "obj": obj, "detail": {}}


def _changes(every: Sequence[ProjectVersion], version: ProjectVersion) -> tuple[Change, ...]:
    """Changes of a version against the one in force when it was declared, or against the draft before."""
    earlier = [one for one in every if one.version < version.version]
    in_force = [one for one in earlier if one.approved is not None]
    before = (in_force or earlier)[-1:]
    return declaration_changes.changes(before[0].declaration_text, version.declaration_text) if before else ()
