"""The command that shows a steward all that waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from cli import consent_proposals, pseudonyms, waiting_disclosures, waiting_merges
from cli.context import context_of
from cli.output import counted
from policies.reasons import WORDS

if TYPE_CHECKING:
    from vault.access.resolutions import Resolution
    from vault.consent.work_queue import Queue
    from vault.operations.corrections.merge_proposals import ProposedMerge


def queue(ctx: typer.Context) -> None:
    """What waits for a steward.

    Requests, drafts and amendments of projects, what projects leave open and a ruling can settle, corrections and merges that another
    steward proposed, recipients' keys, criteria packs, raises of budgets, panels for exact tables, requests to be told whose a pseudonym is, and notices.

    JSON: {"queue": [{"project", "reason", "about", "people": n, "by_ruling": bool}],
    "unconfirmed": [{"project", "item", "ruled_by", "ruled", "reason"}], "proposals": [{"event", "who", "kind": "void"|"restated",
    "proposed_by", "proposed", "reason", "agree": command}], "notices": {"open": n, "late": n},
    "requests": [{"request", "project", "dataset", "for", "submitted_by", "created"}], "versions": [{"project", "version": n, "state", "declared_by"}],
    "merges": [{"stays", "goes", "proposed_by", "proposed", "reason", "agree": command}], "recipients": [{"name", "added_by", "added"}],
    "packs": [{"name", "version", "added_by", "added"}], "raises": [{"project", "scope", "dataset", "nats", "proposed_by", "proposed", "reason", "agree": command}],
    "tables": [{"project", "panel", "version": n, "dataset", "alleles": n, "nats", "proposed_by", "proposed", "reason", "agree": command}], "resolutions": [{"resolution", "project", "state": "open"|"approved", "opened_by", "approved_by": name or null, "expires"}]}.
    """
    context = context_of(ctx)
    from vault.consent import work_queue
    from vault.operations.corrections import merge_proposals

    with context.open() as vault:
        found = work_queue.queue(vault)
        merges = merge_proposals.pending(vault)
    items = [
        {"project": w.project, "reason": w.reason.code, "about": w.reason.about, "people": w.people, "by_ruling": w.by_ruling}
        for w in found.waiting
    ]
    names = ("project", "item", "ruled_by", "ruled", "reason")
    unconfirmed = [{name: getattr(ruling, name) for name in names} for ruling in found.unconfirmed]
    proposed = [consent_proposals.document(one) for one in found.proposals]
    told = {"open": len(found.notices), "late": found.late}
    asked = [
        {
            "request": one.request_id,
            "project": one.project,
            "dataset": one.dataset,
            "for": one.spec.submitted_for,
            "submitted_by": one.submitted_by,
            "created": one.created,
        }
        for one in found.requests
    ]
    versions = [
        {"project": code, "version": one.version.version, "state": one.version.state, "declared_by": one.version.created_by}
        for code, one in found.versions
    ]
    context.output.document(
        {
            "queue": items,
            "unconfirmed": unconfirmed,
            "proposals": proposed,
            "notices": told,
            "requests": asked,
            "versions": versions,
            "merges": [waiting_merges.document(one) for one in merges],
            "recipients": [{"name": key.name, "added_by": key.added_by, "added": key.added} for key in found.recipients],
            "packs": [
                {"name": one.pack.name, "version": one.pack.version, "added_by": one.added_by, "added": one.added}
                for one in found.packs
            ],
            "raises": [waiting_disclosures.raise_document(one) for one in found.raises],
            "tables": [waiting_disclosures.table_document(one) for one in found.tables],
            "resolutions": [pseudonyms.document(one) for one in found.resolutions],
        }
    )
    rows = [(w.project, f"{w.people:,}", w.reason.about, WORDS[w.reason.code], _settled(w.by_ruling)) for w in found.waiting]
    context.output.line(f"open questions: {len(rows)}")
    if rows:
        context.output.table(("project", "people", "about", "", "settled by"), rows)
    for line in _lines(found, merges):
        context.output.line(line)


def _lines(found: Queue, merges: Sequence[ProposedMerge]) -> Iterator[str]:
    """All that waits beside the open questions, each with the command that comes next."""
    yield from _to_confirm(found)
    for proposal in found.proposals:
        yield from consent_proposals.lines(proposal)
    for request in found.requests:
        whose = f" for {request.spec.submitted_for}" if request.spec.submitted_for else ""
        waits = f"request {request.request_id} of {request.project}{whose} waits"
        yield f"{waits}: genovault request risk {request.request_id}, then genovault request approve {request.request_id}"
    for code, one in found.versions:
        yield f"version {one.version.version} of project {code} is {one.version.state}: genovault project versions {code}"
    for pack in found.packs:
        yield f"criteria pack {pack.pack.label} waits: genovault criteria approve {pack.pack.label}"
    for merge in merges:
        yield from waiting_merges.lines(merge)
    for more in found.raises:
        yield from waiting_disclosures.raise_lines(more)
    for table in found.tables:
        yield from waiting_disclosures.table_lines(table)
    for resolution in found.resolutions:
        yield _told_whose(resolution)
    if found.notices:
        late = f", {found.late} of them late" if found.late else ""
        yield f"recipients have {counted(len(found.notices), 'notice')} open{late}: genovault release notices"


def _to_confirm(found: Queue) -> list[str]:
    ruled = [f"{one.ruled_by} ruled on {one.item} for {one.project}: another steward confirms" for one in found.unconfirmed]
    return [*ruled, *(f"{key.added_by} added a key of {key.name}: genovault recipient confirm" for key in found.recipients)]


def _settled(by_ruling: bool) -> str:
    return "a ruling" if by_ruling else "the project or the person"


def _told_whose(resolution: Resolution) -> str:
    """Who asks whose a pseudonym is, and the command that comes next."""
    own, asked = resolution.resolution_id, f"{resolution.opened_by} asks whose a pseudonym of {resolution.project} is"
    if resolution.approved_by is None:
        return f"{asked}: genovault pseudonym resolve approve {own}"
    return f"{asked}, {resolution.approved_by} approved: genovault pseudonym resolve execute {own}"
