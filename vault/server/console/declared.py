"""Projects: what is declared, its versions and their approval for stewards; own ones, and what is left of budgets, for researchers."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import yaml

from policies import declarations, purposes
from policies.token_scopes import TokenScope
from vault import gate
from vault.access import askable, project_versions, projects
from vault.access.project_versions import ListedVersion
from vault.access.version_records import PROPOSED
from vault.audit.actions import Action
from vault.crypto.keystore import Role
from vault.errors import InputError
from vault.server.console.frame import Answer, Badge, ConsolePage, Fact, Link, Redirection
from vault.server.console.visits import Visit

_KINDS = {"approved": "good", "in_force": "good", "draft": "off", "proposed": "off", "suspended": "bad", "closed": "plain"}
_EFFECTS = {"permit": "good", "deny": "bad"}


def listed(visit: Visit) -> Answer:
    """Projects that the visitor may see."""
    visit.require(Action.PROJECT_SHOW, TokenScope.READ)
    with visit.looking(Action.PROJECT_SHOW):
        found = [one for one in askable.visible_projects(visit.vault) if visit.project in (None, one.code)]
    rows = [
        (
            Link(_address(one.code), one.code),
            Badge(one.state, _KINDS.get(one.state, "plain")),
            one.declaration.title,
            ", ".join(one.declaration.datasets),
        )
        for one in found
    ]
    return ConsolePage("projects.html", "Projects", {"rows": rows})


def shown(visit: Visit) -> Answer:
    """One project: its declaration; for stewards its versions, and the form to approve the one that waits."""
    code = visit.place["code"]
    visit.require(Action.PROJECT_SHOW, TokenScope.READ)
    with visit.looking(Action.PROJECT_SHOW):
        _require_own(visit, code)
        project = askable.visible_project(visit.vault, code)
        versions = project_versions.list_all(visit.vault, code)
    steward = visit.session.role is Role.STEWARD
    waiting = next((one for one in reversed(versions) if one.version.state in (PROPOSED, projects.DRAFT)), None)
    text = project.declaration_text if waiting is None else waiting.version.declaration_text
    shown_ = {
        "project": project,
        "state": Badge(project.state, _KINDS.get(project.state, "plain")),
        "steward": steward,
        "waiting": waiting if steward else None,
        "own": waiting is not None and waiting.version.created_by == visit.vault.principal,
        "declaration": yaml.safe_dump(_document(text), sort_keys=False, allow_unicode=True),
        "rows": [_version_row(one) for one in reversed(versions)] if steward else [],
        "changes": [one.words() for one in waiting.changes] if waiting is not None else [],
        "address": _address(code),
    }
    return ConsolePage("project.html", f"Project {code}", shown_)


def approve(visit: Visit) -> Answer:
    """Approve the version of a project's declaration that was shown, by the steward's own key. Raises InputError ``version_needed``."""
    code, version = visit.place["code"], visit.form.get("version", "")
    if not (version.isascii() and version.isdecimal() and len(version) < 10):
        raise InputError("version_needed", "say which version is approved")
    projects.change(visit.vault, code, "approve", version=int(version))
    return Redirection(_address(code), "approved")


def check(visit: Visit) -> Answer:
    """People who would be released now, and reasons for the rest; nothing is opened."""
    code, text = visit.place["code"], visit.query.get("version", "")
    version = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
    found = gate.check(visit.vault, code, version=version)
    shown_ = {
        "code": code,
        "version": version,
        "numbers": [
            Fact(f"{found.permit:,}", "people can be released"),
            Fact(f"{found.subjects - found.permit:,}", "cannot, or not yet"),
        ],
        "refused": found.refused,
        "undelivered": found.undelivered,
        "rows": [
            (
                Badge(str(judged.outcome), _EFFECTS.get(str(judged.outcome), "off")),
                judged.reasons[0][2],
                judged.reasons[0][1],
                f"{people:,}",
            )
            for judged, people in found.by_reason()
        ],
        "address": _address(code),
    }
    return ConsolePage("check.html", f"Check of {code}", shown_)


def _require_own(visit: Visit, code: str) -> None:
    """Raises InputError ``project_unknown`` for another project than the token's."""
    if visit.project not in (None, code):
        raise InputError("project_unknown", f"there is no project {code:.64}")


def _document(text: str) -> object:
    return purposes.as_dict(declarations.parse_stored(text))


def _version_row(one: ListedVersion) -> tuple[object, ...]:
    version = one.version
    approved = f"{version.approved_by}, {_day(version.approved)}" if version.approved_by is not None else ""
    return (
        f"{version.version}", Badge(version.state.replace("_", " "), _KINDS.get(version.state, "plain")),
        f"{version.created_by}, {_day(version.created)}", approved, version.reason, "; ".join(change.words() for change in one.changes),
    )  # fmt: skip


def _day(micros: int | None) -> str:
    return "" if micros is None else f"{datetime.fromtimestamp(micros / 1_000_000, UTC):%Y-%m-%d}"


def _address(code: str) -> str:
    return f"/projects/{quote(code, safe='')}"
