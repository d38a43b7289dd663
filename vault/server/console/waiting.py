"""Matters that wait for a steward, and the forms with which one agrees; how much consents cover, and which end soon."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import quote

from policies.disclosure import nats
from policies.reasons import WORDS
from vault.access import criteria_packs, projects, recipients, resolutions, rulings
from vault.audit.actions import Action
from vault.consent import coverage as coverages
from vault.consent import work_queue
from vault.consent.coverage import Share
from vault.consent.work_queue import Queue
from vault.errors import InputError
from vault.html import plots
from vault.operations.corrections import merge_proposals
from vault.server.console import cells, correction_pages
from vault.server.console.frame import Answer, Badge, ConsolePage, Fact, Link, Redirection, drawn
from vault.server.console.visits import Visit

MOST_DAYS = 36_500


def queue(visit: Visit) -> Answer:
    """All that waits for a steward, as ``genovault consent queue`` has it."""
    found = work_queue.queue(visit.vault)
    merges = merge_proposals.pending(visit.vault)
    shown = {
        "numbers": _facts(found, len(merges)),
        "requests": [
            (
                Link(f"/requests/{quote(one.request_id, safe='')}", one.request_id), one.project, one.dataset, one.kind.value,
                cells.by(one.submitted_by, one.spec.submitted_for), cells.second(one.created),
            )
            for one in found.requests
        ],
        "versions": [
            (Link(f"/projects/{quote(code, safe='')}", code), f"{one.version.version}", one.version.state.replace("_", " "), one.version.created_by)
            for code, one in found.versions
        ],
        "questions": [(w.project, f"{w.people:,}", w.reason.about, WORDS[w.reason.code], "a ruling" if w.by_ruling else "the project or the person") for w in found.waiting],
        "rulable": [(_about(visit, w.project, w.reason.about), f"{w.project} {w.reason.about}") for w in found.waiting if w.by_ruling],
        "unconfirmed": [(_about(visit, one.project, one.item), one) for one in found.unconfirmed],
        "recipients": found.recipients,
        "packs": found.packs,
        "resolutions": found.resolutions,
        "own": visit.vault.principal,
        "corrections": [
            (Link(f"/waiting/corrections/{quote(one.event_id, safe='')}", one.event_id), one.who, correction_pages.WORDS[one.kind], one.proposed_by, cells.moment(one.proposed), one.asked.reason)
            for one in found.proposals
        ],
        "merges": [(one.goes, one.stays, one.proposed_by, cells.moment(one.proposed), one.reason) for one in merges],
        "raises": [
            (Link(f"/projects/{quote(one.project, safe='')}/budgets", one.project), one.scope.value, nats.text(one.nats), one.proposed_by, cells.moment(one.proposed), one.reason)
            for one in found.raises
        ],
        "tables": [
            (Link(f"/projects/{quote(one.project, safe='')}/tables", one.project), f"{one.panel}@{one.version}", f"{one.alleles:,}", nats.text(one.price), one.proposed_by, cells.moment(one.proposed), one.reason)
            for one in found.tables
        ],
        "late": found.late,
        "notices": len(found.notices),
    }  # fmt: skip
    return ConsolePage("waiting.html", "Waiting", shown)


def rule(visit: Visit) -> Answer:
    """Rule on what a project leaves open, or confirm what another steward ruled: for the purpose that was shown, and the ruling.

    Raises:
        InputError: ``shown_outdated``; as ``rulings.rule``.
    """
    form = visit.form
    project, _, rest = form.get("about", "").partition(" ")
    item, _, _ = rest.partition(" ")
    with visit.vault.trail.attempting(Action.PROJECT_RULE):
        waits = next((one for one in rulings.waiting(visit.vault) if (one.project, one.item) == (project, item)), None)
        now = (_about(visit, project, item), "" if waits is None else f"{waits.ruled_by} {waits.ruled}")
        if now != (form.get("about", ""), form.get("ruled", "")):
            raise InputError(
                "shown_outdated", "the purpose or the ruling has changed since it was shown", hint="look at what waits again"
            )
    found = rulings.rule(visit.vault, project, item, reason=form.get("reason", ""))
    return Redirection("/waiting", "ruled" if found.confirmed_by is not None else "proposed")


def approve_pack(visit: Visit) -> Answer:
    """Approve a criteria pack."""
    found = criteria_packs.approve(visit.vault, visit.form.get("label", ""))
    return Redirection("/waiting", "approved" if found.settled else "proposed")


def confirm_recipient(visit: Visit) -> Answer:
    """Confirm a recipient's key by the fingerprint that the recipient told by another way."""
    recipients.confirm(visit.vault, visit.form.get("name", ""), visit.form.get("fingerprint", ""))
    return Redirection("/waiting", "confirmed")


def approve_resolution(visit: Visit) -> Answer:
    """Agree, as the second person, that somebody is told whose a pseudonym is."""
    resolutions.approve(visit.vault, visit.form.get("id", ""))
    return Redirection("/waiting", "approved")


def coverage(visit: Visit) -> Answer:
    """Share of the people that each plain purpose could use, or one project, by reason."""
    project = visit.query.get("project", "")[:64]
    shares = coverages.coverage(visit.vault, project or None)
    return ConsolePage("coverage.html", "Coverage", {"project": project, "shares": [_share(one) for one in shares]})


def expiring(visit: Visit) -> Answer:
    """People whose consent ends soon, or who come of age."""
    days = min(max(cells.number(visit.query.get("days", "")) or 90, 1), MOST_DAYS)
    found = work_queue.expiring(visit.vault, within=timedelta(days=days))
    rows = [(one.mrn, ", ".join(one.samples), one.policy, f"{one.ends:%Y-%m-%d}", Badge(one.cause, "off")) for one in found]
    return ConsolePage(
        "expiring.html", "Consents that end", {"days": days, "people": len({one.handle for one in found}), "rows": rows}
    )


def _about(visit: Visit, project: str, item: str) -> str:
    """Subject of a ruling: project, point, and the digest of the purpose. Raises InputError ``project_unknown``."""
    return f"{project} {item} {projects.load(visit.vault, project).purpose_sha256.hex()[:32]}"


def _facts(found: Queue, merges: int) -> list[Fact]:
    shared = found.unconfirmed, found.proposals, found.recipients, found.packs, found.resolutions, found.raises, found.tables
    second = sum(map(len, shared)) + merges
    return [
        Fact(f"{len(found.requests):,}", "requests"),
        Fact(f"{len(found.versions):,}", "drafts and amendments"),
        Fact(f"{len(found.waiting):,}", "open questions"),
        Fact(f"{second:,}", "for a second person"),
        Fact(f"{found.late:,} of {len(found.notices):,}", "notices that are late"),
    ]


def _share(share: Share) -> dict[str, object]:
    rows: Sequence[tuple[object, ...]] = [
        (Badge(outcome.value, {"permit": "good", "deny": "bad"}.get(outcome.value, "off")), reason.words(), f"{people:,}")
        for outcome, reason, people in share.counts
    ]
    part = share.usable / share.people if share.people else 0.0
    bar = plots.shares(
        [("usable", part, f"{share.usable:,} of {share.people:,}")],
        title=f"{share.purpose}: {part:.0%} usable",
        heads=("purpose", "people", "share"),
    )
    return {"purpose": share.purpose, "usable": share.usable, "people": share.people, "drawing": drawn(bar), "rows": rows}
