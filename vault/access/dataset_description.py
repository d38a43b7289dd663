"""Description of a dataset that may be published: for researchers who look for data, before any project is declared.

What depends on people is told in bands, the smallest "20 or fewer", so that neither a small cell nor two descriptions of different days
tell of one person (docs/design/disclosure.md §9). Panels and contigs are public lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import select

from vault.access.scope import UNINFORMED_ROLES
from vault.audit.actions import Action, Outcome
from vault.audit.bands import band, spoken
from vault.genotypes.catalog import dataset_rules, datasets, declared_assays, panels, parts
from vault.genotypes.catalog.datasets import Dataset, DatasetSummary
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects.identities import open_identities

SEXES = ("female", "male", "other or unknown")


@dataclass(frozen=True)
class DatasetDescription:
    """``people``, ``sites``: bands in words. ``assayed``: what is known to have been looked at beside the variants. ``panels``: name and
    number of loci. ``sex``, ``born``: bands by sex and by decade of birth; empty where they were not asked for.
    """

    name: str
    assembly: str
    contigs: tuple[str, ...]
    people: str
    sites: str
    assayed: str
    panels: Mapping[str, int]
    sex: Mapping[str, str] = field(default_factory=dict)
    born: Mapping[str, str] = field(default_factory=dict)


def describe(vault: UnlockedVault, name: str, *, demographics: bool = False) -> DatasetDescription:
    """Describe a dataset; ``demographics`` opens its people's identities, which is logged with their names before it is done.

    Raises:
        InputError: ``dataset_unknown``. UnavailableError: ``branch_closed``: the principal may not open identities.
    """
    with vault.trail.attempting(Action.DATASET_SHOW):
        dataset = datasets.by_name(vault, name)
        held = next(one for one in datasets.list_all(vault) if one.name == name)
        own = {panel.name: len(panel.loci) for panel in panels.list_all(vault) if panel.dataset_id == dataset.dataset_id}
        people = _people(vault, dataset) if demographics else []
        vault.trail.record(Action.DATASET_SHOW, Outcome.DONE, subjects=people)
        found = open_identities(vault, people).values() if people else ()
    return DatasetDescription(
        name=dataset.name,
        assembly=dataset.assembly,
        contigs=tuple(parts.contigs(vault, dataset.dataset_id)),
        people=spoken(held.subjects),
        sites=spoken(held.sites),
        assayed=_assayed(vault, dataset),
        panels=own,
        sex=_tally((_sex(one.sex) for one in found), every=SEXES) if people else {},
        born=_tally(_decade(one.birth_date) for one in found) if people else {},
    )


def summaries(vault: UnlockedVault) -> list[DatasetSummary]:
    """All datasets by name. To researchers and engines each number is the first of its band: exact ones of two days would tell who came or
    went, and how many records a newcomer has. Callers log the look.
    """
    found = datasets.list_all(vault)
    if vault.role not in UNINFORMED_ROLES:
        return found
    return [
        replace(
            one,
            parts=band(one.parts),
            subjects=band(one.subjects),
            sites=band(one.sites),
            stored_bytes=band(one.stored_bytes),
        )
        for one in found
    ]


def in_words(vault: UnlockedVault, number: int) -> str:
    """A number of ``summaries`` for people: itself, or its band."""
    return spoken(number) if vault.role in UNINFORMED_ROLES else f"{number:,}"


def markdown(described: DatasetDescription) -> str:
    """The description as a page of Markdown."""
    rows = [
        ("Assembly", described.assembly),
        ("Contigs", ", ".join(described.contigs)),
        ("People", described.people),
        ("Sites", described.sites),
        ("Known as assayed", described.assayed),
        ("Panels", ", ".join(f"{name} ({loci:,} loci)" for name, loci in described.panels.items()) or "none"),
        *((f"Sex: {sex}", band) for sex, band in described.sex.items()),
        *((f"Born: {decade}", band) for decade, band in described.born.items()),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"# Dataset {described.name}\n\n| | |\n|---|---|\n{table}\n\n{_NOTE}"


_NOTE = """\
Genotypes of people, under their own consents. Counts are bands: no number tells of a single person. How many of these people a project may
use depends on its purpose and is decided for each person; genotypes leave under pseudonyms that only this project has.
To ask: write a project declaration (genovault project template needs no vault) and give it to the stewards.
"""


def _people(vault: UnlockedVault, dataset: Dataset) -> list[SubjectId]:
    with vault.books.read() as tx:
        return sorted({SubjectId(one) for one in tx.scalars(select(datasets.members(dataset.dataset_id).c.subject_id))})


def _assayed(vault: UnlockedVault, dataset: Dataset) -> str:
    rule, declared = dataset_rules.current(vault, dataset.dataset_id), declared_assays.of_dataset(vault, dataset.dataset_id)
    known = [] if rule is None else [f"each person's own gVCF, {dataset_rules.said(rule)}"]
    if declared.everything:
        known.append("all that the files list")
    elif declared.places.intervals:
        known.append(f"{len(declared.places.intervals):,} declared intervals")
    return "; ".join(known) or "variants only: a site without a call says nothing"


def _tally(values: Iterable[str], *, every: Iterable[str] = ()) -> dict[str, str]:
    counted = Counter(values)
    return {value: spoken(counted[value]) for value in (tuple(every) or sorted(counted))}


def _sex(told: str) -> str:
    return told if told in SEXES else SEXES[-1]


def _decade(born: str) -> str:
    return f"{born[:3]}0s" if len(born) >= 4 and born[:4].isdigit() else "unknown"
