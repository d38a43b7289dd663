"""Records of requests: what was asked, by whom, and in which state it is. The loci asked for are sealed under the books branch.

Whoever may ask signs the collection, so each request is signed besides by who asked, and each approval and denial by the steward who gave
it: nobody changes what another asked for, or asks in another's name, and what was denied stays so. A state is told from these signatures,
from the project's way of approving and from the releases, so that no column can say that a request was approved:

submitted   it waits for a steward, because the project says ``approval: each``
approved    by the project's own approval (``standing``), or by a steward's signature
released    and it may be released again, decided anew
denied, withdrawn, expired   nothing is released under it any more
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select

from policies.disclosure.nats import Micronats
from policies.disclosure.noise import Price
from policies.purposes import ApprovalMode, RequestKind
from vault.access import projects, releases
from vault.access.projects import Project
from vault.audit.actions import Action
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.ids import DatasetId, ProjectId
from vault.session import approvals
from vault.session.approvals import Approval, Signed
from vault.session.moments import moment
from vault.session.sealed_records import SealedRecord
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import ApprovalRow, DatasetRow, ReleaseRow, RequestRow
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros, rfc3339

SEALED = SealedRecord("request")
OPEN, DENIED, WITHDRAWN = "open", "denied", "withdrawn"  # of the row
SUBMITTED, APPROVED, RELEASED, EXPIRED = "submitted", "approved", "released", "expired"  # of an open row
ENDED = frozenset({DENIED, WITHDRAWN, EXPIRED})

_ALWAYS_SAID = ("regions", "panel", "panel_version", "submitted_for")

HOLDS = timedelta(days=90)
"""Wait of a request for its approval, and after it for its first release."""


@dataclass(frozen=True)
class Spec:
    """Loci asked for: regions, genes and a panel in one version, as their union; none of them means the whole dataset.

    ``regions`` holds the positions of ``genes`` too, as they were known when it was asked.
    """

    regions: tuple[str, ...] = ()
    panel: str | None = None
    panel_version: int | None = None
    genes: tuple[str, ...] = ()
    submitted_for: str | None = None  # principal named by the submitting steward; that they asked is the steward's word
    fields: tuple[str, ...] = ()  # of each call, as a request file names them; none: not from a file
    reason: str = ""  # as the file states it
    file_sha256: str = ""  # of the request file, 64 hex digits
    alleles: tuple[str, ...] = ()  # of counts and presence, CONTIG:POS:REF:ALT; else the panel's
    epsilon: Micronats = 0  # of each allele; 0 of records
    n_alleles: int = 0  # those, or the panel's
    nats: Micronats = 0  # of an exact table; 0 of all else

    @property
    def price(self) -> Price | None:
        """Price of an answer to counts or presence, at most; None of records."""
        return Price(self.epsilon, self.n_alleles) if self.epsilon else None


@dataclass(frozen=True)
class Request:
    """A request, as recorded, and its state now. ``approved_by``: the steward whose approval it rests on; None while there is none."""

    request_id: str
    project_id: ProjectId
    project: str
    dataset_id: DatasetId
    dataset: str
    kind: RequestKind
    spec: Spec
    state: str
    submitted_by: str
    created: str
    approved_by: str | None
    standing: bool  # approved with its project, not by itself
    expires: str | None  # while it is submitted or approved


@dataclass(frozen=True)
class _Given:
    """A steward's approval of a request that counts: by whom, and when, in microseconds since 1970 UTC."""

    by: str
    at: int


def kind_of(vault: UnlockedVault, request_id: str) -> RequestKind | None:
    """Kind of a request, None of an unknown one: for choosing the way of its answer, where it is logged and refused."""
    with vault.books.read() as tx:
        row = tx.get(RequestRow, request_id)
    return None if row is None else RequestKind(row.kind)


def rows(
    vault: UnlockedVault, tx: Transaction, request_id: str | None = None, *, project: ProjectId | None = None
) -> list[Request]:
    """All requests, newest first, or the one of an id, or those of a project, as the transaction sees them.

    Raises:
        IntegrityError: ``request_altered``, ``project_altered``.
    """
    query = select(RequestRow, DatasetRow.name).join(DatasetRow, RequestRow.dataset_id == DatasetRow.dataset_id)
    query = query.order_by(RequestRow.created.desc())
    if request_id is not None:
        query = query.where(RequestRow.request_id == request_id)
    if project is not None:
        query = query.where(RequestRow.project_id == project)
    found = tx.execute(query).all()
    asking = {row.project_id: projects.by_id(vault, tx, ProjectId(row.project_id)) for row, _ in found}
    now, left = moment(vault, tx).at, _released(vault, tx, [row.request_id for row, _ in found])
    return [_opened(vault, tx, row, asking[row.project_id], dataset=name, now=now, left=left) for row, name in found]


def _released(vault: UnlockedVault, tx: Transaction, asked: Sequence[str]) -> set[str]:
    """Requests under which something was released, as book and log both say."""
    query = select(ReleaseRow.intent_event, ReleaseRow.request_id)
    query = query.where(ReleaseRow.state.in_((releases.RELEASED, releases.COMMITTED)))
    if len(asked) == 1:
        query = query.where(ReleaseRow.request_id == asked[0])
    stated = {row.intent_event: row.request_id for row in tx.execute(query) if row.request_id is not None}
    return {stated[intent] for intent in releases.left(vault, list(stated))}


def _opened(
    vault: UnlockedVault, tx: Transaction, row: RequestRow, project: Project, *, dataset: str, now: datetime, left: set[str]
) -> Request:
    """A request as its row has it, in its state of now. Raises IntegrityError ``request_altered``."""
    spec, made = content(vault, row)
    standing = project.declaration.approval is ApprovalMode.STANDING
    given = None if standing else _approval_given(vault, tx, row, spec, made)
    by = project.approved_by if standing else given.by if given else None
    ends = from_micros(given.at if given else row.created) + HOLDS
    state = _state(tx, row, ends=ends, approved=by is not None, now=now, left=row.request_id in left)
    return Request(
        request_id=row.request_id,
        project_id=ProjectId(row.project_id),
        project=project.code,
        dataset_id=DatasetId(row.dataset_id),
        dataset=dataset,
        kind=RequestKind(row.kind),
        spec=spec,
        state=state,
        submitted_by=row.submitted_by,
        created=rfc3339(from_micros(row.created)),
        approved_by=by,
        standing=standing,
        expires=rfc3339(ends) if state in (SUBMITTED, APPROVED) else None,
    )


def _state(tx: Transaction, row: RequestRow, *, ends: datetime, approved: bool, now: datetime, left: bool) -> str:
    if row.state != OPEN:
        return row.state
    for act, ended in ((Action.REQUEST_DENY, DENIED), (Action.REQUEST_WITHDRAW, WITHDRAWN)):
        if tx.scalars(_given(act, row)).first() is not None:  # whatever the row says
            return ended
    if left:
        return RELEASED
    if now >= ends:
        return EXPIRED
    return APPROVED if approved else SUBMITTED


def _approval_given(vault: UnlockedVault, tx: Transaction, row: RequestRow, spec: Spec, made: Signed | None) -> _Given | None:
    """The earliest approval by a steward other than who submitted it, while there is another."""
    alone = projects.stewards(tx) < 2
    approval = approval_of(Action.REQUEST_APPROVE, row, spec)
    for given in tx.scalars(_given(Action.REQUEST_APPROVE, row).order_by(ApprovalRow.signed)).all():
        own = given.principal == row.submitted_by or (made is not None and given.signer == made.signer)
        if own and not alone:
            continue
        try:
            approvals.require(vault, tx, approval, principal=given.principal, signed=given.signed)
        except IntegrityError:
            continue
        return _Given(given.principal, given.signed)
    return None


def _given(act: Action, row: RequestRow) -> Select[ApprovalRow]:
    return select(ApprovalRow).where(
        ApprovalRow.act == act.value, ApprovalRow.kind == "request", ApprovalRow.ref == row.request_id.encode()
    )


def approval_of(act: Action, row: RequestRow, spec: Spec) -> Approval:
    """An act on a request; its content is who asked and for what, which never changes."""
    said = json.dumps(_as_said(spec), sort_keys=True)
    context = encode_context("genovault/request/v1", row.project_id, row.dataset_id, row.kind, said)
    return Approval(act, "request", row.request_id.encode(), sha256(context))


def seal(vault: UnlockedVault, row: RequestRow, spec: Spec, signed: Signed | None) -> bytes:
    """Sealed part of a request's row, whose clear columns are set."""
    said: dict[str, object] = {"spec": _as_said(spec)}
    if signed is not None:
        said["signed"] = [signed.signer.hex(), signed.signature.hex()]
    return SEALED.seal(vault.records, row.request_id, said, standing=_standing(row))


def content(vault: UnlockedVault, row: RequestRow) -> tuple[Spec, Signed | None]:
    """Content of a request, and the signature of who asked; None in a request of before requests were signed."""
    said: dict[str, Any] = SEALED.open(vault.records, row.request_id, row.sealed, standing=_standing(row))
    spec, signed = said["spec"], said.get("signed")
    made = None if signed is None else Signed(*map(bytes.fromhex, signed))
    listed = {name: tuple(spec.get(name, ())) for name in ("regions", "genes", "fields", "alleles")}
    return Spec(**{**spec, **listed}), made


def _as_said(spec: Spec) -> dict[str, object]:
    """The spec as it is signed and sealed; without what it does not say, where that could once not be said."""
    return {name: value for name, value in asdict(spec).items() if name in _ALWAYS_SAID or value}


def _standing(row: RequestRow) -> list[str]:
    """The clear columns that decide, as they are sealed too."""
    return [row.project_id.hex(), row.dataset_id.hex(), row.kind, row.state, row.submitted_by]
