"""Commands about panels of loci."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.context import context_of
from cli.inputs import read_file
from cli.lazy import group
from vault.audit.actions import Action

app = group("Named lists of loci.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The panel's name.", show_default=False)]

_SHOWN = 20  # loci in the table for people


@app.command()
def create(
    ctx: typer.Context,
    name: Name,
    loci: Annotated[
        Path,
        typer.Option(metavar="FILE", help="BED, VCF, or TSV whose first line is contig, pos, ref, alt, id.", show_default=False),
    ],
    dataset: Annotated[str, typer.Option(metavar="N", help="The dataset it is of.", show_default=False)],
    assembly: Annotated[
        str | None, typer.Option(metavar="A", help="The list's assembly, to be held against the dataset's.")
    ] = None,
) -> None:
    """Record a panel, or the next version of one, and seal its sites apart for quick reading.

    JSON: {"name", "version": n, "dataset", "loci": n, "sha256"}.
    """
    context = context_of(ctx)
    from vault.genotypes.catalog import datasets, panel_builder
    from vault.genotypes.loci import parse_loci
    from vault.genotypes.loci_assembly import require_same_assembly
    from vault.limits import MAX_LINE_BYTES

    raw = read_file(loci, limit=MAX_LINE_BYTES)
    listed = parse_loci(raw, name=loci.name)
    with context.open() as vault:
        of = datasets.by_name(vault, dataset)
        require_same_assembly(raw, name=loci.name, assembly=of.assembly, stated=assembly)
        panel = panel_builder.create(vault, of, name, listed)
    described = {"name": name, "version": panel.version, "dataset": dataset, "loci": len(panel.loci), "sha256": panel.sha256}
    context.output.document(described)
    context.output.line(f"{name} version {panel.version}: {len(panel.loci):,} loci of {dataset}")


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """All panels and their versions; for engines and researchers those of the datasets that they may ask of.

    JSON: {"panels": [{"name", "version": n, "dataset", "loci": n, "sha256"}]}.
    """
    context = context_of(ctx)
    from vault.access import askable

    with context.reading(Action.PANEL_SHOW) as vault:
        found = askable.visible_panels(vault)
    described = [
        {"name": p.name, "version": p.version, "dataset": p.dataset, "loci": len(p.loci), "sha256": p.sha256} for p in found
    ]
    context.output.document({"panels": described})
    context.output.table(
        ("panel", "version", "dataset", "loci"), [(p.name, p.version, p.dataset, f"{len(p.loci):,}") for p in found]
    )


@app.command()
def show(ctx: typer.Context, name: Name) -> None:
    """The newest version of a panel with its loci.

    JSON: {"name", "version": n, "dataset", "sha256", "loci": [{"contig", "first": n, "last": n, "ref", "alts", "name"}]}.
    """
    context = context_of(ctx)
    from vault.access import askable

    with context.reading(Action.PANEL_SHOW) as vault:
        panel = askable.visible_panel(vault, name)
    loci = [locus.as_dict() for locus in panel.loci]
    described = {"name": name, "version": panel.version, "dataset": panel.dataset, "sha256": panel.sha256}
    context.output.document({**described, "loci": loci})
    context.output.line(f"{name} version {panel.version}: {len(loci):,} loci of {panel.dataset}")
    rows = [(locus.text, locus.ref, ",".join(locus.alts), locus.name) for locus in panel.loci[:_SHOWN]]
    context.output.table(("place", "ref", "alt", "name"), rows)
    if len(loci) > _SHOWN:
        context.output.line(f"… {len(loci) - _SHOWN:,} more (--json lists all)")
