"""People of whom recipients may have to be told, found by whole cohorts: names that left, those in notices, and whom a purpose covers now.

Their own history decides (``drop_lists``). A name that left is looked for where its owner is not covered and no notice has it, or is covered
and a notice does.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from policies.decisions import DecisionRequest
from vault.access import declared_datasets, left_sets, notice_records, notices, projects, release_names, view_profiles
from vault.access.left_sets import LeftSet
from vault.access.projects import Project
from vault.consent import cohort_decisions, ledger
from vault.genotypes.catalog import datasets
from vault.ids import DatasetId, SubjectId
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.subjects import registrations
from vault.subjects.references import ReferenceIndex, resolve


def find(vault: UnlockedVault) -> list[SubjectId]:
    """People whose notices may have to change, in the order of their random ids.

    Raises:
        IntegrityError: a stored set, a record or a notice was altered.
    """
    left: dict[str, list[LeftSet]] = {}
    for code, one in left_sets.everything(vault):
        left.setdefault(code, []).append(one)
    told: dict[str, set[str]] = {}
    for notice in notices.list_all(vault):
        if notice.state in notice_records.IN_FORCE:
            told.setdefault(notice.ref, set()).update(drop.pseudonym for drop in notice.in_force)
    found: set[SubjectId] = set()
    for code, sets in left.items():
        found |= _of_project(vault, projects.load(vault, code), sets, told)
    return sorted(_people(vault, found))


def decision_request(
    vault: UnlockedVault, tx: Transaction, project: Project, now: datetime
) -> tuple[list[DatasetId], DecisionRequest]:
    """Datasets of a project that are there, and the decision on its purpose at a time."""
    missing = set(declared_datasets.missing(tx, project.declaration))
    ids = [datasets.by_name(vault, name).dataset_id for name in project.declaration.datasets if name not in missing]
    purpose, left = project.declaration.purpose, view_profiles.leaves_out(tx, project.declaration)
    return ids, cohort_decisions.decision_request(vault, tx, purpose, legal_at=now, datasets=ids, leave_out=left)


def _of_project(vault: UnlockedVault, project: Project, sets: Iterable[LeftSet], told: dict[str, set[str]]) -> set[SubjectId]:
    covered = _covered(vault, project)
    named: dict[tuple[str, int], dict[SubjectId, str]] = {}
    owners: dict[bytes, set[SubjectId]] = {}
    found: set[SubjectId] = set()
    for one in sets:
        if one.digest not in owners:
            owners[one.digest] = set(vault.subject_keys.owners_of(vault.trail.log.subjects_of(one.digest)))
        people = owners[one.digest]
        key = release_names.domain_of(project, one.release_id), one.names
        known = named.setdefault(key, {})
        fresh = sorted(people - known.keys())
        known |= dict(zip(fresh, release_names.names_told(vault, project, one.release_id, fresh, version=one.names), strict=True))
        dropped = told.get(one.ref, set())
        found |= {subject for subject in people if (known[subject] in dropped) == (subject in covered)}
    return found


def _covered(vault: UnlockedVault, project: Project) -> set[SubjectId]:
    """People of the project's datasets whom its purpose covers now."""
    with vault.books.read() as tx:
        ids, request = decision_request(vault, tx, project, moment(vault, tx).at)
        members = cohort_decisions.members(vault, tx, ids)
        known = cohort_decisions.cached_decision_classes(vault, ledger.read(tx, vault))
        verdicts = cohort_decisions.decide_members(known, members, request)
    return {subject for subject, allowed in zip(members.subjects, verdicts.permits().tolist(), strict=True) if allowed}


def _people(vault: UnlockedVault, found: set[SubjectId]) -> set[SubjectId]:
    """The registrations that stay: one that was merged into another stands for that one."""
    merged = found.intersection(registrations.of_nobody_else(vault))
    index = ReferenceIndex(vault)
    return (found - merged) | {resolve(vault, f"id:{index.handle(one)}") for one in merged}
