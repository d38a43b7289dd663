"""Bodies of requests and answers, read strictly: what a field does not allow is refused before anything is looked up."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

PLAIN = r"^[A-Za-z0-9][A-Za-z0-9._@-]*$"
"""Names in addresses: what no client, proxy or folder reads otherwise."""

Name = Annotated[str, Field(min_length=1, max_length=64)]
Pseudonym = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+$")]


class Body(BaseModel):
    """A body: unknown fields and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SealStatus(Body):
    """State alone: no count, no name."""

    sealed: bool


class AuditHealth(Body):
    """State of the log: whether an entry could be written; seconds since the newest signed checkpoint."""

    state: Literal["ok", "unavailable"]
    last_checkpoint_age_s: float | None


class HealthBody(Body):
    """State of the server and its stores; of a sealed one nothing is known but that it is. ``time``: of the vault's clock, RFC 3339."""

    initialized: bool
    sealed: bool
    database: Literal["ok", "unavailable"] | None = None
    audit: AuditHealth | None = None
    storage: Literal["ok", "unavailable"] | None = None
    time: str


class Unsealing(Body):
    """Passphrase of the service's slot, or the 32 bytes of its key file as base64."""

    passphrase: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None
    key: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class ProjectBody(Body):
    """An approved project and its datasets."""

    code: str
    title: str
    datasets: list[str]


class Projects(Body):
    """Projects of the token."""

    projects: list[ProjectBody]


class PanelBody(Body):
    """A panel in its newest version, and how many loci it names."""

    name: str
    version: int
    dataset: str
    loci: int


class Panels(Body):
    """Panels of a project's datasets."""

    panels: list[PanelBody]


class GenotypesAsked(Body):
    """Question for genotypes: of all, of these pseudonyms (who is not there is left out), or of who came since a cursor. ``sites``: in Arrow, the table too."""

    dataset: Name
    pseudonyms: Annotated[list[Pseudonym], Field(max_length=1_000)] | None = None
    since: Annotated[str, Field(min_length=1, max_length=2_000)] | None = None
    sites: bool = False


class Site(Body):
    """A record: POS counted from 1."""

    contig: str
    pos: int
    ref: str
    alts: list[str]


class PanelSites(Body):
    """Table of the sites of a panel's answers."""

    sites_id: str
    assembly: str
    sites: list[Site]


class Genotypes(Body):
    """Calls of a panel: ``calls`` for each pseudonym, as VCF writes them, in the order of ``sites``. ``sites_id``: digest of the sites, hex;
    ``entry``: number of the log's entry. ``cursor``: what changes go on from. ``whole``: these are all rows that may be held; else those that came,
    and ``drop`` names those that may not be held any more.
    """

    sites_id: str
    sites: list[Site]
    not_assayed: list[str]
    calls: dict[str, list[str]]
    cursor: str
    drop: list[str]
    whole: bool
    entry: int
    receipt: str


class PanelChangesBody(Body):
    """Changes of who may be held, by pseudonym, and the cursor to go on from. ``sites_changed``: rows that are held may be others: ask for them ``since``."""

    added: list[str]
    drop: list[str]
    sites_changed: bool
    cursor: str


class CountsAsked(Body):
    """Alleles, or a panel of exact loci; how exact, in nats for each allele or in carriers."""

    dataset: Name
    kind: Literal["counts", "presence"]
    alleles: Annotated[list[Annotated[str, Field(max_length=2_200)]], Field(max_length=1_000)] = []
    panel: Name | None = None
    epsilon: Annotated[str, Field(max_length=12)] | None = None
    accuracy: int | None = None


class AlleleCount(Body):
    """Answer about one allele; ``carriers`` null for fewer than 21, masked or absent alike."""

    allele: str
    exists: bool
    carriers: int | None
    epsilon: float


class CohortBand(Body):
    """Cohort by its digest, and its size as a band."""

    digest: str
    n_band: str


class SpentBody(Body):
    """Evidence that left under a budget."""

    nats: float
    factor: float
    left: float


class CountsBody(Body):
    """Answer to a question for counts or presence (docs/design/disclosure.md §4)."""

    kind: str
    request: str | None
    cohort: CohortBand
    epsilon: float
    accuracy95: int
    false_exists: float
    answers: list[AlleleCount]
    charged: float
    spent: dict[str, SpentBody]
    receipt: str


class MatchAsked(Body):
    """Criteria pack, NAME@VERSION, over a panel; ``count``: in noisy numbers, charged, with ``epsilon`` nats for each criterion or ``accuracy`` people."""

    dataset: Name
    panel: Name
    criteria: Annotated[str, Field(min_length=3, max_length=100)]
    count: bool = False
    epsilon: Annotated[str, Field(max_length=12)] | None = None
    accuracy: int | None = None


class MatchedBody(Body):
    """Pseudonyms for whom a criterion holds, and how many it leaves open, as a band."""

    id: str
    matched: list[str]
    unknown_band: str


class MatchBits(Body):
    """Bits that this answer told, and that have been told to the organisation."""

    view: float
    cumulative: float


class MatchBody(Body):
    """Answer of a criteria pack (docs/design/disclosure.md §10)."""

    criteria: list[MatchedBody]
    bits: MatchBits
    receipt: str


class CriterionCountBody(Body):
    """Noisy number of the people for whom a criterion holds; null for fewer than 21, and for all but 20."""

    id: str
    people: int | None
    epsilon: float


class MatchCountsBody(Body):
    """Answer of a criteria pack in noisy numbers, charged as counts are (docs/design/disclosure.md §10)."""

    criteria: list[CriterionCountBody]
    cohort: CohortBand
    epsilon: float
    accuracy95: int
    charged: float
    spent: dict[str, SpentBody]
    receipt: str
