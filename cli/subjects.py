"""Commands about the people whose data is held."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli import people_lists
from cli.context import context_of
from cli.inputs import renames
from cli.lazy import group
from cli.merge_report import merge_lines
from vault.audit.actions import Action

app = group("The people whose data is held.")

for name, command in (("template", people_lists.template), ("find", people_lists.find), ("list", people_lists.list_)):
    app.command(name)(command)

_SHOWN = 20  # changes that are printed for people


class _Doubt(StrEnum):
    """Doubt about a row that whoever looked may overrule."""

    ANOTHER_PERSON = "another_person"
    SUPPRESSED = "suppressed"


Ref = Annotated[
    str,
    typer.Argument(metavar="REF", help="An MRN, sample id or handle; mrn:, sample: or id: settles which.", show_default=False),
]


@app.command("import")
def import_(
    ctx: typer.Context,
    sheet: Annotated[Path, typer.Argument(metavar="SHEET.csv", help="One row for each person.", show_default=False)],
    update: Annotated[bool, typer.Option("--update", help="Attach identities to people who are known already.")] = False,
    clear: Annotated[
        bool, typer.Option("--clear", help="With --update: empty fields empty what is held. Else they say nothing.")
    ] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, kept beside what is replaced.")] = "",
    accept: Annotated[
        list[_Doubt] | None,
        typer.Option(
            help="another_person: take rows whose name and date of birth are not those of the person they name; you have looked. "
            "suppressed: take people who were erased and asked not to come back; may be given again."
        ),
    ] = None,
    map_: Annotated[
        Path | None,
        typer.Option("--map", metavar="COLUMNS.yaml", help="What the sheet calls its columns: a line NAME: OUR_NAME for each."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Register people from a sheet; all rows or none.

    Columns: sample_id (required; several with ;), mrn, name, birth_date, sex, country, diagnoses, pedigree. With --update a column
    that is not there and an empty field change nothing; what is replaced is shown, and kept with the person (subject show). A
    record number that is replaced names nobody any more.

    JSON: {"created": n, "updated": n, "unchanged": n, "changes": [{"line": n, "field", "old", "new"}]}.
    """
    context = context_of(ctx)
    from policies.stated_times import latest_day
    from vault.files.plain_text import printable
    from vault.subjects.sheet_import import SheetOptions, import_sheet
    from vault.subjects.subject_sheet import read_subject_sheet

    with context.open() as vault:
        with vault.trail.attempting(Action.SUBJECT_IMPORT):
            said = renames(map_)
            rows = read_subject_sheet(sheet, today=latest_day(vault.clock()), renames=said, told=context.output.warn)
        options = SheetOptions(
            update=update,
            clear=clear,
            accept_another=_Doubt.ANOTHER_PERSON in (accept or ()),
            accept_suppressed=_Doubt.SUPPRESSED in (accept or ()),
            dry_run=dry_run,
            reason=printable(reason),
        )
        report = import_sheet(vault, rows, options=options)
    changes = [{"line": line, **asdict(change)} for line, change in report.changes]
    context.output.document({**asdict(report), "changes": changes})
    unchanged = f", {report.unchanged} as they were" if report.unchanged else ""
    context.output.line(f"{report.created} people registered, {report.updated} updated{unchanged}")
    for line, change in report.changes[:_SHOWN]:
        what = f"{change.old} → {change.new or 'empty'}" if change.old else f"now {change.new}"
        context.output.line(f"  line {line}, {change.field}: {what}")
    if len(report.changes) > _SHOWN:
        context.output.line(f"  and {len(report.changes) - _SHOWN:,} more changes (--json lists all)")
    if dry_run:
        context.output.line("nothing was changed: --dry-run")


@app.command()
def show(ctx: typer.Context, ref: Ref) -> None:
    """One person with identity, for stewards.

    JSON: {"handle", "state", "created", "identity": {"samples", "mrn", "name", "birth_date", "sex", "country", "diagnoses",
    "pedigree", "also", "former": [replaced values]}}.
    """
    context = context_of(ctx)
    from vault.subjects.registry import subject_show

    with context.open() as vault:
        summary, identity = subject_show(vault, ref)
    context.output.document({**asdict(summary), "identity": identity._asdict()})
    for name, value in {**asdict(summary), **identity._asdict()}.items():
        shown = ", ".join(value) if isinstance(value, tuple) else value
        if shown:
            context.output.line(f"{name:11} {shown}")


@app.command()
def restrict(
    ctx: typer.Context,
    ref: Ref,
    lift: Annotated[bool, typer.Option("--lift", help="End the restriction.")] = False,
) -> None:
    """Keep a person's data in storage and release nothing of it (GDPR Article 18).

    JSON: {"restricted": bool}.
    """
    context = context_of(ctx)
    from vault.consent import recording

    with context.open() as vault:
        recording.restrict(vault, ref, lift=lift)
    context.output.document({"restricted": not lift})
    context.output.line("the restriction is lifted" if lift else "restricted: nothing of this person's data will be released")


@app.command()
def merge(
    ctx: typer.Context,
    stays: Annotated[str, typer.Argument(metavar="REF", help="The registration that stays.", show_default=False)],
    goes: Annotated[str, typer.Argument(metavar="REF", help="The one that becomes part of it.", show_default=False)],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; only auditors read it.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Tell what would happen, and do nothing.")] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="They are one person although name, birth date, sex or genotypes differ.")
    ] = False,
    clock_checked: Annotated[
        bool, typer.Option("--clock-checked", help="The clock is right, and the last consent's time is not.")
    ] = False,
    take_back: Annotated[
        bool, typer.Option("--take-back", help="Take your own proposal back, that another steward has not given yet.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Make one of two registrations of one person: calls, references and consent of the second go to the first. There is no way back.

    A no of either never loses. Where both have a call, the earlier import's stands. The second's pseudonyms are retired. With several stewards, one gives
    this command and another gives it again.

    JSON: {"state": "would_merge"|"proposed"|"merged", "stays", "goes", "differing": [field, ...], "calls": [{"dataset", "parts": n,
    "same": n, "different": n, "kinship": x|null}], "statements": n, "granted": [policy, ...], "ended": [policy, ...],
    "releases": [ID, ...], "references": n, "takes_two": bool}. With --take-back: {"state": "taken_back", "stays", "goes"}.
    """
    context = context_of(ctx)
    from cli.prompts import confirm
    from vault.errors import UsageError
    from vault.operations.corrections import merge_proposals, merging

    if take_back:
        with context.open() as vault:
            proposal = merge_proposals.take_back(vault, stays, goes, reason=reason)
        context.output.document({"state": "taken_back", "stays": proposal.stays, "goes": proposal.goes})
        context.output.line(f"taken back: {proposal.goes} does not become part of {proposal.stays}")
        return

    if not check and not confirm("Make these two registrations one? Nothing takes them apart again.", yes=yes):
        raise UsageError("not_confirmed", "nothing was changed")
    context.mention_compiling()
    with context.open() as vault:
        if check:
            report = merging.check(vault, stays, goes)
        else:
            report = merging.merge(vault, stays, goes, reason=reason, accept=accept, clock_checked=clock_checked)
    context.output.document(asdict(report))
    for line in merge_lines(report):
        context.output.line(line)


@app.command("retire-reference")
def retire_reference(
    ctx: typer.Context,
    ref: Ref,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, kept beside what is taken off.", show_default=False)],
) -> None:
    """Take a sample id or record number that was recorded wrongly off the person whom it names; genotypes and answers stay.

    A sample that names nobody any more is somebody new in the next file that has it.

    JSON: {"field", "old", "new"}.
    """
    context = context_of(ctx)
    from vault.files.plain_text import printable
    from vault.subjects import identity_versions

    with context.open() as vault:
        change = identity_versions.retire(vault, ref, reason=printable(reason))
    context.output.document(asdict(change))
    context.output.line(f"{change.old} names nobody any more; what was said of the person stays (subject show)")


@app.command()
def erase(
    ctx: typer.Context,
    ref: Ref,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the signed certificate here; the vault keeps it too.")
    ] = None,
    suppress: Annotated[
        bool, typer.Option("--suppress", help="Keep keyed codes of what names the person, so that no file registers them again.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Destroy a person's keys, identity and references for good. Nobody can read them from the first seconds on.

    What is derived from several people is blanked or made anew after that; a killed run goes on at the next open. The certificate
    says what was destroyed, what remains, and when the last backup of the keys expires.

    JSON: the certificate's content: {"erasure", "asked", "unreadable", "completed", "destroyed": {what: n}, "releases": [...],
    "key_backups": [...], "horizon", "remains": [...], ...}; with --suppress "suppressed": [codes].
    """
    context = context_of(ctx)
    from cli.prompts import confirm
    from vault.errors import UsageError
    from vault.operations.erasure import process
    from vault.operations.erasure.job import DESTROYED

    if not confirm("Erase this person for good? Nothing can bring the data back.", yes=yes):
        raise UsageError("not_confirmed", "nothing was changed")

    def on_progress(reached: str) -> None:
        if reached == DESTROYED:
            context.output.line("the keys are destroyed: nobody can read this person any more")

    with context.output.reserving(certificate) as write:
        with context.open() as vault:
            issued = process.erase(vault, ref, suppress=suppress, on_progress=on_progress)
        write(issued.text)
    content = issued.content
    context.output.document(content)
    context.output.line(f"erased: {issued.erasure_id}")
    if content.get("suppressed"):
        context.output.line("codes of what names the person are kept: no file registers them again unasked")
    for release in content["releases"]:
        context.output.line(f"remains in release {release['release']}, held by {', '.join(release['recipients'])}")
    horizon = content["horizon"]
    context.output.line(f"backups of the keys open it until {horizon}" if horizon else "no backup of the keys can open it")
    context.output.line("make a backup of the data now: older ones lack keys that were destroyed")
