"""``genovault upgrade``: a vault that an earlier version made."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.context import context_of
from cli.lazy import group

app = group("Bring a vault of an earlier version to this one.")


@app.command()
def upgrade(
    ctx: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Look the vault over and say what would be done; change nothing.")
    ] = False,
    time_zone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Also set whose days typed dates are from now on (init --time-zone); UTC before."),
    ] = None,
) -> None:
    """Sign the books of a vault that an earlier version made; before it, that vault shows views and takes withdrawals only.

    Doctor and the log's verification come first, and an error of theirs stops it. Make a backup before. Other principals need a new
    slot afterwards (key add-slot). --time-zone also mends the zone of a vault that needs nothing else.

    JSON: {"needed": bool, "slots": [principals that need a new slot], "keys": n, "time_zone": name or null}.
    """
    context = context_of(ctx)
    from vault.operations import upgrade as upgrades

    with context.open() as vault:
        found = upgrades.check(vault) if check else upgrades.upgrade(vault, {vault.unlocked.slot.slot_id: context.factor()})
    zone = None
    if time_zone is not None and not check:
        with context.open() as vault:  # anew: its books are signed now
            zone = upgrades.set_time_zone(vault, time_zone)
    context.output.document({"needed": found.needed, "slots": list(found.slots), "keys": found.keys, "time_zone": zone})
    if not found.needed:
        context.output.line("nothing to do: what decides in this vault is signed")
    elif check:
        context.output.line("the vault is whole; genovault upgrade signs what decides in it")
    else:
        context.output.line(f"what decides is signed; {found.keys} keys were wrapped anew")
    if zone is not None:
        context.output.line(f"typed dates are days of {zone} from now on")
    for name in found.slots:
        context.output.line(f"{name} needs a new slot: genovault key add-slot {name}")
