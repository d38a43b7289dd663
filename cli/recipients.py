"""Commands about recipients: to whom extracts are sealed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import Context, context_of
from cli.inputs import read_file
from cli.lazy import group
from vault.audit.actions import Action

if TYPE_CHECKING:
    from vault.access.recipients import RecipientKey

app = group("Whom extracts are sealed for.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The recipient's name, as projects declare it.", show_default=False)]


@app.command()
def add(
    ctx: typer.Context,
    name: Name,
    key: Annotated[Path, typer.Option(metavar="FILE", help="The recipient's public Crypt4GH key (.pub).", show_default=False)],
) -> None:
    """Add a recipient's public key; another steward confirms it.

    Ask the recipient to tell the fingerprint by another way than the key came, such as the telephone: it is what is confirmed.

    JSON: {"name", "state": "added" | "confirmed" | "retired", "fingerprint", "added_by", "added", "confirmed_by", "self_confirmed": bool,
    "retired": time or null}.
    """
    context = context_of(ctx)
    from vault.access import recipients

    data = read_file(key, limit=recipients.MAX_KEY_FILE_BYTES)
    with context.open() as vault:
        found = recipients.add(vault, name, data)
    _show(context, found)
    context.output.line("nothing is sealed to it before it is confirmed: genovault recipient confirm")


@app.command()
def confirm(
    ctx: typer.Context,
    name: Name,
    fingerprint: Annotated[
        str, typer.Option(metavar="F", help="SHA-256 of the key in hex, as the recipient told it.", show_default=False)
    ],
) -> None:
    """Confirm a recipient's key by the fingerprint that the recipient told. One's own only while there is one steward.

    A recipient finds the fingerprint with: grep -v KEY lab.pub | base64 -d | sha256sum

    JSON: as of add.
    """
    context = context_of(ctx)
    from vault.access import recipients

    with context.open() as vault:
        found = recipients.confirm(vault, name, fingerprint)
    _show(context, found)
    if found.self_confirmed:
        context.output.line(f"confirmed by {found.confirmed_by}, who also added it: the log says so")


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """All recipients' keys, retired ones too.

    JSON: {"recipients": [as of add]}.
    """
    context = context_of(ctx)
    from vault.access import recipients

    with context.reading(Action.RECIPIENT_LIST) as vault:
        found = recipients.list_all(vault)
    context.output.document({"recipients": [_described(one) for one in found]})
    rows = [(one.name, one.state, one.fingerprint, one.added_by, one.confirmed_by) for one in found]
    context.output.table(("recipient", "state", "fingerprint", "added by", "confirmed by"), rows)


@app.command()
def retire(
    ctx: typer.Context,
    name: Name,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; only auditors read it.", show_default=False)],
) -> None:
    """Seal nothing to a recipient's key any more, an extract in progress included. The name may get another key.

    What was released before stays readable with the key.

    JSON: as of add.
    """
    context = context_of(ctx)
    from vault.access import recipients

    with context.open() as vault:
        found = recipients.retire(vault, name, reason=reason)
    _show(context, found)


def _show(context: Context, found: RecipientKey) -> None:
    context.output.document(_described(found))
    context.output.line(f"the key of {found.name} is {found.state}; its fingerprint is")
    context.output.line(found.fingerprint)


def _described(found: RecipientKey) -> dict[str, object]:
    return {
        "name": found.name,
        "state": found.state,
        "fingerprint": found.fingerprint,
        "added_by": found.added_by,
        "added": found.added,
        "confirmed_by": found.confirmed_by,
        "self_confirmed": found.self_confirmed,
        "retired": found.retired,
    }
