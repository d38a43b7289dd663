"""Subjects held, under random ids, with identities sealed apart from genotypes.

Every subject has four independent keys (genotype, identity, pseudonym salt, audit salt), made and durable before the subject is
(``vault.subjects.registration``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from vault.audit.actions import Action, Outcome
from vault.errors import UnavailableError
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import SubjectRow
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros
from vault.subjects.identities import Identity, open_identities
from vault.subjects.references import ReferenceIndex, resolve


@dataclass(frozen=True)
class SubjectSummary:
    """A registration without identifying data."""

    handle: str
    state: str
    created: str


def subject_show(vault: UnlockedVault, reference: str) -> tuple[SubjectSummary, Identity]:
    """Open one subject's identity; the access is logged before it is shown."""
    with vault.trail.attempting(Action.SUBJECT_SHOW):
        subject = resolve(vault, reference)
        identity = open_identities(vault, [subject])[subject]
        with vault.books.read() as tx:
            row = tx.get_one(SubjectRow, subject)
        vault.trail.record(Action.SUBJECT_SHOW, Outcome.DONE, subjects=[subject])
    return SubjectSummary(ReferenceIndex(vault).handle(subject), row.state, from_micros(row.created).date().isoformat()), identity


def require_held(tx: Transaction, subjects: Sequence[SubjectId]) -> None:
    """Refuse to add anything to subjects that were erased, or merged into another, meanwhile. Raises UnavailableError ``subject_erased``."""
    wanted = set(subjects)
    gone = tx.execute(select(SubjectRow.subject_id).where(SubjectRow.state != "active")).scalars()
    if not wanted.isdisjoint(gone):
        raise UnavailableError("subject_erased", "a person was erased or merged meanwhile", hint="repeat the command")


def count(tx: Transaction) -> int:
    """Subjects held, whatever their state."""
    return tx.scalar(select(func.count()).select_from(SubjectRow)) or 0
