"""Holders now: each release with its recipients, each panel with the program that reads it, and how many people in it are to be dropped."""

from __future__ import annotations

from dataclasses import dataclass

from vault.access import holdings, notice_records, notices, projects, releases
from vault.audit.actions import Action, Outcome
from vault.session.unlocked_vault import UnlockedVault


@dataclass(frozen=True)
class HeldByWhom:
    """A release or holding: how many people it has, and how many of them a notice in force is about."""

    kind: str
    ref: str
    project: str
    about: str
    recipients: tuple[str, ...]
    people: int
    to_drop: int


def listed(vault: UnlockedVault, project: str | None = None) -> list[HeldByWhom]:
    """Everything that is out, of one project or of all, the newest release first; the listing is logged. Raises InputError ``project_unknown``."""
    with vault.trail.attempting(Action.RELEASE_HOLDINGS):
        if project is not None:
            projects.load(vault, project)
        found = [one for one in _all(vault) if project in {None, one.project}]
        vault.trail.record(Action.RELEASE_HOLDINGS, Outcome.DONE, project=project, counts={"holdings": len(found)})
    return found


def _all(vault: UnlockedVault) -> list[HeldByWhom]:
    dropped: dict[str, int] = {}
    for notice in notices.list_all(vault):
        if notice.state in notice_records.IN_FORCE:
            dropped[notice.ref] = dropped.get(notice.ref, 0) + len(notice.in_force)
    recipients = {project.code: tuple(project.recipient_names()) for project in projects.list_all(vault)}
    found = [
        HeldByWhom(
            notice_records.HOLDING,
            one.holding_id,
            one.project,
            f"{one.panel} version {one.panel_version}",
            (one.holder,),
            len(holdings.people_in(vault, one)),
            dropped.get(one.holding_id, 0),
        )
        for one in holdings.list_all(vault)
    ]
    for release in releases.all_left(vault):
        if not holdings.is_panel_view(release):
            about, to_drop = str(release.content.asked.get("dataset", "")), dropped.get(release.release_id, 0)
            who = tuple(release.sealed_for) or recipients[release.project]
            found.append(
                HeldByWhom(notice_records.RELEASE, release.release_id, release.project, about, who, release.n_subjects, to_drop)
            )
    return found
