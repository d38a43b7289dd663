"""The command that lets a view leave the vault."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cli.context import context_of
from cli.lazy import group
from cli.releases import described

app = group("Release what a request asks for.")


@app.callback()
def extracts() -> None:
    """Release what a request asks for."""


@app.command()
def extract(
    ctx: typer.Context,
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The request's id.", show_default=False)],
    output: Annotated[Path, typer.Option(metavar="DIR", help="A folder that is absent or empty.", show_default=False)],
    file_format: Annotated[Literal["vcf", "bcf"], typer.Option("--format", help="Format of the genotypes.")] = "vcf",
) -> None:
    """Release what a request asks for as a folder of files.

    The folder holds the genotypes and their index, manifest.json with its receipt, and a README. It appears whole or not at all.

    JSON: {"release", "request", "project", "state", "subjects": n, "sites": n, "created", "output", "entry": n}.
    """
    context = context_of(ctx)
    context.mention_compiling()
    from vault import gate

    with context.open() as vault:
        release = gate.extract(vault, request_id, output, file_format=file_format)
    context.output.document(described(release))
    context.output.line(f"release {release.release_id}: {release.n_subjects:,} people, {release.n_sites:,} sites")
    context.output.line(f"in {output}; these are pseudonymised personal data, see README.txt there")
