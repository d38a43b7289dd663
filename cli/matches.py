"""Commands about matching in place."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import prompts
from cli.context import Context, context_of
from cli.lazy import group
from vault.errors import UsageError

app = group("Ask an approved criteria pack in place.")


@app.command()
def run(
    ctx: typer.Context,
    project: Annotated[str, typer.Option(metavar="P", help="The project's code.", show_default=False)],
    dataset: Annotated[str, typer.Option(metavar="N", help="A dataset of the project.", show_default=False)],
    panel: Annotated[str, typer.Option(metavar="NAME", help="The panel that the pack is approved for.", show_default=False)],
    criteria: Annotated[str, typer.Option(metavar="PACK@V", help="The pack and its version.", show_default=False)],
    count: Annotated[bool, typer.Option("--count", help="Tell noisy numbers of people instead, charged to budgets.")] = False,
    accuracy: Annotated[
        int | None, typer.Option(metavar="N", help="With --count: people that a number may be off in 95 of 100 cases.")
    ] = None,
    epsilon: Annotated[str | None, typer.Option(metavar="E", help="With --count: nats for each criterion.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --count: pay without being asked.")] = False,
) -> None:
    """Tell for whom each criterion of an approved pack holds, by the project's pseudonyms; no genotype leaves.

    Who takes part, what is masked and whether phase is known are as in a view of the panel. Somebody whose calls leave it open is not
    listed: unknown_band says of how many people it is unknown. bits: how much the answer tells of the person of whom it tells most, and
    all that left to the organisation.

    With --count the project declares counts too, a hundred people or more take part, and each criterion that was not answered before costs its
    epsilon; the price is shown first. people is null for fewer than 21.

    JSON: {"criteria": [{"id", "matched": [pseudonym], "unknown_band"}], "bits": {"view", "cumulative"}, "receipt"}; with --count {"criteria": [{"id",
    "people": number or null, "epsilon"}], "cohort": {"digest", "n_band"}, "epsilon", "accuracy95", "charged", "spent": as of request result,
    "receipt"}.
    """
    context = context_of(ctx)
    if not count and (accuracy is not None or epsilon is not None or yes):
        raise UsageError("count_missing", "--accuracy, --epsilon and --yes belong to --count")
    from vault import gate

    if count:
        asked = {"project": project, "dataset": dataset, "panel": panel, "criteria": criteria}
        _count(context, asked, epsilon=epsilon, accuracy=accuracy, yes=yes)
        return
    with context.open() as vault:
        found = gate.match(vault, project=project, dataset=dataset, panel=panel, criteria=criteria)
    context.output.document(found.as_dict())
    for one in found.criteria:
        context.output.line(f"{one.id}: {len(one.matched):,} match, unknown of {one.unknown_band}")
        for name in one.matched:
            context.output.line(f"  {name}")
    context.output.line(
        f"{found.bits['view']:.1f} bits at most of anybody, {found.bits['cumulative']:.1f} in all to this organisation"
    )


def _count(context: Context, asked: dict[str, str], *, epsilon: str | None, accuracy: int | None, yes: bool) -> None:
    from vault import gate

    with context.open() as vault:
        price = gate.match_price(vault, **asked, epsilon=epsilon, accuracy=accuracy).as_dict()
        told = f"at most {price['nats']:g} nats: {price['alleles']} criteria at {price['epsilon']:g}, each within ±{price['accuracy95']} in 95 of 100 cases"
        context.output.line(told)
        if not prompts.confirm("Pay for it?", yes=yes):
            return
        found = gate.match_counts(vault, **asked, epsilon=epsilon, accuracy=accuracy)
    context.output.document(found.as_dict())
    context.output.table(
        ("criterion", "people"), [(one.id, "-" if one.people is None else str(one.people)) for one in found.criteria]
    )
    context.output.line(f"paid for this answer: {found.charged:g} nats")
    for scope, spent in found.spent.items():
        context.output.line(f"{scope}: {spent.nats:g} nats spent (factor {spent.factor:g}), {spent.left:g} left")
