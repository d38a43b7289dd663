"""Notices: what recipients have to drop, by when, and what they answered."""

from __future__ import annotations

from policies.token_scopes import TokenScope
from vault.access import notices, own_notices
from vault.access.notice_records import OPEN
from vault.audit.actions import Action
from vault.consent import drop_lists
from vault.server.console.frame import Answer, Badge, ConsolePage, Redirection
from vault.server.console.visits import Visit

_KINDS = {"late": "bad", "acknowledged": "good", "open": "off"}


def listed(visit: Visit) -> Answer:
    """All notices, the earliest due first, brought up to date."""
    now = visit.vault.clock()
    if visit.project is None:
        found = drop_lists.listed(visit.vault)
    else:
        visit.require(Action.RELEASE_SHOW, TokenScope.DOWNLOAD)
        found = own_notices.listed(visit.vault, visit.project)
    rows = []
    for one in found:
        state = "late" if one.overdue(now) else one.state.replace("_", " ")
        sent = "" if one.issued is None else f"{one.issued:%Y-%m-%d}"
        to = ", ".join(one.content.recipients)
        rows.append(
            (
                one.notice_id,
                Badge(state, _KINDS.get(state, "plain")),
                one.project,
                one.ref,
                to,
                f"{len(one.in_force):,}",
                f"{one.due:%Y-%m-%d}",
                sent,
            )
        )
    waiting = [one.notice_id for one in found if one.state == OPEN]
    return ConsolePage("notices.html", "Notices", {"rows": rows, "waiting": waiting, "steward": visit.project is None})


def acknowledge(visit: Visit) -> Answer:
    """Record that recipients said they did what a notice asks."""
    notice, reason = visit.form.get("notice", ""), visit.form.get("reason", "")
    if visit.project is None:
        notices.acknowledge(visit.vault, notice, reason=reason)
    else:
        visit.require(Action.RELEASE_ACKNOWLEDGE, TokenScope.DOWNLOAD)
        own_notices.acknowledge(visit.vault, visit.project, notice, reason)
    return Redirection("/notices", "acknowledged")
