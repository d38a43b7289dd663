"""Command that writes the log out, whole or from where the last run ended."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

import typer

from cli.audit_signing import sign, written
from cli.context import context_of
from cli.inputs import first_of_day, stated_time
from vault.audit.actions import Action
from vault.errors import InputError, IntegrityError, UsageError

if TYPE_CHECKING:
    from policies.stated_times import Stated
    from vault.session.unlocked_vault import UnlockedVault

STDOUT = Path("-")


def export(
    ctx: typer.Context,
    dest: Annotated[
        Path,
        typer.Argument(
            metavar="DEST", help="What to write; must not exist. - is standard output, not for tiles.", show_default=False
        ),
    ],
    file_format: Annotated[
        Literal["tiles", "jsonl", "csv", "fhir"],
        typer.Option(
            "--format",
            help="tiles: a folder for any verifier; jsonl: one entry to a line; csv: for a spreadsheet; fhir: R4 AuditEvents.",
            show_default=False,
        ),
    ],
    since: Annotated[
        str | None,
        typer.Option(metavar="N|T", help="Only from entry N on, or from the first entry of a day or time on; not for tiles."),
    ] = None,
    origin: Annotated[
        str | None, typer.Option(metavar="ORIGIN", help="With tiles: an earlier log, that the present one continues.")
    ] = None,
    by_person: Annotated[
        bool, typer.Option("--by-person", help="With fhir: a resource for each person an entry names, by audit token.")
    ] = False,
) -> None:
    """Write the log out. No form holds anything private, but --by-person shows which entries are about the same person.

    To feed another system, give --since the "next" of the run before: nothing is left out or told twice, and a log that has become
    shorter since is refused (exit 5).

    JSON: {"format", "entries": n, "dest", "next": n}.
    """
    context = context_of(ctx)
    if by_person and file_format != "fhir":
        raise UsageError("by_person_is_fhir", "--by-person belongs to --format fhir")
    if file_format == "tiles" and since is not None:
        raise UsageError(
            "tiles_are_whole", "--since is not for tiles: a tree is proven whole", hint="give --format jsonl, csv or fhir"
        )
    if dest == STDOUT and (file_format == "tiles" or context.output.json):
        raise UsageError("stdout_taken", "standard output takes neither tiles nor an export beside --json", hint="name a file")
    from_number = int(since) if since is not None and since.isascii() and since.isdecimal() else None
    from_time = None if from_number is not None else stated_time(since, option="--since")
    with context.reading(Action.AUDIT_EXPORT, flags=["by_person"] if by_person else []) as vault:
        sign(vault)
        if file_format == "tiles":
            done = _tiles(vault, dest, origin)
        else:
            done = _lines(vault, dest, file_format, _start(vault, from_number, from_time), by_person=by_person)
    context.output.document({"format": file_format, "entries": done.entries, "dest": dest, "next": done.next})
    if dest != STDOUT:
        what = "resources" if file_format == "fhir" else "entries"
        context.output.line(f"{done.entries:,} {what} in {dest}")
        if file_format != "tiles":
            context.output.line(f"to go on from here: --since {done.next}")


@dataclass(frozen=True)
class _Exported:
    entries: int  # lines, rows or leaves
    next: int  # number of the first entry that is not in it


def _tiles(vault: UnlockedVault, dest: Path, origin: str | None) -> _Exported:
    from vault.audit.export import export_tiles

    part = next((part for part in vault.trail.log.parts() if part.origin == (origin or vault.trail.origin)), None)
    if part is None:
        raise InputError("origin_unknown", "the vault has had no log of this origin", hint="genovault audit verify lists them")
    size = export_tiles(vault.trail.log, dest, vkey=vault.trail.log_keys(part.origin)[0].to_text(), part=part).size
    return _Exported(size, part.base + size)


def _lines(vault: UnlockedVault, dest: Path, file_format: str, start: int, *, by_person: bool) -> _Exported:
    from vault.audit.export import export_jsonl
    from vault.audit.reports.fhir import export_fhir
    from vault.audit.reports.records import export_csv

    log, stop = vault.trail.log, vault.trail.log.size()  # what is written meanwhile is the next run's
    write: Callable[[TextIO], int]
    if file_format == "jsonl":
        write = partial(export_jsonl, log, start=start, stop=stop)
    elif file_format == "csv":
        write = partial(export_csv, log, start=start, stop=stop)
    else:
        write = partial(export_fhir, log, origin=vault.trail.origin, by_person=by_person, start=start, stop=stop)
    return _Exported(write(sys.stdout) if dest == STDOUT else written(dest, write), stop)


def _start(vault: UnlockedVault, number: int | None, time: Stated | None) -> int:
    """Number of the first entry to write. Raises IntegrityError ``log_shorter``: the log does not reach there any more."""
    from vault.audit.reports.records import first_since

    if number is not None:
        if number > (size := vault.trail.log.size()):
            raise IntegrityError(
                "log_shorter",
                f"the audit log has {size} entries, and --since {number} says that there were more",
                hint="genovault audit verify --checkpoint FILE, with a checkpoint that was kept",
            )
        return number
    begin = first_of_day(vault, time)
    return 0 if begin is None else first_since(vault.trail.log, begin)
