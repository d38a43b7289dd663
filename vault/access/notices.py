"""Book of notices: what the recipients of a release, or whoever has a holding, have to drop, and whether they said that they did.

open           they were not heard of yet; behind its day it is *late*, which the log says once
acknowledged   they said that it is done; what was acknowledged wrongly is opened again
called_off     nothing in it is to be dropped: it was recorded wrongly, allowed again, or another notice says it

A notice holds pseudonyms and no way to a person. Each change of it is an entry of the log that refers to the one by which it was opened, so
a row that was edited or taken out is found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, select

from policies.dropping import WITHIN, WORDS, Todo
from vault.access.projects import Project
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.audit.reports.records import Filter, record_of, records
from vault.errors import InputError, IntegrityError
from vault.extracts import notice_file
from vault.files.evidence_files import digest_of
from vault.ids import SubjectId
from vault.session.reasons import require_reason
from vault.session.sealed_records import SealedRecord, altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import NoticeRow, ProjectRow
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros, rfc3339, to_micros

SEALED = SealedRecord("notice")
OPEN, ACKNOWLEDGED, CALLED_OFF = "open", "acknowledged", "called_off"
IN_FORCE = (OPEN, ACKNOWLEDGED)
RELEASE, HOLDING = "release", "holding"
WHOLE = ""
"""Stands for a pseudonym that nobody can tell any more, because its key was destroyed: everything that was received is meant."""

_STEPS = {  # act -> state that it leaves
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
    """Sealed part of a notice. ``about``: what was received, in words. ``said``, ``evidence``, ``by``: of its acknowledgement."""

    kind: str
    about: str
    recipients: tuple[str, ...]
    drops: tuple[Drop, ...]
    said: str = ""
    evidence: str = ""
    by: str = ""


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
        """What is to be dropped, or was."""
        return tuple(drop for drop in self.content.drops if not drop.off)

    def overdue(self, now: datetime) -> bool:
        """True if nobody answered in time."""
        return self.state == OPEN and self.due <= now


def open_notice(
    tx: Transaction, vault: UnlockedVault, project: Project, ref: str, content: NoticeContent, *, subjects: Sequence[SubjectId]
) -> str:
    """Record a notice in the caller's write transaction; its id. ``subjects``: whose drops it has, for the log.

    Pseudonyms are not in the entry: auditors could tie those of several projects by the people's tokens.
    """
    now, notice_id = vault.clock(), f"ntc-{vault.random(8).hex()}"
    obj, counts = ObjectRef("notice", notice_id), {"drops": len(content.drops)}
    entry = vault.trail.append(
        tx,
        Action.RELEASE_NOTICE,
        Outcome.DONE,
        project=project.code,
        obj=obj,
        subjects=sorted(set(subjects)),
        counts=counts,
        detail={"about": ref, "todo": sorted(drop.todo for drop in content.drops)},
    )
    row = NoticeRow(
        notice_id=notice_id,
        project_id=project.project_id,
        ref=ref,
        state=OPEN,
        version=1,
        opened_event=entry.event_id,
        created=to_micros(now),
        due=to_micros(now + min(WITHIN[Todo(drop.todo)] for drop in content.drops)),
        issued=None,
        late=None,
        sealed=b"",
    )
    row.sealed = _seal(vault, row, content)
    tx.add(row)
    tx.flush()
    return notice_id


def call_off(tx: Transaction, vault: UnlockedVault, notice: Notice, pseudonyms: Collection[str], *, by: str = "") -> None:
    """Take drops out of force in the caller's write transaction. ``by``: the notice that says it instead."""
    now = rfc3339(vault.clock())
    drops = tuple(replace(one, off=now) if one.pseudonym in pseudonyms and not one.off else one for one in notice.content.drops)
    row = tx.get_one(NoticeRow, notice.notice_id)
    if all(drop.off for drop in drops):
        row.state = CALLED_OFF
    detail = {"drops": len(pseudonyms), "instead": by}
    ended = ("ended",) if row.state == CALLED_OFF else ()
    _step(tx, vault, row, Action.RELEASE_CALL_OFF, replace(notice.content, drops=drops), detail=detail, flags=ended)


def acknowledge(vault: UnlockedVault, notice_id: str, *, reason: str, evidence: str = "") -> Notice:
    """Record that recipients said they did what a notice asks. ``reason``: who said it, and how; ``evidence``: SHA-256, or the path of a file.

    Raises:
        InputError: ``notice_unknown``, ``notice_state``, ``reason_missing``, ``reason_too_long``, ``bad_evidence``.
    """
    with vault.trail.attempting(Action.RELEASE_ACKNOWLEDGE):
        said, shown = require_reason(reason), digest_of(evidence) if evidence else ""
        with vault.books.write() as tx:
            row, notice = _to_change(tx, vault, notice_id, OPEN, "it is acknowledged once")
            row.state = ACKNOWLEDGED
            content = replace(notice.content, said=said, evidence=shown, by=vault.principal)
            _step(tx, vault, row, Action.RELEASE_ACKNOWLEDGE, content, detail={"reason": said, "evidence": shown})
    return load(vault, notice_id)


def reopen(vault: UnlockedVault, notice_id: str, *, reason: str) -> Notice:
    """Open a notice again that was acknowledged wrongly. Raises InputError as ``acknowledge``."""
    with vault.trail.attempting(Action.RELEASE_REOPEN_NOTICE):
        said = require_reason(reason)
        with vault.books.write() as tx:
            row, notice = _to_change(tx, vault, notice_id, ACKNOWLEDGED, "nothing is taken back")
            row.state, row.late = OPEN, None
            content = replace(notice.content, said="", evidence="", by="")
            _step(tx, vault, row, Action.RELEASE_REOPEN_NOTICE, content, detail={"reason": said})
    return load(vault, notice_id)


def issue(vault: UnlockedVault, notice_id: str) -> bytes:
    """The signed file of a notice as it stands, to be sent to its recipients; that it was written is logged.

    Raises InputError ``notice_unknown``. UnavailableError ``branch_closed``: only stewards hold the release key.
    """
    with vault.trail.attempting(Action.RELEASE_ISSUE_NOTICE):
        signer = vault.release_signer()
        with vault.books.write() as tx:
            row, notice = _to_change(tx, vault, notice_id, None, "")
            row.issued = to_micros(vault.clock())
            _step(tx, vault, row, Action.RELEASE_ISSUE_NOTICE, notice.content)
        return notice_file.sign_notice(_fields(notice, revision=row.version), vault.trail.origin, signer)


def escalate(vault: UnlockedVault) -> list[Notice]:
    """Say in the log, once for each, which notices nobody answered in time; all that are late."""
    now = vault.clock()
    late = [notice for notice in list_all(vault) if notice.overdue(now)]
    fresh = {notice.notice_id for notice in late if notice.late is None}
    if fresh:
        with vault.books.write() as tx:
            for notice_id in sorted(fresh):
                row = tx.get_one(NoticeRow, notice_id)
                notice = _opened(vault, row, "")
                if notice.overdue(now) and notice.late is None:
                    row.late = to_micros(now)
                    _step(tx, vault, row, Action.RELEASE_ESCALATE, notice.content, flags=("late",))
    return late


def list_all(vault: UnlockedVault) -> list[Notice]:
    """All notices, the earliest due first. Raises IntegrityError ``notice_altered``, ``seal_broken``."""
    return _query(vault)


def load(vault: UnlockedVault, notice_id: str) -> Notice:
    """A notice by its id. Raises InputError ``notice_unknown``."""
    found = _query(vault, NoticeRow.notice_id == notice_id)
    if not found:
        raise _unknown()
    return found[0]


def in_force_about(tx: Transaction, vault: UnlockedVault, refs: Iterable[str]) -> list[Notice]:
    """Notices in force about some releases and holdings, as the caller's transaction sees them."""
    query = select(NoticeRow).where(NoticeRow.ref.in_(sorted(set(refs))), NoticeRow.state.in_(IN_FORCE))
    return [_opened(vault, row, "") for row in tx.scalars(query.order_by(NoticeRow.created))]


def faults(vault: UnlockedVault) -> list[str]:
    """Notices that are not as they were sealed, or of which the log tells otherwise, a line each."""
    found, known = [], dict[str, NoticeRow]()
    with vault.books.read() as tx:
        for row in tx.scalars(select(NoticeRow)):
            known[row.notice_id] = row
            try:
                _opened(vault, row, "")
            except IntegrityError:
                found.append(f"notice {row.notice_id} is not as it was sealed")
        stated = {notice_id: (row.state, row.late is not None) for notice_id, row in known.items()}
    logged = _logged(vault)
    found += [f"notice {one}, which the log tells of, is not in the books" for one in sorted(logged.keys() - stated.keys())]
    differing = [one for one, state in stated.items() if logged.get(one) != state]
    return [*found, *(f"the log tells of notice {one} otherwise than the books" for one in sorted(differing))]


def _logged(vault: UnlockedVault) -> dict[str, tuple[str, bool]]:
    """State of each notice, and whether it was late, by the log."""
    found: dict[str, tuple[str, bool]] = {}
    for record in records(vault.trail.log, Filter(act=Action.RELEASE_NOTICE.value, outcome=Outcome.DONE.value)):
        kind, _, notice_id = (record.object or "").partition(":")
        if kind != "notice":
            continue
        state, late = found.get(notice_id, (OPEN, False))
        state = CALLED_OFF if "ended" in record.flags else _STEPS.get(record.act or "", state)
        late = (late or "late" in record.flags) and record.act != Action.RELEASE_REOPEN_NOTICE.value
        found[notice_id] = state, late
    return found


def _to_change(tx: Transaction, vault: UnlockedVault, notice_id: str, state: str | None, hint: str) -> tuple[NoticeRow, Notice]:
    row = tx.get(NoticeRow, notice_id)
    if row is None:
        raise _unknown()
    code = tx.scalars(select(ProjectRow.code).where(ProjectRow.project_id == row.project_id)).one()
    notice = _opened(vault, row, code)
    logged = [record_of(entry) for entry in vault.trail.log.closings([row.opened_event]).get(row.opened_event, [])]
    states = [_STEPS[record.act] for record in logged if record.act in _STEPS]
    if any("ended" in record.flags for record in logged):
        states.append(CALLED_OFF)
    if row.state != (states[-1] if states else OPEN):
        raise altered(SEALED.collection)
    if state is not None and row.state != state:
        raise InputError("notice_state", f"notice {notice_id} is {row.state.replace('_', ' ')}", hint=hint)
    return row, notice


def _step(
    tx: Transaction,
    vault: UnlockedVault,
    row: NoticeRow,
    act: Action,
    content: NoticeContent,
    *,
    detail: dict[str, object] | None = None,
    flags: tuple[str, ...] = (),
) -> None:
    row.version += 1
    row.sealed = _seal(vault, row, content)
    tx.flush()
    code = tx.scalars(select(ProjectRow.code).where(ProjectRow.project_id == row.project_id)).one()
    obj = ObjectRef("notice", row.notice_id)
    vault.trail.append(tx, act, Outcome.DONE, project=code, obj=obj, refers=row.opened_event, flags=flags, detail=detail)


def _fields(notice: Notice, *, revision: int) -> dict[str, object]:
    drops = [{"pseudonym": one.pseudonym or None, "do": one.todo, "words": WORDS[Todo(one.todo)]} for one in notice.in_force]
    return {
        "notice": notice.notice_id,
        "revision": revision,
        "project": notice.project,
        "concerns": {"kind": notice.content.kind, "id": notice.ref, "about": notice.content.about},
        "to": list(notice.content.recipients),
        "created": rfc3339(notice.created),
        "due": rfc3339(notice.due),
        "drops": drops,
        "called_off": sorted({one.pseudonym for one in notice.content.drops if one.off} - {WHOLE}),
    }


def _query(vault: UnlockedVault, *where: ColumnElement[bool]) -> list[Notice]:
    query = select(NoticeRow, ProjectRow.code).join(ProjectRow, ProjectRow.project_id == NoticeRow.project_id)
    with vault.books.read() as tx:
        return [_opened(vault, row, code) for row, code in tx.execute(query.where(*where).order_by(NoticeRow.due))]


def _seal(vault: UnlockedVault, row: NoticeRow, content: NoticeContent) -> bytes:
    return SEALED.seal(vault.records, row.notice_id, asdict(content), standing=_standing(row), version=row.version)


def _standing(row: NoticeRow) -> list[str | int]:
    times = [row.created, row.due, *(-1 if at is None else at for at in (row.issued, row.late))]
    return [row.project_id.hex(), row.ref, row.state, row.opened_event, *times]


def _opened(vault: UnlockedVault, row: NoticeRow, project: str) -> Notice:
    content = SEALED.open(vault.records, row.notice_id, row.sealed, standing=_standing(row), version=row.version)
    content.pop("standing")
    drops = tuple(Drop(**drop) for drop in content.pop("drops"))
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
        content=NoticeContent(**{**content, "recipients": tuple(content["recipients"]), "drops": drops}),
    )


def _unknown() -> InputError:
    return InputError("notice_unknown", "there is no such notice", hint="genovault release notices")
