"""Sections of the console, and who sees which: those with a page whose act the role may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from policies.token_scopes import TokenScope
from vault.audit.actions import Action


@dataclass(frozen=True)
class ConsoleSection:
    """Entry of the navigation: where it leads (behind the prefix), its name, the act that its page is logged as, and scopes of which a token needs one."""

    path: str
    name: str
    act: Action
    scopes: tuple[TokenScope, ...] = tuple(TokenScope)


_SECTIONS = (
    ConsoleSection("/waiting", "Waiting", Action.CONSENT_QUEUE),
    ConsoleSection("/requests", "Requests", Action.REQUEST_SHOW),
    ConsoleSection("/projects", "Projects", Action.PROJECT_SHOW, (TokenScope.READ,)),
    ConsoleSection("/downloads", "Downloads", Action.RELEASE_DOWNLOAD, (TokenScope.DOWNLOAD, TokenScope.EXTRACT)),
    ConsoleSection("/coverage", "Coverage", Action.CONSENT_COVERAGE),
    ConsoleSection("/expiring", "Ending", Action.CONSENT_EXPIRING),
    ConsoleSection("/notices", "Notices", Action.RELEASE_ACKNOWLEDGE, (TokenScope.DOWNLOAD,)),
    ConsoleSection("/overview", "Overview", Action.AUDIT_REPORT),
    ConsoleSection("/log", "Log", Action.AUDIT_READ),
    ConsoleSection("/approvals", "Approvals", Action.AUDIT_APPROVALS),
    ConsoleSection("/disclosures", "Disclosures", Action.AUDIT_DISCLOSURES),
    ConsoleSection("/left", "Releases", Action.AUDIT_READ),
    ConsoleSection("/checkpoints", "Checkpoints", Action.AUDIT_READ),
)


def act_of(path: str) -> Action:
    """Act that a page, by its path behind the prefix, is refused as: that of its section; of a page without one, opening the vault."""
    found = (one.act for one in _SECTIONS if path == one.path or path.startswith(f"{one.path}/"))
    return next(found, Action.VAULT_OPEN)


def sections(may: Callable[[Action], bool]) -> list[ConsoleSection]:
    """The sections whose acts somebody may do, in the order in which they are needed."""
    return [one for one in _SECTIONS if may(one.act)]
