"""Coverage: the share of subjects that a purpose could use, by reason; for a project, or for plain purposes when planning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select

from policies.purposes import RULABLE, Activity, Commitment, Organisation, Profit, Purpose, UseKind
from policies.reasons import Reason
from policies.term_matching import Effect
from vault.access import projects, view_profiles
from vault.audit.actions import Action, Outcome
from vault.audit.bands import banded
from vault.consent import cohort_decisions, ledger
from vault.genotypes.catalog import datasets
from vault.ids import SubjectId
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import SubjectRow
from vault.storage.database import Transaction


def _plain(*kinds: UseKind, action: Activity = Activity.RESEARCH) -> Purpose:
    return Purpose(
        kinds,
        action=action,
        commercial=False,
        genetic=True,
        commitments=tuple(Commitment),
        rulings=RULABLE,
        organisation=Organisation(profit=Profit.NON_PROFIT),
    )


PLAIN: Mapping[str, Purpose] = {
    "research of any kind": _plain(UseKind.GENERAL),
    "health research": _plain(UseKind.HMB),
    "ancestry research": _plain(UseKind.POA),
    "methods development": _plain(UseKind.METHODS),
    "clinical care": _plain(UseKind.CLINICAL_CARE, action=Activity.CLINICAL_CARE),
    "matching to treatments": _plain(UseKind.HMB, action=Activity.MATCHING),
}
"""Purposes of a not-for-profit organisation that makes every commitment and has every ruling: only consent limits them."""


@dataclass(frozen=True)
class Share:
    """Coverage of one purpose: number of subjects, in all and by effect and first reason, the largest first."""

    purpose: str
    people: int
    counts: tuple[tuple[Effect, Reason, int], ...]

    @property
    def usable(self) -> int:
        """Number of subjects whose data the purpose could use."""
        return sum(size for outcome, _, size in self.counts if outcome is Effect.PERMIT)


def coverage(vault: UnlockedVault, code: str | None = None) -> list[Share]:
    """Coverage of one project among the subjects of its datasets; without a project, of each plain purpose among all subjects.

    Raises:
        InputError: ``project_unknown``, ``dataset_unknown``.
    """
    with vault.trail.attempting(Action.CONSENT_COVERAGE):
        asked: dict[str, Purpose] = dict(PLAIN)
        names: Sequence[str] = ()
        declaration = None
        if code is not None:
            declaration = projects.load(vault, code).declaration
            asked, names = {code: declaration.purpose}, declaration.datasets
        ids = [datasets.by_name(vault, name).dataset_id for name in names]
        with vault.books.read() as tx:
            now = moment(vault, tx).at
            known = cohort_decisions.cached_decision_classes(vault, ledger.read(tx, vault))
            held = cohort_decisions.members(vault, tx, ids) if code is not None else _all_subjects(tx)
            left = declaration is not None and view_profiles.leaves_out(tx, declaration)
            shares = []
            for name, purpose in asked.items():
                request = cohort_decisions.decision_request(vault, tx, purpose, legal_at=now, datasets=ids, leave_out=left)
                counts = cohort_decisions.decide_members(known, held, request).counts()
                found = tuple((outcome, reason, size) for (outcome, reason), size in counts.items())
                shares.append(Share(name, len(held.subjects), found))
        asked_of = {"subjects": len(held.subjects)}
        vault.trail.record(
            Action.CONSENT_COVERAGE, Outcome.DONE, project=code, counts=banded(asked_of), detail={"counts": asked_of}
        )
    return shares


def usable(vault: UnlockedVault, subjects: Sequence[SubjectId]) -> tuple[tuple[str, int], ...]:
    """Number of these subjects whom each plain purpose could use now, in the order of ``PLAIN``.

    Raises:
        IntegrityError: as ``ledger.read``.
    """
    wanted = sorted(set(subjects))
    held = cohort_decisions.Members(wanted, np.zeros(len(wanted), np.int64))
    with vault.books.read() as tx:
        now = moment(vault, tx).at
        known = cohort_decisions.cached_decision_classes(vault, ledger.read(tx, vault))
        found = []
        for name, purpose in PLAIN.items():
            request = cohort_decisions.decision_request(vault, tx, purpose, legal_at=now)
            found.append((name, cohort_decisions.decide_members(known, held, request).tally().permit))
    return tuple(found)


def _all_subjects(tx: Transaction) -> cohort_decisions.Members:
    """All active subjects; their data count as gathered at time 0, since planning asks for no particular data."""
    query = select(SubjectRow.subject_id).where(SubjectRow.state == "active").order_by(SubjectRow.subject_id)
    subjects = [SubjectId(subject) for subject in tx.scalars(query)]
    return cohort_decisions.Members(subjects, np.zeros(len(subjects), np.int64))
