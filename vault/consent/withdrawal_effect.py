"""Effect of a withdrawal: grants that ended, projects that lose the person, releases that hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from policies.consent import ConsentEvent
from policies.errors import PolicyInputError
from policies.standing import Standing, standing
from policies.states import ConsentState, fold
from vault.access import projects
from vault.access.release_holders import releases_with
from vault.consent.subject_decision import decide_subject
from vault.errors import GenovaultError
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects.people_words import who


@dataclass(frozen=True)
class Withdrawn:
    """A recorded withdrawal. ``projects`` and ``releases`` are None where they could not be listed.

    ``ended``: policies that were granted and are not now; ``excluded``: scopes that are left out from now on and were not before;
    ``projects``: approved ones that could use the person and cannot now; ``releases``: those that hold the person;
    ``notices``: ids of those opened, by which recipients are told.
    """

    who: str = field(repr=False)  # the person in words
    event_id: str
    clock_behind: bool
    ended: tuple[str, ...]
    excluded: tuple[str, ...]
    projects: tuple[str, ...] | None
    releases: tuple[Mapping[str, Any], ...] | None
    notices: tuple[str, ...] = ()


def effect(
    vault: UnlockedVault,
    subject: SubjectId,
    history: Sequence[ConsentEvent],
    recorded: ConsentEvent,
    *,
    at: datetime,
    notices: tuple[str, ...] = (),
) -> Withdrawn:
    """Compare before and after. The withdrawal stands already, so nothing that fails here is an error of it."""
    before, after = fold(history), fold((*history, recorded))
    was, now = standing(before, legal_at=at), standing(after, legal_at=at)
    try:
        lost, held = _projects(vault, subject, before, after, at), releases_with(vault, subject)
    except (GenovaultError, PolicyInputError):
        lost, held = None, None
    return Withdrawn(
        who=who(vault, subject),
        event_id=recorded.event_id,
        clock_behind=recorded.clock_behind,
        ended=tuple(sorted({grant.policy for grant in was.grants} - {grant.policy for grant in now.grants})),
        excluded=tuple(sorted(_excluded(now) - _excluded(was))),
        projects=lost,
        releases=held,
        notices=notices,
    )


def _excluded(where: Standing) -> set[str]:
    """Scopes and times that are left out of the grants."""
    new_data = {f"new data of {grant.policy}" for grant in where.grants if grant.data_before is not None}
    named = {*(f"purpose:{name}" for name in where.purposes), *(f"recipient:{name}" for name in where.recipients)}
    return new_data | named | {rule.text for rule in where.mask}


def _projects(
    vault: UnlockedVault, subject: SubjectId, before: ConsentState, after: ConsentState, at: datetime
) -> tuple[str, ...]:
    found = []
    for project in projects.list_all(vault):
        if project.state != projects.APPROVED:
            continue
        with vault.books.read() as tx:
            was = decide_subject(vault, tx, project, subject, before, legal_at=at)
            now = decide_subject(vault, tx, project, subject, after, legal_at=at)
        if was.data_at is not None and was.decision.permitted and not now.decision.permitted:
            found.append(project.code)
    return tuple(found)
