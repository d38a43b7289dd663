"""Obligations of a permitted release (docs/design/consent.md §12; XACML, ODRL), and their merge over several subjects.

An enforcement point that does not understand an obligation refuses the release: ``not_understood`` names them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from policies import canonical
from policies.loci import LocusRule

KNOWN_LOCAL = frozenset({"watermark", "no_download"})
"""Local obligations that a consent may name; every other name is kept and reported as not understood."""


@dataclass(frozen=True)
class Obligations:
    """Obligations of one decision, or of a release. ``only`` None means every locus; an empty tuple means none at all.

    ``no_reid`` and ``no_relink`` stand on every release. ``unknown`` holds local obligations that this module does not define.
    """

    mask: tuple[LocusRule, ...] = ()
    only: tuple[tuple[LocusRule, ...], ...] = ()  # positions must lie in one rule of each group
    min_group: int | None = None
    max_bits: int | None = None
    expires: datetime | None = None
    publish: bool = False
    publish_embargo: date | None = None
    ethics_ref: str = ""
    collaborate: tuple[str, ...] = ()
    return_derived: bool = False
    watermark: bool = False
    no_download: bool = False
    no_reid: bool = True
    no_relink: bool = True
    unknown: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Obligations as JSON values; those that do not apply are left out."""
        found = canonical.plain(self)
        full = dict(found) if isinstance(found, dict) else {}
        if self.mask:
            full["mask"] = [rule.as_dict() for rule in self.mask]
        if self.only:
            full["only"] = [[rule.as_dict() for rule in group] for group in self.only]
        return full

    def names(self) -> frozenset[str]:
        """Names of the obligations that apply, to be compared with those that an enforcement point understands."""
        return frozenset(self.as_dict()) - {"unknown"} | frozenset(self.unknown)


UNDERSTOOD = frozenset(
    {
        "mask",
        "only",
        "min_group",
        "max_bits",
        "expires",
        "publish",
        "publish_embargo",
        "ethics_ref",
        "collaborate",
        "return_derived",
        "watermark",
        "no_download",
        "no_reid",
        "no_relink",
    }
)
"""Every obligation that this module can express."""


def not_understood(obligations: Obligations, understood: frozenset[str]) -> tuple[str, ...]:
    """Obligations outside ``understood``, sorted."""
    return tuple(sorted(obligations.names() - understood))


def merge(several: Iterable[Obligations]) -> Obligations:
    """Merge the obligations of several subjects: union of masks, intersection of limits, earliest end, largest group."""
    found = tuple(several)
    if not found:
        return Obligations()
    return Obligations(
        mask=tuple(sorted({rule for one in found for rule in one.mask})),
        only=tuple(sorted({group for one in found for group in one.only})),
        min_group=max((one.min_group for one in found if one.min_group is not None), default=None),
        max_bits=min((one.max_bits for one in found if one.max_bits is not None), default=None),
        expires=min((one.expires for one in found if one.expires is not None), default=None),
        publish=any(one.publish for one in found),
        publish_embargo=max((one.publish_embargo for one in found if one.publish_embargo is not None), default=None),
        ethics_ref=next((one.ethics_ref for one in found if one.ethics_ref), ""),
        collaborate=tuple(sorted({who for one in found for who in one.collaborate})),
        return_derived=any(one.return_derived for one in found),
        watermark=any(one.watermark for one in found),
        no_download=any(one.no_download for one in found),
        unknown=tuple(sorted({name for one in found for name in one.unknown})),
    )
