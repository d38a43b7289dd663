"""Commands about copies of a vault and about its health."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import Context, context_of
from cli.lazy import group

if TYPE_CHECKING:
    from vault.operations.doctor import HealthReport

app = group("Copies of a vault, and its health.")


@app.command()
def backup(
    ctx: typer.Context,
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="A folder that is absent or empty.", show_default=False)],
    keys: Annotated[bool, typer.Option("--keys", help="Copy the keys instead; keep them away from the data.")] = False,
    days: Annotated[
        int, typer.Option(metavar="N", min=1, help="With --keys: it expires, and must be destroyed, in N days.")
    ] = 30,
) -> None:
    """Copy the vault's data while it is in use. A backup of data never holds a key.

    A backup of keys (--keys) opens what is erased after it was made, until it is destroyed: its expiry is recorded, and stands
    in every certificate of erasure. Make a backup of data after each erasure: an older one lacks keys that erasure destroyed.

    JSON: {"folder", "created", "objects": n, "stored_bytes": n, "entries": n}; with --keys {"backup", "created", "expires"}.
    """
    context = context_of(ctx)
    from vault.operations import backup

    if keys:
        with context.open() as vault:
            made = backup.backup_keys(vault, destination, expires=vault.clock() + timedelta(days=days))
        shown = made.as_dict()
        shown.pop("destroyed")
        context.output.document(shown)
        context.output.line(f"keys copied to {destination}, as {made.backup_id}")
        context.output.line(f"destroy it by {made.expires.date()}, then: genovault key backup-destroyed {made.backup_id}")
        return
    with context.open() as vault, context.output.progress("copying", unit="objects") as bar:
        report = backup.backup(vault, destination, progress=bar)
    context.output.document(asdict(report))
    context.output.line(f"data copied to {destination}: {report.objects} objects, {report.entries} entries of the log")


@app.command()
def restore(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A backup of data.", show_default=False)],
    keys: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A backup of the keys, where the vault's own are lost.")
    ] = None,
    anchor: Annotated[list[Path] | None, typer.Option(metavar="DIR", help="An anchor of the log.")] = None,
    new_log: Annotated[
        bool,
        typer.Option("--new-log", help="Where the backup is behind an anchor, go on under a new log, beside the newest keys."),
    ] = False,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="With --keys: the original is lost for good; its anchors go on with this vault."),
    ] = False,
) -> None:
    """Make the vault's folder a vault again, from a backup and the newest keys, or from backups and an anchor.

    Books and objects must be gone from the folder; keys that are still there are used. Everything is verified first, and
    whoever was erased since stays erased. A vault from a backup of the keys is a copy, with a log of its own and no anchors, so that it can
    be tried beside the original; with --take-over it is the original from here on.

    JSON: {"folder", "newest_keys": bool, "anchored": bool, "new_log": bool, "copy": bool, "entries": n, "objects": n, "erased_again": n,
    "unreadable": n}.
    """
    context = context_of(ctx)
    from vault.operations import restore

    report = restore.restore(
        source,
        context.vault_folder(),
        factor=context.factor(),
        principal=context.principal,
        keys=keys,
        anchors=anchor or [],
        new_log=new_log,
        take_over=take_over,
    )
    context.output.document(asdict(report))
    met = [name for name, yes in (("the newest keys", report.newest_keys), ("an anchor", report.anchored)) if yes]
    context.output.line(f"restored {report.folder}: {report.objects} objects, {report.entries} entries of the log")
    context.output.line(f"vouched for by {' and '.join(met)}" + (", under a new log" if report.new_log else ""))
    if report.copy:
        context.output.line(
            "a copy: the original goes on undisturbed, and no anchor guards this one (--take-over, if it is lost)"
        )
    if report.erased_again:
        context.output.line(f"{report.erased_again} people whom the backup still held were erased again")
    if report.unreadable:
        context.output.line(f"{report.unreadable} site tables were destroyed since the backup: import those datasets again")


@app.command()
def doctor(
    ctx: typer.Context,
    mend: Annotated[
        bool,
        typer.Option(
            "--mend",
            help="Remove orphans, keys of nobody and planted leases; write both copies of the keystore, and removed marks, anew.",
        ),
    ] = False,
    clock_checked: Annotated[
        bool,
        typer.Option("--clock-checked", help="You looked: the clock is right, and later times in the log are not."),
    ] = False,
) -> None:
    """Look the vault over: keystore, permissions, databases, log, ledger, keys, every object. Exit code 5 on an error.

    It looks at a vault that is refused, as put back or edited, too: then it logs, signs and removes nothing.

    JSON: {"ok": bool, "findings": [{"severity", "code", "message", "remedy"}], "skipped": [...]}.
    """
    context = context_of(ctx)
    from vault.operations import doctor, put_back, repair
    from vault.session import moments

    with context.diagnosing() as (vault, _):
        if mend:
            put_back.mark_again(vault)
        if mend and not list(put_back.refusals(vault)):  # what older books do not name may be what newer ones do
            repair.mend(vault)
        if clock_checked:
            moments.check_clock(vault)
        report = doctor.examine(vault)
        if not report.ok:
            _tell(context, report)  # before the vault is closed: a log that is not whole cannot be signed
            raise typer.Exit(5)
    _tell(context, report)


def _tell(context: Context, report: HealthReport) -> None:
    context.output.document({"ok": report.ok, "findings": [asdict(f) for f in report.findings], "skipped": list(report.skipped)})
    rows = [(f.severity.value, f.code, f.message, f.remedy) for f in report.findings]
    if rows:
        context.output.table(("severity", "code", "what", "mended by"), rows)
    for name in report.skipped:
        context.output.line(f"not looked at, for want of keys: {name}")
    context.output.line("no errors" if report.ok else "there are errors")
