"""Disclosure profile as data: the rules of a view, by name and version, as ``policies/packs/profile-*.json`` or a site's own pack has them.

Every rule is stated, and one that this program does not know refuses the pack: what cannot be kept is not half kept.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from policies import canonical
from policies.errors import InputProblem, PolicyInputError
from policies.strict_mapping import Section

REFERENCE = re.compile(r"[a-z][a-z0-9-]{0,39}@[1-9][0-9]{0,5}")
"""Name and version of a profile, as a declaration gives them: ``standard@1``."""

STANDARD = "standard@1"
"""Profile of a project that declares none."""

FORMAT = "profile/1"
NO_LINKAGE = "none"
MOST_CARRIERS = 1_000
MOST_MARGIN = 10_000_000  # bases
MOST_WINDOW = 10_000_000  # bases


class ViewField(StrEnum):
    """Field of a view's record. GT is in all of them; AC, AN and what an ALT needs to be read follow from the genotypes."""

    GT = "GT"
    FILTER = "FILTER"
    ID = "ID"
    PHASE = "PHASE"


class OptOuts(StrEnum):
    """Treatment of a place that somebody's consent excludes: masked for everybody, or that person is in no release of the project."""

    MASK = "mask"
    LEAVE_OUT = "leave_out"


@dataclass(frozen=True)
class Linkage:
    """Rule for masking a site that is linked with an excluded place (docs/design/disclosure.md §8.2, 8).

    ``percent``: least r² with a variant of the place, in hundredths. ``window``: bases on each side. ``carriers``: least number of people
    who carry both.
    """

    percent: int
    window: int
    carriers: int


@dataclass(frozen=True)
class ViewProfile:
    """One version of a profile, and SHA-256 of its text in hex. ``margin``: bases that an excluded place is widened by on each side."""

    name: str
    version: int
    sha256: str
    fields: tuple[ViewField, ...]
    margin: int
    min_carriers: int
    opt_outs: OptOuts
    linkage: Linkage | None

    @property
    def reference(self) -> str:
        """Name and version, as a declaration gives them."""
        return f"{self.name}@{self.version}"


def parse_profile(text: str) -> ViewProfile:
    """Parse the JSON text of a profile.

    Raises:
        PolicyInputError: with the place of every problem; rules that are missing or not known are problems.
    """
    problems: list[InputProblem] = []
    top = Section(canonical.loads(text), "", problems)
    top.choice("format", (FORMAT,))
    name, version = top.text("name", longest=40), top.whole("version", 1, 999_999)
    top.text("source")
    top.instant("date")
    if not REFERENCE.fullmatch(f"{name}@{version}"):
        top.note("bad_name", "lower-case letters, digits and hyphens, and a version from 1", "name")
    rules = top.section("rules", required=True)
    for key in ("margin", "min_carriers"):
        if not rules.has(key):
            rules.note("missing", "this rule is required", key)
    fields = read_fields(rules, required=True) or ()
    margin, fewest = rules.whole("margin", 0, MOST_MARGIN), rules.whole("min_carriers", 1, MOST_CARRIERS)
    opt_outs = OptOuts(rules.choice("opt_outs", tuple(OptOuts)))
    linkage = _linkage(rules)
    rules.finish()
    top.finish()
    if problems or version is None or margin is None or fewest is None:
        raise PolicyInputError.from_problems(problems)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ViewProfile(name, version, digest, fields, margin, fewest, opt_outs, linkage)


def read_fields(section: Section, *, required: bool = False) -> tuple[ViewField, ...] | None:
    """The list at ``fields`` of a section, GT among it; None where none is given."""
    if not required and not section.has("fields"):
        section.raw("fields")
        return None
    found = tuple(ViewField(name) for name in section.choices("fields", tuple(ViewField), required=True))
    if found and ViewField.GT not in found:
        section.note("missing", "a view holds genotypes: GT is among its fields", "fields")
    return found


def _linkage(rules: Section) -> Linkage | None:
    given = rules.raw("linkage")
    if given == NO_LINKAGE:
        return None
    if given is None:
        rules.note("missing", f"percent, window and carriers, or the word {NO_LINKAGE}", "linkage")
        return None
    section = Section(given, f"{rules.place}.linkage", rules.problems)
    said = (
        section.whole("percent", 1, 100),
        section.whole("window", 1, MOST_WINDOW),
        section.whole("carriers", 1, MOST_CARRIERS),
    )
    section.finish()
    percent, window, carriers = said
    if percent is None or window is None or carriers is None:
        section.note("missing", "percent, window and carriers are all required")
        return None
    return Linkage(percent, window, carriers)
