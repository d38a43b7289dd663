"""Commands about exact frequency tables: what a panel's would tell, its approval, and the check of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import Context, context_of
from cli.inputs import pinned_keys
from cli.lazy import group
from cli.output import counted
from vault.errors import UsageError

if TYPE_CHECKING:
    from vault.tables.answers import FrequencyTable
    from vault.tables.risks import TableRisk

app = group("Exact frequency tables of approved panels.")

Project = Annotated[str, typer.Argument(metavar="P", help="The project's code.", show_default=False)]
Panel = Annotated[str, typer.Option(metavar="NAME", help="A panel whose loci name REF and ALT.", show_default=False)]


@app.command()
def assess(ctx: typer.Context, project: Project, panel: Panel) -> None:
    """What an exact table of a panel's newest version would tell about who takes part. For stewards, not to be handed on.

    Lambda is the evidence, in nats, that the table gives about a member to somebody who knows everybody else. mu and power are of all tables that
    were given with this one beside them: power is the share of the members who are found where 5 in 100 others are too. found is that share for
    the member whom the table gives away most.

    JSON: {"project", "panel", "people": n, "alleles": n, "shown": n, "most": n, "mu", "power", "lambda_max", "lambda_p95", "found", "nats",
    "covered": bool}.
    """
    context = context_of(ctx)
    from vault import gate

    with context.open() as vault:
        risk = gate.assess_table(vault, project, panel)
    context.output.document(_document(project, panel, risk))
    _tell(context, risk)


@app.command()
def approve(
    ctx: typer.Context,
    project: Project,
    panel: Panel,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; only auditors read it.", show_default=False)],
) -> None:
    """Approve a panel's newest version for exact tables of a project, before the project's first answer; what it tells is shown.

    With several stewards the first proposes, and another gives the same command within 30 days. Another version of the panel is not approved.

    JSON: as of assess, and {"settled": bool, "proposed_by": steward or null}.
    """
    context = context_of(ctx)
    from vault import gate

    with context.open() as vault:
        risk, agreed = gate.approve_table(vault, project, panel, reason=reason)
    document = _document(project, panel, risk)
    context.output.document({**document, "settled": agreed.settled, "proposed_by": agreed.proposed_by})
    _tell(context, risk)
    said = "approved" if agreed.settled else "proposed: another steward gives the same command"
    context.output.line(f"exact tables of panel {panel} for {project}: {said}")


@app.command("list")
def list_(ctx: typer.Context, project: Project) -> None:
    """Panels that are approved for exact tables of a project, and what each table costs.

    JSON: {"project", "panels": [{"panel", "version": n, "dataset", "alleles": n, "nats", "approved_by", "proposed_by"}]}.
    """
    context = context_of(ctx)
    from policies.disclosure import nats
    from vault.access.disclosure import table_approvals

    with context.open() as vault:
        found = table_approvals.list_of(vault, project)
    rows = [
        {
            "panel": one.panel,
            "version": one.version,
            "dataset": one.dataset,
            "alleles": one.alleles,
            "nats": nats.number(one.price),
            "approved_by": one.approved_by,
            "proposed_by": one.proposed_by,
        }
        for one in found
    ]
    context.output.document({"project": project, "panels": rows})
    context.output.table(
        ("panel", "version", "dataset", "alleles", "nats", "approved by"),
        [(one.panel, one.version, one.dataset, one.alleles, f"{nats.number(one.price):g}", one.approved_by) for one in found],
    )


@app.command()
def verify(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of an exact table.", show_default=False)],
    key: Annotated[
        str,
        typer.Option(metavar="KEYS", help='What "release key" printed, or a file that holds it.', show_default=False),
    ],
) -> None:
    """Check the folder of an exact table: the manifest's signature, af.tsv, and the log's entry that names it. Needs no vault.

    JSON: {"frequencies": {…}}: what the manifest says.
    """
    context = context_of(ctx)
    from vault.extracts import frequency_files

    log_keys, release_keys = pinned_keys(key)
    if not release_keys:
        raise UsageError("release_key_missing", "--key names no release key", hint="genovault release key prints it")
    said = frequency_files.verify(folder, log_keys=log_keys, release_keys=release_keys)
    context.output.document({"frequencies": said})
    panel = said["panel"]
    context.output.line(
        f"{said['shown']} of {said['asked']} alleles of panel {panel['name']} version {panel['version']}, of {said['n_band']} people: all holds"
    )


def tell_table(context: Context, found: FrequencyTable, output: Path | None) -> None:
    """Show a table that was given."""
    context.output.document(found.as_dict())
    context.output.table(("allele", "frequency"), found.rows)
    hidden = found.asked - len(found.rows)
    context.output.line(
        f"of {found.n_band} people, in steps of {found.step}; not shown, since masked, absent, rare or of few people: {counted(hidden, 'allele')}"
    )
    if output is not None:
        context.output.line(f"{output}: af.tsv, manifest.json and the receipt")
    context.output.line(f"paid for this answer: {found.charged:g} nats")
    for scope, spent in found.spent.items():
        context.output.line(f"{scope}: {spent['nats']:g} nats spent (factor {spent['factor']:g}), {spent['left']:g} left")


def _document(project: str, panel: str, risk: TableRisk) -> dict[str, object]:
    from policies.disclosure import nats

    return {
        "project": project,
        "panel": panel,
        "people": risk.n,
        "alleles": risk.alleles,
        "shown": risk.shown,
        "most": risk.most,
        "mu": round(risk.mu, 4),
        "power": round(risk.power, 4),
        "lambda_max": round(risk.largest, 4),
        "lambda_p95": round(risk.p95, 4),
        "found": round(risk.found, 4),
        "nats": nats.number(risk.price),
        "covered": risk.covered,
    }


def _tell(context: Context, risk: TableRisk) -> None:
    from policies.disclosure import nats

    for line in (
        f"{risk.alleles} alleles, of which {risk.shown} are shown now; all tables of these {risk.n} people may name {risk.most}",
        f"with all tables that were given: mu {risk.mu:.3f}, so that {risk.power:.1%} of the members are found where 5% of others are",
        f"Lambda of the member who is given away most: {risk.largest:.3f} ({risk.found:.1%} found); 95 of 100 have at most {risk.p95:.3f}",
        f"the table costs {nats.number(risk.price):g} nats" + ("" if risk.covered else ", which does not cover that member"),
    ):
        context.output.line(line)
