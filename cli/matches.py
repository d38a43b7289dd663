"""Commands about matching in place."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.context import context_of
from cli.lazy import group

app = group("Ask an approved criteria pack in place.")


@app.command()
def run(
    ctx: typer.Context,
    project: Annotated[str, typer.Option(metavar="P", help="The project's code.", show_default=False)],
    dataset: Annotated[str, typer.Option(metavar="N", help="A dataset of the project.", show_default=False)],
    panel: Annotated[str, typer.Option(metavar="NAME", help="The panel that the pack is approved for.", show_default=False)],
    criteria: Annotated[str, typer.Option(metavar="PACK@V", help="The pack and its version.", show_default=False)],
) -> None:
    """Tell for whom each criterion of an approved pack holds, by the project's pseudonyms; no genotype leaves.

    Who takes part, what is masked and whether phase is known are as in a view of the panel. Somebody whose calls leave it open is not
    listed: unknown_band says of how many people it is unknown. bits: how much the answer tells of the person of whom it tells most, and
    all that left to the organisation.

    JSON: {"criteria": [{"id", "matched": [pseudonym], "unknown_band"}], "bits": {"view", "cumulative"}, "receipt"}.
    """
    context = context_of(ctx)
    from vault import gate

    with context.open() as vault:
        found = gate.match(vault, project=project, dataset=dataset, panel=panel, criteria=criteria)
    context.output.document(found.as_dict())
    for one in found.criteria:
        context.output.line(f"{one.id}: {len(one.matched)} match, unknown of {one.unknown_band}")
        for name in one.matched:
            context.output.line(f"  {name}")
    context.output.line(
        f"{found.bits['view']:.1f} bits at most of anybody, {found.bits['cumulative']:.1f} in all to this organisation"
    )
