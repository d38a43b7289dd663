"""Commands about budgets: how much evidence counts and presence may let out."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.context import context_of
from cli.lazy import group
from policies.disclosure.budgets import BudgetScope

app = group("How much evidence counts may let out.")

Project = Annotated[str, typer.Argument(metavar="P", help="The project's code.", show_default=False)]


@app.command()
def show(ctx: typer.Context, project: Project) -> None:
    """What the answers of a project, of its organisation and of all have cost, and what is left.

    Budgets are of a family: the datasets that share any person. They never reset. A factor is the most by which all answers together
    multiply the odds of anybody's taking part.

    JSON: {"project", "budgets": [{"dataset", "scope": "project" | "organisation" | "world", "owner", "cap", "spent", "left": nats, "factor"}]}.
    """
    context = context_of(ctx)
    from policies.disclosure import nats
    from vault.access.disclosure import budget_book

    with context.open() as vault:
        found = budget_book.show(vault, project)
    rows = [
        {
            "dataset": one.dataset,
            "scope": budget.scope.value,
            "owner": budget.owner,
            "cap": nats.number(budget.cap),
            "spent": nats.number(budget.spent),
            "left": nats.number(budget.left),
            "factor": nats.factor(budget.spent),
        }
        for one in found
        for budget in one.budgets
    ]
    context.output.document({"project": project, "budgets": rows})
    names = ("dataset", "scope", "owner", "cap", "spent", "left", "factor")
    context.output.table(
        names, [tuple(f"{row[name]:g}" if i > 2 else str(row[name]) for i, name in enumerate(names)) for row in rows]
    )


@app.command("raise")
def raise_(
    ctx: typer.Context,
    project: Project,
    nats: Annotated[str, typer.Option(metavar="X", help="Nats to add, such as 0.5.", show_default=False)],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; only auditors read it.", show_default=False)],
    scope: Annotated[BudgetScope, typer.Option(help="Whose budget.")] = BudgetScope.PROJECT,
    dataset: Annotated[
        str | None, typer.Option(metavar="N", help="A dataset of the family, where the project has several.")
    ] = None,
) -> None:
    """Raise a budget. With several stewards the first proposes, and another gives the same command within 30 days.

    JSON: {"project", "scope", "nats", "settled": bool, "proposed_by": steward or null}.
    """
    context = context_of(ctx)
    from policies.disclosure.nats import number
    from vault.access.disclosure import raises

    with context.open() as vault:
        found = raises.raise_budget(vault, project, nats, reason=reason, scope=scope, dataset=dataset)
    amount = number(found.nats)
    document = {"project": project, "scope": found.scope.value, "nats": amount, "settled": found.settled}
    context.output.document({**document, "proposed_by": found.proposed_by})
    said = "raised" if found.settled else "proposed: another steward gives the same command"
    context.output.line(f"budget of the {found.scope.value}: {amount:g} nats more, {said}")
