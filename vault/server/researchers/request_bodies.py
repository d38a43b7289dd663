"""Bodies of what researchers ask for and are told of it (docs/formats/request.md)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from vault.access.request_records import Request
from vault.server.bodies import Body, Name

Loci = Annotated[list[Annotated[str, Field(min_length=1, max_length=2_200)]], Field(min_length=1, max_length=10_000)]


class LociAsked(Body):
    """Union of regions, genes and a panel; of counts and presence alleles."""

    regions: Loci | None = None
    genes: Loci | None = None
    alleles: Loci | None = None
    panel: Name | None = None


class RequestAsked(Body):
    """A request file, request/1, as JSON."""

    format: Literal["request/1"]
    project: Name
    dataset: Name
    kind: Literal["records", "counts", "presence", "frequencies"] | None = None
    loci: Literal["all"] | LociAsked
    fields: Annotated[list[Literal["genotypes", "phase", "ids"]], Field(max_length=3)] | None = None
    epsilon: Annotated[str, Field(max_length=12)] | float | None = None
    accuracy: int | None = None
    person: Annotated[Name | None, Field(alias="for")] = None
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]

    def document(self) -> dict[str, Any]:
        """The request as its format has it."""
        return self.model_dump(by_alias=True, exclude_none=True)


class WithdrawalAsked(Body):
    """Reason for which a request is taken back; auditors read it."""

    reason: Annotated[str, Field(min_length=1, max_length=2_000)]


class RequestBody(Body):
    """A request and its state now. ``entry``: of the log, of the act that this is the answer to."""

    request: str
    project: str
    dataset: str
    kind: str
    regions: list[str]
    genes: list[str]
    panel: str | None
    panel_version: int | None
    alleles: list[str]
    state: str
    submitted_by: str
    person: Annotated[str | None, Field(serialization_alias="for")]
    created: str
    approval: Literal["standing", "each"]
    approved_by: str | None
    expires: str | None
    fields: list[str]
    reason: str
    file_sha256: str
    entry: int | None = None


class RequestsBody(Body):
    """Own requests, newest first; ``next``: what ``before`` says to get those behind the last."""

    requests: list[RequestBody]
    next: str | None


def request_body(request: Request, *, entry: int | None = None) -> RequestBody:
    """A request as its body."""
    spec = request.spec
    return RequestBody(
        request=request.request_id,
        project=request.project,
        dataset=request.dataset,
        kind=request.kind.value,
        regions=list(spec.regions),
        genes=list(spec.genes),
        panel=spec.panel,
        panel_version=spec.panel_version,
        alleles=list(spec.alleles),
        state=request.state,
        submitted_by=request.submitted_by,
        person=spec.submitted_for,
        created=request.created,
        approval="standing" if request.standing else "each",
        approved_by=request.approved_by,
        expires=request.expires,
        fields=list(spec.fields),
        reason=spec.reason,
        file_sha256=spec.file_sha256,
        entry=entry,
    )


class BudgetBody(Body):
    """Evidence that answers about a dataset's family have cost, in nats, of a project, its organisation or all."""

    dataset: str
    scope: str
    owner: str
    cap: float
    spent: float
    left: float
    factor: float


class BudgetsBody(Body):
    """Budgets that the project's answers are charged to."""

    project: str
    budgets: list[BudgetBody]


class NotSigned(Body):
    """The entry is there, and no signed checkpoint covers it yet."""

    entry: int
    state: Literal["unsigned"]
