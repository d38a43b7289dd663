"""Corrections that one steward proposed and no other has given yet (docs/design/consent.md §4.2).

The signature (``vault.session.approvals``) tells who proposed and when. What was asked for lies in the sealed detail of its log entry, sealed
once more under the person's identity key, so that it goes with the person.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from policies.consent import CorrectionKind, SignerRole
from policies.stated_times import Stated
from vault.access import second_steward
from vault.audit.actions import Action, Outcome
from vault.audit.entry import decode_leaf
from vault.consent import ledger
from vault.consent.corrected_events import Amendment
from vault.consent.ledger import Ledger
from vault.crypto.context import encode_context
from vault.crypto.envelope import Binding, open_blob, seal_blob
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keyring import Branch
from vault.crypto.primitives import hmac_sha256
from vault.crypto.secret import Secret
from vault.errors import InputError
from vault.ids import SubjectId
from vault.session.approvals import Approval
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ApprovalRow, SubjectRow
from vault.storage.timestamps import from_micros
from vault.subjects.people_words import who

KIND = "consent_correction"  # of its approval
ASKED = "asked"  # name of the sealed part in the detail of the log entry
_COLLECTION = "consent_proposal"


@dataclass(frozen=True)
class AskedCorrection:
    """A correction as a steward asked for it. ``evidence``: SHA-256 in hex; ``after``: ``seq`` of the person's last event then."""

    reason: str
    amendment: Amendment
    evidence: str
    clock_checked: bool
    after: int

    def differs(self, other: AskedCorrection) -> tuple[str, ...]:
        """Parts in which another asks for something else, in words."""
        parts = {
            "kind": self.amendment.kind is not other.amendment.kind,
            "evidence": self.evidence != other.evidence,
            "what is said rightly": self.amendment != other.amendment,
        }
        return tuple(name for name, differs in parts.items() if differs)


@dataclass(frozen=True)
class Proposal:
    """A correction that waits for another steward: ``who`` is the person in words, ``content`` the digest that was signed, 32 bytes."""

    event_id: str
    subject: SubjectId = field(repr=False)
    who: str = field(repr=False)
    proposed_by: str
    proposed: datetime
    content: bytes
    asked: AskedCorrection

    @property
    def kind(self) -> CorrectionKind:
        """Choice between an event that never was and one that was otherwise."""
        return self.asked.amendment.kind


def approval(vault: UnlockedVault, subject: SubjectId, event_id: str, said: bytes, *, after: int, evidence: str) -> Approval:
    """Approval of a correction: of the event, of all that it says (``said``), of its evidence, and of the history that it was read in.

    Keyed by the person: the digest is clear in the books, and names and papers can be guessed.
    """
    context = encode_context("genovault/consent-correction/v2", after, said, evidence)
    key = vault.keys.open(KeyPurpose.IDENTITY, subject)
    return Approval(Action.CONSENT_CORRECT, KIND, event_id.encode(), hmac_sha256(key.secret.reveal(), context))


def sealed(vault: UnlockedVault, subject: SubjectId, asked: AskedCorrection, content: bytes) -> str:
    """Proposal for the detail of the log entry: base64 of a blob under the person's identity key."""
    said = asked.amendment
    document = {
        "content": content.hex(),
        "reason": asked.reason,
        "evidence": asked.evidence,
        "clock_checked": asked.clock_checked,
        "after": asked.after,
        "at": None if said.at is None else said.at.isoformat(),
        "answers": dict(said.answers),
        "signer": None if said.signer is None else said.signer.value,
        "signed_by": said.signed_by,
        "checked": said.checked,
    }
    secret, binding = _bound(vault, subject)
    return b64encode(seal_blob(secret, binding, json.dumps(document).encode(), random=vault.random)).decode()


def people(vault: UnlockedVault) -> list[SubjectId]:
    """Those of whose consent a correction may wait, for the entry of whoever lists them."""
    with vault.books.read() as tx:
        book = ledger.read(tx, vault)
        held = {_subject(book, row) for row in second_steward.proposals(vault, tx, Action.CONSENT_CORRECT, KIND)} - {None}
        active = tx.scalars(select(SubjectRow.subject_id).where(SubjectRow.state == "active", SubjectRow.subject_id.in_(held)))
        return sorted(map(SubjectId, active))


def pending(vault: UnlockedVault, of: Collection[SubjectId]) -> list[Proposal]:
    """Proposals about these people, oldest first, that another steward can still agree to. Callers log the access.

    Empty for a role that does not read the log's details.
    """
    if not vault.keyring.has(Branch.AUDIT_READ):
        return []
    with vault.books.read() as tx:
        book = ledger.read(tx, vault)
        rows = [
            (subject, row.ref.decode(), row.principal, row.content, from_micros(row.signed))
            for row in second_steward.proposals(vault, tx, Action.CONSENT_CORRECT, KIND)
            if (subject := _subject(book, row)) in of and subject is not None
        ]
    found = []
    for subject, event_id, principal, content, signed in rows:
        asked = _asked(vault, subject, principal, content)
        if asked is not None and asked.after == book.events_of(subject)[-1].seq:
            found.append(Proposal(event_id, subject, who(vault, subject), principal, signed, content, asked))
    return sorted(found, key=lambda one: one.proposed)


def of_event(vault: UnlockedVault, subject: SubjectId, event_id: str) -> dict[str, Proposal]:
    """Proposals about one event of a person, by the steward who made them."""
    return {one.proposed_by: one for one in pending(vault, [subject]) if one.event_id == event_id}


def take_back(vault: UnlockedVault, event_id: str, *, reason: str) -> Proposal:
    """Take back one's own proposal: nobody can agree to it any more.

    Raises:
        InputError: ``reason_missing``, ``reason_too_long``, ``event_unknown``; ``not_proposed``: none of one's own waits.
    """
    with vault.trail.attempting(Action.CONSENT_TAKE_BACK_PROPOSAL):
        said = require_reason(reason)
        with vault.books.read() as tx:
            subject = ledger.read(tx, vault).subject_of(event_id)
        if subject is None:
            raise InputError("event_unknown", "there is no such event", hint="genovault consent queue lists the proposals")
        mine = of_event(vault, subject, event_id).get(vault.principal)
        with vault.books.write() as tx:
            row = tx.get(ApprovalRow, (Action.CONSENT_CORRECT.value, KIND, event_id.encode(), vault.principal))
            book = ledger.read(tx, vault)
            if mine is None or row is None or row.content != mine.content or book.events_of(subject)[-1].seq != mine.asked.after:
                message = "no correction of this event that you proposed waits for another steward"
                raise InputError("not_proposed", message, hint="genovault consent queue lists the proposals")
            tx.delete(row)
            detail = {"event": event_id, "kind": mine.kind, "reason": said}
            vault.trail.append(tx, Action.CONSENT_TAKE_BACK_PROPOSAL, Outcome.DONE, subjects=[subject], detail=detail)
    return mine


def _asked(vault: UnlockedVault, subject: SubjectId, principal: str, content: bytes) -> AskedCorrection | None:
    """Proposal of a steward by the newest entry that says so, or None: it was no proposal, or one of before what was asked was kept."""
    log, act = vault.trail.log, Action.CONSENT_PROPOSE_CORRECTION.value
    tokens = vault.subject_keys.all_tokens([subject]).get(subject, [])
    for entry in reversed(log.entries_at(log.entries_of(*tokens))):
        leaf = None if entry.leaf is None else decode_leaf(entry.leaf)
        if leaf is None or (leaf["act"], leaf["actor"]["id"]) != (act, principal):
            continue
        text = (vault.trail.detail(entry.index) or {}).get(ASKED)
        if text is None:
            continue
        secret, binding = _bound(vault, subject)
        document = json.loads(open_blob(secret, binding, b64decode(text)))
        if document["content"] == content.hex():
            return _read(document)
    return None


def _read(document: Mapping[str, Any]) -> AskedCorrection:
    signer = document["signer"]
    amendment = Amendment(
        _stated(document["at"]),
        document["answers"],
        None if signer is None else SignerRole(signer),
        document["signed_by"],
        document["checked"],
    )
    return AskedCorrection(document["reason"], amendment, document["evidence"], document["clock_checked"], document["after"])


def _stated(text: str | None) -> Stated | None:
    if text is None:
        return None
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _subject(book: Ledger, row: ApprovalRow) -> SubjectId | None:
    return book.subject_of(row.ref.decode())


def _bound(vault: UnlockedVault, subject: SubjectId) -> tuple[Secret, Binding]:
    key = vault.keys.open(KeyPurpose.IDENTITY, subject)
    binding = Binding(
        vault_id=vault.vault_id,
        collection=_COLLECTION,
        record_id=b"",
        subject_id=subject,
        key_id=key.key_id,
        key_version=key.version,
        content_type=f"genovault/{_COLLECTION}/1",
    )
    return key.secret, binding
