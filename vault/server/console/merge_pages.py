"""Merges of two registrations of one person: what one would do is told first, and done by the form that the report stands above."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict

from vault.audit.actions import Action
from vault.errors import InputError
from vault.operations.corrections import merge_proposals, merging
from vault.operations.corrections.merge_proposals import ProposedMerge
from vault.operations.corrections.merging import MERGED, MergeReport
from vault.server.console import cells
from vault.server.console.frame import Answer, ConsolePage, Redirection
from vault.server.console.visits import Visit
from vault.subjects.people_words import who
from vault.subjects.references import resolve


def listed(visit: Visit) -> Answer:
    """Merges that wait, and the form that asks what one would do."""
    return _page(visit, None)


def looked(visit: Visit) -> Answer:
    """Report of a merge of two; nothing is done. Asked by a form, because a name in an address stays in the browser. Raises as ``merging.check``."""
    return _page(visit, merging.check(visit.vault, visit.form.get("stays", ""), visit.form.get("goes", "")))


def merge(visit: Visit) -> Answer:
    """Merge, propose to, or agree, as it was shown. Raises InputError ``shown_outdated``; as ``merging.merge``."""
    stays, goes = visit.form.get("stays", ""), visit.form.get("goes", "")
    now = merging.check(visit.vault, stays, goes)
    if not hmac.compare_digest(_digest(now, _waiting(visit, now)).encode(), visit.form.get("seen", "").encode()):
        raise InputError("shown_outdated", "what the merge would do has changed since it was shown", hint="look at it again")
    done = merging.merge(visit.vault, stays, goes, reason=visit.form.get("reason", ""), accept=visit.form.get("accept") == "yes")
    return Redirection("/waiting/merges", "merged" if done.state == MERGED else "proposed")


def take_back(visit: Visit) -> Answer:
    """Take one's own proposal back. Raises as ``merge_proposals.take_back``."""
    form = visit.form
    merge_proposals.take_back(visit.vault, form.get("stays", ""), form.get("goes", ""), reason=form.get("reason", ""))
    return Redirection("/waiting/merges", "taken_back")


def _page(visit: Visit, report: MergeReport | None) -> ConsolePage:
    with visit.vault.trail.attempting(Action.CONSENT_QUEUE):  # whoever reads details could list them; stewards alone may
        waiting = merge_proposals.pending(visit.vault)
    proposed = None if report is None else _of(waiting, report)
    shown = {
        "waiting": [(one, cells.moment(one.proposed)) for one in waiting],
        "own": visit.vault.principal,
        "report": report,
        "people": ["", ""]
        if report is None
        else [who(visit.vault, resolve(visit.vault, one)) for one in (report.stays, report.goes)],
        "proposed": proposed,
        "seen": "" if report is None else _digest(report, proposed),
        "calls": [] if report is None else _calls(report),
    }
    return ConsolePage("merges.html", "Merges of registrations", shown)


def _calls(report: MergeReport) -> list[tuple[str, ...]]:
    return [
        (met.dataset, f"{met.parts:,}", f"{met.same:,}", f"{met.different:,}", "too little in common" if met.kinship is None else f"{met.kinship:g}")
        for met in report.calls
    ]  # fmt: skip


def _waiting(visit: Visit, report: MergeReport) -> ProposedMerge | None:
    return _of(merge_proposals.pending(visit.vault), report)


def _of(waiting: list[ProposedMerge], report: MergeReport) -> ProposedMerge | None:
    """The proposal of the merge that a report is of."""
    return next((one for one in waiting if (one.stays, one.goes) == (report.stays, report.goes)), None)


def _digest(report: MergeReport, proposed: ProposedMerge | None) -> str:
    """Digest of all that was shown: the report, and the proposal that it would agree to."""
    said = [asdict(report), None if proposed is None else [proposed.proposed_by, proposed.proposed.isoformat(), proposed.accept]]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
