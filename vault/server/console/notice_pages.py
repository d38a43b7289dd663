"""Notices: what recipients have to drop, by when, and what they answered."""

from __future__ import annotations

from vault.access import notices
from vault.access.notice_records import OPEN
from vault.consent import drop_lists
from vault.server.console.frame import Answer, Badge, ConsolePage, Redirection
from vault.server.console.visits import Visit

_KINDS = {"late": "bad", "acknowledged": "good", "open": "off"}


def listed(visit: Visit) -> Answer:
    """All notices, the earliest due first, brought up to date."""
    now = visit.vault.clock()
    found = drop_lists.listed(visit.vault)
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
    return ConsolePage("notices.html", "Notices", {"rows": rows, "waiting": waiting})


def acknowledge(visit: Visit) -> Answer:
    """Record that recipients said they did what a notice asks."""
    notices.acknowledge(visit.vault, visit.form.get("notice", ""), reason=visit.form.get("reason", ""))
    return Redirection("/notices", "acknowledged")
