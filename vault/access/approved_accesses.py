"""Approvals beside accesses for whoever checks the log: read from entries and their sealed details, never from the books.

An auditor's slot opens details and no record of a project, so nothing here needs more than audit-read. The signatures that approvals
rest on are looked up by what the log says was approved: a name in an entry that no signature backs is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

from vault.access import project_acts
from vault.audit.actions import Action
from vault.audit.reader import PAGE
from vault.audit.reports.approvals import SIGNED_ACTS, ProjectRecord, Step, approvals, wanted
from vault.audit.reports.outcomes import is_access
from vault.audit.reports.records import Filter, Record, record_of, records
from vault.crypto.keystore import Branch
from vault.session.approvals import made_by
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction


@dataclass(frozen=True)
class ApprovedAccesses:
    """Projects by code, and the entries whose act its principal did not sign."""

    projects: tuple[ProjectRecord, ...]
    unsigned: frozenset[int]
    replaced: frozenset[int]  # entries whose signature gave way to that of a later edit by the same principal
    terms_readable: bool  # details could be opened: accesses were held against the terms that were approved

    @property
    def outside(self) -> int:
        """Number of accesses that no approval covers."""
        return sum(bool(access.outside) for project in self.projects for access in project.accesses)

    @property
    def accesses(self) -> int:
        """Number of accesses."""
        return sum(len(project.accesses) for project in self.projects)


def examine(vault: UnlockedVault, *, first: int = 0, stop: int | None = None) -> ApprovedAccesses:
    """Set the accesses of the log, or of its entries from ``first`` to ``stop`` (exclusive), beside what they were approved by.

    What was done before to projects, and to requests that these entries name, is read, too; other requests are not told then.

    Raises:
        IntegrityError: ``audit_detail_missing``, ``audit_detail_altered``, ``entry_malformed``.
    """
    readable = vault.keyring.has(Branch.AUDIT_READ)
    found = approvals(_with_details(vault, _read(vault, first, stop), readable=readable))
    acts = [step for project in found for step in (*project.steps, *project.rulings) if step.act in SIGNED_ACTS]
    edited_again = frozenset(index for project in found for index in _edited_again(project))
    with vault.books.read() as tx:
        missing = frozenset(step.index for step in acts if vault.books.upgraded and not _signed(vault, tx, step))
    unsigned, replaced = missing - edited_again, missing & edited_again
    for project in found:
        project.accesses = [
            replace(access, outside=(*access.outside, "not_signed")) if access.approval in unsigned else access
            for access in project.accesses
        ]
    return ApprovedAccesses(tuple(found), unsigned, replaced, readable)


def _read(vault: UnlockedVault, first: int, stop: int | None) -> Iterator[Record]:
    """Records of a part of the log, with those before that it rests on, and those behind that end its accesses."""
    log = vault.trail.log
    if not first and stop is None:
        return records(log)
    part = list(records(log, Filter(first=first, stop=stop)))
    named = {record.request for record in part if record.request is not None}
    earlier = map(record_of, log.entries_at(project_acts.before(vault, first, named)))
    ends = log.closings([record.event for record in part if is_access(record)])
    later = sorted(entry.index for closing in ends.values() for entry in closing if stop is not None and entry.index >= stop)
    return chain(earlier, part, map(record_of, log.entries_at(later)))


def _with_details(
    vault: UnlockedVault, remaining: Iterator[Record], *, readable: bool
) -> Iterator[tuple[Record, Mapping[str, Any] | None]]:
    while page := list(islice(remaining, PAGE)):
        details = vault.trail.details([record.index for record in page if wanted(record)]) if readable else {}
        for record in page:
            yield record, details.get(record.index)


def _edited_again(project: ProjectRecord) -> list[int]:
    """Entries of edits of a draft that the same principal edited once more: of those of before, one signature is kept."""
    edits = [step for step in project.steps if step.act == Action.PROJECT_EDIT.value]
    return [step.index for at, step in enumerate(edits) if any(later.by == step.by for later in edits[at + 1 :])]


def _signed(vault: UnlockedVault, tx: Transaction, step: Step) -> bool:
    act = Action(step.act)
    if act is Action.PROJECT_RULE:
        return made_by(vault, tx, act, "ruling", step.by, ref=step.reference.encode())
    return made_by(vault, tx, act, "project", step.by, content=bytes.fromhex(step.digest))
