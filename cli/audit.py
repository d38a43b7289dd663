"""Commands about the log of every access."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import typer

from cli.context import Context, context_of
from cli.inputs import instant, read_text, vkey
from cli.lazy import group
from vault.audit.acts import Act, Outcome
from vault.errors import GenovaultError, InputError, UnavailableError

if TYPE_CHECKING:
    from vault.audit.records import Record
    from vault.audit.verify import Report
    from vault.disclosures import Disclosure
    from vault.session import Session

app = group("The log of every access.")

Number = Annotated[int, typer.Argument(metavar="N", min=0, help="The entry's number.", show_default=False)]


@app.command("log")
def log_(
    ctx: typer.Context,
    who: Annotated[str | None, typer.Option(metavar="NAME", help="Only what this principal did, or had done.")] = None,
    act: Annotated[
        str | None, typer.Option(metavar="ACT", help="Only this act (extract.intent) or kind of act (extract).")
    ] = None,
    purpose: Annotated[str | None, typer.Option(metavar="DUO", help="Only accesses for this data use term (HMB).")] = None,
    project: Annotated[str | None, typer.Option(metavar="P", help="Only entries about this project.")] = None,
    request: Annotated[str | None, typer.Option(metavar="ID", help="Only entries about this request.")] = None,
    subject: Annotated[
        str | None, typer.Option(metavar="WHO", help="Only entries about this person: an audit token, or for stewards a REF.")
    ] = None,
    outcome: Annotated[Outcome | None, typer.Option(help="Only what ended so.")] = None,
    reason: Annotated[str | None, typer.Option(metavar="CODE", help="Only entries that give this reason.")] = None,
    since: Annotated[str | None, typer.Option(metavar="T", help="Only from T on: a day, or a date and time with a zone.")] = None,
    until: Annotated[str | None, typer.Option(metavar="T", help="Only before T.")] = None,
    since_checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only what was written after this checkpoint, kept from an earlier look.")
    ] = None,
    last: Annotated[int | None, typer.Option(metavar="N", min=1, help="Only the last N of them.")] = None,
) -> None:
    """List entries, oldest first. Reading the log is an entry too.

    JSON: {"entries": [{"index": n, "event", "time", "actor", "role", "for", "act", "outcome", "project", "request", "purpose",
    "object", "subjects": n, "reasons": {code: n}, "counts": {what: n}, "flags": [...], "refers"}]}. What an entry does not say
    is null, 0 or empty.
    """
    context = context_of(ctx)
    from vault.audit.records import Filter, records

    start, end = instant(since, option="--since"), instant(until, option="--until")
    with context.reading(Act.AUDIT_READ) as session:
        wanted = Filter(
            who=who, act=act, outcome=outcome, project=project, purpose=purpose, request=request, reason=reason,
            since=start, until=end,
            first=_after(session, since_checkpoint),
            among=None if subject is None else _about(session, subject),
        )  # fmt: skip
        entries = list(records(session.log, wanted))
    shown = entries[-last:] if last else entries
    context.output.document({"entries": [_document(record) for record in shown]})
    context.output.table(
        ("entry", "time", "who", "act", "outcome", "project", "people", "reasons"),
        [
            (
                record.index,
                record.time[:19],
                record.actor,
                record.act,
                record.outcome,
                record.project,
                record.subjects or None,
                ", ".join(f"{code} {n}" for code, n in record.reasons.items()),
            )
            for record in shown
        ],
    )


@app.command()
def show(ctx: typer.Context, number: Number) -> None:
    """One entry, with the detail that only auditors can open.

    JSON: as an entry of log, with {"leaf": {…}, "leaf_hash", "detail": {…} or null}.
    """
    context = context_of(ctx)
    from vault.audit.records import record_of

    with context.reading(Act.AUDIT_READ) as session:
        entry = session.log.entry(number)
        detail = session.detail(number)
    leaf = None if entry.leaf is None else json.loads(entry.leaf)
    described = _document(record_of(entry))
    context.output.document({**described, "leaf": leaf, "leaf_hash": entry.leaf_hash.hex(), "detail": detail})
    for name, value in {**described, "leaf_hash": entry.leaf_hash.hex()}.items():
        if value not in (None, {}, [], ""):
            context.output.line(f"{name:10} {value}")
    for name, value in (detail or {}).items():
        context.output.line(f"detail     {name}: {value}")


@app.command()
def disclosures(
    ctx: typer.Context,
    who: Annotated[str, typer.Argument(metavar="WHO", help="An audit token, or for stewards a REF.", show_default=False)],
) -> None:
    """What left the vault about one person: when, to whom, what and why. The look itself is logged as one about this person.

    An access that never said how it ended counts as disclosed. Names, datasets and loci are shown to holders of audit-read.

    JSON: {"tokens": [...], "disclosures": [{"index": n, "time", "actor", "for", "project", "request", "release", "purpose", "ended",
    "disclosed": bool, "outcome_index": n or null, "recipients": [...], "what": {…}}], "other": [entries of log], "pack",
    "paragraphs": [{"law", "paragraph", "says", "source", "read"}]}.
    """
    context = context_of(ctx)
    from vault import disclosures as accounts

    with context.open() as session:
        found = accounts.of(session, who)
    context.output.document(
        {
            "tokens": list(found.tokens),
            "disclosures": [_disclosure(disclosure) for disclosure in found.disclosures],
            "other": [_document(record) for record in found.other],
            "pack": found.pack,
            "paragraphs": [asdict(paragraph) for paragraph in found.paragraphs],
        }
    )
    told = [disclosure for disclosure in found.disclosures if disclosure.disclosed]
    context.output.line(f"{len(told)} disclosures, {len(found.disclosures) - len(told)} accesses that came to nothing")
    context.output.table(
        ("entry", "time", "to", "what", "why", "by", "ended"),
        [
            (d.index, d.time[:19], ", ".join(d.recipients), _what(d), _why(d), d.asserted_for or d.actor, d.ended)
            for d in found.disclosures
        ],
    )
    context.output.line(f"{len(found.other)} further entries about this person: genovault audit log --subject")
    for paragraph in found.paragraphs:
        context.output.line(f"{paragraph.law} ({paragraph.paragraph}): {paragraph.says}")
        context.output.line(f"  {found.pack}; read {paragraph.read}; {paragraph.source}")


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
    "open_intents": [...], "first_bad": n or null, "findings": [{"code", "entry", "last", "message"}], "earlier": [the same of each
    log that this one continues, with "origin"]}.
    """
    context = context_of(ctx)
    from vault.limits import MAX_NOTE_BYTES

    given = vkey(key)
    anchors = [read_text(checkpoint, limit=MAX_NOTE_BYTES)] if checkpoint else []
    with context.open() as session:
        *earlier, (_, report) = _verified(session, given, anchors)
        whole = report.ok and all(old.ok for _, old in earlier)
        if whole:
            session.record(Act.AUDIT_VERIFY, Outcome.DONE, counts={"entries": report.entries})
        else:
            _say(context, report, earlier)
            _record_failure(session, [report, *(old for _, old in earlier)])
            raise typer.Exit(5)
    _say(context, report, earlier)


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
        Literal["tiles", "jsonl", "csv", "fhir"],
        typer.Option(
            "--format",
            help="tiles: a folder for any verifier; jsonl: one entry to a line; csv: for a spreadsheet; fhir: R4 AuditEvents.",
            show_default=False,
        ),
    ],
    origin: Annotated[
        str | None, typer.Option(metavar="ORIGIN", help="With tiles: an earlier log, that the present one continues.")
    ] = None,
) -> None:
    """Write the log out. No form holds anything private.

    JSON: {"format", "entries": n, "dest"}.
    """
    context = context_of(ctx)
    from vault.audit.export import export_jsonl, export_tiles
    from vault.audit.fhir import export_fhir
    from vault.audit.records import export_csv

    with context.reading(Act.AUDIT_EXPORT) as session:
        _sign(session)
        if file_format == "tiles":
            part = next((part for part in session.log.parts() if part.origin == (origin or session.origin)), None)
            if part is None:
                raise InputError(
                    "origin_unknown", "the vault has had no log of this origin", hint="genovault audit verify lists them"
                )
            entries = export_tiles(session.log, dest, vkey=session.log_keys(part.origin)[0].to_text(), part=part).size
        elif file_format == "jsonl":
            entries = _written(dest, lambda out: export_jsonl(session.log, out))
        elif file_format == "csv":
            entries = _written(dest, lambda out: export_csv(session.log, out))
        else:
            entries = _written(dest, lambda out: export_fhir(session.log, out, origin=session.origin))
    context.output.document({"format": file_format, "entries": entries, "dest": dest})
    context.output.line(f"{entries:,} entries in {dest}")


@app.command()
def report(
    ctx: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="The page to write; must not exist.", show_default=False)],
    key: Annotated[
        str | None, typer.Option(metavar="VKEY", help="The log's public key, or a file that holds it, kept elsewhere.")
    ] = None,
) -> None:
    """One page about the whole log: whether it holds, who looked at what, refusals, unusual hours and volumes. Needs no network.

    JSON: {"ok": bool, "entries": n, "accesses": n, "disclosed": n, "open_intents": n, "refusals": n, "dest"}.
    """
    context = context_of(ctx)
    from vault.audit.records import records
    from vault.audit.report import MOST_ROWS, Content, page
    from vault.audit.statistics import count

    given = vkey(key)
    with context.reading(Act.AUDIT_REPORT) as session:
        _sign(session)
        verified = _verified(session, given, [])
        counted = count(records(session.log))
        most = session.log.most_named(counted.access_indices, MOST_ROWS)
        text = page(Content(session.origin, session.clock(), verified, counted, most))
        _written(out, lambda stream: stream.write(text))
    whole = all(found.ok for _, found in verified)
    context.output.document(
        {
            "ok": whole,
            "entries": counted.entries,
            "accesses": counted.accesses,
            "disclosed": counted.disclosed,
            "open_intents": len(counted.open_intents),
            "refusals": sum(n for _, n in counted.refusals),
            "dest": out,
        }
    )
    context.output.line(
        f"{counted.entries:,} entries, {counted.accesses:,} accesses; {'everything holds' if whole else 'NOT whole'}"
    )
    context.output.line(f"the page is {out}")
    if not whole:
        raise typer.Exit(5)


@app.command()
def anchor(
    ctx: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="A folder outside the vault, best append-only on another mount.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Give this anchor up.")] = False,
) -> None:
    """Keep every signed head in DIR too, and refuse to work when the log is behind it. Without DIR: list the anchors.

    JSON: {"anchors": [...]}.
    """
    context = context_of(ctx)
    from vault import anchoring

    with context.open(guarded=not remove) as session:
        if folder is None:
            session.record(Act.AUDIT_READ, Outcome.DONE)
        elif remove:
            anchoring.remove(session, folder)
            anchoring.guard(session)
        else:
            anchoring.add(session, folder)
        places = [str(kept.folder) for kept in session.anchors]
    context.output.document({"anchors": places})
    for place in places or ["no anchors"]:
        context.output.line(place)


@app.command("continue")
def continue_(ctx: typer.Context) -> None:
    """Go on under a new log after the vault was put back to an older state. Its first entry names the last known head of the old log.

    JSON: {"origin", "entry": n, "key"}.
    """
    context = context_of(ctx)
    from vault import anchoring

    with context.open(guarded=False) as session:
        begun = anchoring.continue_log(session)
        origin, own = session.origin, session.log_keys()[0].to_text()
    context.output.document({"origin": origin, "entry": begun.index, "key": own})
    context.output.line(f"the log goes on as {origin} from entry {begun.index}")
    context.output.line(f"its public key: {own}")


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


def _document(record: Record) -> dict[str, Any]:
    shown = record.as_dict()
    return {name: value for name, value in shown.items() if name not in {"leaf_hash", "subject_set"}}


def _disclosure(found: Disclosure) -> dict[str, Any]:
    named = {**vars(found), "for": found.asserted_for, "disclosed": found.disclosed, "recipients": list(found.recipients)}
    del named["asserted_for"]
    return named


def _what(found: Disclosure) -> str:
    what = found.what
    loci = what.get("panel") or ", ".join(what.get("regions", [])[:3]) or ("all sites" if what else "")
    return f"{what.get('dataset', '')} {loci}".strip()


def _why(found: Disclosure) -> str:
    title = found.what.get("title")
    return f"{found.purpose or ''} ({found.project}{f': {title}' if title else ''})"


def _about(session: Session, who: str) -> frozenset[int]:
    from vault.disclosures import tokens_of

    return frozenset(session.log.entries_of(*tokens_of(session, who)))


def _after(session: Session, path: Path | None) -> int:
    """The number of the first entry after a checkpoint, which has to be one of this vault's logs."""
    if path is None:
        return 0
    from vault.audit.note import checkpoint_in, open_checkpoint
    from vault.limits import MAX_NOTE_BYTES

    note = read_text(path, limit=MAX_NOTE_BYTES)
    origin = checkpoint_in(note).origin
    part = next((part for part in session.log.parts() if part.origin == origin), None)
    if part is None:
        raise InputError("origin_unknown", f"{path} is a checkpoint of another log")
    return part.base + open_checkpoint(note, origin, session.log_keys(origin)).size


def _verified(session: Session, given: str | None, anchors: list[str]) -> list[tuple[str, Report]]:
    """(origin, result) of each log of the vault, the newest last. A key given is the newest log's; earlier ones had the same keys."""
    from vault.audit.live import check_live

    *earlier, newest = session.log.origins()
    found = []
    for part in session.log.parts() if earlier else []:
        if part.origin != newest:
            own = "\n".join(own_key.to_text() for own_key in session.log_keys(part.origin))
            found.append((part.origin, check_live(session.log, own, part=part)))
    own = "\n".join(own_key.to_text() for own_key in session.log_keys())
    kept = [note for note in (anchor.newest(newest) for anchor in session.anchors) if note is not None]
    return [*found, (newest, check_live(session.log, own, given, anchors=[*anchors, *kept]))]


def _say(context: Context, found: Report, earlier: Sequence[tuple[str, Report]] = ()) -> None:
    from vault.audit.verify import lines_of

    context.output.document({**_plain(found), "earlier": [{"origin": origin, **_plain(old)} for origin, old in earlier]})
    for origin, old in earlier:
        context.output.line(f"the earlier log {origin}:")
        for line in lines_of(old):
            context.output.line(f"  {line}")
    for line in lines_of(found):
        context.output.line(line)


def _plain(found: Report) -> dict[str, Any]:
    return {**asdict(found), "ok": found.ok, "first_bad": found.first_bad}


def _sign(session: Session) -> None:
    """Sign the newest entries too. An auditor holds no signing key, and works with what a steward signed."""
    with suppress(UnavailableError):
        session.checkpoint()


def _record_failure(session: Session, found: Sequence[Report]) -> None:
    """Said aloud already: a log too damaged to take the entry changes nothing about it."""
    codes = {finding.code for report in found for finding in report.findings}
    with suppress(GenovaultError):
        session.record(Act.AUDIT_VERIFY, Outcome.FAILED, reasons=dict.fromkeys(codes, 1))


def _written(dest: Path, write: Callable[[TextIO], int]) -> int:
    """Write a new file whole; what ``write`` returned."""
    try:
        with dest.open("x", encoding="utf-8", newline="") as stream:
            return write(stream)
    except FileExistsError:
        raise InputError("output_exists", f"{dest} is already there", hint="choose another name") from None
    except OSError as error:
        raise InputError("output_unwritable", f"{dest}: {error.strerror or 'cannot be written'}") from None
