"""Tables of the audit report as HTML: what does not fit a chart, names and numbers escaped."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from vault.audit.reports.approvals import WHY, Accessed, ProjectRecord
from vault.audit.reports.conduct import Conduct
from vault.audit.reports.outcomes import LeftOpen, left_open
from vault.audit.reports.statistics import Statistics
from vault.audit.subject_sets import NamedAlike
from vault.files.plain_text import html_text
from vault.html.page_frame import table

MOST_ROWS = 20
_LEFT = {
    LeftOpen.ASSUMED: "an access: assume fully disclosed",
    LeftOpen.OPENED: "opened inside the vault; nothing was released",
    LeftOpen.CUT_OFF: "cut off; opened nobody's data",
}


def approvals(projects: Sequence[ProjectRecord], unsigned: AbstractSet[int]) -> str:
    """One row a project, and one for each access that no approval covers."""
    rows = []
    for project in projects:
        approval = project.approval
        by = f"{html_text(approval.by)}, {_day(approval.time)}" if approval else "nobody"
        if approval and approval.index in unsigned:
            by += ", <b>not signed</b>"
        declared = next((step.by for step in project.steps), "")
        outside = sum(bool(access.outside) for access in project.accesses)
        rows.append(
            (
                html_text(project.code or "(none)"), html_text(project.state or "unknown"), html_text(declared), by,
                html_text(", ".join(step.what for step in project.rulings if step.in_force and step.allows)),
                f"{len(project.requests):,}", f"{len(project.refusals):,}", f"{len(project.accesses):,}",
                f"<b>{outside:,}</b>" if outside else "0",
            )
        )  # fmt: skip
    heads = ("project", "now", "declared by", "approved by", "rulings", "requests", "refused", "accesses", "outside an approval")
    strays = [(project.code, access) for project in projects for access in project.accesses if access.outside]
    return table(heads, rows) + (_strays(strays) if strays else "")


def _strays(strays: Sequence[tuple[str, Accessed]]) -> str:
    rows = [
        (
            _second(access.time), html_text(code), html_text(_acting(access.by, access.asserted_for)),
            html_text("; ".join(WHY[one] for one in access.outside)), html_text(access.ended), f"{access.index:,}",
        )
        for code, access in strays[:MOST_ROWS]
    ]  # fmt: skip
    return table(("outside an approval", "project", "who", "why", "ended", "entry"), rows) + _more(len(strays))


def people(most: Sequence[NamedAlike]) -> str:
    """People by how often they were accessed: how many tie, and who they are where they are few."""
    rows = [
        (
            "<br>".join(f"<code>{html_text(token)}</code>" for token in alike.tokens) or "too many to list",
            f"{alike.people:,}",
            f"{alike.entries:,}",
        )
        for alike in most[:MOST_ROWS]
    ]
    return table(("tokens", "people", "accesses of each"), rows)


def refused(conduct: Conduct) -> str:
    """Table of refusals by principal and act."""
    rows = [
        (
            html_text(_acting(found.actor, found.asserted_for or None)), html_text(found.act), html_text(found.project),
            html_text(", ".join(found.reasons)), _second(found.last), f"{found.times:,}",
        )
        for found in conduct.refused[:MOST_ROWS]
    ]  # fmt: skip
    return table(("who", "act", "project", "reasons", "last", "times"), rows) + _more(len(conduct.refused))


def look_ups(conduct: Conduct) -> str:
    """Table of look-ups by principal, in numbers."""
    rows = [
        (html_text(found.actor), html_text(found.act), f"{found.times:,}", f"{found.people:,}")
        for found in conduct.look_ups[:MOST_ROWS]
    ]
    return table(("who", "act", "times", "people"), rows) + _more(len(conduct.look_ups))


def failed_unlocks(conduct: Conduct) -> str:
    """Table of slots that were tried in vain."""
    rows = [(html_text(found.tried), _second(found.last), f"{found.times:,}") for found in conduct.failed_unlocks[:MOST_ROWS]]
    return table(("whose slot", "last", "times"), rows) + _more(len(conduct.failed_unlocks))


def off_hours(counted: Statistics) -> str:
    """Accesses at night and on weekends; nothing where there are none."""
    rows = [(html_text(actor), f"{n:,}") for actor, n in counted.off_hours[:MOST_ROWS]]
    return table(("at night or on a weekend", "accesses"), rows) if rows else ""


def volumes(counted: Statistics) -> str:
    """Days with far more accesses of somebody than usual."""
    rows = [
        (volume.day.isoformat(), html_text(volume.actor), f"{volume.accesses:,} (usually {volume.usual:g})")
        for volume in counted.volumes[:MOST_ROWS]
    ]
    return table(("day", "who", "accesses"), rows)


def without_outcome(counted: Statistics) -> str:
    """Entries without an outcome, and what is to be thought of each."""
    rows = [
        (
            _second(record.time), html_text(_acting(record.actor or "", record.asserted_for)), html_text(record.project or ""),
            html_text(record.act or ""), _LEFT[left_open(record)], f"{record.index:,}",
        )
        for record in counted.open_intents[-MOST_ROWS:]
    ]  # fmt: skip
    return table(("time", "who", "project", "act", "what it means", "entry"), rows) + _more(len(counted.open_intents))


def _acting(actor: str, asserted_for: str | None) -> str:
    """Actor, and for whom where that is somebody else."""
    return f"{actor} for {asserted_for}" if asserted_for else actor


def _more(found: int) -> str:
    return f'<p class="soft">and {found - MOST_ROWS:,} more</p>' if found > MOST_ROWS else ""


def _day(time: str) -> str:
    return html_text(time[:10])


def _second(time: str) -> str:
    return f"{html_text(time[:19].replace('T', ' '))}"
