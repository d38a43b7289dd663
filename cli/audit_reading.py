"""Commands that read the log: entries by filters, one entry whole, one person's disclosures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import context_of
from cli.inputs import first_of_day, kept_checkpoint, last_start_of_day, stated_time
from vault.audit.actions import Action, Outcome
from vault.errors import InputError, IntegrityError

if TYPE_CHECKING:
    from vault.access.accounting import Disclosure
    from vault.audit.reports.records import Record
    from vault.session.unlocked_vault import UnlockedVault

Number = Annotated[int, typer.Argument(metavar="N", min=0, help="The entry's number.", show_default=False)]


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
    since: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help="Only from T on: a day, or a date and time with a zone. A day is of the vault's time zone, or this machine's.",
        ),
    ] = None,
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
    from vault.audit.reports.records import Filter, records

    start, end = stated_time(since, option="--since"), stated_time(until, option="--until")
    _require_act(act)
    with context.reading(Action.AUDIT_READ) as vault:
        wanted = Filter(
            who=who, act=act, outcome=outcome, project=project, purpose=purpose, request=request, reason=reason,
            since=first_of_day(vault, start), until=last_start_of_day(vault, end),
            first=_after(vault, since_checkpoint),
            among=None if subject is None else _about(vault, subject),
        )  # fmt: skip
        entries = list(records(vault.trail.log, wanted))
    shown = entries[-last:] if last else entries
    context.output.document({"entries": [_document(record) for record in shown]})
    others = any(record.asserted_for for record in shown)
    context.output.table(
        ("entry", "time", "who", *(("for",) if others else ()), "act", "outcome", "project", "people", "reasons"),
        [
            (
                record.index,
                record.time[:19],
                _who(record),
                *((record.asserted_for,) if others else ()),
                record.act,
                record.outcome,
                record.project,
                record.subjects or None,
                ", ".join(f"{code} {n}" for code, n in record.reasons.items()),
            )
            for record in shown
        ],
    )


def show(ctx: typer.Context, number: Number) -> None:
    """One entry, with the detail that only auditors can open.

    JSON: as an entry of log, with {"leaf": {…}, "leaf_hash", "detail": {…} or null}.
    """
    context = context_of(ctx)
    from vault.audit.reports.records import record_of

    with context.reading(Action.AUDIT_READ) as vault:
        entry = vault.trail.log.entry(number)
        detail = vault.trail.detail(number)
    leaf = None if entry.leaf is None else json.loads(entry.leaf)
    described = _document(record_of(entry))
    context.output.document({**described, "leaf": leaf, "leaf_hash": entry.leaf_hash.hex(), "detail": detail})
    for name, value in {**described, "leaf_hash": entry.leaf_hash.hex()}.items():
        if value or name == "index":
            context.output.line(f"{name:10} {_plainly(value)}")
    for name, value in (detail or {}).items():
        if value not in (None, "", [], {}):
            context.output.line(f"detail     {name}: {_plainly(value)}")


def disclosures(
    ctx: typer.Context,
    who: Annotated[str, typer.Argument(metavar="WHO", help="An audit token, or for stewards a REF.", show_default=False)],
    since: Annotated[
        str | None, typer.Option(metavar="T", help="Only from T on: a day, or a date and time with a zone, as of log.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="T", help="Only before T.")] = None,
) -> None:
    """What left the vault about one person: when, to whom, what and why. The look itself is logged as one about this person.

    Views and extracts, and counts, presence and exact frequencies of groups that the person is among. An access to genotypes that never said how it
    ended counts as disclosed. Names, datasets and loci are shown to holders of audit-read.

    JSON: {"tokens": [...], "disclosures": [{"index": n, "time", "actor", "for", "project", "request", "release", "purpose", "ended",
    "disclosed": bool, "outcome_index": n or null, "kind", "recipients": [...], "what": {…}}], "other": [entries of log], "pack",
    "paragraphs": [{"law", "paragraph", "says", "source", "read"}]}.
    """
    context = context_of(ctx)
    from vault.access.accounting import account_for

    start, end = stated_time(since, option="--since"), stated_time(until, option="--until")
    with context.open() as vault:
        found = account_for(vault, who, since=first_of_day(vault, start), until=last_start_of_day(vault, end))
    context.output.document(
        {
            "tokens": list(found.tokens),
            "disclosures": [_disclosure(disclosure) for disclosure in found.disclosures],
            "other": [_document(record) for record in found.other],
            "pack": found.pack,
            "paragraphs": [asdict(paragraph) for paragraph in found.paragraphs],
        }
    )
    disclosed = [disclosure for disclosure in found.disclosures if disclosure.disclosed]
    nothing = len(found.disclosures) - len(disclosed)
    context.output.line(f"disclosures: {len(disclosed)}; accesses that came to nothing: {nothing}")
    for token in found.tokens:
        context.output.line(f"audit token, by which auditors know this person: {token}")
    context.output.table(
        ("entry", "time", "kind", "to", "what", "why", "by", "for", "ended"),
        [
            (d.index, d.time[:19], d.kind, ", ".join(d.recipients), _what(d), _why(d), d.actor, d.asserted_for, d.ended)
            for d in found.disclosures
        ],
    )
    context.output.line(
        f"entries about this person that disclosed nothing: {len(found.other)} (genovault audit log --subject WHO)"
    )
    for paragraph in found.paragraphs:
        context.output.line(f"{paragraph.law} ({paragraph.paragraph}): {paragraph.says}")
        context.output.line(f"  {found.pack}; read {paragraph.read}; {paragraph.source}")


def _plainly(value: object) -> str:
    """Lists and tallies as text, without brackets."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plainly(item)}" for name, item in value.items())
    return ", ".join(map(_plainly, value)) if isinstance(value, list) else str(value)


def _who(record: Record) -> str | None:
    """Whoever acted; of a failed unlock whose slot was tried, where that is known."""
    tried = (record.object or "").removeprefix("principal:") if record.act == Action.VAULT_UNLOCK_FAILED else ""
    return f"{record.actor} (as {tried})" if tried else record.actor


def _document(record: Record) -> dict[str, Any]:
    shown = record.as_dict()
    return {name: value for name, value in shown.items() if name not in {"leaf_hash", "subject_set"}}


def _disclosure(found: Disclosure) -> dict[str, Any]:
    named = {**vars(found), "for": found.asserted_for, "disclosed": found.disclosed, "recipients": list(found.recipients)}
    del named["asserted_for"]
    return named


def _what(found: Disclosure) -> str:
    what = found.what
    loci = (
        what.get("panel") or ", ".join([*what.get("regions", []), *what.get("alleles", [])][:3]) or ("all sites" if what else "")
    )
    return f"{what.get('dataset', '')} {loci}".strip()


def _why(found: Disclosure) -> str:
    title = found.what.get("title")
    return f"{found.purpose or ''} ({found.project}{f': {title}' if title else ''})"


def _about(vault: UnlockedVault, who: str) -> frozenset[int]:
    from vault.access.accounting import tokens_of

    return frozenset(vault.trail.log.entries_of(*tokens_of(vault, who)))


def _require_act(named: str | None) -> None:
    """Refuse an act, or kind of acts, that no entry can have: an empty list would look like an answer."""
    if named is not None and not any(act == named or act.startswith(f"{named}.") for act in Action):
        kinds = ", ".join(sorted({act.partition(".")[0] for act in Action}))
        raise InputError("act_unknown", "--act names no act of the log", hint=f"kinds of acts: {kinds}")


def _after(vault: UnlockedVault, path: Path | None) -> int:
    """The number of the first entry after a checkpoint, which has to be one of this vault's logs.

    After one of an earlier log that had come further than what is left of it: the entry that says how the log went on.
    """
    if path is None:
        return 0
    from vault.audit.note import checkpoint_in, open_checkpoint

    note = kept_checkpoint(path)
    origin = checkpoint_in(note).origin
    part = next((part for part in vault.trail.log.parts() if part.origin == origin), None)
    if part is None:
        raise InputError("origin_unknown", f"{path} is a checkpoint of another log")
    seen = open_checkpoint(note, origin, vault.trail.log_keys(origin)).size
    if seen > part.size and origin == vault.trail.origin:
        raise IntegrityError(
            "log_behind_checkpoint",
            f"the audit log has {part.size} entries, but {path} has seen {seen}",
            hint=f"genovault audit verify --checkpoint {path}",
        )
    return part.base + min(seen, part.size)
