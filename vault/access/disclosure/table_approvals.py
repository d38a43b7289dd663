"""Panels that a project may have exact frequency tables of: approved by two stewards, each by their own signature, before it is told anything.

An approval is of one version of a panel and fixes the price. Sites that are chosen with answers in hand could be chosen against somebody,
so after the project's first answer nothing is approved any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from policies.disclosure.budgets import BudgetScope
from policies.disclosure.nats import Micronats
from vault.access import projects, second_steward
from vault.access.disclosure import budgets, frequency_tables
from vault.access.projects import Project
from vault.audit.actions import Action, Outcome
from vault.crypto.context import encode_context
from vault.crypto.keyring import Branch
from vault.crypto.primitives import sha256
from vault.errors import InputError, RefusedError
from vault.genotypes.catalog import panels
from vault.genotypes.catalog.panels import Panel
from vault.ids import ProjectId
from vault.session import proposal_entries
from vault.session.approvals import Approval
from vault.session.row_faults import row_faults
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.storage.disclosure_tables import BudgetRow, TableApprovalRow
from vault.storage.timestamps import from_micros

KIND = "frequency_table"


@dataclass(frozen=True)
class ApprovedPanel:
    """A panel version that a project may have a table of: how many alleles it names, and what the table costs."""

    panel: str
    version: int
    dataset: str
    alleles: int
    price: Micronats
    approved_by: str
    proposed_by: str | None


@dataclass(frozen=True)
class TableApproval:
    """An approval that was signed. ``settled`` False: another steward has to give it."""

    settled: bool
    proposed_by: str | None


@dataclass(frozen=True)
class ProposedTable:
    """A panel version, for exact tables of a project, that waits for another steward; ``alleles`` and ``price`` as they were worked out then."""

    project: str
    panel: str
    version: int
    dataset: str
    alleles: int
    price: Micronats
    reason: str
    proposed_by: str
    proposed: datetime


@dataclass(frozen=True)
class TableTerms:
    """Terms of an approval, as they were shown: the panel's version, the alleles it names, and the table's price."""

    version: int
    alleles: int
    price: Micronats


def approve(
    vault: UnlockedVault, project: Project, panel: Panel, *, alleles: int, price: Micronats, reason: str
) -> TableApproval:
    """Approve a panel version, at a price that was worked out. With several stewards the first proposes.

    Raises:
        RefusedError: ``answered_before``, ``already_approved``; ``self_confirmation``. UnavailableError: as ``approvals.sign``.
    """
    with vault.books.write() as tx:
        require_unanswered(tx, project)
        if tx.get(TableApprovalRow, (project.project_id, panel.panel_id)) is not None:
            raise RefusedError("already_approved", f"panel {panel.name} version {panel.version} is approved for {project.code}")
        approval = _approval(project.project_id, panel.panel_id, panel.dataset_id, alleles, price)
        agreed = second_steward.sign(vault, tx, approval, two=second_steward.needed(tx))
        tx.flush()
        if agreed.settled:
            tx.add(
                TableApprovalRow(
                    project_id=project.project_id,
                    panel_id=panel.panel_id,
                    dataset_id=panel.dataset_id,
                    alleles=alleles,
                    nats=price,
                    proposed_by=agreed.proposed_by,
                    proposed=agreed.proposed,
                    approved_by=vault.principal,
                    approved=agreed.approved,
                )
            )
            tx.flush()
        detail = {"panel": panel.name, "version": panel.version, "alleles": alleles, "micronats": price, "reason": reason}
        flags = agreed.flags if agreed.settled else ("proposed",)
        vault.trail.append(tx, Action.TABLE_APPROVE, Outcome.DONE, project=project.code, flags=flags, detail=detail)
    return TableApproval(agreed.settled, agreed.proposed_by)


def waiting(vault: UnlockedVault) -> list[ProposedTable]:
    """Panels that another steward can still approve, the oldest first. Callers log the look. Empty for a role that does not read the log's details."""
    if not vault.keyring.has(Branch.AUDIT_READ):
        return []
    with vault.books.read() as tx:
        signatures = second_steward.proposals(vault, tx, Action.TABLE_APPROVE, KIND)
        rows = [(one.principal, (one.ref, one.content), from_micros(one.signed)) for one in signatures]
    found = []
    for principal, digests, signed in rows:
        for leaf, said in proposal_entries.made_by(vault, Action.TABLE_APPROVE, principal, signed):
            try:
                project, panel = projects.load(vault, leaf["project"]), panels.by_name(vault, said["panel"])
            except InputError:
                continue  # one of them is gone
            asked = _approval(project.project_id, panel.panel_id, panel.dataset_id, said["alleles"], said["micronats"])
            with vault.books.read() as tx:
                settled = tx.get(TableApprovalRow, (project.project_id, panel.panel_id)) is not None
            if (asked.ref, asked.content) == digests and not settled:
                terms = panel.name, panel.version, panel.dataset, said["alleles"], said["micronats"], said["reason"]
                found.append(ProposedTable(project.code, *terms, principal, signed))
                break
    return sorted(found, key=lambda one: one.proposed)


def require_unanswered(tx: Transaction, project: Project) -> None:
    """Refuse a project that was told something already: a count, presence or a table.

    Raises:
        RefusedError: ``answered_before``.
    """
    own = budgets.owner(BudgetScope.PROJECT, project)
    mine = BudgetRow.scope == BudgetScope.PROJECT.value, BudgetRow.owner == own, BudgetRow.spent > 0
    if tx.scalar(select(BudgetRow.spent).where(*mine).limit(1)) is not None or frequency_tables.given(tx, project):
        raise RefusedError(
            "answered_before",
            f"project {project.code} has had answers: sites chosen after them could be chosen against somebody",
            hint="declare a new project, and approve its panels before it asks; or ask for counts",
        )


def price_of(vault: UnlockedVault, tx: Transaction, project: Project, panel: Panel) -> Micronats:
    """Price of a panel's table for a project, as two stewards signed it.

    Raises:
        RefusedError: ``table_not_approved``. IntegrityError: ``approval_missing``.
    """
    row = tx.get(TableApprovalRow, (project.project_id, panel.panel_id))
    if row is None:
        raise RefusedError(
            "table_not_approved",
            f"panel {panel.name} version {panel.version} is not approved for exact tables of {project.code}",
            hint=f"genovault table approve {project.code} --panel {panel.name}, before its first answer; or ask for counts",
        )
    _required(vault, tx, row)
    return row.nats


def list_of(vault: UnlockedVault, code: str) -> Sequence[ApprovedPanel]:
    """Panels that are approved for a project, by name and version.

    Raises:
        InputError: ``project_unknown``. IntegrityError: ``approval_missing``.
    """
    with vault.trail.attempting(Action.TABLE_LIST, project=code):
        project = projects.load(vault, code)
        known = {panel.panel_id: panel for panel in panels.list_all(vault)}
        with vault.books.read() as tx:
            rows = tx.scalars(select(TableApprovalRow).where(TableApprovalRow.project_id == project.project_id)).all()
            for row in rows:
                _required(vault, tx, row)
            held = [(known[row.panel_id], row) for row in rows if row.panel_id in known]
            found = [
                ApprovedPanel(one.name, one.version, one.dataset, row.alleles, row.nats, row.approved_by, row.proposed_by)
                for one, row in held
            ]
        vault.trail.record(Action.TABLE_LIST, Outcome.DONE, project=code)
    return sorted(found, key=lambda one: (one.panel, one.version))


def faults(vault: UnlockedVault) -> list[str]:
    """Approvals that are not as two stewards signed them, a line each."""
    return row_faults(
        vault,
        TableApprovalRow,
        lambda tx, row: _required(vault, tx, row),
        lambda _, error: f"a panel approved for exact tables: {error.message}",
    )


def _required(vault: UnlockedVault, tx: Transaction, row: TableApprovalRow) -> None:
    approval = _approval(ProjectId(row.project_id), row.panel_id, row.dataset_id, row.alleles, row.nats)
    approved, proposed = (row.approved_by, row.approved), (row.proposed_by, row.proposed)
    second_steward.require(vault, tx, approval, approved=approved, proposed=proposed)


def _approval(project_id: ProjectId, panel_id: bytes, dataset_id: bytes, alleles: int, price: Micronats) -> Approval:
    """The panel as it is approved for the project: what two stewards sign."""
    ref = sha256(encode_context("genovault/table-approval/v1", project_id, panel_id))
    content = sha256(encode_context("genovault/table-approved/v1", ref, dataset_id, alleles, price))
    return Approval(Action.TABLE_APPROVE, KIND, ref, content)
