"""Answers to requests for counts, presence and frequencies, and what a question costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import tables
from cli.context import Context, context_of
from cli.output import counted
from policies.disclosure.nats import number
from policies.purposes import RequestKind

if TYPE_CHECKING:
    from policies.disclosure.noise import Price
    from vault.access.request_records import Request


def result(
    ctx: typer.Context,
    request_id: Annotated[str, typer.Argument(metavar="ID", help="The request's id.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Write the JSON to a file that does not exist yet; of frequencies, a signed folder."),
    ] = None,
    reasons: Annotated[
        bool, typer.Option("--reasons", help="Say why an allele is not told, for stewards: not to be handed on.")
    ] = False,
) -> None:
    """Answer a request for counts, presence or frequencies, and charge what was not answered before.

    Counts and presence are noisy numbers. An allele exists where the noisy number of its carriers is 21 or more; carriers is null for fewer, masked
    or absent alike. Frequencies are exact: af.tsv, with a manifest that is signed (table verify). The same question gets the same answer, and costs
    nothing again, while the same people take part.

    JSON: {"request", "kind", "cohort": {"digest", "n_band"}, "epsilon", "accuracy95", "false_exists", "answers": [{"allele", "exists": bool,
    "carriers": number or null, "epsilon"}], "charged", "spent": {"project": {"nats", "factor", "left"}, "organisation": {…}}, "receipt"}. Of
    frequencies: {"request", "kind", "project", "dataset", "assembly", "panel": {"name", "version": n, "sha256"}, "cohort": {"n_band"}, "step",
    "asked": n, "frequencies": [{"allele", "frequency"}], "made", "charged", "spent", "receipt"}.
    """
    context = context_of(ctx)
    from vault import gate
    from vault.access import request_records

    with context.open() as vault:
        if request_records.kind_of(vault, request_id) is RequestKind.FREQUENCIES:
            tables.tell_table(context, gate.deliver_table(vault, request_id, output), output)
            return
        with context.output.reserving(output) as write:
            found = gate.result(vault, request_id)
            write(f"{json.dumps(found.as_dict(), indent=1)}\n")
    context.output.document(found.as_dict())
    shown = [
        (one.allele, "yes" if one.exists else "no", "-" if one.carriers is None else str(one.carriers)) for one in found.answers
    ]
    if reasons:
        context.output.table(
            ("allele", "exists", "carriers", "why not told"), [(*row, found.reasons.get(row[0], "")) for row in shown]
        )
    else:
        context.output.table(("allele", "exists", "carriers"), shown)
    context.output.line(
        f"each within ±{found.accuracy95} in 95 of 100 cases; an absent allele reads as existing in {found.false_exists:.1%}"
    )
    context.output.line(f"paid for this answer: {found.charged:g} nats")
    for scope, spent in found.spent.items():
        context.output.line(f"{scope}: {spent.nats:g} nats spent (factor {spent.factor:g}), {spent.left:g} left")


def tell_price(context: Context, request: Request) -> None:
    """Say what a request for counts, presence or frequencies will cost, before it is answered."""
    if request.spec.nats:
        context.output.line(
            f"an exact table, for {number(request.spec.nats):g} nats: genovault request result {request.request_id}"
        )
    if request.spec.price is None:
        return
    context.output.line(price_words(request.spec.price))
    context.output.line(f"nothing is paid before it is answered: genovault request result {request.request_id}")


def price_words(price: Price) -> str:
    """What a question for counts or presence costs at most, as it is shown."""
    said = price.as_dict()
    return (
        f"at most {said['nats']:g} nats: {counted(price.alleles, 'allele')} at {said['epsilon']:g}, each within ±{said['accuracy95']} in 95 of 100"
        f" cases; odds change by a factor of {said['factor']:g} at most"
    )
