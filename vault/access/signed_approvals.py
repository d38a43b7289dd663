"""Signatures that a project's approval rests on: who declared it, who approved it, who ruled on its open points."""

from __future__ import annotations

from vault.access import projects, requests, rulings
from vault.access.projects import Project
from vault.audit.actions import Action
from vault.errors import IntegrityError
from vault.session import approvals
from vault.session.sealed_records import altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction


def require(vault: UnlockedVault, tx: Transaction, project: Project) -> None:
    """Hold an approved project against the signatures of its stewards; two stewards are two keys.

    A vault of keystore format 1 has no signatures: its rows are taken as they are until it is upgraded.

    Raises:
        IntegrityError: ``approval_missing``; ``project_altered``, ``ruling_altered``: the record names no approval.
    """
    if not vault.books.upgraded:
        return
    if project.approved_by is None or project.approved is None:
        raise altered(projects.SEALED.collection)
    approved = projects.approval_of(Action.PROJECT_APPROVE, project.project_id, project.declaration_sha256)
    first = _declared(vault, tx, project)
    second = approvals.require(vault, tx, approved, principal=project.approved_by, signed=project.approved)
    if not project.self_approved:
        approvals.require_two(approved, first, second, principals=(project.created_by, project.approved_by))
    rulings.require_signed(vault, tx, project)


def _declared(vault: UnlockedVault, tx: Transaction, project: Project) -> bytes | None:
    """Key of who declared it, as ``approvals.require`` gives it: when it was created, or by editing the draft."""
    declared, edited = (
        projects.approval_of(act, project.project_id, project.declaration_sha256)
        for act in (Action.PROJECT_CREATE, Action.PROJECT_EDIT)
    )
    try:
        return approvals.require(vault, tx, edited, principal=project.created_by, signed=project.created)
    except IntegrityError:
        return approvals.require(vault, tx, declared, principal=project.created_by, signed=project.created)


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
                approval = projects.approval_of(act, project.project_id, project.declaration_sha256)
                approvals.carry(vault, tx, approval, principal=principal, signed=signed)
    rulings.carry(vault, tx)
    requests.carry(vault, tx)
