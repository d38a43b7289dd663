"""Commands that keep a vault unlocked for a while, and lock it again."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from cli.context import context_of
from cli.lazy import group
from vault.errors import UsageError

app = group("Type the passphrase once.")

MOST_HOURS = 8
_UNITS = {"s": 1, "m": 60, "h": 3600}


@app.command()
def unlock(
    ctx: typer.Context,
    rest: Annotated[
        str,
        typer.Option("--for", metavar="TIME", help="How long after the last command, as 90s, 15m or 2h; 8 hours at most in all."),
    ] = "15m",
) -> None:
    """Keep a slot open for the commands that follow, in a process of your own on this machine.

    They ask no passphrase and answer in a fraction of a second. Commands that administer keys or principals, and --no-agent, take the passphrase as
    before. genovault lock ends it at once; so does the slot's removal, with the next command.

    JSON: {"unlocked": bool, "rest_seconds": int, "most_seconds": int}.
    """
    context = context_of(ctx)
    idle = _seconds(rest)
    from cli import agent, forwarding
    from vault.session.unlocked_vault import hold

    folder = context.vault_folder()
    place = forwarding.place_of(str(folder), context.principal)
    held = hold(folder, factor=context.factor(), principal=context.principal)
    if place is not None:
        agent.begin(held, place, idle=idle, most=MOST_HOURS * 3600)
    context.output.document({"unlocked": True, "rest_seconds": idle, "most_seconds": MOST_HOURS * 3600})
    context.output.line(f"unlocked as {held.slot.principal}, until {rest} after the last command; genovault lock ends it")


@app.command()
def lock(ctx: typer.Context) -> None:
    """End whatever genovault unlock has left open for you on this machine, of every vault.

    Commands that are running go on to their end.

    JSON: {"locked": int}.
    """
    context = context_of(ctx)
    from cli import agent

    locked = sum(agent.end(name) for name in agent.running())
    context.output.document({"locked": locked})
    context.output.line("nothing was unlocked" if not locked else "locked")


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([1-9]\d{0,4})([smh])", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= MOST_HOURS * 3600:
        raise UsageError("duration_malformed", f"a time is a number with s, m or h, {MOST_HOURS}h at most", hint="--for 15m")
    return seconds
