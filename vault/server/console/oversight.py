"""Pages that hold what happened against what was allowed: approvals beside accesses, disclosures of a person, what left, signed heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from vault.access.accounting import Disclosure, account_for
from vault.access.approved_accesses import ApprovedAccesses, examine
from vault.audit.actions import Action, Outcome
from vault.audit.anchors import Anchor
from vault.audit.log import AuditLog
from vault.audit.note import checkpoint_in
from vault.audit.reports import record_pages
from vault.audit.reports.approvals import SIGNED_ACTS, WHY, Accessed, Asked, ProjectRecord, Refusal, Step
from vault.audit.reports.records import Filter, Record
from vault.errors import InputError, UnavailableError
from vault.server.console import cells
from vault.server.console.frame import Answer, Badge, ConsolePage, Fact, Link
from vault.server.console.log_pages import instant
from vault.server.console.overview import LEFT
from vault.server.console.visits import Visit

ROWS = 50
CHECKPOINTS = 25
EXAMINED = 10_000  # entries whose accesses one page holds against approvals: the details of each are opened


def approvals(visit: Visit) -> Answer:
    """Every project with its approval, and how many of its accesses none covers, in a part of the log; the newest first."""
    with visit.looking(Action.AUDIT_APPROVALS):
        part = _part(visit)
        found = examine(visit.vault, first=part.first, stop=part.stop)
    rows = [_project_row(found, one, part) for one in found.projects]
    return ConsolePage("approvals.html", "Approvals", {"found": found, "rows": rows, "part": part, "address": "/approvals"})


def approvals_of(visit: Visit) -> Answer:
    """One project: its terms, and acts, requests, accesses and refusals beside one another. Raises InputError ``project_unknown``."""
    code = visit.place["code"]
    with visit.looking(Action.AUDIT_APPROVALS):
        part = _part(visit)
        found = examine(visit.vault, first=part.first, stop=part.stop)
        project = next((one for one in found.projects if one.code == code), None)
        if project is None:
            raise InputError("project_unknown", "the log knows no such project")
    terms = project.terms or {}
    acts = [(step, step.what) for step in project.steps] + [
        (step, f"ruling on {step.what}: {_ruled(step)}") for step in project.rulings
    ]
    shown = {
        "code": code,
        "part": part,
        "address": f"/approvals/{quote(code, safe='')}",
        "state": project.state or "not declared in this log",
        "terms": _terms(terms),
        "readable": found.terms_readable,
        "acts": [_act_row(found, step, what) for step, what in sorted(acts, key=lambda act: act[0].index)],
        "requests": [_request_row(one) for one in project.requests],
        "accesses": [_access_row(one) for one in project.accesses],
        "refusals": [_refusal_row(one) for one in project.refusals],
        "outside": sum(bool(one.outside) for one in project.accesses),
    }
    return ConsolePage("approvals_of.html", f"Approvals of {code}", shown)


def disclosures_form(visit: Visit) -> Answer:
    """The question whose disclosures are to be told."""
    with visit.vault.trail.attempting(Action.AUDIT_DISCLOSURES):  # only a refusal is logged: nobody is named yet
        pass
    return ConsolePage("disclosures.html", "Disclosures", {"asked": {"who": "", "since": "", "until": ""}, "found": None})


def disclosures(visit: Visit) -> Answer:
    """Disclosures of one person. Asked by a form, because a name in an address stays in the browser; logged as about the person."""
    asked = {name: visit.form.get(name, "")[:200] for name in ("who", "since", "until")}
    since, until = instant(visit.vault, asked["since"]), instant(visit.vault, asked["until"], after=True)
    found = account_for(visit.vault, asked["who"], since=since, until=until)
    disclosed = sum(one.disclosed for one in found.disclosures)
    shown = {
        "asked": {**asked, "who": ""},
        "found": found,
        "numbers": [
            Fact(f"{disclosed:,}", "disclosures"),
            Fact(f"{len(found.disclosures) - disclosed:,}", "accesses that came to nothing"),
            Fact(f"{len(found.other):,}", "other entries about this person"),
        ],
        "rows": [_disclosure_row(one) for one in found.disclosures],
    }
    return ConsolePage("disclosures.html", "Disclosures", shown)


def left(visit: Visit) -> Answer:
    """Releases, and the steps of notices, from the log alone, the newest first."""
    kinds = {"releases": Filter(acts=LEFT, outcome=Outcome.DONE.value), "notices": Filter(act=Action.RELEASE_NOTICE.value)}
    about = "notices" if visit.query.get("about") == "notices" else "releases"
    start = cells.number(visit.query.get("from", ""))
    with visit.looking(Action.AUDIT_READ):
        found = record_pages.older(visit.vault.trail.log, kinds[about], start=start, most=ROWS)
    older = None if found.older is None else f"/left?about={about}&from={found.older}"
    row = _left_row if about == "releases" else _notice_row
    shown = {
        "about": about,
        "rows": [row(one) for one in found.records],
        "older": older,
        "exhausted": found.exhausted,
        "begun": start is not None,
    }
    return ConsolePage("left.html", "Releases and notices", shown)


def checkpoints(visit: Visit) -> Answer:
    """Signed heads of each log, the log's public keys, and what the anchors keep."""
    with visit.looking(Action.AUDIT_READ):
        trail, log = visit.vault.trail, visit.vault.trail.log
        parts = [(part, log.checkpoints(part, newest=CHECKPOINTS)) for part in reversed(log.parts())]
        keys = [key.to_text() for key in trail.log_keys()]
        anchors = [_anchor_row(log, anchor, trail.origin) for anchor in trail.anchors]
    newest = parts[0][1][-1] if parts[0][1] else None
    shown = {
        "newest": newest,
        "keys": keys,
        "anchors": anchors,
        "parts": [
            (part, [(f"{one.size:,}", one.root.hex()) for one in map(checkpoint_in, reversed(notes))]) for part, notes in parts
        ],
        "most": CHECKPOINTS,
    }
    return ConsolePage("checkpoints.html", "Checkpoints and anchors", shown)


@dataclass(frozen=True)
class LogPiece:
    """Entries that a page is of: from ``first`` to ``stop``, exclusive, None where they are the newest."""

    first: int
    stop: int | None

    @property
    def begun(self) -> str:
        """Query that names the same entries again."""
        return "" if self.stop is None else f"?before={self.stop}"


def _part(visit: Visit) -> LogPiece:
    """Entries before the number that an address names, or the newest."""
    size, before = visit.vault.trail.log.size(), cells.number(visit.query.get("before", ""))
    stop = None if before is None or before >= size else before
    return LogPiece(max(0, (size if stop is None else stop) - EXAMINED), stop)


def _project_row(found: ApprovedAccesses, project: ProjectRecord, part: LogPiece) -> tuple[object, ...]:
    approval, outside = project.approval, sum(bool(one.outside) for one in project.accesses)
    by = f"{approval.by}, {approval.time[:10]}" if approval else "nobody"
    signed = Badge("not signed", "bad") if approval and approval.index in found.unsigned else by
    named = Link(f"/approvals/{quote(project.code, safe='')}{part.begun}", project.code) if project.code else "(none)"
    return (
        named, project.state or "not declared", signed, f"{len(project.requests):,}", f"{len(project.refusals):,}",
        f"{len(project.accesses):,}", Badge(f"{outside:,}", "bad" if outside else "good"),
    )  # fmt: skip


def _terms(terms: Mapping[str, Any]) -> list[tuple[str, str]]:
    named = {
        "title": terms.get("title"),
        "datasets": terms.get("datasets"),
        "people": terms.get("people"),
        "recipients": [one["name"] for one in terms.get("recipients", ())],
        "until": str(terms.get("expires", ""))[:10],
    }
    return [(name, value if isinstance(value, str) else ", ".join(value)) for name, value in named.items() if value]


def _act_row(found: ApprovedAccesses, step: Step, what: str) -> tuple[object, ...]:
    signed: object = ""
    if step.act in SIGNED_ACTS:
        unsigned, replaced = step.index in found.unsigned, step.index in found.replaced
        signed = Badge("not signed", "bad") if unsigned else "replaced" if replaced else Badge("signed", "good")
    return (
        cells.entry(step.index),
        cells.second(step.time),
        what,
        step.by,
        signed,
        "; ".join([*step.flags, *filter(None, [step.reason])]),
    )


def _ruled(step: Step) -> str:
    said = "allowed" if step.allows else "taken back"
    return said if step.in_force else f"{said}, waits for a second steward"


def _request_row(one: Asked) -> tuple[object, ...]:
    stopped = "" if one.denied is None else f"{one.stopped} by {one.denied_by}: {one.reason}"
    return (
        cells.entry(one.index),
        cells.second(one.time),
        one.request,
        cells.by(one.by, one.asserted_for),
        _what(one.what),
        stopped,
    )


def _access_row(one: Accessed) -> tuple[object, ...]:
    under: object = Badge("; ".join(WHY[code] for code in one.outside), "bad") if one.outside else ""
    if not one.outside and one.approval is not None:
        under = cells.entry(one.approval)
    return (
        cells.entry(one.index), cells.second(one.time), one.act, cells.by(one.by, one.asserted_for), _what(one.what), ", ".join(one.recipients), one.ended, under,
    )  # fmt: skip


def _refusal_row(one: Refusal) -> tuple[object, ...]:
    return (
        cells.entry(one.index),
        cells.second(one.time),
        one.act,
        cells.by(one.by, one.asserted_for),
        one.request or "",
        ", ".join(one.reasons),
    )


def _disclosure_row(one: Disclosure) -> tuple[object, ...]:
    ended = Badge(one.ended, "bad" if one.ended == "assumed" else "good" if one.disclosed else "plain")
    return (
        cells.entry(one.index), cells.second(one.time), one.kind, ", ".join(one.recipients), _what(one.what),
        f"{one.purpose or ''} ({one.project})", cells.by(one.actor, one.asserted_for), ended,
    )  # fmt: skip


def _left_row(one: Record) -> tuple[object, ...]:
    ref = (one.object or "").partition(":")[2]
    return (
        cells.entry(one.index), cells.second(one.time), (one.act or "").partition(".")[0], cells.by(one.actor, one.asserted_for), one.project or "",
        one.request or "", ref, f"{one.counts.get('sites', 0):,}" if "sites" in one.counts else "",
    )  # fmt: skip


def _notice_row(one: Record) -> tuple[object, ...]:
    said = {"release.notice": "opened", "release.notice.call_off": "called off", "release.notice.issue": "sent"}
    act = one.act or ""
    step = said.get(act, act.rpartition(".")[2].replace("acknowledge", "acknowledged").replace("reopen", "opened again"))
    kind = {"late": "bad", "acknowledged": "good"}.get(step, "plain")
    ref = (one.object or "").partition(":")[2]
    return (
        cells.entry(one.index),
        cells.second(one.time),
        Badge(step, kind),
        ref,
        one.project or "",
        one.actor or "",
        f"{one.counts.get('drops', 0):,}",
    )


def _anchor_row(log: AuditLog, anchor: Anchor, origin: str) -> tuple[object, ...]:
    try:
        note = anchor.newest(origin)
    except UnavailableError as error:
        return str(anchor.folder), "", Badge(error.message, "bad")
    if note is None:
        return str(anchor.folder), "", Badge("holds nothing of this log", "bad")
    kept = checkpoint_in(note)
    agrees = log.root_at(kept.size) == kept.root
    return str(anchor.folder), f"{kept.size:,}", Badge("agrees", "good") if agrees else Badge("does not agree", "bad")


def _what(what: Mapping[str, Any]) -> str:
    loci = [str(what["panel"])] if what.get("panel") else []
    loci += [str(one) for name in ("regions", "alleles") for one in _listed(what.get(name))][:3]
    return f"{what.get('dataset', '')} {', '.join(loci) or ('all sites' if what else '')}".strip()


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()
