"""Consent history of a person who was registered twice: what the ledger takes anew for the registration that stays (``policies.merging``).

The sealed parts come along under the person's key. What the registrations' guardians are told apart by is numbered anew by their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from policies import merging
from policies.consent import ConsentEvent, Level, Withdrawal
from policies.standing import Standing, standing
from policies.states import fold
from vault.consent import ledger
from vault.consent.form_responses import SIGNED_BY
from vault.consent.ledger import NewEvent
from vault.ids import SubjectId, new_uuid7
from vault.session.moments import moment
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.database import Transaction
from vault.storage.timestamps import rfc3339

COPIED = "said_in"  # of a sealed part: the event of the other registration, or of this one, that it says again
SINCE = "first_recorded"


@dataclass(frozen=True)
class MergedHistory:
    """Both histories, and the events that make them one. ``ended``: what either allows now and the two together do not."""

    stays: tuple[ConsentEvent, ...]
    goes: tuple[ConsentEvent, ...]
    new: tuple[NewEvent, ...] = field(repr=False)
    granted: tuple[str, ...]
    ended: tuple[str, ...]
    restricted: bool
    erasure_asked: bool


def read(tx: Transaction, vault: UnlockedVault, stays: SubjectId, goes: SubjectId) -> MergedHistory:
    """Unite two histories as the transaction sees them; nothing is recorded.

    Raises as ``ledger.read`` and ``ledger.private``.
    """
    book = ledger.read(tx, vault)
    mine, other = book.events_of(stays), book.events_of(goes)
    private = _private(vault, tx, book, stays), _private(vault, tx, book, goes)
    sealed = {**private[0], **private[1]}
    numbers = _guardians(mine, other, sealed)
    renumbered = [replace(e, signer_ref=numbers.get(e.event_id, e.signer_ref)) for e in other]
    new = _new(vault, stays, merging.to_repeat(mine, renumbered), sealed)
    at = moment(vault, tx).at
    placed = [replace(item.event, seq=book.head.seq + 1 + place, rules=2) for place, item in enumerate(new)]
    before = [standing(fold(events), legal_at=at) for events in (mine, other)]
    after = standing(fold([*mine, *placed]), legal_at=at)
    return MergedHistory(
        mine,
        other,
        tuple(new),
        granted=tuple(sorted(_granted(after))),
        ended=tuple(sorted((_granted(before[0]) | _granted(before[1])) - _granted(after))),
        restricted=any(one.restricted for one in before),
        erasure_asked=any(_asks_erasure(events) for events in (mine, other)),
    )


def closing(vault: UnlockedVault, goes: SubjectId) -> NewEvent:
    """The last event of the registration that goes: nothing is released under it any more, whatever is in the making."""
    now = vault.clock()
    event = ConsentEvent(
        event_id=new_uuid7(vault.random, now),
        seq=0,
        legal_time=now,
        recorded_at=now,
        withdrawal=Withdrawal("everything", Level.NO_NEW_USE),
        recorded_by=vault.principal,
    )
    return NewEvent(goes, event, {}, at_once=True)


def _private(vault: UnlockedVault, tx: Transaction, book: ledger.Ledger, subject: SubjectId) -> dict[str, dict[str, str]]:
    """Sealed parts by event id."""
    held = ledger.private(vault, tx, book, subject)
    return {event.event_id: held[event.seq] for event in book.events_of(subject)}


def _guardians(
    mine: Sequence[ConsentEvent], other: Sequence[ConsentEvent], sealed: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """Number of the guardian of each of the other's events: that of the same name here, or the next."""
    known = {sealed[e.event_id].get(SIGNED_BY, ""): e.signer_ref for e in mine if e.signer_ref}
    found = {}
    for event in other:
        if event.signer_ref:
            name = sealed[event.event_id].get(SIGNED_BY) or event.event_id  # without a name: nobody else's
            found[event.event_id] = known.setdefault(name, str(len(known) + 1))
    return found


def _new(
    vault: UnlockedVault, stays: SubjectId, repeated: Sequence[merging.Repeated], sealed: Mapping[str, Mapping[str, str]]
) -> list[NewEvent]:
    now, ids, made = vault.clock(), dict[str, str](), list[NewEvent]()
    for item in repeated:
        said, event_id = item.said, new_uuid7(vault.random, now)
        private = dict(sealed[said.event_id])
        event = replace(
            said,
            event_id=event_id,
            seq=0,
            recorded_at=now,
            supersedes=ids.get(said.supersedes, said.supersedes),
            evidence_hash=private.pop("evidence", ""),
            channel=private.pop("channel", ""),
        )
        if item.whole:
            ids[said.event_id] = event_id
        private |= {COPIED: said.event_id, SINCE: rfc3339(said.recorded_at)}
        made.append(NewEvent(stays, event, private))
    return made


def _granted(where: Standing) -> set[str]:
    return {grant.policy for grant in where.grants}


def _asks_erasure(events: Sequence[ConsentEvent]) -> bool:
    """True if somebody asked for the data to be erased, and that was not corrected."""
    return any(item.level is Level.ERASE for item in fold(events).oppositions)
