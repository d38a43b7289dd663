"""Sensitive sites and their tags: sites that give them away, from a versioned pack (docs/design/disclosure.md §8.2, 8)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from policies import canonical
from policies.assemblies import normalise_assembly
from policies.errors import InputProblem, PolicyInputError
from policies.loci import Mask, parse_regions
from policies.strict_mapping import Section


@dataclass(frozen=True)
class TaggedSites:
    """Sensitive sites, and ``tags`` that stand for them wherever linkage holds."""

    name: str
    sites: Mask
    tags: Mask


def tags_of(known: Iterable[TaggedSites], excluded: Mask) -> Mask:
    """Tags of the sensitive sites that lie in ``excluded``; contigs of both in one spelling."""
    found = Mask()
    for one in known:
        if one.sites.intersection(excluded).intervals:
            found = found.union(one.tags)
    return found


def parse_tagged_sites(text: str, *, assembly: str) -> tuple[TaggedSites, ...]:
    """Parse those of one assembly from a pack: ``{version, source, date, assemblies: {GRCh38: {NAME: {sites: […], tags: […]}}}}``.

    Raises:
        PolicyInputError: with the place of every problem.
    """
    problems: list[InputProblem] = []
    top = Section(canonical.loads(text), "", problems)
    top.text("version")
    top.text("source")
    top.instant("date")
    named = top.raw("assemblies")
    top.finish()
    if not isinstance(named, Mapping):
        top.note("missing", "the sites by assembly, as {GRCh38: {NAME: {sites: […], tags: […]}}}", "assemblies")
        named = {}
    found: list[TaggedSites] = []
    for own, value in named.items():
        place = f"assemblies.{own}"
        listed = _listed(value, place, problems)
        if normalise_assembly(str(own)) == normalise_assembly(assembly):
            found += listed
    if problems:
        raise PolicyInputError.from_problems(problems)
    return tuple(found)


def _listed(value: object, place: str, problems: list[InputProblem]) -> list[TaggedSites]:
    found = []
    section = Section(value, place, problems)
    for name in tuple(value) if isinstance(value, Mapping) else ():
        one = section.section(str(name), required=True)
        try:
            sites, tags = (parse_regions(one.texts(key, required=True), place=f"{one.place}.{key}") for key in ("sites", "tags"))
        except PolicyInputError as error:
            problems.extend(error.problems)
        else:
            found.append(TaggedSites(str(name), sites, tags))
        one.finish()
    return found
