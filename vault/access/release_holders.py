"""Releases that hold one person's data, found by the person's audit tokens in the entries of their intents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vault.access import projects, releases
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault


def releases_with(vault: UnlockedVault, subject: SubjectId) -> tuple[Mapping[str, Any], ...]:
    """Releases that left, or are about to, with this person in them: id, project, recipients and time of each."""
    tokens = vault.subject_keys.all_tokens([subject]).get(subject, [])
    events = {vault.trail.log.entry(index).event_id for token in tokens for index in vault.trail.log.entries_of(token)}
    found = []
    for release in releases.list_all(vault):
        if release.intent_event in events and release.state in (releases.COMMITTED, releases.RELEASED):
            recipients = projects.load(vault, release.project).recipient_names()
            found.append(
                {"release": release.release_id, "project": release.project, "recipients": recipients, "created": release.created}
            )
    return tuple(found)
