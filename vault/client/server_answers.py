"""Answers of a server, but genotypes: as they come over the wire, with the names of the embedded answers' ``as_dict``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ServedProject:
    """Project of the token, and its datasets."""

    code: str
    title: str
    datasets: tuple[str, ...]


@dataclass(frozen=True)
class ProjectsAnswer:
    """Projects of the token."""

    projects: tuple[ServedProject, ...]


@dataclass(frozen=True)
class ServedPanelName:
    """Panel in its newest version, and how many loci it names."""

    name: str
    version: int
    dataset: str
    loci: int


@dataclass(frozen=True)
class PanelsAnswer:
    """Panels of a project's datasets."""

    panels: tuple[ServedPanelName, ...]


@dataclass(frozen=True)
class ServedCriterion:
    """Criterion of a pack: pseudonyms for whom it holds, and how many it leaves open, as a band."""

    id: str
    matched: tuple[str, ...]
    unknown_band: str


@dataclass(frozen=True)
class ServedMatch:
    """Answer of a criteria pack. ``bits``: ``view`` and ``cumulative``, as ``vault.gate.matching.MatchAnswer``."""

    criteria: tuple[ServedCriterion, ...]
    bits: Mapping[str, float]
    receipt: str


@dataclass(frozen=True)
class ServedCohort:
    """Cohort by its digest, and its size as a band."""

    digest: str
    n_band: str


@dataclass(frozen=True)
class ServedSpending:
    """Evidence that left under a budget: its nats, the factor that it multiplies odds by at most, and the nats that are left."""

    nats: float
    factor: float
    left: float


@dataclass(frozen=True)
class ServedCriterionCount:
    """Noisy number of the people for whom a criterion holds; None for fewer than 21, and for all but 20."""

    id: str
    people: int | None
    epsilon: float


@dataclass(frozen=True)
class ServedMatchCounts:
    """Answer of a criteria pack in noisy numbers, charged to budgets."""

    criteria: tuple[ServedCriterionCount, ...]
    cohort: ServedCohort
    epsilon: float
    accuracy95: int
    charged: float
    spent: Mapping[str, ServedSpending]
    receipt: str


@dataclass(frozen=True)
class ServedCount:
    """Answer about one allele; ``carriers`` None for fewer than 21, masked or absent alike."""

    allele: str
    exists: bool
    carriers: int | None
    epsilon: float


@dataclass(frozen=True)
class ServedCounts:
    """Answer to a question for counts or presence, charged to budgets."""

    kind: str
    answers: tuple[ServedCount, ...]
    cohort: ServedCohort
    epsilon: float
    accuracy95: int
    false_exists: float
    charged: float
    spent: Mapping[str, ServedSpending]
    receipt: str


@dataclass(frozen=True)
class ChangesAnswer:
    """Changes of a panel's people since a cursor, and the cursor to go on from."""

    added: tuple[str, ...]
    drop: tuple[str, ...]
    sites_changed: bool
    cursor: str
