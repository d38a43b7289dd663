"""Commands that look over what was imported and correct it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cli.context import context_of
from cli.prompts import confirm
from vault.audit.actions import Action
from vault.errors import UsageError

Name = Annotated[str, typer.Argument(metavar="N", help="The dataset's name.", show_default=False)]
Reason = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; kept in the log, where only auditors read it.", show_default=False)
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def parts(ctx: typer.Context, name: Name) -> None:
    """The parts of a dataset, one for each import, by which remove and move-sample name them.

    JSON: {"parts": [{"part", "imported", "people": n, "sites": n, "stored_bytes": n, "source"}]}; source is the SHA-256 of the
    imported file (of several: of their ascending digests).
    """
    context = context_of(ctx)
    from vault.genotypes.catalog import datasets, part_list

    with context.reading(Action.DATASET_PARTS) as vault:
        found = part_list.list_parts(vault, datasets.by_name(vault, name))
    context.output.document({"parts": [asdict(one) for one in found]})
    context.output.table(
        ("part", "imported", "people", "sites", "bytes", "SHA-256 of the files"),
        [(p.part, p.imported, f"{p.people:,}", f"{p.sites:,}", f"{p.stored_bytes:,}", p.source) for p in found],
    )


def remove(
    ctx: typer.Context,
    name: Name,
    reason: Reason,
    part: Annotated[
        str | None, typer.Option(metavar="PART", help="This part only, by its id as parts shows it; without: all of it.")
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Also where a project in force or a panel then has nothing to show.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Remove a dataset, or one part of it, for good; others' genotypes then read as if it had never come.

    Its people stay registered, with their consents. Keys of its tables are destroyed and its objects deleted, and both are looked for
    again. A killed run goes on at the next open. A dataset that is gone as a whole may be imported again under its name.

    JSON: {"dataset", "parts": [...], "whole": bool, "people": n, "bare": n, "keys": n, "objects": n, "horizon"}; bare: people who have
    no genotypes left; horizon: until then a backup of keys may hold the destroyed ones.
    """
    context = context_of(ctx)
    from vault.operations.corrections import removal

    what = f"dataset {name}" if part is None else f"part {part} of dataset {name}"
    if not confirm(f"Remove {what} for good? Only importing it again brings it back.", yes=yes):
        raise UsageError("not_confirmed", "nothing was changed")
    with context.open() as vault:
        gone = removal.remove(vault, name, part=part, reason=reason, accept=accept)
    context.output.document(asdict(gone))
    context.output.line(f"removed from {gone.dataset}: {len(gone.parts)} parts of {gone.people:,} people")
    context.output.line(f"destroyed and looked for again: {gone.keys:,} keys, {gone.objects:,} objects")
    if gone.bare:
        context.output.line(
            f"{gone.bare:,} people have no genotypes any more and stay registered: subject erase takes a person out"
        )
    if gone.horizon:
        context.output.line(f"backups of the keys hold what was destroyed until {gone.horizon}")


def verify(ctx: typer.Context, name: Name) -> None:
    """Read back every object of a dataset, open every seal and decode every block. Exit code 5 where something is not as it was written.

    JSON: {"dataset", "parts": n, "chunks": n, "objects": n, "blocks": n, "damages": [{"part", "chunk": n|null, "group": n|null,
    "code", "message", "remedy"}]}.
    """
    context = context_of(ctx)
    context.mention_compiling()
    from vault.operations.corrections import verification

    with context.output.progress("verifying", unit="chunks") as bar, context.open() as vault:
        found = verification.verify(vault, name, progress=bar)
    context.output.document(asdict(found))
    context.output.line(
        f"{found.dataset}: {found.parts:,} parts, {found.chunks:,} chunks, {found.objects:,} objects read, {found.blocks:,} blocks decoded"
    )
    if found.damages:
        context.output.table(("where", "code", "what", "mended by"), verification.words(found.damages))
        raise typer.Exit(5)
    context.output.line("everything is as it was written")
