"""Signatures that a project's approval rests on: who declared it, who approved it, who ruled on its open points.

They are on one version of the declaration. One that was taken back or replaced, or that a later approval superseded, has them still, and
is in force no more.
"""

from __future__ import annotations

from contextlib import suppress

from vault.access import projects, requests, rulings, version_records
from vault.access.projects import Project
from vault.audit.actions import Action
from vault.errors import IntegrityError
from vault.session import approvals
from vault.session.approvals import Approval
from vault.session.sealed_records import altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction

LAST_VERSION = 2**32 - 1


def require(vault: UnlockedVault, tx: Transaction, project: Project) -> None:
    """Hold an approved project against the signatures of its stewards; two stewards are two keys.

    A vault of keystore format 1 has no signatures: its rows are taken as they are until it is upgraded.

    Raises:
        IntegrityError: ``approval_missing``; ``project_altered``, ``ruling_altered``: the record names no approval, or a version that was
            taken back or superseded.
    """
    if not vault.books.upgraded:
        return
    if project.approved_by is None or project.approved is None:
        raise altered(projects.SEALED.collection)
    approved = _of(Action.PROJECT_APPROVE, project)
    later = (version_records.version_ref(project.project_id, number) for number in (project.version + 1, LAST_VERSION))
    if approvals.stands(tx, _of(Action.PROJECT_TAKE_BACK, project)) or approvals.stands_between(tx, approved, *later):
        raise altered(projects.SEALED.collection)
    first = _declared(vault, tx, project)
    second = approvals.require(vault, tx, approved, principal=project.approved_by, signed=project.approved)
    if not project.self_approved:
        approvals.require_two(approved, first, second, principals=(project.created_by, project.approved_by))
    rulings.require_signed(vault, tx, project)


def _of(act: Action, project: Project) -> Approval:
    return version_records.approval_of(act, project.project_id, project.declaration_sha256, version=project.version)


def _declared(vault: UnlockedVault, tx: Transaction, project: Project) -> bytes | None:
    """Key of who declared it, as ``approvals.require`` gives it: by creating it, editing the draft or amending what is in force."""
    for act in (Action.PROJECT_AMEND, Action.PROJECT_EDIT):
        with suppress(IntegrityError):
            return approvals.require(vault, tx, _of(act, project), principal=project.created_by, signed=project.created)
    created = _of(Action.PROJECT_CREATE, project)
    return approvals.require(vault, tx, created, principal=project.created_by, signed=project.created)


def missing(vault: UnlockedVault) -> list[str]:
    """Faults of the approved projects' approvals, a line each."""
    found = []
    with vault.books.read() as tx:
        for project in projects.list_in(vault, tx):
            try:
                if project.state == projects.APPROVED:
                    require(vault, tx, project)
            except IntegrityError as error:
                found.append(f"project {project.code}: {error.message}")
    return found


def carry(vault: UnlockedVault, tx: Transaction) -> None:
    """Sign what was approved, ruled and asked before the vault's upgrade, as it stands, in the administrator's name.

    Raises:
        UnavailableError: ``slot_outdated``. IntegrityError: ``project_altered``.
    """
    for project in projects.list_in(vault, tx):
        named = (
            (Action.PROJECT_CREATE, project.created_by, project.created),
            (
                Action.PROJECT_APPROVE,
                project.approved_by,
                project.approved,
            ),
        )
        for act, principal, signed in named:
            if principal is not None and signed is not None:
                approvals.carry(vault, tx, _of(act, project), principal=principal, signed=signed)
    rulings.carry(vault, tx)
    requests.carry(vault, tx)
