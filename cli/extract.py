"""The command that lets a view leave the vault."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.context import context_of
from cli.lazy import group
from cli.release_documents import described, size

app = group("Release what a request asks for.")


@app.callback()
def extracts() -> None:
    """Release what a request asks for."""


@app.command()
def extract(
    ctx: typer.Context,
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The request's id.", show_default=False)],
    output: Annotated[Path, typer.Option(metavar="DIR", help="A folder that is absent or empty.", show_default=False)],
    file_format: Annotated[
        Literal["vcf", "bcf", "pgen", "parquet"], typer.Option("--format", help="Format of the genotypes.")
    ] = "vcf",
    layout: Annotated[
        Literal["long", "wide"],
        typer.Option(help="Of Parquet: a row for each call, or for each person with a column for each site of a panel."),
    ] = "long",
    recipient: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="One of the project's recipients; may be given again. Without it, all of them get it."),
    ] = None,
    split: Annotated[Literal["contig"] | None, typer.Option(help="A set of files for each contig.", show_default=False)] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RELEASE",
            help="Go on with a release that was stopped (release list): finished contigs are used as they are, with --split contig and the "
            "same options as before. Where nothing of it can be used, the extract starts from the beginning, and says so.",
        ),
    ] = None,
) -> None:
    """Release what a request asks for as a folder of files.

    The folder holds the genotypes and their index (of PGEN the .pvar and .psam, of Parquet tables of sites and samples), manifest.json with its receipt, README.txt and LIMITS.txt. It appears whole or not at all.

    Where the project declares recipients, genotypes and indexes are encrypted to their confirmed keys (Crypt4GH) before they reach the disk.

    JSON: {"release", "request", "project", "state", "subjects": n, "sites": n, "created", "output", "sealed_for": [names], "entry": n};
    with --resume also {"resumed": false if it started from the beginning}.
    """
    context = context_of(ctx)
    context.mention_compiling()
    from vault import gate
    from vault.extracts.genotype_files import FileChoice

    if resume is not None:
        from vault.operations import resuming

    chosen = FileChoice(file_format, by_contig=split is not None, layout=layout)
    with context.open() as vault, context.output.progress("writing", unit="sites") as bar:
        if resume is None:
            release = gate.extract(vault, request_id, output, chosen, recipients=recipient or (), progress=bar)
        else:
            release = resuming.resume(
                vault,
                resume,
                request_id,
                output,
                chosen,
                recipients=recipient or (),
                progress=bar,
                begins_anew=lambda why: context.output.warn(f"{why}: the extract starts from the beginning"),
            )
    context.output.document(
        described(release) if resume is None else {**described(release), "resumed": release.release_id == resume}
    )
    context.output.line(f"release {release.release_id}: {size(release)}")
    if release.sealed_for:
        context.output.line(f"sealed for {', '.join(release.sealed_for)}")
    context.output.line(f"in {output}; these are pseudonymised personal data, see README.txt there")
