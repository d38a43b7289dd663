"""Commands about the log of every access."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import audit_approvals, audit_export, audit_page, audit_proofs, audit_reading
from cli.context import context_of
from cli.lazy import group
from vault.audit.actions import Action, Outcome

app = group("The log of every access.")
app.command("log")(audit_reading.log_)
for command in (
    audit_reading.show,
    audit_reading.disclosures,
    audit_approvals.approvals,
    audit_proofs.verify,
    audit_proofs.prove,
    audit_proofs.check,
    audit_page.page,
    audit_export.export,
    audit_proofs.report,
):
    app.command()(command)


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
    from vault.operations import log_anchors

    with context.open(guarded=not remove) as vault:
        if folder is None:
            vault.trail.record(Action.AUDIT_READ, Outcome.DONE)
        elif remove:
            log_anchors.remove(vault, folder)
            log_anchors.guard(vault)
        else:
            log_anchors.add(vault, folder)
        places = [str(kept.folder) for kept in vault.trail.anchors]
    context.output.document({"anchors": places})
    for place in places or ["no anchors"]:
        context.output.line(place)


@app.command("continue")
def continue_(ctx: typer.Context) -> None:
    """Go on under a new log after the vault was put back to an older state. Its first entry names the last known head of the old log.

    Refused where there are anchors and all of them agree with the log: it then goes on as it is.

    JSON: {"origin", "entry": n, "key"}.
    """
    context = context_of(ctx)
    from vault.operations import log_anchors

    with context.open(guarded=False) as vault:
        log_anchors.require_cause(vault)
        begun = log_anchors.continue_log(vault)
        origin, own = vault.trail.origin, vault.trail.log_keys()[0].to_text()
    context.output.document({"origin": origin, "entry": begun.index, "key": own})
    context.output.line(f"the log goes on as {origin} from entry {begun.index}")
    context.output.line(f"its public key: {own}")


@app.command()
def key(ctx: typer.Context) -> None:
    """Print the log's public key. Keep it somewhere else: with it the log proves itself.

    After a rotation the keys of before follow, each with the last size that it may sign: "audit verify --key FILE" takes the lines as
    they are.

    JSON: {"key", "earlier": [...], "until": {an earlier key: the last size that it may sign}}.
    """
    context = context_of(ctx)
    from vault.audit.signer_ranges import ends

    with context.reading(Action.AUDIT_READ) as vault:
        keys = vault.trail.log_keys()
        until = {key.to_text(): size for key, size in ends(vault.trail.log.checkpoints(), keys).items()}
    newest, *earlier = (key.to_text() for key in keys)
    context.output.document({"key": newest, "earlier": earlier, "until": until})
    context.output.line(newest)
    for key_ in earlier:
        context.output.line(f"{key_} until {until[key_]}" if key_ in until else key_)
