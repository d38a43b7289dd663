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
    from vault.operations.restore_gap import Gap

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
    with context.copying() as vault, context.output.progress("copying", unit="objects") as bar:
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
    accept_gap: Annotated[
        bool,
        typer.Option(
            "--accept-gap",
            help="With --keys, where no anchor is left or none has seen so little: go on, and say what is unknown.",
        ),
    ] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="With --accept-gap: why.")] = "",
    second: Annotated[str | None, typer.Option(metavar="NAME", help="With --accept-gap: another steward, who agrees.")] = None,
    second_passphrase_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The second steward's passphrase; else it is asked for.")
    ] = None,
    second_key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="The second steward's key file.")] = None,
) -> None:
    """Make the vault's folder a vault again, from a backup and the newest keys, or from backups and an anchor.

    Books and objects must be gone from the folder; keys that are still there are used. Everything is verified first, and
    whoever was erased since stays erased. A vault from a backup of the keys is a copy, with a log of its own and no anchors, so that it can
    be tried beside the original; with --take-over it is the original from here on.

    A backup of data and one of keys, made one after the other, are one set. Where nothing proves that they are the newest, --accept-gap takes
    two stewards (one alone waits 72 hours where there is no other), is logged, and suspends every project: withdrawals and erasures of
    the gap have to be recorded again first.

    JSON: {"folder", "newest_keys": bool, "anchored": bool, "new_log": bool, "copy": bool, "entries": n, "objects": n, "erased_again": n,
    "unreadable": n, "missing_entries": n, "lost": n, "since", "suspended": [codes]}.
    """
    context = context_of(ctx)
    from vault.operations import restore

    gap = _gap(reason, second, second_passphrase_file, second_key_file) if accept_gap else None

    report = restore.restore(
        source,
        context.vault_folder(),
        factor=context.factor(),
        principal=context.principal,
        keys=keys,
        anchors=anchor or [],
        new_log=new_log,
        take_over=take_over,
        gap=gap,
    )
    context.output.document(asdict(report))
    met = [name for name, yes in (("the newest keys", report.newest_keys), ("an anchor", report.anchored)) if yes]
    context.output.line(f"restored {report.folder}: {report.objects} objects, {report.entries} entries of the log")
    vouched = f"vouched for by {' and '.join(met)}" if met else "nothing vouches for it"
    context.output.line(vouched + (", under a new log" if report.new_log else ""))
    if report.lost:
        context.output.line(
            f"{report.lost} people came after the keys were copied: what is theirs cannot be read, they count as erased"
        )
    if report.since:
        lacking = f"; the log lacks {report.missing_entries} entries that an anchor has seen" if report.missing_entries else ""
        context.output.line(f"a gap: nothing is known of what happened after {report.since}{lacking}")
        context.output.line("record withdrawals and erasures of that time again before anything is released")
    if report.suspended:
        context.output.line(f"suspended until a steward approves them again: {', '.join(report.suspended)}")
    if report.copy:
        context.output.line(
            "a copy: the original goes on undisturbed, and no anchor guards this one (--take-over, if it is lost)"
        )
    if report.erased_again:
        context.output.line(f"{report.erased_again} people whom the backup still held were erased again")
    if report.unreadable:
        context.output.line(f"{report.unreadable} site tables were destroyed since the backup: import those datasets again")


def _gap(reason: str, second: str | None, passphrase_file: Path | None, key_file: Path | None) -> Gap:
    from cli.prompts import ask_passphrase
    from vault.operations.restore_gap import Gap, SecondPerson
    from vault.session.unlocked_vault import factor

    if second is None:
        return Gap(reason)
    if key_file is not None:
        return Gap(reason, SecondPerson(second, factor(key_file=key_file)))
    passphrase = ask_passphrase(passphrase_file, variable="GENOVAULT_SECOND_PASSPHRASE")
    return Gap(reason, SecondPerson(second, factor(passphrase=passphrase)))


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

    It looks at a vault that is refused, as put back, edited or without its keys, too: then it logs, signs and removes nothing. Of one that
    does not open it says why, and what is missing.

    JSON: {"ok": bool, "findings": [{"severity", "code", "message", "remedy"}], "skipped": [...]}.
    """
    context = context_of(ctx)
    from vault.errors import IntegrityError, UnavailableError
    from vault.operations import doctor, lost_keys, put_back, repair, unopened
    from vault.session import moments

    report: HealthReport | None = None
    try:
        with context.diagnosing() as (vault, refused):
            if mend:
                put_back.mark_again(vault)
            if mend and not list(put_back.refusals(vault)):  # what older books do not name may be what newer ones do
                repair.mend(vault)
            if clock_checked:
                moments.check_clock(vault)
            report = doctor.examine(vault)
            if refused is not None and refused.code == "keys_lost":
                report = lost_keys.told(report, refused)
            if not report.ok:
                _tell(context, report)  # before the vault is closed: a log that is not whole cannot be signed
                raise typer.Exit(5)
    except (IntegrityError, UnavailableError) as error:
        if report is not None or error.code in unopened.CLOSED:
            raise
        _tell(context, unopened.examine(context.vault_folder(), error))
        raise typer.Exit(5) from None
    _tell(context, report)


def _tell(context: Context, report: HealthReport) -> None:
    context.output.document({"ok": report.ok, "findings": [asdict(f) for f in report.findings], "skipped": list(report.skipped)})
    rows = [(f.severity.value, f.code, f.message, f.remedy) for f in report.findings]
    if rows:
        context.output.table(("severity", "code", "what", "mended by"), rows)
    for name in report.skipped:
        context.output.line(f"not looked at, for want of keys: {name}")
    context.output.line("no errors" if report.ok else "there are errors")
