"""Commands that prove the log or hand it out: verification, receipts, exports, the report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.audit_signing import sign, written
from cli.context import Context, context_of
from cli.inputs import kept_checkpoint, read_text, vkey
from cli.output import counted as number
from vault.audit.actions import Action, Outcome
from vault.errors import GenovaultError, InputError

if TYPE_CHECKING:
    from vault.audit.verify import VerificationReport
    from vault.session.unlocked_vault import UnlockedVault

WAITING = (
    "note: an auditor's slot signs nothing: who checks the log does not sign it. The next session of a steward or an engine does"
)
Number = Annotated[int, typer.Argument(metavar="N", min=0, help="The entry's number.", show_default=False)]


def verify(
    ctx: typer.Context,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A checkpoint kept elsewhere, that the log must still agree with.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="VKEY", help='What "audit key" printed, or a file that holds it, kept elsewhere.')
    ] = None,
) -> None:
    """Check the whole log: every entry, the tree, every signed head. Exit code 5 if something does not hold.

    A vault that is refused as put back or edited is verified too, and if its log holds, the refusal is what is told.

    Without --key the vault's own key is used, which proves nothing against somebody who could replace the whole vault.

    JSON: {"ok": bool, "entries": n, "signed": n, "root", "unsigned": [first, last] or [], "redacted": n, "key_given": bool, "key",
    "open_intents": [entries without an outcome], "assumed": [those that are accesses], "opened": [those that opened data inside the
    vault], "closed_before": [...], "steps_back": [[entry, its time, the later time before it]], "first_bad": n or null,
    "findings": [{"code", "entry", "last", "message"}], "checkpoint": {"origin", "size", "since": n} or null, "earlier": [the same of
    each log that this one continues, with "origin"]}.
    """
    context = context_of(ctx)
    given = vkey(key)
    kept = None if checkpoint is None else kept_checkpoint(checkpoint)
    with context.diagnosing() as (vault, refused):
        if kept is not None and checkpoint is not None:
            _require_own(vault, checkpoint, kept)
        *earlier, (_, report) = _verified(vault, given, [] if kept is None else [kept])
        whole = report.ok and all(old.ok for _, old in earlier)
        if whole and refused is None:
            vault.trail.record(Action.AUDIT_VERIFY, Outcome.DONE, counts={"entries": report.entries})
        elif not whole:
            _say(context, report, earlier)
            if refused is None:
                _record_failure(vault, [report, *(old for _, old in earlier)])
            raise typer.Exit(5)
        elif refused is not None and refused.code == "keys_lost" and not context.output.json:
            _say(context, report, earlier)  # of the log there is nothing to refuse: it needs none of the lost keys
    waiting = WAITING if report.unsigned and not vault.trail.signs else None
    _say(context, report, earlier, waiting=waiting, agreed=_agreement(checkpoint, kept, [*earlier, (vault.trail.origin, report)]))


def _require_own(vault: UnlockedVault, path: Path, note: str) -> None:
    """Refuse a checkpoint that is of no log of this vault. Raises InputError ``checkpoint_of_another_log``."""
    from vault.audit.note import checkpoint_in

    origin = checkpoint_in(note).origin
    if origin not in vault.trail.log.origins():
        hint = "either it is another vault's, or this is not the vault that signed it: compare the key (genovault audit key)"
        raise InputError("checkpoint_of_another_log", f"{path} is a checkpoint of another log, {origin:.100}", hint=hint)


def prove(ctx: typer.Context, number: Number) -> None:
    """Print the receipt of an entry: a proof that it is in the log, for anyone with the log's key.

    An engine gets those of what it did itself and was not refused.

    JSON: {"index": n, "proof": text}.
    """
    context = context_of(ctx)
    from vault.access.publication import receipt_for

    with context.reading(Action.AUDIT_PROVE) as vault:
        sign(vault)
        proof = receipt_for(vault, number)
    context.output.document({"index": number, "proof": proof})
    context.output.data(proof)


def check(
    ctx: typer.Context,
    receipt: Annotated[Path, typer.Argument(metavar="RECEIPT", help='What "audit prove" printed.', show_default=False)],
    key: Annotated[
        str,
        typer.Option(
            metavar="VKEY", help='What "audit key" printed, or a file that holds it, kept elsewhere.', show_default=False
        ),
    ],
) -> None:
    """Check a receipt, without the vault: that its entry is in the log which was signed. Exit code 5 if it is not.

    JSON: {"ok": bool, "origin", "index": n, "size": n, "leaf": {...} or null, "leaf_hash", "findings": [{"code", "entry", "last",
    "message"}]}.
    """
    context = context_of(ctx)
    from vault.audit.verify import check_receipt, receipt_lines
    from vault.limits import MAX_NOTE_BYTES

    pinned = vkey(key)
    text = read_text(receipt, limit=MAX_NOTE_BYTES).replace("\r\n", "\n")
    found = check_receipt(text, pinned or "")
    if found is None:
        raise InputError("receipt_malformed", f"{receipt} is not a receipt", hint="genovault audit prove N prints one")
    context.output.document({**asdict(found), "ok": found.ok})
    for line in receipt_lines(found):
        context.output.line(line)
    if not found.ok:
        raise typer.Exit(5)


def report(
    ctx: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="The page to write; must not exist.", show_default=False)],
    key: Annotated[
        str | None, typer.Option(metavar="VKEY", help='What "audit key" printed, or a file that holds it, kept elsewhere.')
    ] = None,
) -> None:
    """One page about the whole log: whether it holds, who looked at what, refusals, unusual hours and volumes. Needs no network.

    JSON: {"ok": bool, "entries": n, "signed": n, "accesses": n, "outside": n, "disclosed": n, "open_intents": n, "assumed": n,
    "refusals": n, "look_ups": n, "failed_unlocks": n, "dest"}.
    """
    context = context_of(ctx)
    from vault.access.approved_accesses import examine
    from vault.audit.reports.outcomes import is_access
    from vault.audit.reports.records import records
    from vault.audit.reports.report_page import ReportContent, page
    from vault.audit.reports.report_tables import MOST_ROWS
    from vault.audit.reports.statistics import count
    from vault.audit.verify import headline

    given = vkey(key)
    with context.reading(Action.AUDIT_REPORT) as vault:
        sign(vault)
        verified = _verified(vault, given, [])
        counted = count(records(vault.trail.log))
        most = vault.trail.log.most_named(counted.access_indices, MOST_ROWS)
        beside = examine(vault)
        content = ReportContent(vault.trail.origin, vault.clock(), verified, counted, most, beside.projects, beside.unsigned)
        text = page(content)
        written(out, lambda stream: stream.write(text))
    whole = all(found.ok for _, found in verified)
    context.output.document(
        {
            "ok": whole,
            "entries": counted.entries,
            "signed": sum(found.signed for _, found in verified),
            "accesses": counted.accesses,
            "outside": beside.outside,
            "disclosed": counted.disclosed,
            "open_intents": len(counted.open_intents),
            "assumed": sum(map(is_access, counted.open_intents)),
            "refusals": sum(n for _, n in counted.refusals),
            "look_ups": sum(looked.times for looked in counted.conduct.look_ups),
            "failed_unlocks": sum(failed.times for failed in counted.conduct.failed_unlocks),
            "dest": out,
        }
    )
    context.output.line(
        f"{number(counted.entries, 'entry', 'entries')}, {number(counted.accesses, 'access', 'accesses')}, {beside.outside:,} of them outside an approval; "
        + headline(verified[-1][1] if whole else next(found for _, found in verified if not found.ok))
    )
    context.output.line(f"the page is {out}")
    if not whole:
        raise typer.Exit(5)


def _verified(vault: UnlockedVault, given: str | None, anchors: list[str]) -> list[tuple[str, VerificationReport]]:
    """(origin, result) of each log of the vault, the newest last. Keys and checkpoints from outside are for the log that they name,
    and for the newest where they name none of these.
    """
    from vault.audit.live_source import check_live

    *earlier, newest = vault.trail.log.origins()
    parts = {part.origin: part for part in vault.trail.log.parts()} if earlier else {}
    keys = [(next((o for o in earlier if line.startswith(f"{o}+")), newest), line) for line in (given or "").splitlines()]
    noted = [(next((o for o in earlier if note.startswith(f"{o}\n")), newest), note) for note in anchors]
    noted += [(newest, note) for note in (anchor.newest(newest) for anchor in vault.trail.anchors) if note is not None]
    found: list[tuple[str, VerificationReport]] = []
    for origin in (newest, *reversed(earlier)):  # what a later log closes is not open in the one before
        own = "\n".join(own_key.to_text() for own_key in vault.trail.log_keys(origin))
        notes = [note for named, note in noted if named == origin]
        kept = "\n".join(line for named, line in keys if named == origin) or None
        part = None if origin == newest else parts[origin]
        later = [report for _, report in found]
        found.append((origin, check_live(vault.trail.log, own, kept, anchors=notes, part=part, later=later)))
    return found[::-1]


def _agreement(
    path: Path | None, note: str | None, reports: Sequence[tuple[str, VerificationReport]]
) -> tuple[str, dict[str, object]] | None:
    """How a log that holds agrees with a checkpoint that was kept: a sentence, and the same for programs."""
    if note is None:
        return None
    from vault.audit.note import checkpoint_in

    head = checkpoint_in(note)
    entries = next((report.entries for origin, report in reports if origin == head.origin), head.size)
    since = entries - head.size
    said = f"the log agrees with {path}: its first {head.size} entries are those that were signed then; {since} came since"
    return said, {"origin": head.origin, "size": head.size, "since": since}


def _say(
    context: Context,
    found: VerificationReport,
    earlier: Sequence[tuple[str, VerificationReport]] = (),
    *,
    agreed: tuple[str, dict[str, object]] | None = None,
    waiting: str | None = None,
) -> None:
    from vault.audit.verify import lines_of

    logs = [{"origin": origin, **_plain(old)} for origin, old in earlier]
    context.output.document({**_plain(found), "checkpoint": agreed and agreed[1], "earlier": logs})
    for origin, old in earlier:
        context.output.line(f"the earlier log {origin}:")
        for line in lines_of(old):
            context.output.line(f"  {line}")
    *told, verdict = lines_of(found)
    for line in (*told, *([waiting] if waiting else ()), *([agreed[0]] if agreed else ()), verdict):
        context.output.line(line)


def _plain(found: VerificationReport) -> dict[str, Any]:
    return {**asdict(found), "ok": found.ok, "first_bad": found.first_bad}


def _record_failure(vault: UnlockedVault, found: Sequence[VerificationReport]) -> None:
    """Record a failed verification. Ignore a log too damaged to take the entry: the findings are printed already."""
    codes = {finding.code for report in found for finding in report.findings}
    with suppress(GenovaultError):
        vault.trail.record(Action.AUDIT_VERIFY, Outcome.FAILED, reasons=dict.fromkeys(codes, 1))
