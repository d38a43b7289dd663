"""Corrections of consents that wait for another steward: what is recorded, what would stand in its place, and what that changes."""

from __future__ import annotations

import hmac
from datetime import tzinfo

from policies.consent import ConsentEvent, CorrectionKind, Precision
from vault.audit.actions import Action, Outcome
from vault.consent import corrections, proposals
from vault.consent.corrections import CORRECTED, LookedAt
from vault.consent.proposals import Proposal
from vault.errors import InputError
from vault.server.console import cells
from vault.server.console.frame import Answer, ConsolePage, Redirection
from vault.server.console.visits import Visit
from vault.session.time_zone import zone_of

WORDS = {CorrectionKind.VOID: "it was never said", CorrectionKind.RESTATED: "it was said otherwise"}


def shown(visit: Visit) -> Answer:
    """Every proposal about one event, with what it would change. Raises InputError ``not_proposed``."""
    event_id, zone = visit.place["event"], zone_of(visit.vault)
    found = [(one, corrections.look(visit.vault, one)) for one in _proposals(visit, event_id)]
    cards = [
        {
            "proposal": one,
            "content": one.content.hex(),
            "kind": WORDS[one.kind],
            "proposed": cells.moment(one.proposed),
            "own": one.proposed_by == visit.vault.principal,
            "rows": _compared(one, look, zone),
            "allowed": look.allowed,
            "ended": look.ended,
        }
        for one, look in found
    ]
    return ConsolePage("correction.html", "Correction of a consent", {"event": event_id, "cards": cards})


def agree(visit: Visit) -> Answer:
    """Give, as another steward, the correction that was shown. Raises InputError ``not_proposed``; as ``corrections.correct``."""
    one = _chosen(visit)
    asked = one.asked
    done = corrections.correct(
        visit.vault,
        one.event_id,
        reason=visit.form.get("reason", ""),
        amendment=asked.amendment,
        evidence=asked.evidence,
        clock_checked=asked.clock_checked,
    )
    return Redirection("/waiting", "corrected" if done.state == CORRECTED else "proposed")


def take_back(visit: Visit) -> Answer:
    """Take one's own proposal back. Raises as ``proposals.take_back``."""
    proposals.take_back(visit.vault, visit.place["event"], reason=visit.form.get("reason", ""))
    return Redirection("/waiting", "taken_back")


def _proposals(visit: Visit, event_id: str) -> list[Proposal]:
    """Those about an event; the look is logged as about whom they are of."""
    vault = visit.vault
    with vault.trail.attempting(Action.CONSENT_QUEUE):
        found = [one for one in proposals.pending(vault, proposals.people(vault)) if one.event_id == event_id]
        if not found:
            raise InputError(
                "not_proposed",
                "no correction of this event waits",
                hint="it was given, taken back, or outdated by what was recorded since",
            )
        vault.trail.record(Action.CONSENT_QUEUE, Outcome.DONE, subjects=sorted({one.subject for one in found}))
    return found


def _chosen(visit: Visit) -> Proposal:
    """The proposal that the form was shown of."""
    content = visit.form.get("content", "").encode()
    for one in _proposals(visit, visit.place["event"]):
        if hmac.compare_digest(one.content.hex().encode(), content):
            return one
    raise InputError("not_proposed", "what was shown does not wait any more", hint="look at what waits now")


def _compared(proposal: Proposal, look: LookedAt, zone: tzinfo) -> list[tuple[str, str, str]]:
    """(what, as it is recorded, as it would be) where either says something."""
    wrong, instead = (dict(_facts(one, zone)) for one in (look.wrong, look.instead))
    if proposal.kind is CorrectionKind.VOID:
        return [(name, said, "nothing") for name, said in wrong.items() if said]
    said = proposal.asked.amendment
    instead["signed by"] = f"{said.signed_by}, {instead['signed by']}" if said.signed_by else instead["signed by"]
    return [(name, wrong[name], instead[name]) for name in wrong if wrong[name] or instead[name]]


def _facts(event: ConsentEvent, zone: tzinfo) -> list[tuple[str, str]]:
    day = event.precision is Precision.DAY
    said = [f"{answer.policy} {answer.answer}" for answer in event.answers]
    if event.withdrawal is not None:
        said.append(f"withdrawn: {event.withdrawal.scope}, {event.withdrawal.level.name.lower().replace('_', '-')}")
    if event.status is not None:
        said.append(str(event.status))
    return [
        ("says", ", ".join(said)),
        ("form", f"{event.form.form}@{event.form.version}" if event.form else ""),
        ("of the time", f"{event.legal_time.astimezone(zone):%Y-%m-%d}" if day else cells.moment(event.legal_time)),
        ("signed by", event.signer.value.replace("_", " ")),
        ("recorded by", event.recorded_by),
        ("quality check", event.qc.name.lower()),
        ("evidence", event.evidence_hash),
    ]
