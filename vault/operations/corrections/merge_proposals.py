"""Merges that one steward proposed and no other has given yet: listed for stewards, and taken back by who proposed.

The signature (``vault.session.approvals``) tells who and when. Of whom it is lies in the sealed detail of its log entry, as handles, which
say nothing once one of them is erased.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from vault.access import second_steward
from vault.audit.actions import Action, Outcome
from vault.crypto.context import encode_context
from vault.crypto.keyring import Branch
from vault.crypto.primitives import sha256
from vault.errors import InputError
from vault.ids import SubjectId
from vault.operations.corrections.merge_job import Pair
from vault.session import proposal_entries
from vault.session.approvals import Approval
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ApprovalRow, SubjectRow
from vault.storage.timestamps import from_micros
from vault.subjects.references import ReferenceIndex, resolve

KIND = "subject_merge"  # of its approval
STAYS, GOES, REASON, ACCEPTED = "stays", "goes", "reason", "accepted"  # in the detail of its log entry


@dataclass(frozen=True)
class ProposedMerge:
    """A merge that waits for another steward. ``stays``, ``goes``: handles; ``accept``: although what is told of them differs."""

    pair: Pair
    stays: str
    goes: str
    accept: bool
    reason: str
    proposed_by: str
    proposed: datetime


def approval(pair: Pair, *, accept: bool) -> Approval:
    """Approval of a merge: of both, which of them stays, and whether differences were looked at."""
    about = encode_context("genovault/subject-merge/v1", pair.stays, pair.goes)
    return Approval(Action.SUBJECT_MERGE, KIND, sha256(about)[:16], sha256(about + bytes([accept])))


def detail(vault: UnlockedVault, pair: Pair, *, reason: str, accept: bool) -> dict[str, object]:
    """Sealed detail of the entry that proposes a merge."""
    stays, goes = ReferenceIndex(vault).handles(pair.both)
    return {REASON: reason, ACCEPTED: accept, STAYS: stays, GOES: goes}


def pending(vault: UnlockedVault) -> list[ProposedMerge]:
    """Merges that another steward can still give, the oldest first; the look is logged with whom it was at.

    Empty for a role that does not read the log's details.
    """
    found = _pending(vault)
    if found:
        people = sorted({subject for one in found for subject in one.pair.both})
        vault.trail.record(Action.CONSENT_QUEUE, Outcome.DONE, subjects=people, counts={"merges": len(found)})
    return found


def take_back(vault: UnlockedVault, stays: str, goes: str, *, reason: str) -> ProposedMerge:
    """Take back one's own proposal: nobody can agree to it any more.

    Raises:
        InputError: ``reason_missing``, ``reason_too_long``; ``subject_unknown``, ``subject_ambiguous``; ``not_proposed``: none of one's own waits.
    """
    with vault.trail.attempting(Action.SUBJECT_TAKE_BACK_MERGE):
        said = require_reason(reason)
        pair = Pair(resolve(vault, stays), resolve(vault, goes))
        own = [one for one in _pending(vault) if one.pair == pair and one.proposed_by == vault.principal]
        with vault.books.write() as tx:
            row = tx.get(ApprovalRow, (Action.SUBJECT_MERGE.value, KIND, approval(pair, accept=False).ref, vault.principal))
            if not own or row is None:
                message = "no merge of these two that you proposed waits for another steward"
                raise InputError("not_proposed", message, hint="genovault consent queue lists the proposals")
            tx.delete(row)
            vault.trail.append(tx, Action.SUBJECT_TAKE_BACK_MERGE, Outcome.DONE, subjects=pair.both, detail={REASON: said})
    return own[0]


def _pending(vault: UnlockedVault) -> list[ProposedMerge]:
    if not vault.keyring.has(Branch.AUDIT_READ):
        return []
    with vault.books.read() as tx:
        rows = [
            (row.principal, row.ref, row.content, from_micros(row.signed))
            for row in second_steward.proposals(vault, tx, Action.SUBJECT_MERGE, KIND)
        ]
    if not rows:
        return []
    active = _active(vault)
    found = []
    for principal, ref, content, signed in rows:
        for _, said in proposal_entries.made_by(vault, Action.SUBJECT_PROPOSE_MERGE, principal, signed):
            pair = _pair(vault, said)
            if pair is None:
                continue
            asked = approval(pair, accept=bool(said[ACCEPTED]))
            if (asked.ref, asked.content) == (ref, content) and active.issuperset(pair.both):
                made = ProposedMerge(pair, said[STAYS], said[GOES], bool(said[ACCEPTED]), said[REASON], principal, signed)
                found.append(made)
                break
    return sorted(found, key=lambda one: one.proposed)


def _pair(vault: UnlockedVault, said: Mapping[str, Any]) -> Pair | None:
    """The two whom a proposal names; None where it names nobody, or somebody who is gone."""
    try:
        return Pair(resolve(vault, said[STAYS]), resolve(vault, said[GOES]))
    except (InputError, KeyError):
        return None


def _active(vault: UnlockedVault) -> set[SubjectId]:
    with vault.books.read() as tx:
        return set(map(SubjectId, tx.scalars(select(SubjectRow.subject_id).where(SubjectRow.state == "active"))))
