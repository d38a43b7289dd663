"""The rule by which blocks of a gVCF count as assayed: fixed per dataset at its first gVCF, and logged.

The defaults are gnomAD's for genotypes of high quality: GQ ≥ 20 and DP ≥ 10, DP ≥ 5 where a person has one copy (docs/design/genotypes.md §13).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, Literal, get_args

from vault.errors import UsageError
from vault.genotypes.codec.format_constants import TRACK_BAND

Filtered = Literal["missing", "keep"]

MAX_GQ: Final = 99  # Phred; callers cap it here, so a higher threshold would pass nothing
MAX_DP: Final = 10_000
ALWAYS_ACCEPTED: Final = ("PASS", ".", "RefCall")
"""Filters that pass: VCF's two ways to say so, and what DeepVariant writes beside a call of the reference."""

_BAND = 10
_MAX_FILTERS = 100
_MAX_FILTER_CHARS = 200


@dataclass(frozen=True)
class AssayRule:
    """Thresholds of confidence. ``accepted_filters``: filters that pass beside ``ALWAYS_ACCEPTED``; ``filtered``: what becomes of the
    person's own calls under any other filter.

    Raises:
        UsageError: ``assay_rule``.
    """

    min_gq: int = 20
    min_dp: int = 10
    min_dp_haploid: int = 5
    accepted_filters: tuple[str, ...] = ()
    filtered: Filtered = "missing"

    def __post_init__(self) -> None:
        _require(f"--min-gq is a whole number from 0 to {MAX_GQ}", holds=0 <= self.min_gq <= MAX_GQ)
        depths = (self.min_dp, self.min_dp_haploid)
        _require(f"--min-dp is a whole number from 0 to {MAX_DP}", holds=all(0 <= depth <= MAX_DP for depth in depths))
        _require("--filtered is missing or keep", holds=self.filtered in get_args(Filtered))
        names = tuple(sorted(set(self.accepted_filters) - set(ALWAYS_ACCEPTED)))
        _require(
            "a filter to accept is not a name that VCF allows", holds=len(names) <= _MAX_FILTERS and all(map(_is_filter, names))
        )
        object.__setattr__(self, "accepted_filters", names)

    @staticmethod
    def chosen(
        *,
        min_gq: int | None = None,
        min_dp: int | None = None,
        accepted_filters: tuple[str, ...] = (),
        filtered: str = "missing",
    ) -> AssayRule:
        """The rule of an import's options. Where a person has one copy, half the depth is asked for, rounded up.

        Raises:
            UsageError: ``assay_rule``.
        """
        default = AssayRule()
        depth = default.min_dp if min_dp is None else min_dp
        _require("--filtered is missing or keep", holds=filtered in get_args(Filtered))
        kept: Filtered = "keep" if filtered == "keep" else "missing"
        return AssayRule(default.min_gq if min_gq is None else min_gq, depth, (depth + 1) // 2, accepted_filters, kept)

    @property
    def band(self) -> int:
        """The band of ``CallableTrack.covered`` at which a track made under this rule, or a lower one, is read."""
        return min(max(1, self.min_gq // _BAND), TRACK_BAND)

    def text(self) -> str:
        """The canonical text, for the books and the log."""
        fields = {
            "accepted_filters": list(self.accepted_filters),
            "filtered": self.filtered,
            "min_dp": self.min_dp,
            "min_dp_haploid": self.min_dp_haploid,
            "min_gq": self.min_gq,
        }
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))

    @staticmethod
    def from_text(text: str) -> AssayRule:
        """The reverse of ``text``.

        Raises:
            ValueError: the text is none.
        """
        try:
            fields = json.loads(text)
            rule = AssayRule(**{**fields, "accepted_filters": tuple(fields["accepted_filters"])})
        except (ValueError, TypeError, KeyError, UsageError, RecursionError) as error:
            raise ValueError("not the text of an assay rule") from error
        if rule.text() != text:
            raise ValueError("not the canonical text of an assay rule")
        return rule


def _is_filter(name: str) -> bool:
    """Test whether VCF allows the name in FILTER (VCF 4.3 §1.6.1 field 7)."""
    return 0 < len(name) <= _MAX_FILTER_CHARS and name != "0" and name.isprintable() and not set(name) & set(" ;,<>")


def _require(message: str, *, holds: bool) -> None:
    if not holds:
        raise UsageError("assay_rule", message)
