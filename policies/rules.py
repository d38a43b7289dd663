"""Rule set: its id, which every decision records, and the settings that a site may choose."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from policies import canonical
from policies.purposes import REVIEW_MODIFIERS, Topic
from policies.standing import TimeWindow

RULE_SETS = {1: "genovault-rules/1", 2: "genovault-rules/2"}
"""Ids of the rule sets by the number that an event carries. A new one whenever a decision could differ for the same inputs."""

RULE_SET = RULE_SETS[2]
"""Rule set of decisions that rest on an event recorded today."""

EVALUATOR = "genovault-policies/2"


@dataclass(frozen=True, order=True)
class MaterialChange:
    """Acceptances of other versions of ``form`` do not cover purposes declared from ``effective`` on."""

    form: str
    version: str
    effective: datetime


@dataclass(frozen=True)
class Rules:
    """Settings of a site. The defaults are the strict ones.

    ``review_modifiers`` and ``review_topics`` need a steward's ruling; ``domain`` is the time window of the whole study;
    ``min_group`` and ``max_bits`` are obligations of every release.
    """

    review_modifiers: tuple[str, ...] = REVIEW_MODIFIERS
    review_topics: tuple[Topic, ...] = tuple(Topic)
    material_changes: tuple[MaterialChange, ...] = ()
    domain: TimeWindow = TimeWindow()  # noqa: RUF009 - frozen, so one shared default is safe
    min_group: int | None = None
    max_bits: int | None = None

    def pack_sha256(self) -> str:
        """64 hex digits: SHA-256 of the canonical JSON of the settings, which every decision records."""
        return canonical.sha256(
            {
                "review_modifiers": sorted(self.review_modifiers),
                "review_topics": sorted(self.review_topics),
                "material_changes": [canonical.plain(item) for item in sorted(self.material_changes)],
                "domain": canonical.plain(self.domain),
                "min_group": self.min_group,
                "max_bits": self.max_bits,
            }
        )


DEFAULT = Rules()
