"""Commands about what people allowed."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cli import consent_corrections, consent_forms, consent_proposals, consent_queue, consent_work
from cli.context import context_of
from cli.inputs import renames, report_text, stated_time
from cli.lazy import group
from cli.subjects import Ref
from policies import canonical, consent, reasons

if TYPE_CHECKING:
    from vault.consent.recording import History

app = group("What people allowed, and what they took back.")

LEVELS = {level.name.lower().replace("_", "-"): level for level in consent.Level}


for command in (
    consent_forms.forms,
    consent_forms.lint,
    consent_forms.add,
    consent_forms.load,
    consent_forms.packs,
    consent_forms.unload,
    consent_work.record,
    consent_work.note,
    consent_corrections.correct,
    consent_work.explain,
    consent_work.coverage,
    consent_work.expiring,
    consent_queue.queue,
    consent_work.rule,
    consent_work.export,
):
    app.command()(command)


@app.command()
def sheet(
    ctx: typer.Context,
    form: Annotated[str, typer.Argument(metavar="FORM", help="FORM or FORM@VERSION.", show_default=False)],
    accept: Annotated[bool, typer.Option("--accept", help="Fill in acceptance of everything, for trials.")] = False,
) -> None:
    """Print an ANSWERS.csv with a row for everybody who has not answered the form.

    JSON: {"columns": [...], "rows": [[...]]}.
    """
    context = context_of(ctx)
    from vault.consent.recording import blank_sheet
    from vault.files.csv_sheets import write_sheet

    with context.open() as vault:
        header, rows = blank_sheet(vault, form, accept=accept)
    context.output.document({"columns": header, "rows": rows})
    text = io.StringIO(newline="")
    write_sheet(text, columns=header, rows=rows)
    context.output.data(text.getvalue())


@app.command("import")
def import_(
    ctx: typer.Context,
    answers: Annotated[Path, typer.Argument(metavar="ANSWERS.csv", help="One row for each person.", show_default=False)],
    form: Annotated[str, typer.Option(metavar="FORM[@VERSION]", help="The form that was answered.", show_default=False)],
    report: Annotated[
        Path | None, typer.Option(metavar="REPORT.csv", help="Write what became of each row: its line and its event.")
    ] = None,
    map_: Annotated[
        Path | None,
        typer.Option("--map", metavar="COLUMNS.yaml", help="What the sheet calls its columns: a line NAME: OUR_NAME for each."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the sheet, and record nothing.")] = False,
    clock_checked: consent_work.ClockChecked = False,
    as_written: consent_work.AsWritten = False,
) -> None:
    """Record a sheet of answers to one form; all rows or none.

    Columns: subject (REF), legal_time (a day of the vault's time zone, or a time with a zone), one for each question of the form, signer, signed_by (a guardian's name), evidence (a file or
    its SHA-256), channel, qc (valid or pending). Refused with it: an acceptance from somebody who withdrew; record it for that one.

    A row that says what the person's last event says, with the same stated time, is not recorded again.

    JSON: {"recorded": n, "unchanged": n, "form", "version", "usable": {purpose: n} or null}.
    """
    context = context_of(ctx)
    from vault.consent.recording import import_answers

    with context.output.reserving(report) as write:
        with context.open() as vault:
            done = import_answers(
                vault,
                answers,
                form,
                clock_checked=clock_checked,
                as_written=as_written,
                dry_run=dry_run,
                renames=renames(map_),
                told=context.output.warn,
            )
        write(report_text(("line", "event"), done.rows))
    usable = None if done.usable is None else dict(done.usable)
    context.output.document(
        {
            "recorded": done.recorded,
            "unchanged": done.unchanged,
            "form": done.form,
            "version": done.version,
            "usable": usable,
        }
    )
    context.output.line(
        f"{done.recorded:,} people's answers to {done.form}@{done.version} {'can be ' if dry_run else ''}recorded"
    )
    if done.unchanged:
        context.output.line(f"{done.unchanged} rows say nothing new: each is that person's last statement, of the same time")
    if dry_run:
        context.output.line("nothing was recorded: --dry-run")
    allowed = [f"{people:,} {purpose}" for purpose, people in (usable or {}).items() if people]
    never = [purpose for purpose, people in (usable or {}).items() if not people]
    if allowed:
        context.output.line(f"of them now allow: {', '.join(allowed)}")
    if never:
        context.output.line(f"nobody of them allows: {', '.join(never)}")


@app.command()
def withdraw(
    ctx: typer.Context,
    ref: Ref,
    scope: Annotated[
        str, typer.Option(help="everything, policy:NAME, module:FORM/QUESTION, purpose:KEY, recipient:KEY or loci:KEY.")
    ] = "everything",
    level: Annotated[
        Literal["no-contact", "no-new-data", "no-new-use", "erase"],
        typer.Option(help='How far it goes; each includes those before it. "erase" asks a steward to erase.'),
    ] = "no-new-use",
    at: consent_work.At = None,
    evidence: consent_work.Evidence = "",
    as_written: consent_work.AsWritten = False,
) -> None:
    """Record a person's withdrawal. It acts at once and never expires.

    It says what ended with it, which projects lose the person, and which releases hold them; those are not called back. A scope that
    names nothing is refused. A name that no project has yet can be excluded with --as-written.

    JSON: {"person", "who", "scope", "level", "event", "ended": [policies], "excluded": [scopes], "projects": [...] or null, "releases":
    [{"release", "project", "recipients", "created"}] or null, "notices": [ids of those opened], "clock_behind": bool}.
    """
    context = context_of(ctx)
    from vault.consent import recording

    signature = replace(consent_work.signed(at, "self", "", evidence), as_written=as_written)
    with context.open() as vault:
        done = recording.withdraw(vault, ref, scope=scope, level=LEVELS[level], signature=signature)
    context.output.document(
        {
            "person": ref,
            "who": done.who,
            "scope": scope,
            "level": level,
            "event": done.event_id,
            "ended": list(done.ended),
            "excluded": list(done.excluded),
            "projects": None if done.projects is None else list(done.projects),
            "releases": None if done.releases is None else list(done.releases),
            "notices": list(done.notices),
            "clock_behind": done.clock_behind,
        }
    )
    context.output.line(f"withdrawn by {done.who or ref}: {scope}, {level} (event {done.event_id})")
    for line in consent_corrections.effects(done):
        context.output.line(line)


@app.command()
def show(
    ctx: typer.Context,
    ref: Ref,
    at: Annotated[str | None, typer.Option(metavar="T", help="What was true at T; default: now.")] = None,
    known_at: Annotated[str | None, typer.Option(metavar="T", help="By what was known at T; default: everything.")] = None,
) -> None:
    """A person's consent: every act, and what they add up to.

    T is a day (its first instant in the vault's time zone), or a date and time with a zone.

    JSON: {"who", "events": [{"event_id", "seq", "recorded_at", "legal_time", "answers", "withdrawal", "status", "form", …, "private"}],
    "granted": [{"policy", "terms"}], "refused": {policy: reason}, "otherwise": reason, "restricted": bool, "deceased": bool,
    "proposals": [corrections that wait for another steward, as queue gives them]}.
    """
    context = context_of(ctx)
    from vault.consent.recording import history

    moment, known = stated_time(at, option="--at"), stated_time(known_at, option="--known-at")
    with context.open() as vault:
        found = history(vault, ref, at=moment, known_at=known)
    context.output.document(_document(found))
    context.output.line(found.who)
    context.output.table(("recorded", "legal time", "event", "what"), [_row(event, found) for event in found.events])
    standing = found.standing
    context.output.line()
    for grant in standing.grants:
        context.output.line(f"allowed: {grant.policy} {_terms(grant.alternatives)}".rstrip())
    for policy, reason in standing.refused:
        context.output.line(f"not allowed: {policy}: {reasons.WORDS[reason]}")
    if not standing.grants and not standing.refused:
        context.output.line(f"not allowed: anything: {reasons.WORDS[standing.otherwise]}")
    if standing.restricted:
        context.output.line(reasons.WORDS[reasons.RESTRICTED])
    if standing.deceased:
        agreed = any(grant.policy == consent.USE_AFTER_DEATH for grant in standing.grants)
        context.output.line("the person has died, and agreed to use after death" if agreed else reasons.WORDS[reasons.DECEASED])
    for proposal in found.proposals:
        for line in consent_proposals.lines(proposal):
            context.output.line(line)


def _document(found: History) -> dict[str, object]:
    standing = found.standing
    return {
        "who": found.who,
        "events": [{**consent.as_dict(event), "private": dict(found.private[event.event_id])} for event in found.events],
        "granted": [{"policy": g.policy, "terms": canonical.plain(g.alternatives)} for g in standing.grants],
        "refused": dict(standing.refused),
        "otherwise": standing.otherwise,
        "restricted": standing.restricted,
        "deceased": standing.deceased,
        "proposals": [consent_proposals.document(one) for one in found.proposals],
    }


def _row(event: consent.ConsentEvent, found: History) -> tuple[str, str, str, str]:
    changes = [f"{answer.policy} {answer.answer}" for answer in event.answers]
    if event.withdrawal is not None:
        changes.append(f"withdrawn: {event.withdrawal.scope}, {event.withdrawal.level.name.lower().replace('_', '-')}")
    if event.status is not None:
        changes.append(str(event.status))
    form = f" ({event.form.form}@{event.form.version})" if event.form else ""
    day = event.precision is consent.Precision.DAY
    legal = f"{event.legal_time.astimezone(found.zone):%Y-%m-%d}" if day else f"{event.legal_time:%Y-%m-%d %H:%M:%S}"
    late = " (the clock was behind)" if event.clock_behind else ""
    what = [", ".join(changes) + form, *_corrections(event, found)]
    return f"{event.recorded_at:%Y-%m-%d %H:%M:%S}{late}", legal, event.event_id, "; ".join(part for part in what if part)


def _corrections(event: consent.ConsentEvent, found: History) -> Iterator[str]:
    """What an event corrects, with who and why, and what corrects it."""
    if event.supersedes:
        private = found.private[event.event_id]
        kind = "takes back" if event.correction is consent.CorrectionKind.VOID else "corrects"
        said = [_said("proposed by", private["proposed_by"], private.get("proposed_reason"))] if "proposed_by" in private else []
        yield f"{kind} {event.supersedes}, {'; '.join([*said, _said('by', event.recorded_by, private.get('reason'))])}"
    for later in found.events:
        if later.supersedes == event.event_id:
            yield f"corrected by {later.event_id}"


def _said(what: str, steward: str, reason: str | None) -> str:
    return f"{what} {steward}" + (f": {reason}" if reason else "")


def _terms(alternatives: Iterable[Any]) -> str:
    return " or ".join(str(item.permission) + "".join(f" + {m.code}" for m in item.modifiers) for item in alternatives)
