"""Accounting of disclosures (45 CFR 164.528, GDPR Art. 15): each access to one subject's genotypes, from the log alone.

An access is an intent and its outcome, or a read, which is one entry that says ``done``. ``done`` was disclosed, whatever a later entry says; ``refused``, ``failed`` and ``aborted`` were
not, because nothing becomes visible before the outcome is in the log. An intent without an outcome counts as disclosed (``assumed``); of counts
and frequencies it does not: they leave in the transaction of their outcome (``aborted``).
Erasure destroys the link from subject to entries: earlier disclosures stay in the log and are linked to no one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import resources
from typing import Any

from vault.audit.actions import Action, Outcome
from vault.audit.reader import LogEntry
from vault.audit.reports.outcomes import ended, is_access, is_count
from vault.audit.reports.records import Filter, Record, record_of
from vault.crypto.keystore import Branch
from vault.errors import InputError, UnavailableError
from vault.ids import AuditToken
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects import references, registrations

DISCLOSED, ASSUMED = Outcome.DONE.value, "assumed"
_KINDS = {
    Action.VIEW_INTENT.value: "view",
    Action.VIEW_READ.value: "view",
    Action.EXTRACT_INTENT.value: "extract",
    Action.MATCH_INTENT.value: "matching",
    Action.COUNTS_ANSWER.value: "counts",
    Action.TABLE_ANSWER.value: "frequencies",
}
PACK = "accounting-2026-11-22.json"
_TOKEN = "hmac-sha256:"  # noqa: S105 - how audit tokens begin


@dataclass(frozen=True)
class Disclosure:
    """One access to the subject's genotypes, or numbers of many people that they are among. ``kind``: view, extract, matching, counts, presence or frequencies;
    without audit-read presence is counts. ``what`` and ``recipients`` are sealed for auditors: empty without audit-read.
    """

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
    kind: str
    recipients: tuple[str, ...] = ()
    what: Mapping[str, Any] = field(default_factory=dict)

    @property
    def disclosed(self) -> bool:
        """True if the access counts as a disclosure."""
        return self.ended in {DISCLOSED, ASSUMED}


@dataclass(frozen=True)
class Paragraph:
    """Requirement of a law for an accounting, paraphrased, with source and date of reading."""

    law: str
    paragraph: str
    says: str
    source: str
    read: str


@dataclass(frozen=True)
class Accounting:
    """Entries of the log about one subject."""

    tokens: tuple[AuditToken, ...]
    disclosures: tuple[Disclosure, ...]  # oldest first
    other: tuple[Record, ...]  # entries that are no access to genotypes: consent, identity, restriction …
    pack: str
    paragraphs: tuple[Paragraph, ...]


def account_for(vault: UnlockedVault, who: str, *, since: datetime | None = None, until: datetime | None = None) -> Accounting:
    """Make the accounting for the subject named by an audit token or, with the identity branch, by a reference.

    ``since``, ``until`` (exclusive): only entries of this time; an access is of the time at which it began.

    Raises:
        IntegrityError: ``audit_set_altered``, ``log_incomplete``: the stored entries are incomplete.
        InputError: ``subject_unknown``, ``subject_ambiguous``; ``token_unknown``: no entry has this token.
    """
    with vault.trail.attempting(Action.AUDIT_DISCLOSURES):
        tokens = tokens_of(vault, who)
        indices = vault.trail.log.entries_of(*tokens)
        if not indices and who.startswith(_TOKEN):
            raise InputError("token_unknown", "no entry of the log has this audit token")
        entries = vault.trail.log.entries_at(indices)
        made = _accounting(vault, tokens, entries, Filter(since=since, until=until))
        # This read concerns the subject too: named by token, it is part of the next accounting.
        event = vault.trail.event(Action.AUDIT_DISCLOSURES, Outcome.DONE, counts={"disclosures": len(made.disclosures)})
        vault.trail.record_event(replace(event, subjects=tokens[-1:]))
    return made


def tokens_of(vault: UnlockedVault, who: str) -> tuple[AuditToken, ...]:
    """All audit tokens of a subject, oldest first. Raises as ``account_for``; UnavailableError ``branch_closed``."""
    if who.startswith(_TOKEN):
        return (AuditToken(who),)
    if not vault.keyring.has(Branch.IDENTITY):
        raise UnavailableError(
            "branch_closed", "the identity keys are not open to this role", hint="name the person by audit token, hmac-sha256:…"
        )
    people = registrations.all_of(vault, references.resolve(vault, who))
    found = vault.subject_keys.all_tokens(people)
    return tuple(token for one in reversed(people) for token in found.get(one, ()))


def paragraphs() -> tuple[str, tuple[Paragraph, ...]]:
    """(version, paragraphs) of the pack that ships with the program."""
    document = json.loads(resources.files("policies.packs").joinpath(PACK).read_text("utf-8"))
    return document["version"], tuple(Paragraph(**paragraph) for paragraph in document["paragraphs"])


def _accounting(vault: UnlockedVault, tokens: Sequence[AuditToken], entries: Sequence[LogEntry], wanted: Filter) -> Accounting:
    found = [record for record in map(record_of, entries) if wanted.holds(record)]
    intents = [record for record in found if is_access(record) or is_count(record)]
    on_progress = {record.index for record in intents}
    version, texts = paragraphs()
    return Accounting(
        tuple(tokens),
        _disclosures(vault, intents),
        tuple(record for record in found if record.index not in on_progress),
        version,
        texts,
    )


def disclosures(vault: UnlockedVault, tokens: Sequence[AuditToken]) -> tuple[Disclosure, ...]:
    """Accesses to the genotypes of the subject with these tokens, and numbers that they are among, oldest first; the caller logs that they were looked at.

    Raises IntegrityError as ``account_for``.
    """
    found = map(record_of, vault.trail.log.entries_at(vault.trail.log.entries_of(*tokens)))
    return _disclosures(vault, [record for record in found if is_access(record) or is_count(record)])


def _disclosures(vault: UnlockedVault, intents: Sequence[Record]) -> tuple[Disclosure, ...]:
    closings = vault.trail.log.closings([record.event for record in intents])
    readable = vault.keyring.has(Branch.AUDIT_READ)
    details = vault.trail.details([record.index for record in intents]) if readable else {}
    return tuple(_disclosure(record, closings.get(record.event, []), details.get(record.index)) for record in intents)


def _disclosure(intent: Record, closings: Sequence[LogEntry], said: Mapping[str, Any] | None) -> Disclosure:
    # The index may be edited; the leaf itself must refer to this intent.
    end = ended(intent, map(record_of, closings))
    detail = dict(said or {})
    for others in ("counts", "reasons"):  # of everybody who was asked about: nothing of this subject
        detail.pop(others, None)
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
        ended=_unsaid(intent) if end is None or end.outcome is None else end.outcome,
        outcome_index=None if end is None else end.index,
        kind=str(detail.pop("kind", _KINDS.get(intent.act or "", ""))),
        recipients=tuple(detail.pop("recipients", ())),
        what=detail,
    )


def _unsaid(intent: Record) -> str:
    """Assumption about an access that never said how it ended."""
    return ASSUMED if is_access(intent) else Outcome.ABORTED.value
