"""The audit report: one self-contained HTML page (no script, font or address), the verification result on top.

It shows handles, codes and counts of the public leaves, and audit tokens. Its Content-Security-Policy forbids loading and scripts.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from vault.audit.reports import charts
from vault.audit.reports import report_tables as tables
from vault.audit.reports.approvals import ProjectRecord
from vault.audit.reports.report_tables import MOST_ROWS
from vault.audit.reports.statistics import AT_LEAST, MANY_TIMES, WORKING_HOURS, Statistics
from vault.audit.subject_sets import NamedAlike
from vault.audit.verify import VerificationReport
from vault.files.plain_text import html_text
from vault.storage.timestamps import rfc3339

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--page:#fff;--card:#f5f7fa;--edge:#d9dfe7;--bar:#2f6f9f;--good:#1d7a46;
--bad:#b3261e;--off:#c77700}
@media (prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--page:#12161c;--card:#1b212a;--edge:#313a47;--bar:#6db1e0;
--good:#58c98b;--bad:#ff8a80;--off:#ffb74d}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);margin:0 auto;max-width:860px;padding:32px 24px}
h1{font-size:24px;margin:0 0 4px}h2{font-size:17px;margin:36px 0 8px}p{margin:6px 0}.soft,.none,caption{color:var(--soft)}
.verdict{border:1px solid var(--edge);border-left:6px solid var(--good);background:var(--card);padding:12px 16px;margin:20px 0}
.verdict.bad{border-left-color:var(--bad)}.verdict strong{font-size:17px}.verdict ul{margin:8px 0 0;padding-left:20px}
.facts{display:flex;flex-wrap:wrap;gap:12px;margin:20px 0;padding:0;list-style:none}
.facts li{flex:1 1 120px;background:var(--card);border:1px solid var(--edge);padding:10px 14px}
.facts b{display:block;font-size:22px;font-weight:600}.facts span{color:var(--soft);font-size:13px}
table{border-collapse:collapse;width:100%;font-size:14px}th,td{text-align:left;padding:5px 10px 5px 0;border-bottom:1px solid var(--edge)}
td.n,th.n{text-align:right;padding-right:0;font-variant-numeric:tabular-nums}code{font:13px ui-monospace,monospace;word-break:break-all}
svg{width:100%;height:auto;display:block}svg text{font-size:12px;fill:var(--soft)}svg line{stroke:var(--edge)}
.bar{fill:var(--bar)}.cell{fill:var(--bar)}.cell.off{stroke:var(--off);stroke-width:1.5}
@media print{body{max-width:none}h2{break-after:avoid}svg,table,.verdict{break-inside:avoid}}
"""


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
    body = "".join(
        f"<h2>{html_text(heading)}</h2>{f'<p class=soft>{html_text(text)}</p>' if text else ''}{shown}"
        for heading, text, shown in sections
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Audit report: {html_text(content.origin)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<h1>Audit report</h1><p class=soft><code>{html_text(content.origin)}</code>, made {rfc3339(content.made)[:19]}Z</p>"
        f"{''.join(_verdict(origin, report) for origin, report in reversed(content.verified))}{_facts(content)}{body}</body></html>\n"
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
    """What can be said of the whole log; nothing of entries that nobody signed yet."""
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
    listed = "".join(f"<li><b>{n:,}</b><span>{text}</span></li>" for n, text in facts)
    period = (
        f"<p class=soft>From {html_text(counted.first[:19])}Z to {html_text(counted.last[:19])}Z.</p>" if counted.first else ""
    )
    return f'<ul class="facts">{listed}</ul>{period}'
