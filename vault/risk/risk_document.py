"""Risk report as JSON values: the form in which it is shown, stored and drawn as a page. Pure.

What does not apply to a kind of request is null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from policies.disclosure import count_classes, kinship_degrees, nats
from policies.disclosure.budgets import Budget
from policies.disclosure.limits import NOT_PROTECTED
from policies.disclosure.noise import Price
from policies.disclosure.view_rules import ViewRules
from policies.purposes import ProjectDeclaration
from vault.access.request_records import Request
from vault.risk.asked_sites import AskedSites, Classes
from vault.risk.measures import Kinship, Measures
from vault.risk.membership_evidence import PublishedFrequencies

UNIQUE_AT = (5, 10, 20)

_NOTHING: Mapping[str, Any] = dict.fromkeys(
    (
        "sites",
        "bits",
        "unique_at",
        "unique_curve",
        "unique_by_all",
        "kin",
        "spectrum",
        "masked_share",
        "missing",
        "frequencies",
        "price",
    )
)


def about(request: Request, declaration: ProjectDeclaration, rules: ViewRules, *, made: str) -> dict[str, Any]:
    """Subject of a report, and the rules that hold for it. ``made``: RFC 3339."""
    return {
        "request": request.request_id,
        "project": request.project,
        "dataset": request.dataset,
        "kind": request.kind.value,
        "made": made,
        "profile": _profile(declaration, rules),
        "not_protected": list(NOT_PROTECTED),
    }


def of_records(
    about: Mapping[str, Any], found: Measures, asked: AskedSites, *, cumulative: float, max_bits: int | None
) -> dict[str, Any]:
    """Report of a request for records. ``cumulative``: bits that would then have left to the organisation; ``max_bits``: that may."""
    return {
        **_NOTHING,
        **about,
        "n": found.people,
        "sites": found.sites,
        "bits": {
            "mean": round(found.bits.mean, 1),
            "max_person": round(found.bits.largest, 1),
            "cumulative": round(cumulative, 1),
            "max_bits": max_bits,
        },
        "unique_at": {str(number): _rounded(found.unique.get(number)) for number in UNIQUE_AT},
        "unique_curve": [[number, _rounded(share)] for number, share in found.unique.items()],
        "unique_by_all": _rounded(found.unique_by_all),
        "kin": _kin(found.kin),
        "spectrum": {"asked": _spectrum(asked.classes), "released": _spectrum(found.released)},
        "masked_share": {
            name: {"asked": one.asked, "masked": one.masked, "share": _rounded(one.masked / max(1, one.asked))}
            for name, one in asked.by_contig.items()
        },
        "missing": asdict(found.missing),
        "frequencies": _frequencies(found.frequencies),
    }


def of_counts(about: Mapping[str, Any], *, people: int, price: Price | None, budgets: Sequence[Budget]) -> dict[str, Any]:
    """Report of a request for counts or presence: nothing is opened for it; what it tells is bounded by its price."""
    left = {one.scope.value: nats.number(one.left) for one in budgets}
    return {**_NOTHING, **about, "n": people, "price": None if price is None else {**price.as_dict(), "left": left}}


def _profile(declaration: ProjectDeclaration, rules: ViewRules) -> dict[str, Any]:
    """The rules of the view, and beside them what the project declares of itself."""
    own = declaration.disclosure
    found = asdict(rules) | {"fields": [str(one) for one in rules.fields], "opt_outs": str(rules.opt_outs)}
    return {**found, "min_group": own.min_group, "max_bits": own.max_bits}


def _kin(kin: Kinship) -> dict[str, Any]:
    pairs = (
        dict.fromkeys(kinship_degrees.CUTS)
        if kin.pairs is None
        else dict(zip(kinship_degrees.CUTS, kin.pairs.pairs, strict=True))
    )
    people = None if kin.pairs is None else kin.pairs.people
    return {"why_not": kin.why_not, "sites": kin.sites, "chromosomes": kin.chromosomes, "pairs": pairs, "people": people}


def _frequencies(found: PublishedFrequencies) -> dict[str, Any]:
    told = {name: _rounded(value) for name, value in asdict(found).items() if name != "m" and math.isfinite(value)}
    return {**dict.fromkeys(asdict(found)), **told, "m": found.m}


def _spectrum(found: Classes) -> dict[str, int]:
    return dict(zip(count_classes.NAMES, found.tolist(), strict=True))


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
