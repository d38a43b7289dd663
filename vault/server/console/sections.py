"""Sections of the console, and who sees which: those with a page whose act the role may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vault.audit.actions import Action


@dataclass(frozen=True)
class ConsoleSection:
    """Entry of the navigation: where it leads (behind the prefix), its name, and the act that its page is logged as."""

    path: str
    name: str
    act: Action


_SECTIONS = (
    ConsoleSection("/waiting", "Waiting", Action.CONSENT_QUEUE),
    ConsoleSection("/requests", "Requests", Action.REQUEST_SHOW),
    ConsoleSection("/projects", "Projects", Action.PROJECT_SHOW),
    ConsoleSection("/coverage", "Coverage", Action.CONSENT_COVERAGE),
    ConsoleSection("/expiring", "Ending", Action.CONSENT_EXPIRING),
    ConsoleSection("/notices", "Notices", Action.RELEASE_ACKNOWLEDGE),
    ConsoleSection("/overview", "Overview", Action.AUDIT_REPORT),
    ConsoleSection("/log", "Log", Action.AUDIT_READ),
    ConsoleSection("/approvals", "Approvals", Action.AUDIT_APPROVALS),
    ConsoleSection("/disclosures", "Disclosures", Action.AUDIT_DISCLOSURES),
    ConsoleSection("/left", "Releases", Action.AUDIT_READ),
    ConsoleSection("/checkpoints", "Checkpoints", Action.AUDIT_READ),
)


def sections(role: str, may: Callable[[Action], bool]) -> list[ConsoleSection]:
    """The sections of a role, in the order in which it needs them."""
    del role
    return [one for one in _SECTIONS if may(one.act)]
