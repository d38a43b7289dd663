"""The audit report: one self-contained HTML page (no script, font or address), the verification result on top.

It shows handles, codes and counts of the public leaves, and audit tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from vault.audit.reports import report_tables as tables
from vault.audit.reports.approvals import ProjectRecord
from vault.audit.reports.report_tables import MOST_ROWS
from vault.audit.reports.statistics import AT_LEAST, MANY_TIMES, WORKING_HOURS, Statistics
from vault.audit.subject_sets import NamedAlike
from vault.audit.verify import VerificationReport
from vault.files.plain_text import html_text
from vault.html import charts, page_frame
from vault.storage.timestamps import rfc3339


@dataclass(frozen=True)
class ReportContent:
    """Content of a report."""

    origin: str
    made: datetime
    verified: Sequence[tuple[str, VerificationReport]]  # (origin, result) of each log of the vault, the newest last
    statistics: Statistics
    most_accessed: Sequence[NamedAlike]
    projects: Sequence[ProjectRecord] = ()  # approvals beside accesses
    unsigned: AbstractSet[int] = frozenset()  # entries of approvals that their principal did not sign


def page(content: ReportContent) -> str:
    """The report as an HTML document."""
    counted = content.statistics
    sections = (
        ("Accesses over time", f"Intents to open genotypes, by {counted.period}, UTC.",
         charts.columns(counted.over_time, title="Accesses over time")),
        ("By project", "", charts.ranked(counted.by_project, title="Accesses by project")),
        ("By purpose", "Data use terms that the project declared; an access counts under each of its terms.",
         charts.ranked(counted.by_purpose, title="Accesses by purpose")),
        ("By who acted", "", charts.ranked(counted.by_actor, title="Accesses by actor")),
        ("Approvals and accesses",
         "Every access beside what was approved before it; what was approved, ruled and asked, entry by entry: genovault audit approvals.",
         tables.approvals(content.projects, content.unsigned)),
        ("Refusals by reason", "Entries that ended refused, under each reason they give.",
         charts.ranked(counted.refusals, title="Refusals by reason")),
        ("Who was refused", "Acts that were refused, by who tried them and for whom.", tables.refused(counted.conduct)),
        ("Unlocks that failed", "By the principal whose slot was tried. The machine's word: whoever fails holds no key to sign it with.",
         tables.failed_unlocks(counted.conduct)),
        ("People looked up",
         "Identities, consents and accountings that were shown. A person counts once for each look.", tables.look_ups(counted.conduct)),
        ("People most accessed",
         ("How many people were accessed how often, with their audit tokens where few tie. Who it is can be learned by those who know "
         "identities, and by nobody after erasure."),
         tables.people(content.most_accessed)),
        ("Hours", f"Accesses by weekday and hour, UTC. Framed: outside {WORKING_HOURS.start}:00 to {WORKING_HOURS.stop}:00 on weekdays.",
         charts.hours(counted.hours, title="Accesses by hour", working=WORKING_HOURS) + tables.off_hours(counted)),
        ("Unusual volumes",
         f"Days on which somebody's accesses were at least {AT_LEAST} and more than their median day by {MANY_TIMES:g} median deviations.",
         tables.volumes(counted)),
        ("Without an outcome", "Entries that say something was begun, and none that says how it ended.", tables.without_outcome(counted)),
    )  # fmt: skip
    body = "".join(page_frame.section(heading, text, shown) for heading, text, shown in sections)
    return page_frame.framed(
        f"Audit report: {content.origin}",
        f"<h1>Audit report</h1><p class=soft><code>{html_text(content.origin)}</code>, made {rfc3339(content.made)[:19]}Z</p>"
        f"{''.join(_verdict(origin, report) for origin, report in reversed(content.verified))}{_facts(content)}{body}",
    )


def _verdict(origin: str, report: VerificationReport) -> str:
    """Verification result of one log, with the verifier's own messages."""
    verdict = _headline(report)
    lines = [
        f"{report.entries:,} entries, {report.signed:,} of them under a signed checkpoint",
        f"root <code>{html_text(report.root)}</code>",
        "checked with a key given from outside"
        if report.key_given
        else "checked with the vault's own key, which proves nothing against somebody who could replace the whole vault",
    ]
    if report.unsigned:
        first, last = report.unsigned[0], report.unsigned[-1]
        waiting = f"entry {last:,} is" if first == last else f"entries {first:,} to {last:,} are"
        lines.append(f"{waiting} not signed yet: only the log itself vouches for what nobody signed")
    if report.redacted:
        lines.append(f"{report.redacted:,} entries keep only their hash")
    lines += [f"<b>{html_text(finding.message)}</b> [{html_text(finding.code)}]" for finding in report.findings[:MOST_ROWS]]
    if len(report.findings) > MOST_ROWS:
        lines.append(f"and {len(report.findings) - MOST_ROWS} further findings")
    listed = "".join(f"<li>{line}</li>" for line in lines)
    kind = "verdict" if report.ok else "verdict bad"
    return (
        f'<div class="{kind}"><strong>{verdict}</strong><p class=soft><code>{html_text(origin)}</code></p><ul>{listed}</ul></div>'
    )


def _headline(report: VerificationReport) -> str:
    """Statements about the whole log; none about entries that nobody signed yet."""
    if not report.ok:
        return "The log does NOT hold."
    if not report.unsigned:
        return "Every entry is in its place and unaltered."
    waiting = report.entries - report.signed
    return f"The {report.signed:,} signed entries are in their place and unaltered; {waiting:,} after them {'is' if waiting == 1 else 'are'} not signed yet."


def _facts(content: ReportContent) -> str:
    counted = content.statistics
    facts = (
        (counted.entries, "entries"),
        (counted.accesses, "accesses to genotypes"),
        (counted.disclosed, "disclosed, or assumed so"),
        (sum(n for _, n in counted.refusals), "refusals, by reason"),
        (
            sum(bool(access.outside) for project in content.projects for access in project.accesses),
            "accesses outside an approval",
        ),
        (len(counted.open_intents), "without an outcome"),
    )
    period = (
        f"<p class=soft>From {html_text(counted.first[:19])}Z to {html_text(counted.last[:19])}Z.</p>" if counted.first else ""
    )
    return page_frame.facts([(f"{n:,}", text) for n, text in facts]) + period
