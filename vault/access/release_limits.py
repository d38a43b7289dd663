"""Limits of a release: the project's declaration and the obligations of the released subjects' consents.

An obligation that the vault cannot enforce refuses the release (docs/design/consent.md §12).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from policies import reasons
from policies.disclosure.view_rules import ViewRules
from policies.loci import Catalogue, Interval, Mask
from policies.obligations import Obligations
from policies.purposes import ProjectDeclaration
from policies.tagged_sites import TaggedSites, tags_of
from vault.access.excluded_places import place_rules, renamed
from vault.errors import RefusedError
from vault.extracts.manifest import NO_REIDENTIFICATION, NO_RELINKING, Obligation
from vault.views.hidden_places import HiddenPlaces


@dataclass(frozen=True)
class ReleaseLimits:
    """Loci hidden from a view, and the rules of what it shows. ``excluded``: the places that consents exclude, without a margin."""

    hidden: HiddenPlaces
    rules: ViewRules
    excluded: Mask


def limits(
    declaration: ProjectDeclaration,
    duties: Obligations,
    rules: ViewRules,
    *,
    permitted: int,
    places: Catalogue,
    tags: Sequence[TaggedSites],
    asked: Sequence[Interval],
    now: datetime,
) -> ReleaseLimits:
    """Check the limits of a release and return the loci that its view must hide.

    Args:
        places: named loci of the data's assembly. ``tags``: its sensitive sites and theirs, which are hidden where linked sites are.
        asked: places of which some part must be left to show; none where an empty view will do.

    Raises:
        RefusedError: ``project_expired``; ``no_one_permitted``; ``group_too_small``; ``loci_unresolved``;
            ``nothing_left``.
    """
    if declaration.expires is not None and declaration.expires <= now:
        raise RefusedError("project_expired", "the project has expired", hint="its steward declares it anew")
    if not permitted:
        raise RefusedError("no_one_permitted", "no subject's consent covers this purpose", hint="genovault project check")
    smallest = max(declaration.disclosure.min_group or 1, duties.min_group or 1)
    if permitted < smallest:
        raise RefusedError("group_too_small", f"fewer subjects than the smallest group of {smallest}")
    hidden, excluded = (place_rules(duties.mask, places, margin=margin) for margin in (rules.margin, 0))
    groups = [place_rules(rules, places, margin=0) for rules in duties.only or ()]
    if hidden.unresolved or any(group.unresolved for group in groups):
        raise RefusedError("loci_unresolved", "a consent names loci that cannot be placed on this assembly")
    masks = hidden.mask
    if rules.linkage is not None:
        masks = masks.union(renamed(tags_of(tags, excluded.mask)))
    found = HiddenPlaces(masks.intervals, tuple(group.mask for group in groups), places.assembly)
    if asked and not any(_remains(place, found) for place in asked):
        raise RefusedError(reasons.NOTHING_LEFT, "all that was asked for lies where a consent excludes it")
    return ReleaseLimits(found, rules, excluded.mask)


def require_sites(n_sites: int) -> None:
    """Refuse an extract of nothing: its folder would be taken for an answer. Raises RefusedError ``nothing_to_release``."""
    if not n_sites:
        raise RefusedError("nothing_to_release", "nobody released carries anything of what was asked for")


def stated(duties: Obligations) -> tuple[Obligation, ...]:
    """Obligations in words, for the manifest; NRI and NRL are on every release."""
    found = [NO_REIDENTIFICATION, NO_RELINKING]
    if duties.publish:
        found.append(Obligation(code="PUB", text="Make the results available to the scientific community."))
    if duties.publish_embargo is not None:
        found.append(Obligation(code="MOR", text=f"Publish nothing before {duties.publish_embargo.isoformat()}."))
    if duties.ethics_ref:
        found.append(Obligation(code="IRB", text=f"Work under the ethics approval {duties.ethics_ref}."))
    if duties.collaborate:
        found.append(Obligation(code="COL", text=f"Work together with: {', '.join(duties.collaborate)}."))
    if duties.return_derived:
        found.append(Obligation(code="RTN", text="Return data derived from these records to the vault's stewards."))
    return tuple(found)


def _remains(place: Interval, hidden: HiddenPlaces) -> bool:
    """True if any position of the place may be shown; usually the first place decides."""
    starts, ends = hidden.on(place.contig)
    before = int(np.searchsorted(starts, place.start, side="right")) - 1  # last hidden interval that starts no later
    return before < 0 or int(ends[before]) < place.end
