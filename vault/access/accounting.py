"""The accounting for one person: what left the vault about them, when, to whom, what and why, out of the log alone.

An access is an intent and its outcome. ``done`` was disclosed; ``refused``, ``failed`` and ``aborted`` were not, because nothing
becomes visible before the outcome is in the log, and ``done`` stands whatever a later entry says; an intent without an outcome counts as disclosed (``assumed``). Erasure destroys
the link from person to entries: what was disclosed before stays in the log and names nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

from vault.audit.actions import Action, Outcome, ending
from vault.audit.reader import LogEntry
from vault.audit.reports.records import Record, record_of
from vault.crypto.keystore import Branch
from vault.errors import InputError, UnavailableError
from vault.ids import AuditToken
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects import references

INTENTS = (Action.VIEW_INTENT.value, Action.EXTRACT_INTENT.value)
DISCLOSED, ASSUMED = Outcome.DONE.value, "assumed"
PACK = "accounting-2026-11-22.json"
_TOKEN = "hmac-sha256:"  # noqa: S105 - how audit tokens begin


@dataclass(frozen=True)
class Disclosure:
    """One access to the person's genotypes. ``what`` and ``recipients`` are sealed for auditors: empty without audit-read."""

    index: int
    time: str
    actor: str
    asserted_for: str | None
    project: str | None
    request: str | None
    release: str | None
    purpose: str | None
    ended: str  # done | refused | failed | aborted | assumed
    outcome_index: int | None
    recipients: tuple[str, ...] = ()
    what: Mapping[str, Any] = field(default_factory=dict)

    @property
    def disclosed(self) -> bool:
        """Whether the person has to be told that it left."""
        return self.ended in {DISCLOSED, ASSUMED}


@dataclass(frozen=True)
class Paragraph:
    """What a law wants of an accounting, in our words, with where that was read and when."""

    law: str
    paragraph: str
    says: str
    source: str
    read: str


@dataclass(frozen=True)
class Accounting:
    """Everything that the log says of one person."""

    tokens: tuple[AuditToken, ...]
    disclosures: tuple[Disclosure, ...]  # oldest first
    other: tuple[Record, ...]  # entries about them that are no access to genotypes: consent, identity, restriction …
    pack: str
    paragraphs: tuple[Paragraph, ...]


def of(vault: UnlockedVault, who: str) -> Accounting:
    """The accounting for the person whom an audit token or (for those who know identities) a REF names.

    Raises:
        IntegrityError: ``audit_set_altered``, ``log_incomplete``: what is stored would not give all of them.
        InputError: ``subject_unknown``, ``subject_ambiguous``; ``token_unknown``: no entry has this token.
    """
    with vault.trail.attempting(Action.AUDIT_DISCLOSURES):
        tokens = tokens_of(vault, who)
        indices = vault.trail.log.entries_of(*tokens)
        if not indices and who.startswith(_TOKEN):
            raise InputError("token_unknown", "no entry of the log has this audit token")
        entries = vault.trail.log.entries_at(indices)
        made = _accounting(vault, tokens, entries)
        # The read is about this person too: named by a token, so that it is found the next time.
        event = vault.trail.event(Action.AUDIT_DISCLOSURES, Outcome.DONE, counts={"disclosures": len(made.disclosures)})
        vault.trail.record_event(replace(event, subjects=tokens[-1:]))
    return made


def tokens_of(vault: UnlockedVault, who: str) -> tuple[AuditToken, ...]:
    """Every token that entries may name a person by, oldest first. Raises as ``of``."""
    if who.startswith(_TOKEN):
        return (AuditToken(who),)
    if not vault.keyring.has(Branch.IDENTITY):
        raise UnavailableError(
            "branch_closed", "the identity keys are not open to this role", hint="name the person by audit token, hmac-sha256:…"
        )
    subject = references.resolve(vault, who)
    return tuple(vault.subject_keys.all_tokens([subject]).get(subject, ()))


def paragraphs() -> tuple[str, tuple[Paragraph, ...]]:
    """(version, paragraphs) of the pack that comes with the program."""
    document = json.loads(resources.files("policies.packs").joinpath(PACK).read_text("utf-8"))
    return document["version"], tuple(Paragraph(**paragraph) for paragraph in document["paragraphs"])


def _accounting(vault: UnlockedVault, tokens: Sequence[AuditToken], entries: Sequence[LogEntry]) -> Accounting:
    found = [record_of(entry) for entry in entries]
    intents = [record for record in found if record.act in INTENTS and record.outcome == Outcome.INTENT.value]
    closings = vault.trail.log.closings([record.event for record in intents])
    on_progress = {record.index for record in intents}
    version, texts = paragraphs()
    return Accounting(
        tuple(tokens),
        tuple(_disclosure(vault, record, closings.get(record.event, [])) for record in intents),
        tuple(record for record in found if record.index not in on_progress),
        version,
        texts,
    )


def _disclosure(vault: UnlockedVault, intent: Record, closings: Sequence[LogEntry]) -> Disclosure:
    # The index leads here; the leaf itself has to say that it closes this intent.
    ends = [record for record in map(record_of, closings) if record.refers == intent.event]
    ended = ending(record.outcome for record in ends)
    outcome_index = next((record.index for record in ends if record.outcome == ended), None)
    detail = dict((vault.trail.detail(intent.index) if vault.keyring.has(Branch.AUDIT_READ) else None) or {})
    kind, _, release = (intent.object or "").partition(":")
    return Disclosure(
        index=intent.index,
        time=intent.time,
        actor=intent.actor or "",
        asserted_for=intent.asserted_for,
        project=intent.project,
        request=intent.request,
        release=release if kind == "release" else None,
        purpose=intent.purpose,
        ended=ended or ASSUMED,
        outcome_index=outcome_index,
        recipients=tuple(detail.pop("recipients", ())),
        what=detail,
    )
