"""Book of notices: what the recipients of a release, or whoever has a holding, have to drop, and whether they said that they did.

open           they were not heard of yet; behind its day it is *late*, which the log says once
acknowledged   they said that it is done; what was acknowledged wrongly is opened again
called_off     nothing in it is to be dropped: it was recorded wrongly, allowed again, or another notice says it

A notice holds pseudonyms and no way to a person. Each change of it is an entry of the log that refers to the one by which it was opened, so
a row that was edited or taken out is found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, select

from policies.dropping import WITHIN, WORDS, Todo
from vault.access.notice_records import (
    ACKNOWLEDGED,
    CALLED_OFF,
    IN_FORCE,
    OPEN,
    STEPS,
    WHOLE,
    Notice,
    NoticeContent,
    acknowledgement,
    opened,
    require_as_logged,
    seal,
)
from vault.access.projects import Project
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.audit.reports.records import Filter, records
from vault.errors import InputError, IntegrityError, RefusedError
from vault.extracts import notice_file
from vault.files.evidence_files import digest_of
from vault.ids import ProjectId, SubjectId
from vault.session import approvals
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import NoticeRow, ProjectRow
from vault.storage.database import Transaction
from vault.storage.timestamps import rfc3339, to_micros

_NEXT = {
    OPEN: "genovault release ack records that it was answered",
    ACKNOWLEDGED: "where that was a mistake: genovault release ack ID --take-back --reason TEXT",
    CALLED_OFF: "nobody has to do anything about it any more",
}


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
    row.sealed = seal(vault, row, content)
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


def acknowledge(vault: UnlockedVault, notice_id: str, *, reason: str, evidence: str = "", held_by_asker: bool = False) -> Notice:
    """Record that recipients said they did what a notice asks. ``reason``: who said it, and how; ``evidence``: SHA-256, or the path of a file.

    ``held_by_asker``: whoever is served was found to hold what it is about (``own_notices``); else a service acknowledges nothing.

    Raises:
        InputError: ``notice_unknown``, ``notice_state``, ``reason_missing``, ``reason_too_long``, ``bad_evidence``. UnavailableError: as
            ``approvals.sign``.
    """
    with vault.trail.attempting(Action.RELEASE_ACKNOWLEDGE):
        _require_held(vault, held_by_asker=held_by_asker)
        said, shown = require_reason(reason), digest_of(evidence) if evidence else ""
        with vault.books.write() as tx:
            row, notice = _to_change(tx, vault, notice_id, OPEN)
            row.state = ACKNOWLEDGED
            content = replace(notice.content, said=said, evidence=shown, by=vault.principal, at=to_micros(vault.clock()))
            made = approvals.signature_of(vault, acknowledgement(notice_id, content), signed=content.at)
            content = replace(content, signer=made.signer.hex(), signature=made.signature.hex())
            _step(tx, vault, row, Action.RELEASE_ACKNOWLEDGE, content, detail={"reason": said, "evidence": shown})
    return load(vault, notice_id)


def reopen(vault: UnlockedVault, notice_id: str, *, reason: str) -> Notice:
    """Open a notice again that was acknowledged wrongly. Raises InputError as ``acknowledge``."""
    with vault.trail.attempting(Action.RELEASE_REOPEN_NOTICE):
        said = require_reason(reason)
        with vault.books.write() as tx:
            row, notice = _to_change(tx, vault, notice_id, ACKNOWLEDGED)
            row.state, row.late = OPEN, None
            content = replace(notice.content, said="", evidence="", by="", at=0, signer="", signature="")
            _step(tx, vault, row, Action.RELEASE_REOPEN_NOTICE, content, detail={"reason": said})
    return load(vault, notice_id)


def issue(vault: UnlockedVault, notice_id: str, *, held_by_asker: bool = False) -> bytes:
    """The signed file of a notice as it stands, to be sent to its recipients; that it was written is logged. ``held_by_asker``: as of ``acknowledge``.

    Raises RefusedError ``not_yours``; InputError ``notice_unknown``. UnavailableError ``branch_closed``: only stewards hold the release key.
    """
    with vault.trail.attempting(Action.RELEASE_ISSUE_NOTICE):
        _require_held(vault, held_by_asker=held_by_asker)
        signer = vault.release_signer()
        with vault.books.write() as tx:
            row, notice = _to_change(tx, vault, notice_id, None)
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
                notice = opened(vault, row, "")
                if notice.overdue(now) and notice.late is None:
                    row.late = to_micros(now)
                    _step(tx, vault, row, Action.RELEASE_ESCALATE, notice.content, flags=("late",))
    return late


def list_all(vault: UnlockedVault) -> list[Notice]:
    """All notices, the earliest due first. Raises IntegrityError ``notice_altered``, ``seal_broken``."""
    return _query(vault)


def of_project(vault: UnlockedVault, project_id: ProjectId) -> list[Notice]:
    """Notices of a project, the earliest due first. Raises as ``list_all``."""
    return _query(vault, NoticeRow.project_id == project_id)


def load(vault: UnlockedVault, notice_id: str) -> Notice:
    """A notice by its id. Raises InputError ``notice_unknown``."""
    found = _query(vault, NoticeRow.notice_id == notice_id)
    if not found:
        raise _unknown()
    return found[0]


def in_force_about(tx: Transaction, vault: UnlockedVault, refs: Iterable[str]) -> list[Notice]:
    """Notices in force about some releases and holdings, as the caller's transaction sees them."""
    query = select(NoticeRow).where(NoticeRow.ref.in_(sorted(set(refs))), NoticeRow.state.in_(IN_FORCE))
    return [opened(vault, row, "") for row in tx.scalars(query.order_by(NoticeRow.created))]


def faults(vault: UnlockedVault) -> list[str]:
    """Notices that are not as they were sealed, or of which the log tells otherwise, a line each."""
    found, known = [], dict[str, NoticeRow]()
    with vault.books.read() as tx:
        for row in tx.scalars(select(NoticeRow)):
            known[row.notice_id] = row
            try:
                opened(vault, row, "")
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
        state = CALLED_OFF if "ended" in record.flags else STEPS.get(record.act or "", state)
        late = (late or "late" in record.flags) and record.act != Action.RELEASE_REOPEN_NOTICE.value
        found[notice_id] = state, late
    return found


def _require_held(vault: UnlockedVault, *, held_by_asker: bool) -> None:
    """Raises RefusedError ``not_yours``: a service acts for somebody who was not found to hold it."""
    if vault.person is not None and not held_by_asker:
        raise RefusedError("not_yours", "there is no such notice to this person")


def _to_change(tx: Transaction, vault: UnlockedVault, notice_id: str, state: str | None) -> tuple[NoticeRow, Notice]:
    row = tx.get(NoticeRow, notice_id)
    if row is None:
        raise _unknown()
    code = tx.scalars(select(ProjectRow.code).where(ProjectRow.project_id == row.project_id)).one()
    notice = opened(vault, row, code)
    require_as_logged(vault, [notice])
    if state is not None and row.state != state:
        raise InputError("notice_state", f"notice {notice_id} is {row.state.replace('_', ' ')}", hint=_NEXT[row.state])
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
    row.sealed = seal(vault, row, content)
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
        found = [opened(vault, row, code) for row, code in tx.execute(query.where(*where).order_by(NoticeRow.due))]
    require_as_logged(vault, found)
    return found


def _unknown() -> InputError:
    return InputError("notice_unknown", "there is no such notice", hint="genovault release notices")
