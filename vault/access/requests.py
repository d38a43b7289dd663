"""Register of requests. The loci asked for are sealed under the books branch.

Whoever may ask signs the collection, so each request is signed besides by who asked, and each denial by the steward who denied: nobody
changes what another asked for, or asks in another's name, and what was denied stays so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from sqlalchemy import select

from policies.declarations import SERVED
from policies.purposes import RequestKind
from vault.access import asked_regions, projects
from vault.audit.actions import Action, Outcome
from vault.audit.entry import is_handle
from vault.crypto.context import encode_context
from vault.crypto.keystore import Role
from vault.crypto.primitives import sha256
from vault.errors import InputError, RefusedError
from vault.genotypes.catalog import datasets, panels
from vault.ids import DatasetId, ProjectId
from vault.limits import MAX_REGIONS
from vault.session import approvals, principals
from vault.session.approvals import Approval, Signed
from vault.session.reasons import require_reason
from vault.session.sealed_records import SealedRecord
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import DatasetRow, ProjectRow, RequestRow
from vault.storage.database import Transaction
from vault.storage.timestamps import from_micros, rfc3339, to_micros

SEALED = SealedRecord("request")
OPEN, DENIED, WITHDRAWN = "open", "denied", "withdrawn"


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


@dataclass(frozen=True)
class Request:
    """A request, as recorded."""

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


def submit(vault: UnlockedVault, project_code: str, dataset_name: str, *, kind: RequestKind, spec: Spec) -> Request:
    """Record a request of an approved project.

    Raises:
        InputError: ``project_unknown``, ``dataset_unknown``, ``panel_unknown``, ``document_rejected`` (a region),
            ``assembly_mismatch``, ``contig_not_held``; ``person_malformed``, ``principal_unknown``, ``principal_disabled``: of whom it is for.
        RefusedError: ``project_not_approved``, ``outside_project`` (a dataset or kind that the declaration does not name);
            ``not_of_project``: it is for somebody who is not among the people whom the project names.
    """
    with vault.trail.attempting(Action.REQUEST_SUBMIT):
        if spec.submitted_for is not None and not is_handle(spec.submitted_for):
            hint = "letters, digits and ._@-, at most 64, as principals are called"
            raise InputError("person_malformed", "the person it is for is not named as the log can name somebody", hint=hint)
        if kind not in SERVED:
            raise RefusedError("kind_not_served", f"this version answers no request for {kind.value}", hint="ask for records")
        project = projects.load(vault, project_code)
        if spec.submitted_for is not None:
            _require_person(vault, project, spec.submitted_for)
        dataset = datasets.by_name(vault, dataset_name)
        spec = _checked(vault, dataset, spec)
        if project.state != projects.APPROVED:
            raise RefusedError("project_not_approved", f"project {project_code} is {project.state}", hint="a steward approves it")
        if dataset_name not in project.declaration.datasets or kind not in project.declaration.kinds:
            raise RefusedError("outside_project", "the project does not declare this dataset or kind of request")
        row = RequestRow(
            request_id=f"r-{vault.random(5).hex()}",
            project_id=project.project_id,
            dataset_id=dataset.dataset_id,
            kind=kind.value,
            state=OPEN,
            sealed=b"",
            submitted_by=vault.principal,
            created=to_micros(vault.clock()),
        )
        signed = approvals.signature_of(vault, _approval(Action.REQUEST_SUBMIT, row, spec), signed=row.created)
        row.sealed = _seal(vault, row, spec, signed)
        with vault.books.write() as tx:
            tx.add(row)
            tx.flush()
            vault.trail.append(
                tx,
                Action.REQUEST_SUBMIT,
                Outcome.DONE,
                project=project_code,
                request=row.request_id,
                asserted_for=spec.submitted_for,
                detail=_detail(dataset, kind, spec),
            )
    return _opened(vault, row, project_code, dataset_name)


def _require_person(vault: UnlockedVault, project: projects.Project, name: str) -> None:
    principals.require_active(vault, name)
    people = project.declaration.purpose.people
    if people and name not in people:
        hint = "genovault project show names the project's people"
        raise RefusedError("not_of_project", f"project {project.code} does not name {name} among its people", hint=hint)


def deny(vault: UnlockedVault, request_id: str, reason: str) -> Request:
    """Stop a request; the reason is for auditors. Raises InputError ``request_unknown``."""
    with vault.trail.attempting(Action.REQUEST_DENY, request=request_id), vault.books.write() as tx:
        row = tx.get(RequestRow, request_id)
        if row is None:
            raise _unknown()
        spec, signed = _content(vault, row)
        row.state = DENIED
        row.sealed = _seal(vault, row, spec, signed)
        approvals.sign(vault, tx, _approval(Action.REQUEST_DENY, row, spec), signed=to_micros(vault.clock()))
        vault.trail.append(tx, Action.REQUEST_DENY, Outcome.DONE, request=request_id, detail={"reason": reason})
    return load(vault, request_id)


def withdraw(vault: UnlockedVault, request_id: str, reason: str) -> Request:
    """Take a request back; nothing is served under it any more. Stewards take back any, others their own.

    Raises:
        InputError: ``request_unknown``, ``reason_missing``, ``reason_too_long``; ``request_state``: it is not open.
    """
    with vault.trail.attempting(Action.REQUEST_WITHDRAW, request=request_id):
        said = require_reason(reason)
        with vault.books.write() as tx:
            row = _own_row(vault, tx, request_id)
            spec, signed = _content(vault, row)
            if row.state != OPEN:
                raise InputError("request_state", f"request {request_id} is {row.state}", hint="genovault request list")
            row.state = WITHDRAWN
            row.sealed = _seal(vault, row, spec, signed)
            tx.flush()
            vault.trail.append(tx, Action.REQUEST_WITHDRAW, Outcome.DONE, request=request_id, detail={"reason": said})
    return load(vault, request_id)


def resubmit(vault: UnlockedVault, request_id: str) -> Request:
    """Ask for the same once more, of the panel's version of now; the other request stays as it is. Whose: as ``withdraw``.

    Raises as ``submit``; InputError: ``request_unknown``.
    """
    with vault.trail.attempting(Action.REQUEST_SUBMIT), vault.books.read() as tx:
        _own_row(vault, tx, request_id)
        (old,) = _rows(vault, tx, request_id)
    return submit(vault, old.project, old.dataset, kind=old.kind, spec=replace(old.spec, panel_version=None))


def _own_row(vault: UnlockedVault, tx: Transaction, request_id: str) -> RequestRow:
    row = tx.get(RequestRow, request_id)
    if row is None or (vault.role is not Role.STEWARD and row.submitted_by != vault.principal):
        raise _unknown()
    return row


def load(vault: UnlockedVault, request_id: str) -> Request:
    """A request by its id. Raises InputError ``request_unknown``."""
    with vault.books.read() as tx:
        found = _rows(vault, tx, request_id)
    if not found:
        raise _unknown()
    return found[0]


def to_be_served(vault: UnlockedVault, request_id: str) -> Request:
    """A request that is open, as it was asked.

    Raises:
        InputError: ``request_unknown``. RefusedError: ``request_denied``, ``request_withdrawn``. IntegrityError, RefusedError: as ``is_open``.
    """
    with vault.books.read() as tx:
        found = _rows(vault, tx, request_id)
        if not found:
            raise _unknown()
        if not is_open(vault, tx, request_id):
            code = f"request_{WITHDRAWN if found[0].state == WITHDRAWN else DENIED}"
            raise RefusedError(code, f"request {request_id} was {code.removeprefix('request_')}")
    return found[0]


def is_open(vault: UnlockedVault, tx: Transaction, request_id: str) -> bool:
    """True if the request is open in the caller's transaction, and as it was asked.

    Raises:
        IntegrityError: ``request_altered``; ``approval_missing``: who is said to have asked did not sign it. RefusedError:
            ``principal_disabled``: the person whom it is for was disabled since.
    """
    row = tx.get(RequestRow, request_id)
    if row is None:
        return False
    spec, signed = _content(vault, row)
    asked = _approval(Action.REQUEST_SUBMIT, row, spec)
    if signed is not None:
        approvals.require_signature(vault, asked, signed, principal=row.submitted_by, signed=row.created)
    elif vault.books.upgraded:
        approvals.require(vault, tx, asked, principal=row.submitted_by, signed=row.created)
    if spec.submitted_for is not None:
        principals.require_not_disabled(tx, spec.submitted_for)
    return row.state == OPEN and not approvals.stands(tx, _approval(Action.REQUEST_DENY, row, spec))


def carry(vault: UnlockedVault, tx: Transaction) -> None:
    """Sign what was asked and denied before the vault's upgrade, in the administrator's name.

    Raises:
        UnavailableError: ``slot_outdated``. IntegrityError: ``request_altered``.
    """
    for row in tx.scalars(select(RequestRow)):
        spec, _ = _content(vault, row)
        approvals.carry(vault, tx, _approval(Action.REQUEST_SUBMIT, row, spec), principal=row.submitted_by, signed=row.created)
        if row.state == DENIED:
            denied = _approval(Action.REQUEST_DENY, row, spec)
            approvals.carry(vault, tx, denied, principal=vault.principal, signed=row.created)


def list_all(vault: UnlockedVault) -> list[Request]:
    """All requests, newest first."""
    with vault.books.read() as tx:
        return _rows(vault, tx, None)


def _rows(vault: UnlockedVault, tx: Transaction, request_id: str | None) -> list[Request]:
    query = select(RequestRow, ProjectRow.code, DatasetRow.name).join(ProjectRow, RequestRow.project_id == ProjectRow.project_id)
    query = query.join(DatasetRow, RequestRow.dataset_id == DatasetRow.dataset_id).order_by(RequestRow.created.desc())
    if request_id is not None:
        query = query.where(RequestRow.request_id == request_id)
    return [_opened(vault, row, code, name) for row, code, name in tx.execute(query)]


def _checked(vault: UnlockedVault, dataset: datasets.Dataset, spec: Spec) -> Spec:
    asked_regions.require_form(spec.regions)
    spec = replace(spec, regions=asked_regions.in_positions(vault, dataset, spec.regions, spec.genes))
    if len(spec.regions) > MAX_REGIONS:
        raise InputError("too_many_regions", f"at most {MAX_REGIONS} regions in one request", hint="make a panel")
    if spec.regions:
        regions = asked_regions.read_regions(spec.regions)
        asked_regions.require_own(regions, dataset)
        if vault.role is Role.STEWARD:
            asked_regions.require_present(vault, regions, dataset)
    if spec.panel is None:
        return spec
    panel = panels.by_name(vault, spec.panel)
    if panel.dataset_id != dataset.dataset_id:
        raise InputError("panel_unknown", f"panel {spec.panel} is not of this dataset", hint="genovault panel list")
    return replace(spec, panel_version=panel.version)


def _detail(dataset: datasets.Dataset, kind: RequestKind, spec: Spec) -> dict[str, object]:
    regions: Sequence[str] = spec.regions[:1000]  # an auditor sees what was asked; the rest is counted
    return {
        "dataset": dataset.name,
        "kind": kind.value,
        "regions": list(regions),
        "n_regions": len(spec.regions),
        "genes": list(spec.genes),
        "panel": spec.panel,
        "for": spec.submitted_for,
    }


def _approval(act: Action, row: RequestRow, spec: Spec) -> Approval:
    """An act on a request; its content is who asked and for what, which never changes."""
    said = json.dumps(_as_said(spec), sort_keys=True)
    context = encode_context("genovault/request/v1", row.project_id, row.dataset_id, row.kind, said)
    return Approval(act, "request", row.request_id.encode(), sha256(context))


def _as_said(spec: Spec) -> dict[str, object]:
    """The spec as it is signed and sealed; without genes in the bytes of before genes could be named."""
    return {name: value for name, value in asdict(spec).items() if name != "genes" or value}


def _seal(vault: UnlockedVault, row: RequestRow, spec: Spec, signed: Signed | None) -> bytes:
    content: dict[str, object] = {"spec": _as_said(spec)}
    if signed is not None:
        content["signed"] = [signed.signer.hex(), signed.signature.hex()]
    return SEALED.seal(vault.records, row.request_id, content, standing=_standing(row))


def _standing(row: RequestRow) -> list[str]:
    """The clear columns that decide, as they are sealed too."""
    return [row.project_id.hex(), row.dataset_id.hex(), row.kind, row.state, row.submitted_by]


def _content(vault: UnlockedVault, row: RequestRow) -> tuple[Spec, Signed | None]:
    """Content of a request, and the signature of who asked; None in a request of before requests were signed."""
    content = SEALED.open(vault.records, row.request_id, row.sealed, standing=_standing(row))
    spec, signed = content["spec"], content.get("signed")
    made = None if signed is None else Signed(*map(bytes.fromhex, signed))
    return Spec(**{**spec, "regions": tuple(spec["regions"]), "genes": tuple(spec.get("genes", ()))}), made


def _opened(vault: UnlockedVault, row: RequestRow, project: str, dataset: str) -> Request:
    return Request(
        request_id=row.request_id,
        project_id=ProjectId(row.project_id),
        project=project,
        dataset_id=DatasetId(row.dataset_id),
        dataset=dataset,
        kind=RequestKind(row.kind),
        spec=_content(vault, row)[0],
        state=row.state,
        submitted_by=row.submitted_by,
        created=rfc3339(from_micros(row.created)),
    )


def _unknown() -> InputError:
    return InputError("request_unknown", "there is no such request", hint="genovault request list")
