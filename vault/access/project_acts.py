"""Entries that tell how projects and requests stood before some part of the log: found once in a session, so that a page reads its own part alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from vault.audit.reports.approvals import is_standing
from vault.audit.reports.records import record_of
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault

_MARKS = b'"act":"project.', b'"act":"request.'  # as canonical leaves spell them


@dataclass
class _Found:
    """Numbers of the entries below ``end``: of acts on projects, and of acts on each request."""

    end: int = 0
    projects: list[int] = field(default_factory=list)
    requests: dict[str, list[int]] = field(default_factory=dict)


_FOUND: Cache[_Found] = Cache(_Found)


def before(vault: UnlockedVault, first: int, requests: Collection[str]) -> list[int]:
    """Numbers of the entries below ``first`` that act on any project, or on one of these requests, ascending.

    What is new since the last call is looked through. Raises IntegrityError as ``record_of``.
    """
    found, log = vault.caches.get(_FOUND), vault.trail.log
    end = log.size()
    for entry in log.entries_saying(_MARKS, found.end, end):
        record = record_of(entry)
        if not is_standing(record):
            continue
        if (record.act or "").startswith("project."):
            found.projects.append(record.index)
        elif record.request:
            found.requests.setdefault(record.request, []).append(record.index)
    found.end = end
    wanted = [*found.projects, *(index for one in requests for index in found.requests.get(one, ()))]
    return sorted(index for index in wanted if index < first)
