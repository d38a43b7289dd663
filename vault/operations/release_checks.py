"""Requests and releases held against the log: what is in one and not in the other, and states that differ."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from sqlalchemy import select

from vault.access import (
    access_tokens,
    criteria_packs,
    extract_orders,
    holdings,
    leftovers,
    notices,
    releases,
    resolutions,
    stream_tickets,
)
from vault.access.disclosure import frequency_tables, linkage_decisions, raises, released_sites, stored_answers, table_approvals
from vault.audit.actions import Action, Outcome
from vault.audit.reports.records import records
from vault.operations.health import HealthFinding, Severity
from vault.risk import stored_reports
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ReleaseRow, RequestRow
from vault.storage.timestamps import rfc3339

RESTORE = "genovault restore SRC"

_INTENTS = (Action.VIEW_INTENT, Action.MATCH_INTENT, Action.EXTRACT_INTENT)


def findings(vault: UnlockedVault) -> Iterator[HealthFinding]:
    """An error of each request that the books lack, and of each release whose state the log does not tell."""
    with vault.books.read() as tx:
        requests = set(tx.scalars(select(RequestRow.request_id)))
        columns = (ReleaseRow.release_id, ReleaseRow.intent_event, ReleaseRow.state)
        rows = {row.intent_event: row for row in tx.execute(select(*columns))}
    known = {row.release_id: row for row in rows.values()}
    outcomes: dict[str, set[str | None]] = {}
    named: dict[str, str] = {}  # intent -> the release that it is of
    submitted: set[str | None] = set()
    for record in records(vault.trail.log):
        if record.act in _INTENTS and record.outcome == Outcome.INTENT:
            outcomes[record.event] = set()
            named[record.event] = (record.object or "").partition(":")[2]
        elif record.refers in outcomes:
            outcomes[record.refers].add(record.outcome)
        elif record.act == Action.REQUEST_SUBMIT and record.outcome == Outcome.DONE:
            submitted.add(record.request)
    for request in sorted(filter(None, submitted - requests)):
        yield _error("request_missing", f"request {request}, which the log tells of, is not in the books")
    for event in outcomes.keys() - rows.keys():
        if named[event] in known and outcomes[event] and Outcome.DONE not in outcomes[event]:
            continue  # stopped; the row names the intent by which it went on
        yield _error("release_missing", f"the log's access {event} is in no book of releases")
    for event, row in rows.items():
        logged = outcomes.get(event)
        left, undone = logged is not None and Outcome.DONE in logged, logged is not None and bool(logged - {Outcome.DONE})
        agrees = {"staging": not left, "committed": left, "released": left, "aborted": undone}
        if logged is None or not agrees.get(row.state, False):
            yield _error("release_altered", f"the log tells of release {row.release_id} otherwise than the books")


def _kept_extracts(vault: UnlockedVault) -> Iterator[HealthFinding]:
    """Extracts that were stopped and may go on."""
    for release in releases.unfinished(vault):
        if leftovers.is_kept(vault, release, at=vault.clock()):
            contigs = len(release.content.leftover["finished"])
            text = f"extract {release.release_id} was stopped; its {contigs} finished contigs are kept until {rfc3339(leftovers.until(release))}"
            options = ["--format", release.content.leftover["choice"]["file_format"], "--split", "contig"]
            options += [word for name in release.sealed_for for word in ("--recipient", name)]
            command = ["genovault", "extract", str(release.request_id), "--output", release.content.output, *options]
            remedy = shlex.join([*command, "--resume", release.release_id])
            yield HealthFinding(Severity.NOTE, "extract_kept", text, remedy)


def _error(code: str, message: str) -> HealthFinding:
    return HealthFinding(Severity.ERROR, code, message, RESTORE)


def budgets_and_answers(vault: UnlockedVault) -> Iterator[HealthFinding]:
    """Raises, panels and criteria packs that nobody signed; answers, risk reports and accounts of what left, and tickets of streams, not as they were made."""
    yield from (_error("approval_missing", message) for message in [*raises.faults(vault), *table_approvals.faults(vault)])
    yield from (_error("criteria_pack_altered", message) for message in criteria_packs.faults(vault))
    yield from (_error("frequency_table_altered", message) for message in frequency_tables.faults(vault))
    yield from (_error("linkage_decision_altered", message) for message in linkage_decisions.faults(vault))
    yield from (_error("stored_answer_altered", message) for message in stored_answers.faults(vault))
    yield from (_error("risk_report_altered", message) for message in stored_reports.faults(vault))
    yield from (_error("access_token_altered", message) for message in access_tokens.faults(vault))
    yield from (_error("stream_ticket_altered", message) for message in stream_tickets.faults(vault))
    yield from (_error("extract_order_altered", message) for message in extract_orders.faults(vault))
    yield from (_error("released_sites_altered", message) for message in released_sites.faults(vault))


def notices_and_holdings(vault: UnlockedVault) -> Iterator[HealthFinding]:
    """Records of notices, holdings and resolutions that are not as they were made, notices that nobody answered in time, and extracts that may go on."""
    yield from (_error("holding_altered", message) for message in holdings.faults(vault))
    yield from (_error("resolution_altered", message) for message in resolutions.faults(vault))
    broken = notices.faults(vault)
    yield from (_error("notice_altered", message) for message in broken)
    late = [] if broken else [notice for notice in notices.list_all(vault) if notice.overdue(vault.clock())]
    if late:
        text = f"{len(late)} notices to recipients were not acknowledged in time"
        yield HealthFinding(Severity.WARNING, "notice_late", text, "genovault release notices --due")
    yield from _kept_extracts(vault)
