"""Releases and holdings that have one person's data, by what the log says: the books of releases can be edited, and an outcome cannot be taken back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select

from vault.access import holdings, projects, read_terms, releases
from vault.access.notice_records import HOLDING, RELEASE
from vault.access.projects import Project
from vault.access.releases import ReleaseContent
from vault.audit.actions import Action, Outcome
from vault.audit.reports.outcomes import ended, is_access, is_read
from vault.audit.reports.records import Record, record_of
from vault.crypto.key_wrapping import KeyPurpose
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ReleaseRow
from vault.storage.database import Transaction
from vault.subjects import registrations

_BY_PROGRAM = (Action.VIEW_INTENT.value, Action.VIEW_READ.value, Action.MATCH_INTENT.value)
_NOTHING_LEFT = (Outcome.REFUSED.value, Outcome.FAILED.value, Outcome.ABORTED.value)
AT_ONCE = 500  # rows asked for by their ids


@dataclass(frozen=True)
class HeldAt:
    """Holder of one registration of a person outside the vault, under one name.

    ``kind``: ``RELEASE`` or ``HOLDING``, with its id; ``release_id``: the newest access, of which ``released`` is the time and ``hidden`` the places
    that it left out, as rules; ``names``: version of the key of its pseudonyms.
    """

    kind: str
    ref: str
    about: str
    project: Project
    recipients: tuple[str, ...]
    subject: SubjectId
    release_id: str
    released: datetime
    names: int
    hidden: tuple[Mapping[str, Any], ...]


def releases_with(vault: UnlockedVault, subject: SubjectId) -> tuple[Mapping[str, Any], ...]:
    """Releases that left, or are about to, with this person in them: id, project, recipients and time of each; newest first.

    An access whose end the log does not tell counts as disclosed.
    """
    several = vault.subject_keys.all_tokens(registrations.all_of(vault, subject)).values()
    left = [intent for intent, end in _accesses(vault, [token for own in several for token in own]) if end not in _NOTHING_LEFT]
    with vault.books.read() as tx:
        contents = _contents(vault, tx, _rows(tx, map(_release, left)), left)
    found = []
    reads = {_release(intent): intent for intent in left if is_read(intent)}  # the newest of each
    for intent in left:
        if is_read(intent) and reads[_release(intent)] is not intent:
            continue
        project, content = intent.project or "", contents.get(_release(intent))
        sealed = {} if content is None else releases.sealed_for(content.asked)
        recipients = list(sealed) or projects.load(vault, project).recipient_names()
        found.append({"release": _release(intent), "project": project, "recipients": recipients, "created": intent.time})
    return tuple(reversed(found))


def held_at(vault: UnlockedVault, tx: Transaction, subject: SubjectId) -> list[HeldAt]:
    """Everything that left with a person in it, as the caller's write transaction finds the log: what is still being made is stopped by it.

    Raises:
        IntegrityError: as ``LogReader.entries_of``, and of a release's record. UnavailableError: ``branch_closed``.
    """
    found: dict[tuple[str, SubjectId, int], HeldAt] = {}
    known = {project.code: project for project in projects.list_in(vault, tx)}
    for one, tokens in vault.subject_keys.all_tokens(registrations.all_of(vault, subject)).items():
        accesses = _accesses(vault, tokens)
        rows = _rows(tx, [_release(intent) for intent, _ in accesses])
        left = [intent for intent, end in accesses if end == Outcome.DONE.value or (end is None and _gone(vault, rows, intent))]
        contents = _contents(vault, tx, rows, left)
        for intent in left:
            project, content = known[intent.project or ""], contents.get(_release(intent))
            at = _held(tx, intent, project, content, one)
            for names in _names(vault, project, content):
                found[at.ref, one, names] = replace(at, names=names)  # the newest of a holding is the last
    return list(found.values())


def _accesses(vault: UnlockedVault, tokens: Sequence[Any]) -> list[tuple[Record, str | None]]:
    """Intents of accesses that name any of the tokens, oldest first, and how each ended."""
    log = vault.trail.log
    named = [record_of(entry) for entry in log.entries_at(log.entries_of(*tokens))]
    intents = [record for record in named if is_access(record)]
    closings = log.closings([record.event for record in intents])
    ends = [ended(intent, map(record_of, closings.get(intent.event, []))) for intent in intents]
    return [(intent, None if end is None else end.outcome) for intent, end in zip(intents, ends, strict=True)]


def _release(intent: Record) -> str:
    return (intent.object or "").partition(":")[2]


def _rows(tx: Transaction, ids: Iterable[str]) -> dict[str, ReleaseRow]:
    wanted, found = sorted(set(ids)), dict[str, ReleaseRow]()
    for first in range(0, len(wanted), AT_ONCE):
        query = select(ReleaseRow).where(ReleaseRow.release_id.in_(wanted[first : first + AT_ONCE]))
        found |= {row.release_id: row for row in tx.scalars(query)}
    return found


def _gone(vault: UnlockedVault, rows: Mapping[str, ReleaseRow], intent: Record) -> bool:
    """True if an access left of whose end the log's index does not tell: by its sealed record, which has an outcome, or is gone itself."""
    row = rows.get(_release(intent))
    if row is None:
        return True
    releases.content_of(vault, row)
    return row.outcome_index is not None


def _contents(
    vault: UnlockedVault, tx: Transaction, rows: Mapping[str, ReleaseRow], intents: Iterable[Record]
) -> dict[str, ReleaseContent]:
    """Subjects of releases and reads, by the ids that their entries name."""
    named = {_release(intent) for intent in intents}
    terms = read_terms.by_ids(tx, vault, named)
    found = {one.terms_id: ReleaseContent(one.asked, one.obligations, names=one.names) for one in terms.values()}
    return found | {release_id: releases.content_of(vault, rows[release_id]) for release_id in named & rows.keys()}


def _names(vault: UnlockedVault, project: Project, content: ReleaseContent | None) -> list[int]:
    """Versions of the key under which a release may name a person: its own, or without a record all that there are."""
    if content is not None:
        return [content.names]
    return sorted(vault.keys.versions_of(KeyPurpose.PROJECT, project.project_id)) or [0]


def _held(tx: Transaction, intent: Record, project: Project, content: ReleaseContent | None, subject: SubjectId) -> HeldAt:
    """Holder that an access left a person with. A release that is in the log alone counts by what the log says."""
    release_id = _release(intent)
    asked = {} if content is None else content.asked
    by_program = intent.act in _BY_PROGRAM
    reader = [intent.receiver] if content is None and by_program else None
    recipients = tuple(reader or releases.sealed_for(asked) or project.recipient_names())
    held = HeldAt(
        RELEASE,
        release_id,
        str(asked.get("dataset", "")),
        project,
        recipients,
        subject,
        release_id,
        datetime.fromisoformat(intent.time),
        0 if content is None else content.names,
        () if content is None else tuple(content.obligations.get("mask", ())),  # type: ignore[arg-type]
    )
    panel = holdings.panel_of(tx, asked)
    if not by_program or panel is None:
        return held
    receiver = intent.receiver
    ref = holdings.id_of(project.project_id, receiver, panel)
    return replace(held, kind=HOLDING, ref=ref, about=f"{asked['panel']}", recipients=(receiver,))
