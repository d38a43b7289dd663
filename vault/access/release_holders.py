"""Releases that hold one person's data, by what the log says: the books of releases can be edited, and an outcome cannot be taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vault.access import projects
from vault.audit.actions import Outcome
from vault.audit.reports.outcomes import ended, is_access
from vault.audit.reports.records import record_of
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects import registrations

_NOTHING_LEFT = (Outcome.REFUSED.value, Outcome.FAILED.value, Outcome.ABORTED.value)


def releases_with(vault: UnlockedVault, subject: SubjectId) -> tuple[Mapping[str, Any], ...]:
    """Releases that left, or are about to, with this person in them: id, project, recipients and time of each; newest first.

    An access whose end the log does not tell counts as disclosed.
    """
    log = vault.trail.log
    several = vault.subject_keys.all_tokens(registrations.all_of(vault, subject)).values()
    tokens = [token for own in several for token in own]
    named = [record_of(log.entry(index)) for index in sorted({index for token in tokens for index in log.entries_of(token)})]
    intents = [record for record in named if is_access(record)]
    closings = log.closings([record.event for record in intents])
    found = []
    for intent in reversed(intents):
        end = ended(intent, map(record_of, closings.get(intent.event, [])))
        if end is not None and end.outcome in _NOTHING_LEFT:
            continue
        project = intent.project or ""
        recipients = projects.load(vault, project).recipient_names()
        release = (intent.object or "").partition(":")[2]
        found.append({"release": release, "project": project, "recipients": recipients, "created": intent.time})
    return tuple(found)
