"""Measures of a view, taken in one pass over its pages, so that no more of it is in memory than a view's own windows and a sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.disclosure import count_classes, kinship_degrees
from vault.risk import kin_pairs, uniqueness
from vault.risk.asked_sites import Classes, classes
from vault.risk.common_sites import CommonSites
from vault.risk.kin_pairs import KinPairs
from vault.risk.membership_evidence import MembershipEvidence, PublishedFrequencies
from vault.risk.people_tally import MissingPatterns, PeopleTally
from vault.views.deidentify import Deidentified
from vault.views.released_bits import ReleasedBits


@dataclass(frozen=True)
class Kinship:
    """Relatives in a view. ``pairs``: None where ``why_not`` says why they are not assessed; ``sites``, ``chromosomes``: what it rests on."""

    pairs: KinPairs | None
    why_not: str | None
    sites: int
    chromosomes: int


@dataclass(frozen=True)
class Measures:
    """Measures of a view of ``people``.

    ``unique``: share of people unique by so many of the ``common`` sites; ``unique_by_all``: by everything that is shown. ``released``: ALTs by
    how many copies of each are carried.
    """

    people: int
    sites: int
    common: int
    released: Classes
    unique: dict[int, float]
    unique_by_all: float
    kin: Kinship
    missing: MissingPatterns
    frequencies: PublishedFrequencies
    bits: ReleasedBits


def measure(view: Deidentified, seed: bytes) -> Measures:
    """Measure a view, whose pages are made for it. ``seed``: 32 bytes, of the random choices, which follow from it.

    Raises:
        IntegrityError: as ``Deidentified.pages``.
    """
    n = len(view.pseudonyms)
    common, people, evidence = CommonSites(n, seed), PeopleTally(n, seed), MembershipEvidence(n)
    released: Classes = np.zeros(len(count_classes.FIRST), np.int64)
    for page in view.pages():
        evidence.add(page.codes[common.add(page)])
        people.add(page)
        released += classes(page.counts)
    return Measures(
        people=n,
        sites=view.summary.n_sites,
        common=common.met,
        released=released,
        unique=uniqueness.curve(common.dosage, seed),
        unique_by_all=people.unique(),
        kin=_kinship(common, n),
        missing=people.missing(),
        frequencies=evidence.found(),
        bits=view.counted(),
    )


def _kinship(common: CommonSites, n: int) -> Kinship:
    dosage, chromosomes = common.autosomal(), common.chromosomes()
    why_not = kinship_degrees.why_not(people=n, sites=len(dosage), chromosomes=chromosomes)
    return Kinship(None if why_not else kin_pairs.count(dosage), why_not, len(dosage), chromosomes)
