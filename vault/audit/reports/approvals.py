"""Accesses beside the approvals that they were made under, from entries alone. Pure.

A project's declaration stands whole in the sealed detail of the entries that declare and approve it, and its digest in their public
leaves, so whoever reads details can hold every access against the terms that were approved then. Entries of before carry no terms: of
them only the project's state is known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from vault.audit.actions import Action, Outcome
from vault.audit.reports.outcomes import Outcomes, is_access, is_refused_access
from vault.audit.reports.records import Record

APPROVED = "approved"
ASSUMED = "assumed"  # end of an access that no entry closes
_STATES = {
    Action.PROJECT_CREATE.value: "declared",
    Action.PROJECT_EDIT.value: "edited",
    Action.PROJECT_APPROVE.value: APPROVED,
    Action.PROJECT_SUSPEND.value: "suspended",
    Action.PROJECT_CLOSE.value: "closed",
    Action.PROJECT_REOPEN.value: "reopened",
}
_PROPOSING = {Action.PROJECT_AMEND.value: "amendment proposed", Action.PROJECT_TAKE_BACK.value: "amendment taken back"}
"""Acts that leave the project's state and terms as they are."""
_DECLARING = frozenset({Action.PROJECT_CREATE.value, Action.PROJECT_EDIT.value, Action.PROJECT_APPROVE.value})
SIGNED_ACTS = _DECLARING | set(_PROPOSING) | {Action.PROJECT_RULE.value}
"""Acts of which the principal's own signature is kept beside."""
_STANDING = (
    SIGNED_ACTS
    | _STATES.keys()
    | {
        Action.REQUEST_SUBMIT.value,
        Action.REQUEST_APPROVE.value,
        Action.REQUEST_DENY.value,
        Action.REQUEST_WITHDRAW.value,
    }
)
WHY = {  # why an access is outside an approval
    "project_unknown": "no entry declares the project",
    "not_approved": "the project was not approved then",
    "not_signed": "whoever is said to have approved the project did not sign it",
    "after_end": "the project had ended",
    "dataset": "the dataset is not among those approved",
    "kind": "records are not among the kinds approved",
    "person": "whoever it was for is not among the project's people",
    "recipient": "a recipient is not among those approved",
    "request_unknown": "no entry submits the request",
    "request_denied": "the request had been denied or withdrawn",
    "request_not_approved": "the project has each request approved, and no steward had",
    "request_differs": "the request is of another project or dataset",
}


@dataclass(frozen=True)
class Step:
    """One act on a project: declared, amended, approved, suspended, closed, reopened, or a ruling on one of its points."""

    index: int
    time: str
    act: str
    what: str  # declared, approved …; of a ruling the point that it settles
    by: str
    flags: tuple[str, ...] = ()
    digest: str = ""  # hex, of the declaration that was approved
    reference: str = ""  # of a ruling
    allows: bool = True  # of a ruling
    in_force: bool = True  # of a ruling: False while it waits for a second steward
    reason: str = ""


@dataclass
class Asked:
    """One request: who asked, for whom, for what, and whether it was denied or withdrawn."""

    request: str
    index: int
    time: str
    project: str
    by: str
    asserted_for: str | None
    what: Mapping[str, Any]
    approved: int | None = None  # entry of a steward's approval of this request alone
    denied: int | None = None  # entry of the denial or withdrawal
    denied_by: str = ""
    stopped: str = ""  # denied or withdrawn
    reason: str = ""


@dataclass(frozen=True)
class Accessed:
    """One access, how it ended, and what it was outside of."""

    index: int
    time: str
    act: str
    by: str
    asserted_for: str | None
    request: str | None
    release: str
    what: Mapping[str, Any]
    recipients: tuple[str, ...]
    left_out: Mapping[str, int]  # reason -> people of the dataset who were not released for it
    ended: str
    approval: int | None  # entry of the approval in force; None if there was none
    outside: tuple[str, ...]  # codes of ``WHY``; empty: under the approval


@dataclass(frozen=True)
class Refusal:
    """One access that was refused before anything was opened."""

    index: int
    time: str
    act: str
    by: str
    asserted_for: str | None
    request: str | None
    reasons: tuple[str, ...]


@dataclass
class ProjectRecord:
    """Everything that the log says of one project."""

    code: str
    state: str = ""
    steps: list[Step] = field(default_factory=list)
    rulings: list[Step] = field(default_factory=list)
    requests: list[Asked] = field(default_factory=list)
    accesses: list[Accessed] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    terms: Mapping[str, Any] | None = None  # the declaration last declared or approved; None where no entry carries it

    @property
    def approval(self) -> Step | None:
        """The approval in force; None if the project is not approved."""
        approved = [step for step in self.steps if step.what == APPROVED]
        return approved[-1] if self.state == APPROVED and approved else None


def is_standing(record: Record) -> bool:
    """True for entries after which a project or a request stands otherwise."""
    return record.outcome == Outcome.DONE.value and record.act in _STANDING


def wanted(record: Record) -> bool:
    """True for entries whose sealed detail ``approvals`` reads."""
    return (record.act or "").partition(".")[0] in {"project", "request"} or is_access(record)


def approvals(entries: Iterable[tuple[Record, Mapping[str, Any] | None]]) -> list[ProjectRecord]:
    """Projects by code, from every entry in order, each with its detail where it is ``wanted`` and can be opened."""
    found: dict[str, ProjectRecord] = {}
    requests: dict[str, Asked] = {}
    outcomes, accesses = Outcomes(), []
    for record, detail in entries:
        outcomes.take(record)
        if is_access(record):
            project = found.get(record.project or "")
            approval = project.approval if project else None
            terms = project.terms if project and approval else None
            outside = _outside(record, detail or {}, project, terms, requests.get(record.request or ""))
            accesses.append((record, detail or {}, approval, outside))
        elif is_refused_access(record):
            asked = requests.get(record.request or "")
            code = record.project or (asked.project if asked else "")
            found.setdefault(code, ProjectRecord(code)).refusals.append(_refusal(record))
        elif record.outcome == Outcome.DONE.value:
            _take(found, requests, record, detail or {})
    for record, detail, approval, outside in accesses:
        end = outcomes.end(record)
        project = found.setdefault(record.project or "", ProjectRecord(record.project or ""))
        project.accesses.append(_accessed(record, detail, approval, outside, ASSUMED if end is None else end.outcome or ""))
    return [found[code] for code in sorted(found)]


def _take(found: dict[str, ProjectRecord], requests: dict[str, Asked], record: Record, detail: Mapping[str, Any]) -> None:
    """Take an entry that says something was done to a project or a request."""
    by, code = record.actor or "", record.project or ""
    if record.act in _STATES or record.act in _PROPOSING:
        project = found.setdefault(code, ProjectRecord(code))
        digest = (record.object or "").partition(":")[2].partition(":")[0]
        what = _PROPOSING.get(record.act) or _STATES[record.act]
        project.state = _STATES.get(record.act, project.state)
        reason = str(detail.get("reason", ""))
        project.steps.append(Step(record.index, record.time, record.act, what, by, record.flags, digest, reason=reason))
        if record.act in _DECLARING:
            project.terms = _terms(detail, digest)
    elif record.act == Action.PROJECT_RULE.value:
        ruling = Step(
            record.index, record.time, record.act, str(detail.get("item", "")), by, record.flags,
            reference=(record.object or "").partition(":")[2],
            allows=bool(detail.get("allows", True)),
            in_force=bool(detail.get("in_force", True)),
            reason=str(detail.get("reason", "")),
        )  # fmt: skip
        found.setdefault(code, ProjectRecord(code)).rulings.append(ruling)
    elif record.act == Action.REQUEST_SUBMIT.value and record.request:
        asked = Asked(record.request, record.index, record.time, code, by, record.asserted_for, detail)
        requests[record.request] = asked
        found.setdefault(code, ProjectRecord(code)).requests.append(asked)
    elif record.act == Action.REQUEST_APPROVE.value and record.request in requests:
        requests[record.request].approved = record.index
    elif record.act in {Action.REQUEST_DENY.value, Action.REQUEST_WITHDRAW.value} and record.request in requests:
        denied = requests[record.request]
        denied.denied, denied.denied_by, denied.reason = record.index, by, str(detail.get("reason", ""))
        denied.stopped = "denied" if record.act == Action.REQUEST_DENY.value else "withdrawn"


def _terms(detail: Mapping[str, Any], digest: str) -> Mapping[str, Any] | None:
    """The declaration in a detail, if it is the one whose digest the leaf states."""
    text = detail.get("declaration")
    if not isinstance(text, str) or hashlib.sha256(text.encode()).hexdigest() != digest:
        return None
    document = json.loads(text)
    return document if isinstance(document, dict) else None


def _outside(
    record: Record,
    detail: Mapping[str, Any],
    project: ProjectRecord | None,
    terms: Mapping[str, Any] | None,
    asked: Asked | None,
) -> tuple[str, ...]:
    """Codes of what an access was outside of, as things stood before it."""
    if project is None or not project.steps:
        return ("project_unknown",)
    if project.state != APPROVED:
        return ("not_approved",)
    found = []
    if record.request is not None:
        if asked is None:
            found.append("request_unknown")
        elif asked.denied is not None:
            found.append("request_denied")
        elif asked.project != record.project or asked.what.get("dataset", detail.get("dataset")) != detail.get("dataset"):
            found.append("request_differs")
        if asked is not None and asked.approved is None and (terms or {}).get("approval") == "each":
            found.append("request_not_approved")
    return (*found, *(_outside_terms(record, detail, terms) if terms is not None else ()))


def _outside_terms(record: Record, detail: Mapping[str, Any], terms: Mapping[str, Any]) -> list[str]:
    found = []
    end = terms.get("expires")
    if isinstance(end, str) and record.time and datetime.fromisoformat(record.time) >= datetime.fromisoformat(end):
        found.append("after_end")
    if detail.get("dataset") is not None and detail["dataset"] not in terms.get("datasets", ()):
        found.append("dataset")
    if "records" not in terms.get("kinds", ("records",)):
        found.append("kind")
    people = terms.get("people") or ()
    acting = record.asserted_for or (record.actor if record.role == "engine" else None)
    if people and acting is not None and acting not in people:
        found.append("person")
    organisation = terms.get("organisation") or {}
    known = {one.get("name") for one in terms.get("recipients") or ()} or {organisation.get("name"), record.project}
    if set(detail.get("recipients", ())) - known:
        found.append("recipient")
    return found


def _refusal(record: Record) -> Refusal:
    act = (record.act or "").partition(".")[0]
    by, reasons = record.actor or "", tuple(record.reasons)
    return Refusal(record.index, record.time, act, by, record.asserted_for, record.request, reasons)


def _accessed(record: Record, detail: Mapping[str, Any], approval: Step | None, outside: tuple[str, ...], ended: str) -> Accessed:
    return Accessed(
        index=record.index,
        time=record.time,
        act=(record.act or "").partition(".")[0],
        by=record.actor or "",
        asserted_for=record.asserted_for,
        request=record.request,
        release=(record.object or "").partition(":")[2],
        what={name: detail[name] for name in ("dataset", "panel", "regions") if detail.get(name)},
        recipients=tuple(detail.get("recipients", ())),
        left_out=dict(detail.get("reasons", {})),
        ended=ended,
        approval=None if approval is None else approval.index,
        outside=outside,
    )
