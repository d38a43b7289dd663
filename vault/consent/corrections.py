"""Correction of a recorded consent event: it never was, or it was otherwise (docs/design/consent.md §4.2).

The event stays in the history; the correction says who and why. Where more may be released after it than before, it takes evidence
and, where there are several, two stewards: one proposes, another gives the same correction with the same evidence. Each has a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from policies import canonical, consent, corrections
from policies.consent import RULES, ConsentEvent, CorrectionKind
from policies.standing import standing
from policies.states import fold
from vault.access import second_steward
from vault.audit.actions import Action, Outcome
from vault.consent import corrected_events, drop_lists, ledger, proposals, signatures
from vault.consent.corrected_events import Amendment, Wrong
from vault.consent.ledger import NewEvent
from vault.consent.proposals import AskedCorrection, Proposal
from vault.consent.withdrawal_effect import Withdrawn, effect
from vault.errors import InputError, UnavailableError
from vault.files.evidence_files import digest_of
from vault.ids import SubjectId
from vault.session.approvals import Approval
from vault.session.moments import moment
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects.people_words import who

REASON, PROPOSED_BY, PROPOSED_REASON = "reason", "proposed_by", "proposed_reason"  # of a sealed part
PROPOSED, CORRECTED, TAKEN_BACK = "proposed", "corrected", "taken_back"
NEVER_SAID = Amendment()
_ANY = "-"  # stands for evidence while a correction is tried


@dataclass(frozen=True)
class Corrected:
    """A correction, recorded or proposed. ``allowed``: policies that are granted with it and are not without; ``effect``: None where it
    is only proposed; ``who``: the person in words.
    """

    state: str
    who: str = field(repr=False)
    kind: CorrectionKind
    allowed: tuple[str, ...]
    takes_two: bool
    effect: Withdrawn | None = None
    differs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # steward who proposed otherwise -> in what


@dataclass(frozen=True)
class _Trial:
    """A correction that may be recorded, the person's history before it, and whether it opens anything."""

    subject: SubjectId
    history: tuple[ConsentEvent, ...]
    event: ConsentEvent
    private: Mapping[str, str]
    opens: bool
    takes_two: bool


@dataclass(frozen=True)
class LookedAt:
    """A proposed correction as it would be recorded: the event that it corrects, the one that takes its place, and the policies that are granted
    with it alone (``allowed``) and without it alone (``ended``).
    """

    wrong: ConsentEvent
    instead: ConsentEvent
    allowed: tuple[str, ...]
    ended: tuple[str, ...]


def look(vault: UnlockedVault, proposal: Proposal) -> LookedAt:
    """Tell what a proposed correction would change, and change nothing; one access of the log. Raises InputError as ``correct``."""
    with vault.trail.attempting(Action.CONSENT_SHOW):
        asked = _asked(vault, proposal.event_id, proposal.asked.amendment, proposal.asked.evidence)
        was, then = _before_and_after(vault, asked, None)
        vault.trail.record(Action.CONSENT_SHOW, Outcome.DONE, subjects=[asked.subject])
    wrong = next(one for one in asked.history if one.event_id == proposal.event_id)
    return LookedAt(wrong, asked.event, tuple(sorted(then - was)), tuple(sorted(was - then)))


def correct(
    vault: UnlockedVault,
    event_id: str,
    *,
    reason: str,
    amendment: Amendment = NEVER_SAID,
    evidence: str = "",
    clock_checked: bool = False,
) -> Corrected:
    """Correct an event. ``evidence``: SHA-256, or the path of a file; ``clock_checked``: as ``ledger.append``.

    Raises:
        InputError: ``reason_missing``, ``reason_too_long``, ``event_unknown``, ``event_corrected``, ``nothing_said``, ``evidence_missing``,
            ``bad_evidence``, ``bad_time``, ``bad_signer``, ``record_rejected``, ``form_unknown``. RefusedError: ``self_confirmation``.
            UnavailableError: ``changed_meanwhile``; as ``ledger.append``.
    """
    with vault.trail.attempting(Action.CONSENT_CORRECT):
        said = require_reason(reason)
        shown = digest_of(evidence) if evidence else ""
        asked = _asked(vault, event_id, amendment, shown)
        request = AskedCorrection(said, amendment, shown, clock_checked, asked.history[-1].seq)
        detail: dict[str, object] = {"event": event_id, "kind": asked.event.correction, "reason": said}
        approval = _approval(vault, asked)
        waiting = proposals.of_event(vault, asked.subject, event_id)
        with vault.books.write() as tx:
            if ledger.read(tx, vault).events_of(asked.subject) != asked.history:
                raise UnavailableError(
                    "changed_meanwhile", "consent of this person was recorded meanwhile", hint="repeat the command"
                )
            agreed = second_steward.sign(vault, tx, approval, two=asked.takes_two) if asked.opens else None
            if agreed is not None and not agreed.settled:
                act = Action.CONSENT_PROPOSE_CORRECTION
                detail[proposals.ASKED] = proposals.sealed(vault, asked.subject, request, approval.content)
                vault.trail.append(tx, act, Outcome.DONE, subjects=[asked.subject], detail=detail)
                others = {name: one.asked.differs(request) for name, one in waiting.items() if name != vault.principal}
                return _corrected(vault, asked, None, others)
            private = {**asked.private, REASON: said}
            if agreed is not None and agreed.proposed_by:
                private[PROPOSED_BY] = detail[PROPOSED_BY] = agreed.proposed_by
                if (first := waiting.get(agreed.proposed_by)) is not None and first.content == approval.content:
                    private[PROPOSED_REASON] = detail[PROPOSED_REASON] = first.asked.reason
            new = NewEvent(asked.subject, asked.event, private, at_once=asked.event.correction is CorrectionKind.VOID)
            head, recorded = ledger.append(tx, vault, [new], clock_checked=clock_checked)
            flags = signatures.flags(recorded, clock_checked=clock_checked)
            vault.trail.append(
                tx,
                Action.CONSENT_CORRECT,
                Outcome.DONE,
                subjects=[asked.subject],
                consent=head.entry(added=1),
                detail=detail,
                flags=(*flags, *(agreed.flags if agreed is not None else ())),
            )
            drop_lists.follow_quietly(vault, tx, asked.subject)
    return _corrected(vault, asked, recorded[0])


def _asked(vault: UnlockedVault, event_id: str, amendment: Amendment, evidence: str) -> _Trial:
    with vault.books.read() as tx:
        book = ledger.read(tx, vault)
        subject = book.subject_of(event_id)
        if subject is None:
            raise InputError("event_unknown", "there is no such event", hint="genovault consent show REF lists a person's")
        history, held = book.events_of(subject), ledger.private(vault, tx, book, subject)
        now, two = min(vault.clock(), moment(vault, tx).at), second_steward.needed(tx)
    event = next(one for one in history if one.event_id == event_id)
    instead = corrections.corrected_by(history, event_id)
    if instead is not None:
        hint = f"correct that one: {instead.event_id}"
        raise InputError("event_corrected", "another event stands in its place already", hint=hint)
    sealed = {key: value for key, value in held[event.seq].items() if key not in {REASON, PROPOSED_BY, PROPOSED_REASON}}
    wrong = Wrong(subject, history, event, sealed)
    private: Mapping[str, str] = {}
    if amendment.kind is CorrectionKind.VOID:
        made = corrected_events.never_said(vault, wrong, evidence=evidence)
    else:
        made, private = corrected_events.said_rightly(vault, wrong, amendment, evidence=evidence)
    trial = replace(made, seq=book.head.seq + 1, rules=RULES[-1], evidence_hash=_ANY)
    opens = corrections.opens(history, trial, at=now)
    if not evidence and (opens or corrections.needs_evidence(event)):
        message = "what may take a no out of force, or allow more, names what shows it"
        raise InputError("evidence_missing", message, hint="--evidence FILE: the paper, the letter, the note of the call")
    return _Trial(subject, history, made, private, opens=opens, takes_two=opens and two)


def _approval(vault: UnlockedVault, asked: _Trial) -> Approval:
    """Approval of a correction: what the event says with its sealed part, apart from what differs each time that it is made."""
    fixed = {"event_id": "", "recorded_at": 0, "recorded_by": "", "evidence_hash": "", "channel": ""}
    said = {key: value for key, value in consent.as_dict(asked.event).items() if key not in fixed}
    if asked.event.correction is CorrectionKind.VOID:
        said.pop("legal_time")
    whole = canonical.dumps([said, dict(asked.private)]).encode()
    evidence, after = asked.event.evidence_hash, asked.history[-1].seq
    return proposals.approval(vault, asked.subject, asked.event.supersedes, whole, after=after, evidence=evidence)


def _corrected(
    vault: UnlockedVault,
    asked: _Trial,
    recorded: ConsentEvent | None,
    differs: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Corrected:
    was, then = _before_and_after(vault, asked, recorded)
    return Corrected(
        CORRECTED if recorded is not None else PROPOSED,
        who(vault, asked.subject),
        asked.event.correction or CorrectionKind.VOID,
        tuple(sorted(then - was)),
        asked.takes_two,
        None if recorded is None else effect(vault, asked.subject, asked.history, recorded, at=vault.clock()),
        differs,
    )


def _before_and_after(vault: UnlockedVault, asked: _Trial, recorded: ConsentEvent | None) -> tuple[set[str], set[str]]:
    """Policies that are granted now without the correction, and with it, as recorded or as it would be."""
    now, trial = vault.clock(), replace(asked.event, seq=asked.history[-1].seq + 1, rules=RULES[-1])
    return _granted(asked.history, now), _granted((*asked.history, recorded or trial), now)


def _granted(events: Sequence[ConsentEvent], at: datetime) -> set[str]:
    return {grant.policy for grant in standing(fold(events), legal_at=at).grants}
