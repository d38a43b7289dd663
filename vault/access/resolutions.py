"""Resolving a pseudonym to a person, for a reported data error: one row, a reason, and always two people (docs/design/pseudonyms.md §5).

open       somebody states pseudonym, project and reason, and signs them; it is good for ``HOLDS``
approve    another person, with another key, signs the same
execute    the log says that it is told, and then the one person's references are; once

Both signatures are over all that was asked, and made by the keys of people who may do so, so an edited row resolves nothing. What became of
a request is told by the log; that it is over, by the row too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select

from vault.access import projects
from vault.access.named_people import code_known, owner_of
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.audit.reports.records import Filter, Record, record_of, records
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import GenovaultError, InputError, RefusedError
from vault.ids import ProjectId, SubjectId
from vault.session import approvals
from vault.session.approvals import Approval, Signed
from vault.session.moments import moment
from vault.session.principals import require_active
from vault.session.reasons import require_reason
from vault.session.sealed_records import SealedRecord, altered
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PrincipalRow, ProjectRow, ResolutionRow
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros, to_micros
from vault.subjects.identities import open_identities
from vault.subjects.references import ReferenceIndex

SEALED = SealedRecord("resolution")
KIND = "resolution"
HOLDS = timedelta(days=7)
OPEN, APPROVED, EXECUTED, CLOSED, EXPIRED = "open", "approved", "executed", "closed", "expired"
SECOND_ROLES = ("steward", "custodian")
_STATES = {
    Action.PSEUDONYM_APPROVE.value: APPROVED,
    Action.PSEUDONYM_RESOLVE.value: EXECUTED,
    Action.PSEUDONYM_CLOSE.value: CLOSED,
}


@dataclass(frozen=True)
class Resolution:
    """A request, as recorded, and what became of it."""

    resolution_id: str
    project_id: ProjectId
    project: str
    state: str
    pseudonym: str = field(repr=False)
    reason: str
    case: str
    opened_by: str
    opened: datetime
    expires: datetime
    approved_by: str | None
    opened_event: str


@dataclass(frozen=True)
class ResolvedPerson:
    """The one person: references by which they are found."""

    resolution_id: str
    handle: str
    mrn: str = field(repr=False)
    samples: tuple[str, ...] = field(repr=False)


def open_request(vault: UnlockedVault, pseudonym: str, *, project: str, reason: str, case: str = "") -> Resolution:
    """Ask whose a pseudonym of a project is. ``case``: the report's own reference.

    Raises:
        InputError: ``pseudonym_unknown``, ``project_unknown``, ``reason_missing``, ``reason_too_long``.
        RefusedError: ``second_person_missing``: nobody else could approve.
    """
    with vault.trail.attempting(Action.PSEUDONYM_OPEN, project=code_known(vault, project)):
        said, found = require_reason(reason), projects.load(vault, project)
        if case:
            require_reason(case)
        owner_of(vault, found, pseudonym)
        now = vault.clock()
        with vault.books.write() as tx:
            _require_another(vault, tx)
            row = ResolutionRow(
                resolution_id=f"res-{vault.random(8).hex()}",
                project_id=found.project_id,
                opened_by=vault.principal,
                opened=to_micros(now),
                expires=to_micros(now + HOLDS),
            )
            content = {"pseudonym": pseudonym, "reason": said, "case": case}
            signed = approvals.signature_of(vault, _approval(vault, Action.PSEUDONYM_OPEN, row, content), signed=row.opened)
            row.signer, row.signature = signed.signer, signed.signature
            row.sealed = SEALED.seal(vault.records, row.resolution_id, content)
            detail = {"reason": said, "case": case}
            row.opened_event = _log(vault, tx, Action.PSEUDONYM_OPEN, row.resolution_id, found.code, detail=detail)
            tx.add(row)
            tx.flush()
        return load(vault, row.resolution_id)


def approve(vault: UnlockedVault, resolution_id: str) -> Resolution:
    """Agree that somebody may be told, as the second person.

    Raises:
        InputError: ``resolution_unknown``, ``resolution_state``. RefusedError: ``self_approval``. IntegrityError: ``approval_missing``, ``resolution_altered``.
    """
    with vault.trail.attempting(Action.PSEUDONYM_APPROVE), vault.books.write() as tx:
        row, asked = _to_change(vault, tx, resolution_id, OPEN)
        content = _content(vault, row)
        if row.opened_by == vault.principal:
            _require_another(vault, tx)
            raise RefusedError("self_approval", "another person approves what this one asked", hint=f"{_others(vault, tx)} may")
        first = _signed(vault, row, content)
        approval = _approval(vault, Action.PSEUDONYM_APPROVE, row, content)
        row.approved_by, row.approved = vault.principal, to_micros(vault.clock())
        made = approvals.signature_of(vault, approval, signed=row.approved)
        approvals.require_two(approval, first, made.signer, principals=(row.opened_by, row.approved_by))
        row.approver, row.second_signature = made.signer, made.signature
        tx.flush()
        _log(vault, tx, Action.PSEUDONYM_APPROVE, resolution_id, asked.project, refers=row.opened_event)
    return load(vault, resolution_id)


def execute(vault: UnlockedVault, resolution_id: str) -> ResolvedPerson:
    """Be told whose the pseudonym is, once. The entry that says so is durable before the person's identity is opened.

    Raises:
        InputError: ``resolution_unknown``, ``resolution_state``, ``pseudonym_unknown``. IntegrityError: ``approval_missing``, ``resolution_altered``.
    """
    with vault.trail.attempting(Action.PSEUDONYM_RESOLVE):
        with vault.books.read() as tx:
            _, asked = _to_change(vault, tx, resolution_id, APPROVED)
        subject = owner_of(vault, projects.load(vault, asked.project), asked.pseudonym)
        with vault.books.write() as tx:
            row, again = _to_change(vault, tx, resolution_id, APPROVED)
            if again != asked:
                raise altered(SEALED.collection)
            _require_both(vault, row)
            _end(vault, row, EXECUTED)
            _log(vault, tx, Action.PSEUDONYM_RESOLVE, resolution_id, asked.project, refers=row.opened_event, subjects=[subject])
        identity = open_identities(vault, [subject])[subject]
    return ResolvedPerson(resolution_id, ReferenceIndex(vault).handle(subject), identity.mrn, identity.samples)


def close(vault: UnlockedVault, resolution_id: str, *, reason: str) -> Resolution:
    """End a request that nobody is to be told of: refused by the second person, or taken back. Raises InputError as ``execute``."""
    with vault.trail.attempting(Action.PSEUDONYM_CLOSE):
        said = require_reason(reason)
        with vault.books.write() as tx:
            row, asked = _to_change(vault, tx, resolution_id, OPEN, APPROVED)
            _end(vault, row, CLOSED)
            detail = {"reason": said}
            _log(vault, tx, Action.PSEUDONYM_CLOSE, resolution_id, asked.project, refers=row.opened_event, detail=detail)
    return load(vault, resolution_id)


def listed(vault: UnlockedVault) -> list[Resolution]:
    """All requests, the newest first; the listing is logged."""
    with vault.trail.attempting(Action.PSEUDONYM_LIST):
        found = _all(vault)
        vault.trail.record(Action.PSEUDONYM_LIST, Outcome.DONE, counts={"resolutions": len(found)})
    return found


def waiting(vault: UnlockedVault) -> list[Resolution]:
    """Requests that somebody has to approve or can execute, the newest first. Raises IntegrityError ``resolution_altered``."""
    return [one for one in _all(vault) if one.state in {OPEN, APPROVED}]


def load(vault: UnlockedVault, resolution_id: str) -> Resolution:
    """A request by its id. Raises InputError ``resolution_unknown``; IntegrityError ``resolution_altered``."""
    with vault.books.read() as tx:
        return _opened(vault, tx, _row(tx, resolution_id))


def faults(vault: UnlockedVault) -> list[str]:
    """Requests whose signatures do not hold, or that are not in the books, a line each."""
    found, known = [], set[str]()
    with vault.books.read() as tx:
        for row in tx.scalars(select(ResolutionRow)).all():
            known.add(row.resolution_id)
            try:
                _opened(vault, tx, row)
                _signed(vault, row, _content(vault, row))
                if row.approved_by is not None or APPROVED in _logged(vault, row):
                    _require_both(vault, row, now=False)
            except GenovaultError:
                found.append(f"resolution {row.resolution_id} is not as it was signed")
    wanted = Filter(act=Action.PSEUDONYM_OPEN.value, outcome=Outcome.DONE.value)
    told = {(record.object or "").partition(":")[2] for record in records(vault.trail.log, wanted)}
    return [*found, *(f"resolution {one}, which the log tells of, is not in the books" for one in sorted(told - known))]


def _all(vault: UnlockedVault) -> list[Resolution]:
    with vault.books.read() as tx:
        return [_opened(vault, tx, row) for row in tx.scalars(select(ResolutionRow).order_by(ResolutionRow.opened.desc()))]


def _to_change(vault: UnlockedVault, tx: Transaction, resolution_id: str, *states: str) -> tuple[ResolutionRow, Resolution]:
    row = _row(tx, resolution_id)
    found = _opened(vault, tx, row)
    if found.state not in states:
        hint = "pseudonym resolve open asks again" if found.state in {EXECUTED, CLOSED, EXPIRED} else "another person approves it"
        raise InputError("resolution_state", f"resolution {resolution_id} is {found.state}", hint=hint)
    return row, found


def _require_both(vault: UnlockedVault, row: ResolutionRow, *, now: bool = True) -> None:
    """Hold a request against two signatures of two people. ``now``: both, and their keys, must still be in use.

    Raises IntegrityError ``approval_missing``, ``resolution_altered``; InputError ``principal_disabled``.
    """
    content = _content(vault, row)
    first = _signed(vault, row, content)
    if row.approved_by is None or row.approved is None or row.approver is None or row.second_signature is None:
        raise altered(SEALED.collection)
    approval = _approval(vault, Action.PSEUDONYM_APPROVE, row, content)
    made = Signed(row.approver, row.second_signature)
    approvals.require_signature(vault, approval, made, principal=row.approved_by, signed=row.approved)
    approvals.require_two(approval, first, row.approver, principals=(row.opened_by, row.approved_by))
    if not row.opened <= row.approved < row.expires:
        raise altered(SEALED.collection)
    if now:
        for name, key in ((row.opened_by, row.signer), (row.approved_by, row.approver)):
            require_active(vault, name)
            holder = vault.newest_keystore().holder(key)
            if holder is None or holder.removed is not None:
                raise altered(SEALED.collection)


def _signed(vault: UnlockedVault, row: ResolutionRow, content: dict[str, str]) -> bytes:
    """Key of who asked. Raises IntegrityError ``approval_missing``."""
    approval = _approval(vault, Action.PSEUDONYM_OPEN, row, content)
    made = Signed(row.signer, row.signature)
    approvals.require_signature(vault, approval, made, principal=row.opened_by, signed=row.opened)
    return row.signer


def _approval(vault: UnlockedVault, act: Action, row: ResolutionRow, content: dict[str, str]) -> Approval:
    """Approval of all that is asked; the second signature is over the same content as the first."""
    own = vault.vault_id, row.resolution_id, row.project_id
    said = content["pseudonym"], content["reason"], content["case"]
    asked = encode_context("genovault/resolution/v1", *own, *said, row.opened_by, row.opened, row.expires)
    return Approval(act, KIND, row.resolution_id.encode(), sha256(asked))


def _content(vault: UnlockedVault, row: ResolutionRow) -> dict[str, str]:
    found: dict[str, str] = SEALED.open(vault.records, row.resolution_id, row.sealed)
    return found


def _opened(vault: UnlockedVault, tx: Transaction, row: ResolutionRow) -> Resolution:
    content = _content(vault, row)
    return Resolution(
        resolution_id=row.resolution_id,
        project_id=ProjectId(row.project_id),
        project=tx.scalars(select(ProjectRow.code).where(ProjectRow.project_id == row.project_id)).one(),
        state=_state(vault, tx, row),
        pseudonym=content["pseudonym"],
        reason=content["reason"],
        case=content["case"],
        opened_by=row.opened_by,
        opened=from_micros(row.opened),
        expires=from_micros(row.expires),
        approved_by=row.approved_by,
        opened_event=row.opened_event,
    )


def _end(vault: UnlockedVault, row: ResolutionRow, state: str) -> None:
    """Seal in the row that nobody is told any more, in the caller's write transaction: the log's index alone could be emptied."""
    row.sealed = SEALED.seal(vault.records, row.resolution_id, {**_content(vault, row), "ended": state})


def _state(vault: UnlockedVault, tx: Transaction, row: ResolutionRow) -> str:
    """End of a request, by the log, or by the end that the row has. Raises IntegrityError ``resolution_altered``."""
    states = _logged(vault, row) | {_content(vault, row).get("ended", OPEN)}
    state = next((one for one in (EXECUTED, CLOSED, APPROVED) if one in states), OPEN)
    return EXPIRED if state in {OPEN, APPROVED} and from_micros(row.expires) <= moment(vault, tx).at else state


def _logged(vault: UnlockedVault, row: ResolutionRow) -> set[str]:
    """States that a request has had, by the log. Raises IntegrityError ``resolution_altered``: the log knows of no such request."""
    own = f"{KIND}:{row.resolution_id}"
    try:
        first = vault.trail.log.find(row.opened_event)
    except ValueError:  # no id of an entry
        raise altered(SEALED.collection) from None
    if first is None or not _is_about(record_of(first), own, Action.PSEUDONYM_OPEN):
        raise altered(SEALED.collection)
    later = [record_of(entry) for entry in vault.trail.log.closings([row.opened_event]).get(row.opened_event, [])]
    return {_STATES[one.act] for one in later if one.act in _STATES and _is_about(one, own, Action(one.act))}


def _is_about(record: Record, own: str, act: Action) -> bool:
    return (record.object, record.act, record.outcome) == (own, act.value, Outcome.DONE.value)


def _row(tx: Transaction, resolution_id: str) -> ResolutionRow:
    row = tx.get(ResolutionRow, resolution_id)
    if row is None:
        raise InputError("resolution_unknown", "there is no such request", hint="genovault pseudonym resolve list")
    return row


def _log(
    vault: UnlockedVault,
    tx: Transaction,
    act: Action,
    resolution_id: str,
    project: str,
    *,
    refers: str | None = None,
    subjects: Sequence[SubjectId] = (),
    detail: dict[str, str] | None = None,
) -> str:
    obj = ObjectRef(KIND, resolution_id)
    return vault.trail.append(
        tx, act, Outcome.DONE, project=project, obj=obj, refers=refers, subjects=subjects, detail=detail
    ).event_id


def _require_another(vault: UnlockedVault, tx: Transaction) -> None:
    if not _others(vault, tx):
        message = "it takes two people to resolve a pseudonym, and nobody else here may approve it"
        raise RefusedError(
            "second_person_missing", message, hint="genovault principal add NAME --role custodian, for another person"
        )


def _others(vault: UnlockedVault, tx: Transaction) -> str:
    """Names of those who could be the second person."""
    keyed = {slot.principal for slot in vault.unlocked.keystore.slots}
    query = select(PrincipalRow.name).where(PrincipalRow.state == "active", PrincipalRow.role.in_(SECOND_ROLES))
    return ", ".join(sorted(name for name in tx.scalars(query) if name in keyed and name != vault.principal))
