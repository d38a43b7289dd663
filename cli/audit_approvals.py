"""Command that sets approvals beside accesses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import Context, context_of
from vault.audit.actions import Action
from vault.errors import InputError

if TYPE_CHECKING:
    from vault.access.approved_accesses import ApprovedAccesses
    from vault.audit.reports.approvals import Accessed, Asked, ProjectRecord, Refusal, Step


def approvals(
    ctx: typer.Context,
    project: Annotated[str | None, typer.Option(metavar="P", help="Only this project.")] = None,
) -> None:
    """Who approved what and when, what was asked and released under it, and every access outside an approval. From the log alone.

    An access is outside where its project was not approved then, or where dataset, kind, people, recipients, end or request are not what
    was approved. Terms are in the log since projects are declared with this version; of earlier ones only the state is compared.

    JSON: {"accesses": n, "outside": n, "projects": [{"project", "state", "terms": the declaration or null, "steps": [{"entry", "time",
    "what", "by", "flags", "signed": bool, null where no signature is kept, "reason"}], "rulings": [as steps, with "allows", "in_force", "reason"], "requests": [{"request", "entry",
    "time", "by", "for", "what", "approved": n or null, "denied": n or null, "denied_by", "stopped": "denied", "withdrawn" or "", "reason"}], "accesses": [{"entry", "time", "act", "by", "for", "request",
    "release", "what", "recipients", "left_out": {reason: n}, "ended", "approval": n or null, "outside": [code]}], "refusals": [{"entry", "time", "act", "by",
    "for", "request", "reasons"}]}]}.
    """
    context = context_of(ctx)
    from vault.access.approved_accesses import examine

    with context.reading(Action.AUDIT_APPROVALS) as vault:
        found = examine(vault)
        if project is not None and not any(one.code == project for one in found.projects):
            raise InputError(
                "project_unknown", f"the log knows no project {project}", hint="genovault audit approvals lists them"
            )
    shown = [one for one in found.projects if project in {None, one.code}]
    accesses = [access for one in shown for access in one.accesses]
    outside = sum(bool(access.outside) for access in accesses)
    context.output.document({"accesses": len(accesses), "outside": outside, "projects": [_document(found, one) for one in shown]})
    for one in shown:
        _show(context, found, one)
    if not found.terms_readable:
        context.output.line(
            "the terms of approvals are sealed for auditors and stewards: only the projects' states were compared"
        )
    said = f"{outside:,} of {len(accesses):,} accesses are OUTSIDE an approval"
    context.output.line(said if outside else f"accesses: {len(accesses):,}; outside an approval: none")


def _show(context: Context, found: ApprovedAccesses, project: ProjectRecord) -> None:
    """One project for people: terms, acts, requests, accesses."""
    from vault.audit.reports.approvals import WHY

    terms = project.terms or {}
    context.output.line(
        f"project {project.code}: {project.state or 'not declared in this log'}; {terms.get('title', '')}".rstrip("; ")
    )
    named = {
        "datasets": terms.get("datasets"),
        "people": terms.get("people"),
        "recipients": [one["name"] for one in terms.get("recipients", ())],
        "until": terms.get("expires", "")[:10],
    }
    for name, value in named.items():
        if value:
            context.output.line(f"  {name:10} {value if isinstance(value, str) else ', '.join(value)}")
    acts = [(step, step.what) for step in project.steps]
    acts += [(step, f"ruling on {step.what}: {_ruled(step)}") for step in project.rulings]
    context.output.table(
        ("entry", "time", "what", "by", "signed", "remarks"),
        [
            (
                step.index,
                step.time[:19],
                what,
                step.by,
                _signed(found, step),
                "; ".join([*step.flags, *filter(None, [step.reason])]),
            )
            for step, what in sorted(acts, key=lambda act: act[0].index)
        ],
    )
    if project.requests:
        context.output.table(
            ("entry", "time", "request", "by", "for", "what", "stopped"),
            [
                (one.index, one.time[:19], one.request, one.by, one.asserted_for, _what(one.what), _denied(one))
                for one in project.requests
            ],
        )
    if project.accesses:
        context.output.table(
            ("entry", "time", "access", "by", "for", "request", "what", "to", "left out", "ended", "under"),
            [
                (
                    one.index, one.time[:19], one.act, one.by, one.asserted_for, one.request, _what(one.what), ", ".join(one.recipients),
                    ", ".join(f"{code} {n}" for code, n in one.left_out.items()), one.ended, f"OUTSIDE: {'; '.join(WHY[code] for code in one.outside)}" if one.outside else f"entry {one.approval}",
                )
                for one in project.accesses
            ],
        )  # fmt: skip
    if project.refusals:
        context.output.table(
            ("entry", "time", "refused", "by", "for", "request", "why"),
            [
                (one.index, one.time[:19], one.act, one.by, one.asserted_for, one.request, ", ".join(one.reasons))
                for one in project.refusals
            ],
        )
    context.output.line()


def _ruled(step: Step) -> str:
    said = "allowed" if step.allows else "taken back"
    return said if step.in_force else f"{said}, waits for a second steward"


def _signed(found: ApprovedAccesses, step: Step) -> str:
    from vault.audit.reports.approvals import SIGNED_ACTS

    if step.act not in SIGNED_ACTS:
        return ""
    return "NOT SIGNED" if step.index in found.unsigned else "replaced" if step.index in found.replaced else "signed"


def _denied(one: Asked) -> str | None:
    return None if one.denied is None else f"{one.stopped} by {one.denied_by}, entry {one.denied}: {one.reason}"


def _what(what: Mapping[str, Any]) -> str:
    loci = [what["panel"]] if what.get("panel") else []
    loci += list(what.get("regions", ()))[:3]
    return f"{what.get('dataset', '')} {', '.join(loci) or ('all sites' if what else '')}".strip()


def _document(found: ApprovedAccesses, project: ProjectRecord) -> dict[str, Any]:
    return {
        "project": project.code,
        "state": project.state,
        "terms": project.terms,
        "steps": [{**_step(found, step), "reason": step.reason} for step in project.steps],
        "rulings": [
            {
                **_step(found, step),
                "allows": step.allows,
                "in_force": step.in_force,
                "reason": step.reason,
            }
            for step in project.rulings
        ],
        "requests": [_renamed(one) for one in project.requests],
        "accesses": [_renamed(one) for one in project.accesses],
        "refusals": [_renamed(one) for one in project.refusals],
    }


def _step(found: ApprovedAccesses, step: Step) -> dict[str, Any]:
    from vault.audit.reports.approvals import SIGNED_ACTS

    kept = step.act in SIGNED_ACTS and step.index not in found.replaced
    signed = step.index not in found.unsigned if kept else None
    return {"entry": step.index, "time": step.time, "what": step.what, "by": step.by, "flags": list(step.flags), "signed": signed}


def _renamed(one: Asked | Accessed | Refusal) -> dict[str, Any]:
    """Fields by the names that other documents of the log have."""
    named = asdict(one)
    named["entry"], named["for"] = named.pop("index"), named.pop("asserted_for")
    named.pop("project", None)
    return named
