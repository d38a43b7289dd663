"""Places on the genome: regions as people write them, sets of intervals, and the locus rules of consents.

Everything inside is 0-based and half-open. Contig names are compared without ``chr``, with ``M`` written ``MT``, so that ``22`` and
``chr22`` are one contig. A rule is resolved against the assembly of the data at the moment of the decision: a rule that cannot be
placed there (another assembly, an unknown gene or category) is reported as unresolved, and the caller must then refuse the release.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from policies import canonical
from policies.assemblies import normalise_assembly
from policies.errors import InputProblem, PolicyInputError
from policies.region_syntax import HOW, read_region_text
from policies.strict_mapping import Section

END = 2**31 - 1  # one past the largest 0-based position a VCF or BCF can hold
MAX_LINES = 1_000_000  # lines of a BED text: a panel may be a whole array
MARGIN = 500_000  # bases masked on each side of an excluded locus, so that linked sites do not reveal it (docs/design/disclosure.md §8.2)

_CONTIG = re.compile(r"[0-9A-Za-z!#$%&+./:;?@^_|~-][0-9A-Za-z!#$%&*+./:;=?@^_|~-]*")  # VCF 4.5 §1.4.7


@dataclass(frozen=True, order=True)
class Interval:
    """``[start, end)`` on ``contig``, 0-based and half-open as in BED and GA4GH.

    ``contig`` is in the compared spelling (``22``, ``X``, ``MT``) wherever intervals are compared with each other, as in a ``Mask``.
    """

    contig: str
    start: int
    end: int

    @classmethod
    def from_positions(cls, contig: str, first: int, last: int) -> Interval:
        """The interval of the positions ``first`` to ``last`` as VCF counts them: 1-based, both included."""
        return cls(contig, first - 1, last)

    @property
    def positions(self) -> tuple[int, int]:
        """First and last position as VCF counts them: 1-based, both included."""
        return self.start + 1, self.end


@dataclass(frozen=True)
class Mask:
    """Set of positions: sorted intervals that neither overlap nor touch. Build it with ``Mask.from_intervals``."""

    intervals: tuple[Interval, ...] = ()

    @classmethod
    def from_intervals(cls, intervals: Iterable[Interval]) -> Mask:
        """Union of ``intervals``."""
        merged: list[Interval] = []
        for item in sorted(intervals):
            last = merged[-1] if merged else None
            if last is not None and last.contig == item.contig and item.start <= last.end:
                merged[-1] = Interval(last.contig, last.start, max(last.end, item.end))
            else:
                merged.append(item)
        return cls(tuple(merged))

    def union(self, other: Mask) -> Mask:
        """Positions in either set."""
        return Mask.from_intervals(self.intervals + other.intervals)

    def widened(self, margin: int) -> Mask:
        """Each interval extended by ``margin`` bases on each side, within 0 and ``END``."""
        return Mask.from_intervals(Interval(i.contig, max(0, i.start - margin), min(END, i.end + margin)) for i in self.intervals)

    def minus(self, other: Mask) -> Mask:
        """Positions of this set that are not in ``other``."""
        rest: list[Interval] = []
        for item in self.intervals:
            start = item.start
            for hole in other.on(item.contig):
                if hole.end <= start or hole.start >= item.end:
                    continue
                if hole.start > start:
                    rest.append(Interval(item.contig, start, hole.start))
                start = hole.end
            if start < item.end:
                rest.append(Interval(item.contig, start, item.end))
        return Mask.from_intervals(rest)

    def intersection(self, other: Mask) -> Mask:
        """Positions in both sets."""
        return self.minus(self.minus(other))

    def on(self, contig: str) -> tuple[Interval, ...]:
        """Intervals on one contig, in either spelling of its name."""
        name = normalise_contig(contig)
        return tuple(item for item in self.intervals if item.contig == name)

    def covers(self, contig: str, position: int, length: int = 1) -> bool:
        """True if any of the ``length`` bases from the 1-based VCF ``position`` lies in the set.

        A deletion or a long REF that only reaches into an interval counts as inside.
        """
        name = normalise_contig(contig)
        start, end = position - 1, position - 1 + max(1, length)
        index = bisect_right(self.intervals, Interval(name, end - 1, END)) - 1
        if index < 0:
            return False
        found = self.intervals[index]
        return found.contig == name and found.start < end and found.end > start


class RuleKind(StrEnum):
    """Way in which a locus rule names its place."""

    GENE = "gene"
    CATEGORY = "category"
    INTERVAL = "interval"


@dataclass(frozen=True)
class LocusRule:
    """One excluded or allowed place, as a form or a subject states it.

    A gene or category is a name in a versioned catalogue; an interval names its own ``assembly``.
    """

    kind: RuleKind
    name: str = ""
    assembly: str = ""
    interval: Interval | None = None

    def __lt__(self, other: LocusRule) -> bool:
        return self._key() < other._key()

    @property
    def text(self) -> str:
        """Name of the rule's places, in words for a steward: ``gene APOE``, ``GRCh38 1:5-9``."""
        return " ".join(str(value) for value in self.as_dict().values()) if self.interval else f"{self.kind} {self.name}"

    def as_dict(self) -> dict[str, object]:
        """Mapping for JSON and YAML, which ``read_rule`` reads."""
        if self.interval is None:
            return {str(self.kind): self.name}
        first, last = self.interval.positions
        end = "" if last == END else str(last)
        return {"assembly": self.assembly, "interval": f"{self.interval.contig}:{first}-{end}"}

    def _key(self) -> tuple[str, str, str, Interval]:
        return (self.kind, self.name, self.assembly, self.interval or Interval("", 0, 0))


@dataclass(frozen=True)
class Catalogue:
    """Named places of one assembly, from a versioned pack: ``genes`` and ``categories`` by name."""

    version: str
    assembly: str
    genes: Mapping[str, Mask]
    categories: Mapping[str, Mask]


@dataclass(frozen=True)
class Resolved:
    """Rules as positions. Unless ``unresolved`` is empty the caller refuses the release: the mask would be incomplete."""

    mask: Mask
    unresolved: tuple[LocusRule, ...] = ()


def resolve(rules: Iterable[LocusRule], *, assembly: str, catalogue: Catalogue | None = None, margin: int = MARGIN) -> Resolved:
    """Resolve ``rules`` to positions on ``assembly``, each widened by ``margin`` bases.

    For limits (loci that alone are allowed) pass ``margin=0``: a margin must not widen a limit.
    """
    build = normalise_assembly(assembly)
    found, lost = Mask(), []
    for rule in sorted(set(rules)):
        place = _place(rule, build, catalogue)
        if place is None:
            lost.append(rule)
        else:
            found = found.union(place)
    return Resolved(found.widened(margin) if margin else found, tuple(lost))


def parse_region(text: str, *, place: str = "") -> Interval:
    """Parse a region as people type it (``policies.region_syntax``).

    Raises:
        PolicyInputError: ``bad_region``.
    """
    found = read_region_text(text, end=END, place=place)
    contig = normalise_contig(found.contig, place=place)
    return Interval.from_positions(contig, found.first, END if found.last is None else found.last)


def parse_regions(texts: Iterable[str], *, place: str = "") -> Mask:
    """Parse several regions to their union; no region is an error, because an empty list must not mean everything.

    Raises:
        PolicyInputError: ``bad_region``, ``no_regions``.
    """
    found = Mask.from_intervals(parse_region(text, place=f"{place}[{index}]") for index, text in enumerate(texts))
    if not found.intervals:
        raise PolicyInputError("no_regions", "no region is given", place)
    return found


def parse_bed(lines: Iterable[str], *, place: str = "") -> Mask:
    """Parse BED lines to their union (contig, 0-based start, end; further columns are ignored), without comments and track lines.

    Raises:
        PolicyInputError: ``bad_bed`` with the line number, ``no_regions``.
    """
    found: list[Interval] = []
    for number, raw in enumerate(lines, start=1):
        line = raw.removeprefix("\ufeff").rstrip("\r\n") if number == 1 else raw.rstrip("\r\n")
        if not line.strip() or line.startswith(("#", "track", "browser")):
            continue
        if number > MAX_LINES:
            raise PolicyInputError("bad_bed", f"more than {MAX_LINES} lines", place)
        found.append(_bed_line(line, f"{place}:{number}" if place else f"line {number}"))
    if not found:
        raise PolicyInputError("no_regions", "no region is given", place)
    return Mask.from_intervals(found)


def normalise_contig(name: str, *, place: str = "") -> str:
    """Compared spelling of a contig name: without ``chr``, ``M`` as ``MT``.

    Raises:
        PolicyInputError: ``bad_region`` for a name that VCF does not allow.
    """
    if not _CONTIG.fullmatch(name):
        raise PolicyInputError("bad_region", f"{name!r:.80} is not a contig name: {HOW}", place)
    bare = name[3:] if name[:3].lower() == "chr" and len(name) > len("chr") else name
    upper = bare.upper()
    if upper in {"M", "MT"}:
        return "MT"
    return upper if upper in {"X", "Y"} else bare


def read_rule(section: Section) -> LocusRule | None:
    """Read a rule from a mapping with exactly one of ``gene``, ``category`` or ``interval`` (with ``assembly``); None after a problem."""
    kinds = [kind for kind in RuleKind if section.has(kind)]
    if len(kinds) != 1:
        section.note("bad_locus", "give one of gene, category or interval")
        return None
    kind = kinds[0]
    name = section.text(kind, longest=200)
    assembly = section.text("assembly", longest=60) if kind is RuleKind.INTERVAL else ""
    section.finish()
    if not name:
        return None
    if kind is not RuleKind.INTERVAL:
        return LocusRule(kind, name)
    try:
        return LocusRule(kind, "", normalise_assembly(assembly), parse_region(name, place=section.place))
    except PolicyInputError as error:
        section.problems.extend(error.problems)
        return None


def parse_catalogue(text: str, *, assembly: str) -> Catalogue:
    """Parse the named places of one assembly from a pack: ``{version, source, date, assemblies: {GRCh38: {genes, categories}}}``.

    Each name maps to a list of regions. An assembly the pack does not have gives an empty catalogue, so that every rule by name
    stays unresolved.

    Raises:
        PolicyInputError: with the place of every problem.
    """
    problems: list[InputProblem] = []
    top = Section(canonical.loads(text), "", problems)
    version = top.text("version")
    top.text("source")
    top.instant("date")
    named = top.raw("assemblies")
    by_name = named if isinstance(named, Mapping) else {}
    own = [name for name in by_name if normalise_assembly(str(name)) == normalise_assembly(assembly)]
    if not isinstance(named, Mapping):
        top.note("missing", "the places by assembly, as {GRCh38: {genes: {…}, categories: {…}}}", "assemblies")
    if len(own) > 1:
        top.note("repeated", f"{own[0]} and {own[1]} are one assembly", "assemblies")
    chosen = Section(by_name[own[0]] if own else {}, f"assemblies.{own[0] if own else ''}", problems)
    genes, categories = (_named(chosen.raw(key), f"{chosen.place}.{key}", problems) for key in ("genes", "categories"))
    chosen.finish()
    top.finish()
    if problems:
        raise PolicyInputError.from_problems(problems)
    return Catalogue(version, normalise_assembly(assembly), genes, categories)


def _named(value: object, place: str, problems: list[InputProblem]) -> dict[str, Mask]:
    found: dict[str, Mask] = {}
    if value is None:
        return found
    section = Section(value, place, problems)
    for name in tuple(value) if isinstance(value, Mapping) else ():
        try:
            found[name] = parse_regions(section.texts(name, required=True), place=f"{place}.{name}")
        except PolicyInputError as error:
            problems.extend(error.problems)
    return found


def _place(rule: LocusRule, assembly: str, catalogue: Catalogue | None) -> Mask | None:
    if rule.interval is not None:
        return Mask((rule.interval,)) if rule.assembly == assembly else None
    if catalogue is None or catalogue.assembly != assembly:
        return None
    return (catalogue.genes if rule.kind is RuleKind.GENE else catalogue.categories).get(rule.name)


def _number(digits: str, text: str, place: str) -> int:
    plain = digits.replace(",", "")
    if len(plain) > len(str(END)):
        raise PolicyInputError("bad_region", f"{text!r:.80}: a position is at most {END}", place)
    return int(plain)


def _bed_line(line: str, place: str) -> Interval:
    fields = line.split("\t") if "\t" in line else line.split()
    if (
        len(fields) < len(("contig", "start", "end"))
        or not (fields[1].isascii() and fields[1].isdigit())
        or not (fields[2].isascii() and fields[2].isdigit())
    ):
        raise PolicyInputError("bad_bed", "a BED line is contig, start, end", place)
    start, end = _number(fields[1], line, place), _number(fields[2], line, place)
    if not start < end <= END:
        raise PolicyInputError("bad_bed", "the start must lie before the end", place)
    return Interval(normalise_contig(fields[0], place=place), start, end)
