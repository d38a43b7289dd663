"""Rules of a project's views: a disclosure profile, and what the project's declaration says beside it."""

from __future__ import annotations

from dataclasses import dataclass

from policies.disclosure.view_profiles import Linkage, OptOuts, ViewField, ViewProfile
from policies.purposes import DisclosureProfile


@dataclass(frozen=True)
class ViewRules:
    """Rules of what a view shows and hides. ``profile`` and ``sha256`` name the profile, the rest is as ``ViewProfile`` has it."""

    profile: str
    sha256: str
    fields: tuple[ViewField, ...]
    margin: int
    min_carriers: int
    opt_outs: OptOuts
    linkage: Linkage | None

    @property
    def keep_phase(self) -> bool:
        """True if calls keep their phase."""
        return ViewField.PHASE in self.fields

    @property
    def keep_ids(self) -> bool:
        """True if rsIDs are shown."""
        return ViewField.ID in self.fields

    @property
    def keep_filters(self) -> bool:
        """True if FILTER is shown."""
        return ViewField.FILTER in self.fields


def view_rules(declared: DisclosureProfile, profile: ViewProfile) -> ViewRules:
    """Rules of a project: those of its profile, with its own fields and ``opt_outs`` where it states them, and the larger ``min_carriers``."""
    fields = declared.fields or profile.fields
    kept = {
        *fields,
        *((ViewField.PHASE,) if declared.keep_phase else ()),
        *((ViewField.ID,) if declared.keep_ids else ()),
    }
    return ViewRules(
        profile.reference,
        profile.sha256,
        tuple(field for field in ViewField if field in kept),
        profile.margin,
        max(profile.min_carriers, declared.min_carriers or 1),
        declared.opt_outs or profile.opt_outs,
        profile.linkage,
    )
