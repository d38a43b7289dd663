"""Commands about the log of every access."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli.context import Context, context_of
from cli.inputs import instant, read_text, vkey
from cli.lazy import group
from vault.audit.acts import Act, Outcome
from vault.errors import GenovaultError, InputError, UnavailableError

if TYPE_CHECKING:
    from vault.audit.verify import Report
    from vault.session import Session

app = group("The log of every access.")

Number = Annotated[int, typer.Argument(metavar="N", min=0, help="The entry's number.", show_default=False)]


@app.command("log")
def log_(
    ctx: typer.Context,
    who: Annotated[str | None, typer.Option(metavar="NAME", help="Only what this principal did.")] = None,
    act: Annotated[
        str | None, typer.Option(metavar="ACT", help="Only this act (extract.intent) or kind of act (extract).")
    ] = None,
    project: Annotated[str | None, typer.Option(metavar="P", help="Only entries about this project.")] = None,
    outcome: Annotated[Outcome | None, typer.Option(help="Only what ended so.")] = None,
    since: Annotated[str | None, typer.Option(metavar="T", help="Only from T on: a day, or a date and time with a zone.")] = None,
    last: Annotated[int | None, typer.Option(metavar="N", min=1, help="Only the last N of them.")] = None,
) -> None:
    """List entries, oldest first. Reading the log is an entry too.

    JSON: {"entries": [{"index": n, "event", "time", "actor", "role", "for", "act", "outcome", "project", "request", "purpose",
    "object", "subjects": n, "reasons": {code: n}, "counts": {what: n}, "flags": [...], "refers"}]}. What an entry does not say
    is null, 0 or empty.
    """
    context = context_of(ctx)
    start = instant(since, option="--since")
    with context.reading(Act.AUDIT_READ) as session:
        entries = [entry for entry in _entries(session) if _wanted(entry, who, act, project, outcome, start)]
    shown = entries[-last:] if last else entries
    context.output.document({"entries": shown})
    context.output.table(
        ("entry", "time", "who", "act", "outcome", "project", "people", "reasons"),
        [
            (
                entry["index"],
                entry["time"][:19],
                entry["actor"],
                entry["act"],
                entry["outcome"],
                entry["project"],
                entry["subjects"] or None,
                ", ".join(f"{code} {n}" for code, n in entry["reasons"].items()),
            )
            for entry in shown
        ],
    )


@app.command()
def show(ctx: typer.Context, number: Number) -> None:
    """One entry, with the detail that only auditors can open.

    JSON: as an entry of log, with {"leaf": {…}, "leaf_hash", "detail": {…} or null}.
    """
    context = context_of(ctx)
    with context.reading(Act.AUDIT_READ) as session:
        entry = session.log.entry(number)
        detail = session.detail(number)
    leaf = None if entry.leaf is None else json.loads(entry.leaf)
    described = _described(number, leaf)
    context.output.document({**described, "leaf": leaf, "leaf_hash": entry.leaf_hash.hex(), "detail": detail})
    for name, value in {**described, "leaf_hash": entry.leaf_hash.hex()}.items():
        if value not in (None, {}, [], ""):
            context.output.line(f"{name:10} {value}")
    for name, value in (detail or {}).items():
        context.output.line(f"detail     {name}: {value}")


@app.command()
def verify(
    ctx: typer.Context,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A checkpoint kept elsewhere, that the log must still agree with.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="VKEY", help="The log's public key, or a file that holds it, kept elsewhere.")
    ] = None,
) -> None:
    """Check the whole log: every entry, the tree, every signed head. Exit code 5 if something does not hold.

    Without --key the vault's own key is used, which proves nothing against somebody who could replace the whole vault.

    JSON: {"ok": bool, "entries": n, "signed": n, "root", "unsigned": [first, last] or [], "redacted": n, "key_given": bool, "key",
    "open_intents": [...], "first_bad": n or null, "findings": [{"code", "entry", "last", "message"}]}.
    """
    context = context_of(ctx)
    from vault.audit.export import LogSource
    from vault.audit.verify import verify as check
    from vault.limits import MAX_NOTE_BYTES

    given = vkey(key)
    anchors = [read_text(checkpoint, limit=MAX_NOTE_BYTES)] if checkpoint else []
    with context.open() as session:
        own = "\n".join(own_key.to_text() for own_key in session.log_keys())
        report = check(LogSource(session.log, own, anchors=anchors), given)
        if not report.ok:
            _say(context, report)
            _record_failure(session, report)
            raise typer.Exit(5)
        session.record(Act.AUDIT_VERIFY, Outcome.DONE, counts={"entries": report.entries})
    _say(context, report)


@app.command()
def prove(ctx: typer.Context, number: Number) -> None:
    """Print the receipt of an entry: a proof that it is in the log, for anyone with the log's key.

    JSON: {"index": n, "proof": text}.
    """
    context = context_of(ctx)
    with context.reading(Act.AUDIT_PROVE) as session:
        _sign(session)
        proof = session.log.receipt(number)
    context.output.document({"index": number, "proof": proof})
    if not context.output.json:
        sys.stdout.write(proof)


@app.command()
def export(
    ctx: typer.Context,
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="What to write; must not exist.", show_default=False)],
    file_format: Annotated[
        Literal["tiles", "jsonl"],
        typer.Option("--format", help="tiles: a folder for any verifier; jsonl: one entry to a line.", show_default=False),
    ],
) -> None:
    """Write the log out. Neither form holds anything private.

    JSON: {"format", "entries": n, "dest"}.
    """
    context = context_of(ctx)
    from vault.audit.export import export_tiles

    with context.reading(Act.AUDIT_EXPORT) as session:
        _sign(session)
        if file_format == "tiles":
            entries = export_tiles(session.log, dest, vkey=session.log_keys()[0].to_text()).size
        else:
            entries = _write_lines(session, dest)
    context.output.document({"format": file_format, "entries": entries, "dest": dest})
    context.output.line(f"{entries:,} entries in {dest}")


@app.command()
def key(ctx: typer.Context) -> None:
    """Print the log's public key. Keep it somewhere else: with it the log proves itself.

    JSON: {"key", "earlier": [...]}.
    """
    context = context_of(ctx)
    with context.reading(Act.AUDIT_READ) as session:
        newest, *earlier = (own.to_text() for own in session.log_keys())
    context.output.document({"key": newest, "earlier": earlier})
    context.output.line(newest)


def _entries(session: Session) -> list[dict[str, Any]]:
    return [_described(entry.index, None if entry.leaf is None else json.loads(entry.leaf)) for entry in session.log.entries()]


def _described(index: int, leaf: dict[str, Any] | None) -> dict[str, Any]:
    fields = leaf or {}
    actor = fields.get("actor", {})
    about = fields.get("obj")
    return {
        "index": index,
        "event": fields.get("id"),
        "time": fields.get("t", ""),
        "actor": actor.get("id"),
        "role": actor.get("kind"),
        "for": actor.get("for"),
        "act": fields.get("act"),
        "outcome": fields.get("outcome"),
        "project": fields.get("project"),
        "request": fields.get("req"),
        "purpose": fields.get("purpose"),
        "object": f"{about['kind']}:{about['ref']}" if about else None,
        "subjects": fields.get("subj", {}).get("n", 0),
        "reasons": fields.get("reasons", {}),
        "counts": fields.get("counts", {}),
        "flags": fields.get("flags", []),
        "refers": fields.get("refers"),
    }


def _wanted(
    entry: dict[str, Any], who: str | None, act: str | None, project: str | None, outcome: Outcome | None, since: datetime | None
) -> bool:
    return (
        who in (None, entry["actor"])
        and (act is None or entry["act"] == act or str(entry["act"]).startswith(f"{act}."))
        and project in (None, entry["project"])
        and outcome in (None, entry["outcome"])
        and (since is None or (bool(entry["time"]) and datetime.fromisoformat(entry["time"]) >= since))
    )


def _say(context: Context, report: Report) -> None:
    from vault.audit.verify import lines_of

    context.output.document({**asdict(report), "ok": report.ok, "first_bad": report.first_bad})
    for line in lines_of(report):
        context.output.line(line)


def _sign(session: Session) -> None:
    """Sign the newest entries too. An auditor holds no signing key, and works with what a steward signed."""
    with suppress(UnavailableError):
        session.checkpoint()


def _record_failure(session: Session, report: Report) -> None:
    """Said aloud already: a log too damaged to take the entry changes nothing about it."""
    codes = {finding.code for finding in report.findings}
    with suppress(GenovaultError):
        session.record(Act.AUDIT_VERIFY, Outcome.FAILED, reasons=dict.fromkeys(codes, 1))


def _write_lines(session: Session, dest: Path) -> int:
    from vault.audit.export import export_jsonl

    try:
        with dest.open("x", encoding="utf-8") as stream:
            return export_jsonl(session.log, stream)
    except FileExistsError:
        raise InputError("output_exists", f"{dest} is already there", hint="choose another name") from None
    except OSError as error:
        raise InputError("output_unwritable", f"{dest}: {error.strerror or 'cannot be written'}") from None
