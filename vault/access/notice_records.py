"""Records of notices: what is sealed in a row, what an acknowledgement is signed over, and rows held against the log.

Whoever records withdrawals signs the collection, so an acknowledgement is signed besides by the steward who recorded it, and a state is
the one that the log tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from vault.audit.actions import Action
from vault.audit.reports.records import record_of
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.session import approvals
from vault.session.approvals import Approval, Signed
from vault.session.sealed_records import SealedRecord, altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import NoticeRow
from vault.storage.timestamps import from_micros

SEALED = SealedRecord("notice")
OPEN, ACKNOWLEDGED, CALLED_OFF = "open", "acknowledged", "called_off"
IN_FORCE = (OPEN, ACKNOWLEDGED)
RELEASE, HOLDING = "release", "holding"
WHOLE = ""
"""Stands for a pseudonym that nobody can tell any more, because its key was destroyed: everything that was received is meant."""

STEPS = {  # act -> state that it leaves
    Action.RELEASE_NOTICE.value: OPEN,
    Action.RELEASE_ACKNOWLEDGE.value: ACKNOWLEDGED,
    Action.RELEASE_REOPEN_NOTICE.value: OPEN,
}


@dataclass(frozen=True)
class Drop:
    """One record to drop. ``why``: reason code, for stewards; ``off``: when it was called off, RFC 3339."""

    pseudonym: str
    todo: str
    why: str
    off: str = ""


@dataclass(frozen=True)
class NoticeContent:
    """Sealed part of a notice. ``about``: what was received, in words. ``said``, ``evidence``, ``by``, and ``at`` (microseconds since 1970
    UTC), ``signer``, ``signature`` (hex): of its acknowledgement.
    """

    kind: str
    about: str
    recipients: tuple[str, ...]
    drops: tuple[Drop, ...]
    said: str = ""
    evidence: str = ""
    by: str = ""
    at: int = 0
    signer: str = ""
    signature: str = ""


@dataclass(frozen=True)
class Notice:
    """A notice, as recorded."""

    notice_id: str
    project: str
    ref: str
    state: str
    revision: int
    opened_event: str
    created: datetime
    due: datetime
    issued: datetime | None
    late: datetime | None
    content: NoticeContent

    @property
    def in_force(self) -> tuple[Drop, ...]:
        """Record to be dropped, or that was."""
        return tuple(drop for drop in self.content.drops if not drop.off)

    def overdue(self, now: datetime) -> bool:
        """True if nobody answered in time."""
        return self.state == OPEN and self.due <= now


def seal(vault: UnlockedVault, row: NoticeRow, content: NoticeContent) -> bytes:
    """Sealed part of a notice's row, whose clear columns are set."""
    return SEALED.seal(vault.records, row.notice_id, asdict(content), standing=_standing(row), version=row.version)


def _standing(row: NoticeRow) -> list[str | int]:
    times = [row.created, row.due, *(-1 if at is None else at for at in (row.issued, row.late))]
    return [row.project_id.hex(), row.ref, row.state, row.opened_event, *times]


def opened(vault: UnlockedVault, row: NoticeRow, project: str) -> Notice:
    """A notice as its row has it. Raises IntegrityError ``notice_altered``, ``seal_broken``."""
    content = SEALED.open(vault.records, row.notice_id, row.sealed, standing=_standing(row), version=row.version)
    content.pop("standing")
    drops = tuple(Drop(**drop) for drop in content.pop("drops"))
    said = NoticeContent(**{**content, "recipients": tuple(content["recipients"]), "drops": drops})
    if row.state == ACKNOWLEDGED:
        try:
            made = Signed(bytes.fromhex(said.signer), bytes.fromhex(said.signature))
            approvals.require_signature(vault, acknowledgement(row.notice_id, said), made, principal=said.by, signed=said.at)
        except (ValueError, IntegrityError):
            raise altered(SEALED.collection) from None
    return Notice(
        notice_id=row.notice_id,
        project=project,
        ref=row.ref,
        state=row.state,
        revision=row.version,
        opened_event=row.opened_event,
        created=from_micros(row.created),
        due=from_micros(row.due),
        issued=None if row.issued is None else from_micros(row.issued),
        late=None if row.late is None else from_micros(row.late),
        content=said,
    )


def require_as_logged(vault: UnlockedVault, found: Sequence[Notice]) -> None:
    """Hold states against the log: whoever records withdrawals signs the rows, and a row of before could be put back. Raises IntegrityError
    ``notice_altered``.
    """
    logged = vault.trail.log.closings([notice.opened_event for notice in found])
    for notice in found:
        steps = [record_of(entry) for entry in logged.get(notice.opened_event, [])]
        own = [step for step in steps if (step.object, step.refers) == (f"notice:{notice.notice_id}", notice.opened_event)]
        states = [STEPS[step.act] for step in own if step.act in STEPS]
        if any("ended" in step.flags for step in own):
            states.append(CALLED_OFF)
        if notice.state != (states[-1] if states else OPEN):
            raise altered(SEALED.collection)


def acknowledgement(notice_id: str, content: NoticeContent) -> Approval:
    """An acknowledgement as a steward signs it: of what was asked, and of what was said."""
    drops = (field for drop in content.drops for field in (drop.pseudonym, drop.todo))
    said = sha256(encode_context("genovault/acknowledgement/v1", content.said, content.evidence, *drops))
    return Approval(Action.RELEASE_ACKNOWLEDGE, "notice", notice_id.encode(), said)
