"""Work queue of stewards: consents that end soon, guardians' signatures that lapse, and purposes that need a ruling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import select

from policies import reasons
from policies.acts import Acceptance
from policies.purposes import RULABLE
from policies.reasons import Reason
from policies.standing import end_of, sources
from policies.term_matching import Effect
from vault.access import (
    criteria_packs,
    declared_datasets,
    notice_records,
    project_versions,
    projects,
    recipients,
    requests,
    resolutions,
    rulings,
    view_profiles,
)
from vault.access.criteria_packs import KeptPack
from vault.access.disclosure import raises, table_approvals
from vault.access.disclosure.raises import ProposedRaise
from vault.access.disclosure.table_approvals import ProposedTable
from vault.access.notice_records import Notice
from vault.access.project_versions import ListedVersion
from vault.access.recipients import RecipientKey
from vault.access.request_records import Request
from vault.access.resolutions import Resolution
from vault.access.rulings import Ruling
from vault.audit.actions import Action, Outcome
from vault.consent import cohort_decisions, drop_lists, ledger, proposals
from vault.consent.proposals import Proposal
from vault.genotypes.catalog import datasets
from vault.ids import SubjectId
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import SubjectRow
from vault.storage.timestamps import to_micros
from vault.subjects.identities import open_identities
from vault.subjects.references import ReferenceIndex

MAJORITY, VALIDITY = "majority", "validity"
BY_RULING = (reasons.MODIFIER_NEEDS_RULING, reasons.TOPIC_NEEDS_RULING)


@dataclass(frozen=True)
class Due:
    """Consent that ends: the subject's handle, record number and samples, policy, time, and cause (``MAJORITY`` or ``VALIDITY``)."""

    handle: str
    mrn: str = field(repr=False)
    samples: tuple[str, ...] = field(repr=False)
    policy: str
    ends: datetime
    cause: str


@dataclass(frozen=True)
class Waiting:
    """Open question of a project, the number of subjects it holds back, and whether a ruling can settle it."""

    project: str
    reason: Reason
    people: int
    by_ruling: bool


@dataclass(frozen=True)
class Queue:
    """Open questions by project, the most subjects first, rulings and corrections that await a second steward, notices that await recipients.

    ``requests``: those that wait for an approval, the oldest first; ``versions``: drafts and amendments that do, with their project's code;
    ``resolutions``: requests to be told whose a pseudonym is.
    """

    waiting: tuple[Waiting, ...]
    unconfirmed: tuple[Ruling, ...]
    proposals: tuple[Proposal, ...]
    notices: tuple[Notice, ...] = ()
    late: int = 0  # of the notices
    requests: tuple[Request, ...] = ()
    versions: tuple[tuple[str, ListedVersion], ...] = ()
    recipients: tuple[RecipientKey, ...] = ()  # whose keys await confirmation
    resolutions: tuple[Resolution, ...] = ()
    packs: tuple[KeptPack, ...] = ()  # of criteria, which nobody approved yet
    raises: tuple[ProposedRaise, ...] = ()  # of budgets
    tables: tuple[ProposedTable, ...] = ()  # panels for exact tables


def expiring(vault: UnlockedVault, *, within: timedelta) -> list[Due]:
    """Consents in force that end within a time from now, the earliest first."""
    with vault.trail.attempting(Action.CONSENT_EXPIRING):
        now = vault.clock()
        with vault.books.read() as tx:
            known = cohort_decisions.cached_decision_classes(vault, ledger.read(tx, vault))
        low, high = to_micros(now), to_micros(now + within)
        ends: dict[SubjectId, list[tuple[str, datetime, str]]] = {}
        for group in known.groups:
            soon = np.zeros(len(group.subjects), bool)
            for times in group.times:
                if times.slot >= 0 or times.months:
                    soon |= (times.values > low) & (times.values <= high)
            for at in np.flatnonzero(soon).tolist():
                subject = known.columns.subject_id(int(group.subjects[at]))
                granting = sources(known.state(group, at), legal_at=now).granting
                due = [(name, acceptance, _end(acceptance)) for name, acceptance in granting]
                ending = [
                    (name, acceptance, end) for name, acceptance, end in due if end is not None and now < end <= now + within
                ]
                if ending:
                    ends[subject] = [(n, end, MAJORITY if a.lapse == end else VALIDITY) for n, a, end in ending]
        concerned = _held(vault, ends)
        vault.trail.record(Action.CONSENT_EXPIRING, Outcome.DONE, subjects=concerned, counts={"subjects": len(concerned)})
        index, identities = ReferenceIndex(vault), open_identities(vault, concerned)
    found = [
        Due(index.handle(subject), identities[subject].mrn, identities[subject].samples, *due)
        for subject in concerned
        for due in ends[subject]
    ]
    return sorted(found, key=lambda due: (due.ends, due.mrn, due.samples, due.handle, due.policy))


def _held(vault: UnlockedVault, subjects: Iterable[SubjectId]) -> list[SubjectId]:
    """Those who are neither erased nor merged into another registration."""
    wanted = set(subjects)
    with vault.books.read() as tx:
        held = tx.scalars(select(SubjectRow.subject_id).where(SubjectRow.state == "active"))
        return sorted(SubjectId(subject) for subject in held if subject in wanted)


def queue(vault: UnlockedVault) -> Queue:
    """Open questions of all draft and approved projects, unconfirmed rulings, corrections that were proposed, and open notices.

    Notices are brought up to date first.
    """
    with vault.trail.attempting(Action.CONSENT_QUEUE):
        waiting: list[Waiting] = []
        open_projects = [p for p in projects.list_all(vault) if p.state in {projects.DRAFT, projects.APPROVED}]
        for project in open_projects:
            with vault.books.read() as tx:
                absent = declared_datasets.missing(tx, project.declaration)  # of a draft: nobody is held back in them
            held = [name for name in project.declaration.datasets if name not in absent]
            ids = [datasets.by_name(vault, name).dataset_id for name in held]
            with vault.books.read() as tx:
                now = moment(vault, tx).at
                purpose, left = project.declaration.purpose, view_profiles.leaves_out(tx, project.declaration)
                decided = cohort_decisions.decide(vault, tx, purpose, ids, legal_at=now, leave_out=left)
            waiting += _open_questions(project.code, decided.verdicts)
        concerned = proposals.people(vault)
        vault.trail.record(Action.CONSENT_QUEUE, Outcome.DONE, subjects=concerned, counts={"questions": len(waiting)})
        proposed = tuple(proposals.pending(vault, concerned))
        told = tuple(notice for notice in drop_lists.bring_up_to_date(vault) if notice.state == notice_records.OPEN)
        late = sum(notice.overdue(vault.clock()) for notice in told)
    waiting.sort(key=lambda item: (item.project, -item.people, item.reason))
    asked, versions = tuple(requests.waiting(vault)), tuple(project_versions.proposed(vault))
    keys = tuple(key for key in recipients.list_all(vault) if key.state == recipients.ADDED)
    whose = tuple(resolutions.waiting(vault))
    packs = tuple(criteria_packs.waiting(vault))
    more, tables = tuple(raises.waiting(vault)), tuple(table_approvals.waiting(vault))
    return Queue(
        tuple(waiting), tuple(rulings.waiting(vault)), proposed, told, late, asked, versions, keys, whose, packs, more, tables
    )


def _open_questions(code: str, verdicts: cohort_decisions.Verdicts) -> list[Waiting]:
    sizes = np.bincount(verdicts.index, minlength=len(verdicts.verdicts)).tolist()
    counts: dict[Reason, int] = {}
    for verdict, size in zip(verdicts.verdicts, sizes, strict=True):
        if verdict.outcome is Effect.REVIEW:
            for reason in verdict.reasons:
                counts[reason] = counts.get(reason, 0) + size
    return [
        Waiting(code, reason, people, reason.code in BY_RULING and reason.about in RULABLE)
        for reason, people in counts.items()
        if people
    ]


def _end(acceptance: Acceptance) -> datetime | None:
    """Earliest end of an acceptance over all its alternatives."""
    alternatives = acceptance.answer.terms.alternatives if acceptance.answer.terms is not None else ()
    ends = [end_of(acceptance, item.modifiers) for item in alternatives] or [end_of(acceptance, ())]
    return min((end for end in ends if end is not None), default=None)
