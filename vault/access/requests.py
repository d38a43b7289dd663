"""Requests of projects: submitted, approved, denied, taken back; ``request_records`` has their states and what is signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select

from policies.disclosure import nats
from policies.purposes import ApprovalMode, RequestKind
from vault.access import asked_regions, projects
from vault.access.disclosure import asked_counts
from vault.access.request_records import (
    APPROVED,
    DENIED,
    EXPIRED,
    HOLDS,
    OPEN,
    RELEASED,
    SUBMITTED,
    WITHDRAWN,
    Request,
    Spec,
    approval_of,
    content,
    rows,
    seal,
)
from vault.audit.actions import Action, Outcome
from vault.audit.entry import is_handle
from vault.crypto.keystore import Role
from vault.errors import InputError, RefusedError
from vault.genotypes.catalog import datasets, panels, parts
from vault.limits import MAX_REGIONS
from vault.session import approvals, principals
from vault.session.reasons import require_reason
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import RequestRow
from vault.storage.database import Transaction
from vault.storage.timestamps import to_micros


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
        project = projects.load(vault, project_code)
        if spec.submitted_for is not None:
            _require_person(vault, project, spec.submitted_for)
        if vault.person is not None and vault.principal not in project.declaration.purpose.people:
            raise RefusedError("not_of_project", f"project {project.code} does not name {vault.principal} among its people")
        if kind is RequestKind.MATCHING:
            raise InputError("kind_not_served", "matching is not requested: it is asked", hint="genovault match run")
        dataset = datasets.by_name(vault, dataset_name)
        asked = kind is not RequestKind.RECORDS
        spec = asked_counts.checked(vault, project, dataset, kind, spec) if asked else _checked(vault, dataset, spec)
        _require_approved(project)
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
        signed = approvals.signature_of(vault, approval_of(Action.REQUEST_SUBMIT, row, spec), signed=row.created)
        row.sealed = seal(vault, row, spec, signed)
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
                flags=("unsigned_file",) if spec.file_sha256 and vault.person is None else (),
                detail={**_detail(dataset, kind, spec), **_resting_on(project)},
            )
    return load(vault, row.request_id)


def _resting_on(project: projects.Project) -> dict[str, object]:
    """Approval that a request of this project rests on, for the entry that submits it: of each by itself, nobody's yet."""
    standing = project.declaration.approval is ApprovalMode.STANDING
    return {"approval": project.declaration.approval.value, "approved_by": project.approved_by if standing else None}


def _require_person(vault: UnlockedVault, project: projects.Project, name: str) -> None:
    principals.require_active(vault, name)
    people = project.declaration.purpose.people
    if people and name not in people:
        hint = "genovault project show names the project's people"
        raise RefusedError("not_of_project", f"project {project.code} does not name {name} among its people", hint=hint)


def approve(vault: UnlockedVault, request_id: str) -> Request:
    """Approve a request of a project that has each approved. What is signed is what was asked, which never changes.

    With one steward, approving what one submitted is allowed and logged ``self_approved``; with two it is refused.

    Raises:
        InputError: ``request_unknown``; ``request_state``: it does not wait for an approval.
        RefusedError: ``self_approval``, ``project_not_approved``.
    """
    with vault.trail.attempting(Action.REQUEST_APPROVE, request=request_id), vault.books.write() as tx:
        row, before = _row(tx, request_id), _one(vault, tx, request_id)
        if before.state not in (SUBMITTED, RELEASED) or before.approved_by is not None:
            by = f" by {before.approved_by}" if before.approved_by and before.state in (APPROVED, RELEASED) else ""
            raise InputError("request_state", f"request {request_id} is {before.state}{by}: it does not wait for an approval")
        _require_approved(projects.by_id(vault, tx, before.project_id))
        own = row.submitted_by == vault.principal
        if own and projects.stewards(tx) > 1:
            raise RefusedError("self_approval", "another steward approves what this one submitted", hint="ask a colleague")
        signed = to_micros(vault.clock())
        approvals.sign(vault, tx, approval_of(Action.REQUEST_APPROVE, row, before.spec), signed=signed)
        tx.flush()
        vault.trail.append(
            tx,
            Action.REQUEST_APPROVE,
            Outcome.DONE,
            project=before.project,
            request=request_id,
            asserted_for=before.spec.submitted_for,
            flags=("self_approved",) if own else (),
        )
        return _one(vault, tx, request_id)


def deny(vault: UnlockedVault, request_id: str, reason: str) -> Request:
    """Stop a request; the reason is for auditors. Raises InputError ``request_unknown``."""
    with vault.trail.attempting(Action.REQUEST_DENY, request=request_id), vault.books.write() as tx:
        row = _row(tx, request_id)
        spec, signed = content(vault, row)
        row.state = DENIED
        row.sealed = seal(vault, row, spec, signed)
        approvals.sign(vault, tx, approval_of(Action.REQUEST_DENY, row, spec), signed=to_micros(vault.clock()))
        vault.trail.append(tx, Action.REQUEST_DENY, Outcome.DONE, request=request_id, detail={"reason": reason})
    return load(vault, request_id)


def withdraw(vault: UnlockedVault, request_id: str, reason: str) -> Request:
    """Take a request back; nothing is served under it any more. Stewards take back any, others their own.

    Raises:
        InputError: ``request_unknown``, ``reason_missing``, ``reason_too_long``; ``request_state``: it was denied or withdrawn.
    """
    with vault.trail.attempting(Action.REQUEST_WITHDRAW, request=request_id):
        said = require_reason(reason)
        with vault.books.write() as tx:
            row = _own_row(vault, tx, request_id)
            spec, signed = content(vault, row)
            if row.state != OPEN:
                raise InputError("request_state", f"request {request_id} is {row.state}", hint="genovault request list")
            row.state = WITHDRAWN
            row.sealed = seal(vault, row, spec, signed)
            if vault.role is Role.STEWARD and vault.books.upgraded:  # whoever may ask could put the row back
                withdrawn = approval_of(Action.REQUEST_WITHDRAW, row, spec)
                approvals.sign(vault, tx, withdrawn, signed=to_micros(vault.clock()))
            tx.flush()
            vault.trail.append(tx, Action.REQUEST_WITHDRAW, Outcome.DONE, request=request_id, detail={"reason": said})
    return load(vault, request_id)


def resubmit(vault: UnlockedVault, request_id: str) -> Request:
    """Ask for the same once more, of the panel's version of now; the other request stays as it is. Whose: as ``withdraw``.

    Raises as ``submit``; InputError: ``request_unknown``.
    """
    with vault.trail.attempting(Action.REQUEST_SUBMIT), vault.books.read() as tx:
        _own_row(vault, tx, request_id)
        old = _one(vault, tx, request_id)
    return submit(vault, old.project, old.dataset, kind=old.kind, spec=replace(old.spec, panel_version=None))


def load(vault: UnlockedVault, request_id: str) -> Request:
    """A request by its id. Raises InputError ``request_unknown``."""
    with vault.books.read() as tx:
        return _one(vault, tx, request_id)


def visible(vault: UnlockedVault, request_id: str) -> Request:
    """A request that whoever acts may see: stewards any, others their own. Callers log the look. Raises InputError ``request_unknown``."""
    for request in list_visible(vault):
        if request.request_id == request_id:
            return request
    raise _unknown()


def list_visible(vault: UnlockedVault) -> list[Request]:
    """Requests that whoever acts may see, newest first: stewards all, others what they asked or what was asked for them."""
    found = list_all(vault)
    if vault.role is Role.STEWARD:
        return found
    return [one for one in found if vault.principal in (one.submitted_by, one.spec.submitted_for)]


def waiting(vault: UnlockedVault) -> list[Request]:
    """Requests that wait for a steward's approval, the oldest first."""
    return [one for one in reversed(list_all(vault)) if one.state == SUBMITTED]


def to_be_served(vault: UnlockedVault, request_id: str) -> Request:
    """A request that is approved, as it was asked. Raises as ``require_served``; InputError: ``request_unknown``."""
    with vault.books.read() as tx:
        _row(tx, request_id)
        return require_served(vault, tx, request_id)


def is_open(vault: UnlockedVault, tx: Transaction, request_id: str) -> bool:
    """True if the request may be served, as the caller's transaction sees it. Raises IntegrityError, RefusedError as ``require_served``."""
    try:
        require_served(vault, tx, request_id)
    except RefusedError as error:
        if not error.code.startswith("request_"):
            raise
        return False
    return True


def require_served(vault: UnlockedVault, tx: Transaction, request_id: str) -> Request:
    """A request that is approved in the caller's transaction, and as it was asked.

    Raises:
        RefusedError: ``request_denied``, ``request_withdrawn``, ``request_expired``, ``request_not_approved``; ``principal_disabled``: the
            person whom it is for was disabled since.
        IntegrityError: ``request_altered``; ``approval_missing``: who is said to have asked did not sign it.
    """
    row = tx.get(RequestRow, request_id)
    if row is None:
        raise RefusedError("request_denied", f"there is no request {request_id} any more")
    spec, signed = content(vault, row)
    asked = approval_of(Action.REQUEST_SUBMIT, row, spec)
    if signed is not None:
        approvals.require_signature(vault, asked, signed, principal=row.submitted_by, signed=row.created)
    elif vault.books.upgraded:
        approvals.require(vault, tx, asked, principal=row.submitted_by, signed=row.created)
    if spec.submitted_for is not None:
        principals.require_not_disabled(tx, spec.submitted_for)
    found = _one(vault, tx, request_id)
    if found.state in (DENIED, WITHDRAWN):
        raise RefusedError(f"request_{found.state}", f"request {request_id} was {found.state}")
    if found.state == EXPIRED:
        message = (
            f"request {request_id} expired {HOLDS.days} days after it was {'approved' if found.approved_by else 'submitted'}"
        )
        raise RefusedError("request_expired", message, hint=f"genovault request resubmit {request_id}")
    if found.approved_by is None:
        hint = f"another steward approves it: genovault request approve {request_id}"
        raise RefusedError("request_not_approved", f"request {request_id} waits for its approval", hint=hint)
    return found


def carry(vault: UnlockedVault, tx: Transaction) -> None:
    """Sign what was asked and denied before the vault's upgrade, in the administrator's name.

    Raises:
        UnavailableError: ``slot_outdated``. IntegrityError: ``request_altered``.
    """
    for row in tx.scalars(select(RequestRow)):
        spec, _ = content(vault, row)
        approvals.carry(vault, tx, approval_of(Action.REQUEST_SUBMIT, row, spec), principal=row.submitted_by, signed=row.created)
        if row.state == DENIED:
            denied = approval_of(Action.REQUEST_DENY, row, spec)
            approvals.carry(vault, tx, denied, principal=vault.principal, signed=row.created)


def list_all(vault: UnlockedVault) -> list[Request]:
    """All requests, newest first."""
    with vault.books.read() as tx:
        return rows(vault, tx)


def _row(tx: Transaction, request_id: str) -> RequestRow:
    row = tx.get(RequestRow, request_id)
    if row is None:
        raise _unknown()
    return row


def _own_row(vault: UnlockedVault, tx: Transaction, request_id: str) -> RequestRow:
    row = _row(tx, request_id)
    if vault.role is not Role.STEWARD and row.submitted_by != vault.principal:
        raise _unknown()
    return row


def _one(vault: UnlockedVault, tx: Transaction, request_id: str) -> Request:
    found = rows(vault, tx, request_id)
    if not found:
        raise _unknown()
    return found[0]


def _require_approved(project: projects.Project) -> None:
    if project.state != projects.APPROVED:
        raise RefusedError("project_not_approved", f"project {project.code} is {project.state}", hint="a steward approves it")


def _checked(vault: UnlockedVault, dataset: datasets.Dataset, spec: Spec) -> Spec:
    if spec.alleles or spec.epsilon:
        raise InputError("alleles_not_counted", "alleles and accuracy are of counts and presence", hint="--kind counts")
    asked_regions.require_form(spec.regions)
    spec = replace(spec, regions=asked_regions.in_positions(vault, dataset, spec.regions, spec.genes))
    if len(spec.regions) > MAX_REGIONS:
        raise InputError("too_many_regions", f"at most {MAX_REGIONS} regions in one request", hint="make a panel")
    if spec.regions:
        regions = asked_regions.read_regions(spec.regions)
        asked_regions.require_own(regions, dataset)
        if vault.role is Role.STEWARD:
            asked_regions.require_present(regions, dataset, parts.contigs(vault, dataset.dataset_id))
    if spec.panel is None:
        return spec
    return replace(spec, panel_version=panels.of_dataset(vault, spec.panel, dataset).version)


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
        **({"alleles": list(spec.alleles), "epsilon": nats.text(spec.epsilon)} if spec.epsilon else {}),
        **({"file": spec.file_sha256, "fields": list(spec.fields), "reason": spec.reason} if spec.file_sha256 else {}),
    }


def _unknown() -> InputError:
    return InputError("request_unknown", "there is no such request", hint="genovault request list")
