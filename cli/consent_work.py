"""Commands of a steward's day, one person at a time."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.context import context_of
from cli.inputs import stated_time
from cli.prompts import ask, has_terminal
from cli.subjects import Ref
from policies import consent
from vault.errors import UsageError

if TYPE_CHECKING:
    from policies.forms import Form
    from vault.consent.coverage import Share
    from vault.consent.signatures import Signature

At = Annotated[
    str | None,
    typer.Option(
        metavar="T",
        help="When it took effect: a day of the vault's time zone (init --time-zone), or a time with a zone; default: now.",
    ),
]
ClockChecked = Annotated[
    bool, typer.Option("--clock-checked", help="This machine's clock is right; what was recorded last has a wrong, later time.")
]
SignerName = Literal["self", "guardian", "legal_rep", "next_of_kin"]
SignedBy = Annotated[str, typer.Option(metavar="NAME", help="Name of whoever signed for the person; kept sealed.")]
Evidence = Annotated[str, typer.Option(metavar="FILE", help="The signed paper: a file, or its SHA-256; only the digest is kept.")]
AsWritten = Annotated[
    bool, typer.Option("--as-written", help="Names that nothing here has are meant letter by letter; otherwise they are refused.")
]
BAR = 30  # characters of a full bar


def record(
    ctx: typer.Context,
    ref: Ref,
    form: Annotated[str, typer.Option(metavar="FORM[@VERSION]", help="The form that was answered.", show_default=False)],
    answer: Annotated[
        list[str] | None, typer.Option(metavar="QUESTION=ANSWER", help="One answer; may be repeated. Without any you are asked.")
    ] = None,
    at: At = None,
    signer: Annotated[SignerName, typer.Option(help="Who signed.")] = "self",
    signed_by: SignedBy = "",
    evidence: Evidence = "",
    channel: Annotated[str, typer.Option(metavar="TEXT", help="How it came: paper, portal, phone.")] = "",
    pending: Annotated[
        bool, typer.Option("--pending", help="It has still to pass its quality check: it permits nothing yet.")
    ] = False,
    clock_checked: ClockChecked = False,
    as_written: AsWritten = False,
) -> None:
    """Record one person's answers to a form.

    JSON: {"event", "seq": n, "form", "version", "who"}.
    """
    context = context_of(ctx)
    from policies.consent import QcState
    from vault.consent import forms, recording

    signature = signed(at, signer, signed_by, evidence, channel=channel)
    given = pairs(answer or [])
    with context.open() as vault:
        asked, _ = forms.find(vault, form)
        answers = given or _asked(asked)
        state = QcState.PENDING if pending else QcState.VALID
        done = recording.record(
            vault, ref, form, answers, signature=replace(signature, qc=state, clock_checked=clock_checked, as_written=as_written)
        )
    said = {"event": done.event.event_id, "seq": done.event.seq, "form": asked.id, "version": asked.version, "who": done.who}
    context.output.document(said)
    context.output.line(f"recorded as event {done.event.event_id}: answers to {asked.id}@{asked.version} of {done.who}")


def note(
    ctx: typer.Context,
    ref: Ref,
    fact: Annotated[
        Literal["deceased", "capacity_lost", "capacity_regained", "emancipated", "restricted", "restriction_lifted"],
        typer.Argument(help="What happened.", show_default=False),
    ],
    at: At = None,
    evidence: Evidence = "",
    clock_checked: ClockChecked = False,
) -> None:
    """Record a fact that bears on every decision about a person: a death, loss of capacity, a restriction.

    JSON: {"recorded": fact, "event", "who"}.
    """
    context = context_of(ctx)
    from vault.consent import recording

    signature = replace(signed(at, "self", "", evidence), clock_checked=clock_checked)
    with context.open() as vault:
        done = recording.note(vault, ref, consent.Status(fact), signature=signature)
    context.output.document({"recorded": fact, "event": done.event.event_id, "who": done.who})
    context.output.line(f"recorded as event {done.event.event_id}: {fact}, of {done.who}")


def explain(
    ctx: typer.Context,
    ref: Ref,
    project: Annotated[str, typer.Option(metavar="P", help="The project's code.", show_default=False)],
) -> None:
    """Why a person is, or is not, in a project: in plain words, with what they read and answered.

    JSON: {"project", "has_data": bool, "words": [...], "clauses": [{"event", "seq", "legal_time", "form", "question", "wording", "answer"}],
    "decision": {…}}.
    """
    context = context_of(ctx)
    import json

    from vault.consent import explanations

    with context.open() as vault:
        found = explanations.explain(vault, ref, project)
    clauses = [asdict(clause) for clause in found.clauses]
    decision = json.loads(found.decision.explain())
    context.output.document(
        {"project": found.project, "has_data": found.has_data, "words": found.words, "clauses": clauses, "decision": decision}
    )
    for line in found.words:
        context.output.line(line)
    for clause in found.clauses:
        source = f"{clause.form}, {clause.question}: " if clause.form else ""
        context.output.line(f"  {clause.legal_time}  {source}{clause.wording}")
        context.output.line(f"              answered: {clause.answer}" if clause.form else f"              {clause.answer}")
        context.output.line(f"              event {clause.event}")


def coverage(
    ctx: typer.Context,
    project: Annotated[
        str | None, typer.Option(metavar="P", help="One project's people and purpose; default: everybody held.")
    ] = None,
) -> None:
    """What fraction of the people a purpose could use, by reason.

    JSON: {"coverage": [{"purpose", "people": n, "usable": n, "reasons": [{"outcome", "reason", "about", "people"}]}]}.
    """
    context = context_of(ctx)
    from vault.consent import coverage

    with context.open() as vault:
        shares = coverage.coverage(vault, project)
    context.output.document({"coverage": [_share(share) for share in shares]})
    for share in shares:
        context.output.line(f"{share.purpose}: {share.usable:,} of {share.people:,} people")
        for outcome, reason, people in share.counts:
            bar = _bar(people, share.people)
            context.output.line(f"  {bar} {people / share.people:6.1%}  {people:>9,}  {outcome}: {reason.words()}")


def expiring(
    ctx: typer.Context,
    days: Annotated[int, typer.Option(min=1, max=36_500, help="How far to look ahead.")] = 90,
) -> None:
    """Whose consent ends soon, or who comes of age.

    JSON: {"expiring": [{"subject", "mrn", "samples", "policy", "ends", "cause": "majority" or "validity"}]}.
    """
    context = context_of(ctx)
    from vault.consent import work_queue

    with context.open() as vault:
        found = work_queue.expiring(vault, within=timedelta(days=days))
    names = ("subject", "mrn", "samples", "policy", "ends", "cause")
    rows = [(due.handle, due.mrn, list(due.samples), due.policy, due.ends, due.cause) for due in found]
    context.output.document({"expiring": [dict(zip(names, row, strict=True)) for row in rows]})
    context.output.line(f"{len({due.handle for due in found}):,} people within {days} days")
    if rows:
        shown = [(due.mrn, ", ".join(due.samples), due.policy, f"{due.ends:%Y-%m-%d}", due.cause) for due in found]
        context.output.table(("MRN", "samples", "policy", "ends", "because of"), shown)


def rule(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(metavar="P", help="The project's code.", show_default=False)],
    item: Annotated[str, typer.Argument(metavar="ITEM", help="A topic or a modifier, as queue prints it.", show_default=False)],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept sealed.", show_default=False)],
    revoke: Annotated[bool, typer.Option("--revoke", help="Take a ruling back; acts at once.")] = False,
) -> None:
    """Rule on what a project leaves open. With two stewards the second confirms by ruling the same.

    JSON: {"project", "item", "allows": bool, "in_force": bool}.
    """
    context = context_of(ctx)
    from vault.access import rulings

    with context.open() as vault:
        found = rulings.rule(vault, project, item, reason=reason, allows=not revoke)
    in_force = found.confirmed_by is not None
    context.output.document({"project": project, "item": item, "allows": found.allows, "in_force": in_force})
    context.output.line(f"{item}: {'in force' if in_force else 'waits for another steward'}")


def export(
    ctx: typer.Context,
    ref: Ref,
    dest: Annotated[Path, typer.Argument(metavar="DEST", help="A folder that does not exist yet.", show_default=False)],
) -> None:
    """A person's own copy: all acts, decisions and disclosures about them, as JSON and as a page to read.

    JSON: {"files": [...]}.
    """
    context = context_of(ctx)
    from vault.consent import subject_export

    with context.open() as vault:
        subject_export.export(vault, ref, dest)
    files = [str(dest / name) for name in (subject_export.JSON_NAME, subject_export.PAGE_NAME)]
    context.output.document({"files": files})
    for name in files:
        context.output.line(name)


def signed(at: str | None, signer: str, signed_by: str, evidence: str, *, channel: str = "") -> Signature:
    """A signature from the options of a command. Raises InputError ``bad_time``."""
    from vault.consent.signatures import Signature

    moment = stated_time(at, option="--at")
    return Signature(moment, consent.SignerRole(signer), signed_by, evidence, channel)


def pairs(answers: list[str]) -> dict[str, str]:
    """Answers by question, as options give them. Raises UsageError ``bad_answer``."""
    found: dict[str, str] = {}
    for text in answers:
        question, equals, said = text.partition("=")
        if not equals or question in found:
            raise UsageError("bad_answer", "each --answer is QUESTION=ANSWER, each question once")
        found[question] = said
    return found


def _asked(form: Form) -> dict[str, str]:
    """The answers, asked for at the terminal one question after another."""
    if not has_terminal():
        raise UsageError("answers_needed", "no answer is given and there is no terminal to ask at", hint="give --answer")
    found = {}
    for question in form.questions:
        choices = ", ".join(option.id for option in question.options) or "yes"
        found[question.id] = ask(f"{question.id} ({choices}, no, or nothing): ", about=" ".join(question.wording.split()))
    return found


def _share(share: Share) -> dict[str, object]:
    found = [{"outcome": o, "reason": r.code, "about": r.about, "people": n} for o, r, n in share.counts]
    return {"purpose": share.purpose, "people": share.people, "usable": share.usable, "reasons": found}


def _bar(part: int, whole: int) -> str:
    filled = round(BAR * part / whole) if whole else 0
    return "█" * filled + "·" * (BAR - filled)
