"""Notices to a person whom a service serves: about releases of their own requests, and about what they received themselves, in one project.

Also to somebody whom the project names no more, and of a project that ended: they hold what they received, and have to drop from it. A notice gives
nothing but that: names of columns that they were given, what to do, and by when. Their token has to stand, and everything else is refused to them.
"""

from __future__ import annotations

from vault.access import holdings, notices, own_requests, projects, releases
from vault.access.notice_records import ACKNOWLEDGED, HOLDING, OPEN, Notice
from vault.access.told import told
from vault.audit.actions import Action, Outcome
from vault.audit.entry import decode_leaf
from vault.errors import InputError, RefusedError
from vault.session.unlocked_vault import UnlockedVault


def listed(vault: UnlockedVault, project: str) -> list[Notice]:
    """Own notices of a project, the earliest due first; the look is logged. Raises RefusedError ``refused``."""

    def look() -> list[Notice]:
        with vault.trail.attempting(Action.RELEASE_SHOW, project=project):
            found = _own(vault, project)
            vault.trail.record(Action.RELEASE_SHOW, Outcome.DONE, project=project)
        return found

    return told(vault, look)


def signed_file(vault: UnlockedVault, project: str, notice_id: str) -> bytes:
    """The signed file (notice/1) of an own notice, as it stands; logged. Raises RefusedError ``refused``."""

    def issued() -> bytes:
        with vault.trail.attempting(Action.RELEASE_ISSUE_NOTICE, project=project):
            _require(vault, project, notice_id)
        return notices.issue(vault, notice_id, held_by_asker=True)

    return told(vault, issued)


def acknowledge(vault: UnlockedVault, project: str, notice_id: str, reason: str) -> None:
    """Say that what an own notice asks is done, signed by the service in the name of whoever says so. Said before, it is said.

    Raises:
        InputError: ``reason_missing``, ``reason_too_long``; ``notice_state``: it was called off. RefusedError: ``refused``.
    """

    def own() -> Notice:
        with vault.trail.attempting(Action.RELEASE_ACKNOWLEDGE, project=project):
            return _require(vault, project, notice_id)

    found = told(vault, own)
    if found.state == ACKNOWLEDGED:
        return
    if found.state != OPEN:
        raise InputError("notice_state", "this notice was called off: nobody has to do anything about it")
    notices.acknowledge(vault, notice_id, reason=reason, held_by_asker=True)


def _require(vault: UnlockedVault, project: str, notice_id: str) -> Notice:
    for one in _own(vault, project):
        if one.notice_id == notice_id:
            return one
    raise RefusedError("not_yours", "there is no such notice to this person in this project")


def _own(vault: UnlockedVault, project: str) -> list[Notice]:
    own = [one.request_id for one in own_requests.ever_of(vault, project)]
    held = {one.holding_id for one in holdings.list_all(vault) if (one.project, one.holder) == (project, vault.principal)}
    found = notices.of_project(vault, projects.load(vault, project).project_id)
    return [one for one in found if (one.ref in held if one.content.kind == HOLDING else _received(vault, one.ref, own))]


def _received(vault: UnlockedVault, release_id: str, own: list[str]) -> bool:
    """True of a release of one of these requests, and of a view that whoever is served asked for, by the log."""
    release = releases.find(vault, release_id)
    if release is None:
        return False
    if release.request_id is not None:
        return release.request_id in own
    entry = vault.trail.log.entries_with([release.intent_event]).get(release.intent_event)
    actor = decode_leaf(entry.leaf).get("actor", {}) if entry is not None and entry.leaf else {}
    return bool(actor.get("for", actor.get("id")) == vault.principal)
