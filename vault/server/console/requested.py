"""Requests: all of them for stewards, with the risk report beside the decision; their own for researchers."""

from __future__ import annotations

from urllib.parse import quote

from policies.disclosure import nats
from policies.token_scopes import TokenScope
from vault import gate
from vault.access import own_requests, requests
from vault.access.request_records import APPROVED, SUBMITTED, Request
from vault.audit.actions import Action
from vault.crypto.keystore import Role
from vault.errors import InputError
from vault.risk import risk_page, stored_reports
from vault.server.console import cells
from vault.server.console.frame import Answer, Badge, ConsolePage, Link, Redirection, drawn
from vault.server.console.visits import Visit

MOST = 200  # of a list; the states that are asked for narrow it
_KINDS = {"submitted": "off", "approved": "good", "released": "good", "denied": "bad", "expired": "bad"}


def listed(visit: Visit) -> Answer:
    """Requests, the newest first: for stewards all, for others what they asked or what was asked for them."""
    state = visit.query.get("state", "")[:20]
    if visit.project is not None:
        found = own_requests.listed(visit.vault, visit.project)
    else:
        with visit.looking(Action.REQUEST_SHOW):
            found = requests.list_visible(visit.vault)
    states = sorted({one.state for one in found})
    rows = [_row(one) for one in found if state in ("", one.state)]
    return ConsolePage(
        "requests.html",
        "Requests",
        {"rows": rows[:MOST], "cut": len(rows) > MOST, "most": MOST, "states": states, "state": state},
    )


def shown(visit: Visit) -> Answer:
    """One request; for stewards with its last risk report, and the forms to decide."""
    request = _one(visit)
    steward, own = visit.session.role is Role.STEWARD, request.submitted_by == visit.vault.principal
    report = _report(visit, request.request_id) if steward else None
    shown_ = {
        "request": request,
        "state": Badge(request.state, _KINDS.get(request.state, "plain")),
        "fields": [(name, value) for name, value in _fields(request) if value],
        "steward": steward,
        "waits": request.state == SUBMITTED,
        "can_withdraw": request.state in (SUBMITTED, APPROVED) and (steward or (visit.has(TokenScope.REQUEST) and own)),
        "report": None if report is None else drawn(risk_page.body(report)),
        "address": _address(request.request_id),
    }
    return ConsolePage("request.html", f"Request {request.request_id}", shown_)


def assess(visit: Visit) -> Answer:
    """Work out what a request would tell of its people, now."""
    gate.risk(visit.vault, visit.place["request"])
    return Redirection(_address(visit.place["request"]), "assessed")


def approve(visit: Visit) -> Answer:
    """Approve a request, by the steward's own key."""
    requests.approve(visit.vault, visit.place["request"])
    return Redirection(_address(visit.place["request"]), "approved")


def deny(visit: Visit) -> Answer:
    """Deny a request for good."""
    requests.deny(visit.vault, visit.place["request"], visit.form.get("reason", ""))
    return Redirection(_address(visit.place["request"]), "denied")


def withdraw(visit: Visit) -> Answer:
    """Take a request back. Raises as ``Visit.require``."""
    request, reason = visit.place["request"], visit.form.get("reason", "")
    if visit.project is None:
        requests.withdraw(visit.vault, request, reason)
    else:
        visit.require(Action.REQUEST_WITHDRAW, TokenScope.REQUEST)
        own_requests.take_back(visit.vault, visit.project, request, reason)
    return Redirection(_address(request), "withdrawn")


def _one(visit: Visit) -> Request:
    wanted = visit.place["request"]
    if visit.project is not None:
        return own_requests.shown(visit.vault, visit.project, wanted)
    with visit.looking(Action.REQUEST_SHOW):
        return requests.visible(visit.vault, wanted)


def _report(visit: Visit, request_id: str) -> dict[str, object] | None:
    """The last risk report, where there is one; the look is logged."""
    if stored_reports.made(visit.vault, request_id) is None:
        return None
    try:
        return gate.last_risk(visit.vault, request_id)
    except InputError:  # deleted meanwhile, by an erasure
        return None


def _row(one: Request) -> tuple[object, ...]:
    return (
        Link(_address(one.request_id), one.request_id), one.project, one.dataset, one.kind.value, _loci(one),
        Badge(one.state, _KINDS.get(one.state, "plain")), cells.by(one.submitted_by, one.spec.submitted_for), cells.second(one.created),
    )  # fmt: skip


def _fields(one: Request) -> list[tuple[str, str]]:
    spec, price = one.spec, one.spec.price
    by = "with its project" if one.standing else "each by itself"
    return [
        ("project", one.project),
        ("dataset", one.dataset),
        ("kind", one.kind.value),
        ("what", _loci(one)),
        ("regions", ", ".join(spec.regions)),
        ("genes", ", ".join(spec.genes)),
        ("alleles", ", ".join(spec.alleles)),
        ("panel", f"{spec.panel} version {spec.panel_version}" if spec.panel else ""),
        ("fields", ", ".join(spec.fields)),
        ("submitted by", cells.by(one.submitted_by, spec.submitted_for)),
        ("submitted", f"{cells.second(one.created)} UTC"),
        ("reason", spec.reason),
        ("approved", f"{by}, by {one.approved_by}" if one.approved_by else ""),
        ("holds until", f"{cells.second(one.expires)} UTC" if one.expires else ""),
        ("costs at most", "" if price is None else f"{nats.number(price.total):g} nats"),
    ]


def _loci(one: Request) -> str:
    spec = one.spec
    named = [f"panel {spec.panel}"] if spec.panel else []
    named += spec.genes
    if spec.alleles:
        return spec.alleles[0] if len(spec.alleles) == 1 else f"{len(spec.alleles)} alleles"
    if spec.regions and not spec.genes:
        named.append(spec.regions[0] if len(spec.regions) == 1 else f"{len(spec.regions)} regions")
    return ", ".join(named) or "all sites"


def _address(request_id: str) -> str:
    return f"/requests/{quote(request_id, safe='')}"
