"""Commands about requests: what a project asks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import counts, request_files, risk
from cli.context import Context, context_of
from cli.inputs import read_text
from cli.lazy import group
from cli.request_files import Id, described, tell_asked
from policies import loci
from policies.purposes import RequestKind
from vault.audit.actions import Action

if TYPE_CHECKING:
    from vault.access.request_records import Request

app = group("What projects ask for.")
app.command("template")(request_files.template)
app.command("lint")(request_files.lint)
app.command("import")(request_files.import_)
app.command("answer")(request_files.answer)
app.command("verify-answer")(request_files.verify_answer)
app.command("result")(counts.result)
app.command("risk")(risk.risk)

Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; only auditors read it.", show_default=False)]


@app.command()
def submit(
    ctx: typer.Context,
    project: Annotated[str, typer.Option(metavar="P", help="The project that asks.", show_default=False)],
    dataset: Annotated[str, typer.Option(metavar="N", help="The dataset it asks of.", show_default=False)],
    region: Annotated[
        list[str] | None, typer.Option(metavar="R", help="A region, 22:16000000-16100000, or a gene; may be given again.")
    ] = None,
    gene: Annotated[
        list[str] | None, typer.Option(metavar="G", help="A gene whose positions are known; may be given again.")
    ] = None,
    regions_file: Annotated[Path | None, typer.Option(metavar="BED", help="Regions from a BED file.")] = None,
    panel: Annotated[str | None, typer.Option(metavar="NAME", help="A panel's loci, beside regions if any.")] = None,
    kind: Annotated[RequestKind, typer.Option(help="What it asks for.")] = RequestKind.RECORDS,
    allele: Annotated[
        list[str] | None, typer.Option(metavar="C:POS:REF:ALT", help="An allele, of counts and presence; may be given again.")
    ] = None,
    accuracy: Annotated[
        int | None, typer.Option(metavar="N", help="How many carriers a count may be off in 95 of 100 cases.", min=0)
    ] = None,
    epsilon: Annotated[str | None, typer.Option(metavar="E", help="Nats for each allele, instead of --accuracy.")] = None,
    for_: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="PERSON",
            help="Whom a steward submits it for: an enabled principal, of the project's people where it names any.",
        ),
    ] = None,
) -> None:
    """Ask for a view: of the union of regions, genes and panel; without any, of the whole dataset.

    Counts and presence are of alleles, or of a panel of exact loci, frequencies of a panel that is approved for exact tables (table approve).
    They cost evidence: the price is shown, and paid when they are answered (request result).

    JSON: as of show.
    """
    context = context_of(ctx)
    from vault.access import requests
    from vault.access.disclosure import questions
    from vault.access.request_records import Spec

    regions = [*(region or ()), *(_bed_regions(regions_file) if regions_file else ())]
    spec = Spec(regions=tuple(regions), genes=tuple(gene or ()), panel=panel, submitted_for=for_, alleles=tuple(allele or ()))
    if kind in questions.COUNTED or epsilon is not None or accuracy is not None:
        spec = replace(spec, epsilon=questions.accuracy(epsilon=epsilon, within=accuracy))
    with context.open() as vault:
        request = requests.submit(vault, project, dataset, kind=kind, spec=spec)
    tell_asked(context, request)
    counts.tell_price(context, request)


@app.command("list")
def list_(
    ctx: typer.Context,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only those that wait for a steward's approval.")] = False,
) -> None:
    """Requests, newest first: for stewards all, for others what they asked or what was asked for them.

    JSON: {"requests": [as of show]}.
    """
    context = context_of(ctx)
    from vault.access import requests
    from vault.access.request_records import SUBMITTED

    with context.reading(Action.REQUEST_SHOW) as vault:
        found = [one for one in requests.list_visible(vault) if not waiting or one.state == SUBMITTED]
    context.output.document({"requests": [described(request) for request in found]})
    rows = [(r.request_id, r.project, r.dataset, r.kind.value, _loci(r), r.state, r.created[:19]) for r in found]
    context.output.table(("request", "project", "dataset", "kind", "loci", "state", "submitted"), rows)


@app.command()
def show(ctx: typer.Context, request_id: Id) -> None:
    """One request.

    States: submitted (waits for a steward's approval), approved, released; denied, withdrawn, expired (90 days after it was submitted or
    approved). A project approves its requests with itself ("standing"), or a steward each.

    JSON: {"request", "project", "dataset", "kind", "regions": [...], "genes": [...], "panel", "panel_version", "for", "state", "submitted_by",
    "created", "approval": "standing"|"each", "approved_by", "expires", "fields": [...], "reason", "file_sha256", "alleles": [...], "price", "nats"}.
    "fields", "reason" and "file_sha256" of a request file; "nats" is what an exact table costs.
    """
    context = context_of(ctx)
    from vault.access import requests

    with context.reading(Action.REQUEST_SHOW) as vault:
        request = requests.visible(vault, request_id)
    document = described(request)
    context.output.document(document)
    for name, value in document.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        if name == "price" and request.spec.price is not None:
            shown = counts.price_words(request.spec.price)
        if shown:
            context.output.line(f"{name:13} {shown}")


@app.command()
def approve(ctx: typer.Context, request_id: Id) -> None:
    """Approve a request of a project that has each approved. Another steward's, where there are several.

    JSON: as of show.
    """
    context = context_of(ctx)
    from vault.access import requests
    from vault.risk import stored_reports

    with context.open() as vault:
        request = requests.approve(vault, request_id)
        reported = stored_reports.made(vault, request_id)
    _tell_state(context, request)
    context.output.line(
        f"its risk report: {reported}" if reported else f"without a risk report: genovault request risk {request_id}"
    )


@app.command()
def deny(
    ctx: typer.Context,
    request_id: Id,
    reason: Reason,
) -> None:
    """Stop a request for good.

    JSON: as of show.
    """
    context = context_of(ctx)
    from vault.access import requests

    with context.open() as vault:
        request = requests.deny(vault, request_id, reason)
    _tell_state(context, request)


@app.command()
def withdraw(
    ctx: typer.Context,
    request_id: Id,
    reason: Reason,
) -> None:
    """Take a request back. Stewards take back any, others their own.

    JSON: as of show.
    """
    context = context_of(ctx)
    from vault.access import requests

    with context.open() as vault:
        request = requests.withdraw(vault, request_id, reason)
    _tell_state(context, request)


@app.command()
def resubmit(ctx: typer.Context, request_id: Id) -> None:
    """Ask for the same as a request of before, which stays as it is: after a denial or a withdrawal by mistake.

    JSON: as of show.
    """
    context = context_of(ctx)
    from vault.access import requests

    with context.open() as vault:
        request = requests.resubmit(vault, request_id)
    tell_asked(context, request)


def _tell_state(context: Context, request: Request) -> None:
    context.output.document(described(request))
    context.output.line(f"request {request.request_id} is {request.state}")


def _bed_regions(file: Path) -> list[str]:
    from vault.limits import MAX_LINE_BYTES

    mask = loci.parse_bed(read_text(file, limit=MAX_LINE_BYTES).splitlines(), place=file.name)
    return [f"{item.contig}:{item.start + 1}-{item.end}" for item in mask.intervals]


def _loci(request: Request) -> str:
    spec = request.spec
    named = [f"panel {spec.panel} version {spec.panel_version}"] if spec.panel else []
    named += spec.genes
    if spec.alleles:
        return spec.alleles[0] if len(spec.alleles) == 1 else f"{len(spec.alleles)} alleles"
    if spec.regions and not spec.genes:
        named.append(spec.regions[0] if len(spec.regions) == 1 else f"{len(spec.regions)} regions")
    elif spec.genes:
        named.append(f"{len(spec.regions)} regions in all")
    return ", ".join(named) or "all"
