"""The command that releases an extract anew without the people who left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.context import context_of
from cli.release_documents import described, size
from vault.errors import UsageError


def reissue(
    ctx: typer.Context,
    release_id: Annotated[str, typer.Argument(metavar="ID", help="The release's id.", show_default=False)],
    output: Annotated[Path, typer.Option(metavar="DIR", help="A folder that is absent or empty.", show_default=False)],
    without_withdrawn: Annotated[
        bool, typer.Option("--without-withdrawn", help="Without those who may not be released any more: the only way there is.")
    ] = False,
    recipient: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="One of those whom it was sealed for; may be given again. Without it, all of them get it."
        ),
    ] = None,
) -> None:
    """Make an extract anew for those who hold it, without the people who left, under the same pseudonyms and in the same files. Nobody is added.

    JSON: as of extract, with {"replaces": ID}.
    """
    context = context_of(ctx)
    if not without_withdrawn:
        raise UsageError("option_missing", "a release is made anew without those who left", hint="give --without-withdrawn")
    context.mention_compiling()
    from vault.operations.reissue import reissue as made_anew

    with context.open() as vault, context.output.progress("writing", unit="sites") as bar:
        release = made_anew(vault, release_id, output, recipients=recipient or (), progress=bar)
    context.output.document({**described(release), "replaces": release_id})
    context.output.line(f"release {release.release_id}, in the place of {release_id}: {size(release)}")
    if release.sealed_for:
        context.output.line(f"sealed for {', '.join(release.sealed_for)}")
    context.output.line(f"in {output}; these are pseudonymised personal data, see README.txt there")
