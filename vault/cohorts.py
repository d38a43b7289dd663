"""Deciding a cohort: every subject of a dataset, from every subject's own consent, at one moment.

The same function serves ``project check`` and the gate, so what a steward was told is what a release does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session as Transaction

from policies import consent, obligations
from policies.decisions import Cohort, Tally, decide_states, tally
from policies.matching import Outcome
from policies.obligations import Obligations
from policies.purposes import Purpose
from vault import ledger
from vault.audit.heads import consent_head
from vault.errors import IntegrityError
from vault.ids import DatasetId, SubjectId
from vault.session import Session
from vault.storage.books import PartMemberRow, PartRow

ENFORCED = frozenset(obligations.UNDERSTOOD) - {"max_bits", "watermark", "no_download"}
"""The duties this vault can keep on an extract; a consent that asks for another one refuses the release."""


@dataclass(frozen=True)
class Decided:
    """Who may be released, what it obliges to, and the ledger head that it rests on."""

    permitted: tuple[SubjectId, ...]
    tally: Tally
    obligations: Obligations
    head: ledger.Head


def decide(session: Session, tx: Transaction, purpose: Purpose, datasets: Sequence[DatasetId], *, legal_at: datetime) -> Decided:
    """Decide all subjects of some datasets as the transaction sees the ledger.

    Raises:
        IntegrityError: ``consent_ledger_altered``; ``consent_ledger_behind``: the log knows of events that the ledger lacks.
    """
    subjects = members(tx, datasets)
    book = ledger.read(tx, session.vault_id, only=subjects)
    require_logged(tx, book.head)
    empty = consent.fold((), head=book.head.seq)
    states = [consent.fold(book.events[s], head=book.head.seq) if s in book.events else empty for s in subjects]
    cohort = decide_states(states, purpose, legal_at=legal_at, understood=ENFORCED)
    permitted = tuple(s for s, outcome in zip(subjects, cohort.outcomes(), strict=True) if outcome is Outcome.PERMIT)
    return Decided(permitted, tally(cohort), _duties(cohort), book.head)


def members(tx: Transaction, datasets: Sequence[DatasetId]) -> list[SubjectId]:
    """Subjects with genotypes in any of the datasets, in the order of their random ids."""
    query = (
        select(PartMemberRow.subject_id)
        .join(PartRow, PartRow.part_id == PartMemberRow.part_id)
        .where(PartRow.dataset_id.in_(datasets))
        .distinct()
        .order_by(PartMemberRow.subject_id)
    )
    return [SubjectId(subject) for subject in tx.scalars(query)]


def require_logged(tx: Transaction, head: ledger.Head) -> None:
    """Refuse a ledger that is not the one the log last spoke of.

    Raises:
        IntegrityError: ``consent_ledger_behind``.
    """
    known = consent_head(tx)
    same = head.seq == 0 if known is None else (known.seq, known.head) == (head.seq, head.digest)
    if not same:
        raise IntegrityError(
            "consent_ledger_behind",
            "the consent ledger and the audit log disagree on what was recorded",
            hint="run genovault doctor",
        )


def _duties(cohort: Cohort) -> Obligations:
    permitted = {at for at in cohort.index if cohort.verdicts[at].outcome is Outcome.PERMIT}
    return obligations.merge(cohort.verdicts[at].obligations for at in sorted(permitted))
