"""Commands about what happens after a release: who holds what, and what recipients are told to drop."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import context_of
from cli.inputs import pinned_keys
from vault.audit.actions import Action
from vault.errors import UsageError

if TYPE_CHECKING:
    from vault.access.notice_records import Notice
    from vault.access.who_holds import HeldByWhom

NoticeId = Annotated[str, typer.Argument(metavar="ID", help="The notice's id.", show_default=False)]
Project = Annotated[str | None, typer.Option(metavar="P", help="Of one project only.")]


def holdings(ctx: typer.Context, project: Project = None) -> None:
    """Who holds what now: releases by their recipients, panels by the programs that read them.

    JSON: {"holdings": [{"kind": "release"|"holding", "id", "project", "about", "recipients": [...], "people": n, "to_drop": n}]}.
    """
    context = context_of(ctx)
    from vault.access import who_holds

    with context.open() as vault:
        found = who_holds.listed(vault, project)
    context.output.document({"holdings": [_held(one) for one in found]})
    rows = [(one.ref, one.project, one.about, ", ".join(one.recipients), f"{one.people:,}", f"{one.to_drop:,}") for one in found]
    context.output.table(("id", "project", "what", "with", "people", "to drop"), rows)


def notices(
    ctx: typer.Context,
    project: Project = None,
    due: Annotated[bool, typer.Option("--due", help="Those that were not answered in time.")] = False,
) -> None:
    """What recipients have to drop, the earliest due first. Consents that ended since are looked for, and late notices told to the log.

    JSON: {"notices": [{"notice", "project", "concerns": {"kind", "id", "about"}, "state": "open"|"acknowledged"|"called_off",
    "late": bool, "to": [...], "drops": [{"pseudonym": text or null, "do": "stop"|"delete", "why"}], "called_off": [...], "created",
    "due", "issued": time or null, "said": text or null}]}.
    """
    context = context_of(ctx)
    from vault.consent import drop_lists

    with context.open() as vault:
        now = vault.clock()
        found = [notice for notice in drop_lists.listed(vault, project) if notice.overdue(now) or not due]
    context.output.document({"notices": [described(notice, now) for notice in found]})
    rows = [
        (
            one.notice_id,
            "late" if one.overdue(now) else one.state.replace("_", " "),
            one.project,
            one.ref,
            ", ".join(one.content.recipients),
            f"{len(one.in_force):,}",
            f"{one.due:%Y-%m-%d}",
            "" if one.issued is None else f"{one.issued:%Y-%m-%d}",
        )
        for one in found
    ]
    context.output.table(("notice", "state", "project", "about", "to", "drops", "due", "sent"), rows)


def notice(
    ctx: typer.Context,
    notice_id: NoticeId,
    output: Annotated[Path, typer.Option(metavar="FILE", help="A file that does not exist yet.", show_default=False)],
) -> None:
    """Write a notice as a signed file to send to its recipients: pseudonyms, what to do, by when.

    JSON: {"notice", "file"}.
    """
    context = context_of(ctx)
    from vault.access import notices as book
    from vault.files.private_files import new_text_file

    with new_text_file(output) as file, context.open() as vault:
        file.write(book.issue(vault, notice_id).decode())
    context.output.document({"notice": notice_id, "file": str(output)})
    context.output.line(f"{output}: send it to the recipients; {CHECK.format(output)}")


def ack(
    ctx: typer.Context,
    notice_id: NoticeId,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Who said that it is done, and how; kept sealed.", show_default=False)
    ],
    evidence: Annotated[str, typer.Option(metavar="FILE", help="Their letter or mail, or its SHA-256.")] = "",
    take_back: Annotated[bool, typer.Option("--take-back", help="It was acknowledged wrongly: open it again.")] = False,
) -> None:
    """Record that recipients did what a notice asks.

    JSON: {"notice", "state"}.
    """
    context = context_of(ctx)
    from vault.access import notices as book

    if take_back and evidence:
        raise UsageError("options_exclude", "--take-back takes a reason and no evidence")
    with context.open() as vault:
        found = (
            book.reopen(vault, notice_id, reason=reason)
            if take_back
            else book.acknowledge(vault, notice_id, reason=reason, evidence=evidence)
        )
    context.output.document({"notice": notice_id, "state": found.state})
    context.output.line(f"notice {notice_id} is {found.state}")


def check_notice(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A notice that was sent.", show_default=False)],
    key: Annotated[
        str | None,
        typer.Option(metavar="KEYS", help='What "release key" printed, or a file that holds it; then no vault is needed.'),
    ] = None,
) -> None:
    """Check a notice's signature, and print what is to be dropped.

    JSON: the notice: {"format", "label", "notice", "revision", "log", "project", "concerns", "to", "created", "due", "drops", "called_off"}.
    """
    context = context_of(ctx)
    from vault.extracts.notice_file import verify_notice
    from vault.extracts.verification import key_fingerprint

    if key is not None:
        found = verify_notice(file, pinned_keys(key)[1])
    else:
        with context.reading(Action.RELEASE_VERIFY) as vault:
            found = verify_notice(file, [key_fingerprint(public) for public in vault.release_keys().values()])
    context.output.document(found)
    concerns = found["concerns"]
    context.output.line(
        f"notice {found['notice']} about {concerns['kind']} {concerns['id']}, by {found['due'][:10]}: its signature holds"
    )
    for drop in found["drops"]:
        context.output.line(f"{drop['pseudonym'] or 'everything that was received'}: {drop['words']}")
    for pseudonym in found["called_off"]:
        context.output.line(f"{pseudonym}: called off")


CHECK = "they check it with: genovault release check-notice {} --key KEYS"


def described(notice: Notice, now: datetime) -> dict[str, object]:
    """A notice as JSON documents show it."""
    content = notice.content
    return {
        "notice": notice.notice_id,
        "project": notice.project,
        "concerns": {"kind": content.kind, "id": notice.ref, "about": content.about},
        "state": notice.state,
        "late": notice.overdue(now),
        "to": list(content.recipients),
        "drops": [{"pseudonym": drop.pseudonym or None, "do": drop.todo, "why": drop.why} for drop in notice.in_force],
        "called_off": [drop.pseudonym for drop in content.drops if drop.off and drop.pseudonym],
        "created": _time(notice.created),
        "due": _time(notice.due),
        "issued": None if notice.issued is None else _time(notice.issued),
        "said": content.said or None,
    }


def _held(one: HeldByWhom) -> dict[str, object]:
    return {
        "kind": one.kind,
        "id": one.ref,
        "project": one.project,
        "about": one.about,
        "recipients": list(one.recipients),
        "people": one.people,
        "to_drop": one.to_drop,
    }


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
