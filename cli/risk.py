"""The command that tells a steward what a request would tell of its people, before it is approved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.context import context_of
from cli.output import counted
from cli.request_files import Id


def risk(
    ctx: typer.Context,
    request_id: Id,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with plots to a file that does not exist yet.")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Show the last report as it was stored; opens nothing.")] = False,
) -> None:
    """What a request would tell of its people if it were served now, for the stewards who decide on it.

    Genotypes are opened inside, for people whom the log names, and none leaves. The report tells of places and people that the release leaves
    out: it is not to be handed on. The last report of each request is kept, sealed; it is stale once people, calls, rules or what left before are others.

    JSON: {"request", "project", "dataset", "kind", "made", "n", "sites", "bits": {"mean", "max_person", "cumulative", "max_bits"},
    "unique_at": {"5", "10", "20"}, "unique_curve": [[sites, share]], "unique_by_all", "kin": {"why_not", "sites", "chromosomes", "pairs": {"same",
    "first", "second", "third"}, "people"}, "spectrum": {"asked": {copies: alleles}, "released": {…}}, "masked_share": {contig: {"asked", "masked",
    "share"}}, "missing": {"patterns", "largest", "alone"}, "frequencies": {"m", "mu",
    "power", "lambda_max", "lambda_p95"}, "price": {…} of counts and presence, "profile": {…}, "not_protected": [...],
    "stale": bool}. What does
    not apply to the kind of request is null.
    """
    context = context_of(ctx)
    from vault import gate
    from vault.risk.risk_page import page

    with context.output.reserving(html) as write, context.open() as vault:
        found = gate.last_risk(vault, request_id) if last else gate.risk(vault, request_id)
        write(page(found))
    context.output.document(found)
    if found["stale"]:
        context.output.warn(f"the report of {found['made'][:10]} is stale: genovault request risk {request_id}")
    for line in _lines(found):
        context.output.line(line)
    if html is not None:
        context.output.line(f"the page is {html}")


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"request {found['request']}: {counted(found['n'], 'person', 'people')} would be in it"
    if found["price"] is not None:
        price = found["price"]
        yield f"at most {price['nats']:g} nats: odds change by a factor of {price['factor']:g} at most"
    if found["sites"] is None:
        return
    bits = found["bits"]
    allowed = "no limit is declared" if bits["max_bits"] is None else f"{bits['max_bits']:,} may"
    yield f"{counted(found['sites'], 'site')}: {bits['mean']:,.1f} bits in a typical record, {bits['max_person']:,.1f} in the rarest"
    yield f"{bits['cumulative']:,.1f} bits would then have left to the organisation; {allowed}"
    by = [f"{share:.0%} by {number}" for number, share in found["unique_at"].items() if share is not None]
    yield f"singled out by common sites: {', '.join(by) or 'there are too few'}; by everything shown: {found['unique_by_all']:.0%}"
    kin = found["kin"]
    yield (
        f"relatives: {kin['why_not']}"
        if kin["why_not"]
        else f"relatives: {', '.join(f'{n:,} {name}' for name, n in kin['pairs'].items())}"
    )
    if found["frequencies"]["m"]:
        told = found["frequencies"]
        yield f"frequencies of {told['m']:,} common sites, if published: {told['power']:.0%} of the people found, where 5% of others are"
    masked, asked = (sum(one[name] for one in found["masked_share"].values()) for name in ("masked", "asked"))
    bare = max(0, asked - masked - found["sites"])
    rest = f"; {bare:,} more are left out, for alleles that too few people carry" if bare else ""
    yield f"masked: {counted(masked, 'site')} of {asked:,} asked for{rest}"
