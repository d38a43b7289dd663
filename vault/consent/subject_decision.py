"""Decision for one subject and one project, the same in a steward's explanation and in the subject's own export.

Its inputs are those of a release (``cohort_decisions``): the ledger head, the vault's rules, and the time of the newest data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from policies.decisions import Decision, decide
from policies.states import ConsentState
from vault.access import view_profiles
from vault.access.projects import Project
from vault.consent import cohort_decisions
from vault.genotypes.catalog import datasets, personal_parts
from vault.ids import DatasetId, SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import LayoutMemberRow, PartRow
from vault.storage.database import Transaction
from vault.storage.stored_types import largest
from vault.storage.timestamps import from_micros


@dataclass(frozen=True)
class SubjectDecision:
    """Decision, and the time of the subject's newest data in the project's datasets (None: they hold none)."""

    decision: Decision
    data_at: datetime | None


def decide_subject(
    vault: UnlockedVault, tx: Transaction, project: Project, subject: SubjectId, state: ConsentState, *, legal_at: datetime
) -> SubjectDecision:
    """Decide one project for one subject, from the subject's consent state.

    Raises:
        InputError: ``dataset_unknown``.
    """
    ids = [datasets.by_name(vault, name).dataset_id for name in project.declaration.datasets]
    data_at = newest_data(tx, subject, ids)
    declared = project.declaration
    left = view_profiles.leaves_out(tx, declared)
    request = cohort_decisions.decision_request(vault, tx, declared.purpose, legal_at=legal_at, datasets=ids, leave_out=left)
    decision = decide(
        state,
        request.purpose,
        legal_at=request.legal_at,
        ontology=request.ontology,
        rules=request.rules,
        data_at=data_at,
        understood=request.understood,
        placeable=request.placeable,
        leave_out=request.leave_out,
    )
    return SubjectDecision(decision, data_at)


def newest_data(tx: Transaction, subject: SubjectId, dataset_ids: list[DatasetId]) -> datetime | None:
    """Time of the newest import of the subject's genotypes into any of the datasets, None if they hold none."""
    query = (
        select(largest(PartRow.created))
        .join(LayoutMemberRow, LayoutMemberRow.layout_id == PartRow.layout_id)
        .where(LayoutMemberRow.subject_id == subject, PartRow.dataset_id.in_(dataset_ids), PartRow.compacted.is_(None))
    )
    own = [created for owner, created, _ in personal_parts.people(tx, dataset_ids) if owner == subject]
    newest = max([*own, *filter(None, [tx.scalar(query)])], default=None)
    return None if newest is None else from_micros(newest)
