"""Commands about criteria packs: questions about genotypes that stewards approved to be asked in place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import context_of
from cli.lazy import group
from policies.errors import PolicyInputError

if TYPE_CHECKING:
    from vault.access.criteria_packs import KeptPack

app = group("Questions about genotypes that may be asked in place.")

File = Annotated[Path, typer.Argument(metavar="PACK.yaml", help="The pack.", show_default=False)]
Label = Annotated[
    str, typer.Argument(metavar="NAME[@V]", help="The pack; its newest version unless one is named.", show_default=False)
]


@app.command()
def lint(ctx: typer.Context, file: File) -> None:
    """Check a criteria pack and name everything that is wrong with it. Needs no vault.

    JSON: {"name", "version", "criteria": n}.
    """
    context = context_of(ctx)
    from policies.criteria import packs
    from vault.files.yaml_documents import read_yaml

    document = read_yaml(file)
    problems = packs.lint(document)
    if problems:
        raise PolicyInputError.from_problems(list(problems))
    pack = packs.parse_pack(document)
    context.output.document({"name": pack.name, "version": pack.version, "criteria": len(pack.criteria)})
    context.output.line(f"{file.name}: nothing is wrong with it")


@app.command()
def add(ctx: typer.Context, file: File) -> None:
    """Record a criteria pack, to be approved. A change is another version.

    JSON: as of show.
    """
    context = context_of(ctx)
    from vault.access import criteria_packs
    from vault.files.yaml_documents import read_yaml

    document = read_yaml(file)
    with context.open() as vault:
        found = criteria_packs.add(vault, document)
    context.output.document(_document(found))
    context.output.line(f"{found.pack.label}: {len(found.pack.criteria)} criteria")
    if found.state == criteria_packs.ADDED:
        context.output.line(f"nobody is asked before it is approved: genovault criteria approve {found.pack.label}")


@app.command()
def approve(ctx: typer.Context, label: Label) -> None:
    """Approve a pack for its panel as it is now. With several stewards the first proposes, and another gives the same command within 30 days.

    JSON: {"pack": as of show, "settled": bool, "proposed_by": steward or null}.
    """
    context = context_of(ctx)
    from vault.access import criteria_packs

    with context.open() as vault:
        found = criteria_packs.approve(vault, label)
    context.output.document({"pack": _document(found.kept), "settled": found.settled, "proposed_by": found.proposed_by})
    said = "approved" if found.settled else "proposed: another steward gives the same command"
    context.output.line(f"{found.kept.pack.label} for panel {found.kept.pack.panel}: {said}")


@app.command()
def retire(
    ctx: typer.Context,
    label: Label,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; only auditors read it.", show_default=False)],
) -> None:
    """Ask a version of a pack of nobody any more, for good.

    JSON: as of show.
    """
    context = context_of(ctx)
    from vault.access import criteria_packs

    with context.open() as vault:
        found = criteria_packs.retire(vault, label, reason=reason)
    context.output.document(_document(found))
    context.output.line(f"{found.pack.label} is retired")


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """List packs and their versions; to engines and researchers those that are approved for panels they may ask of.

    JSON: {"packs": [as of show, with the number of criteria in their place]}.
    """
    context = context_of(ctx)
    from vault.access import criteria_packs

    with context.open() as vault:
        found = criteria_packs.list_all(vault)
    context.output.document({"packs": [{**_document(one), "criteria": len(one.pack.criteria)} for one in found]})
    rows = [(one.pack.label, one.state, one.pack.panel, str(len(one.pack.criteria)), one.pack.source) for one in found]
    context.output.table(("pack", "state", "panel", "criteria", "source"), rows)


@app.command()
def show(ctx: typer.Context, label: Label) -> None:
    """Show one pack with its criteria.

    JSON: {"name", "version", "title", "source", "panel", "assembly", "state": "added" | "approved" | "retired", "sha256", "added_by", "added",
    "proposed_by", "approved_by": steward or null, "approved": time or null, "criteria": [{"id", "title", "expression"}]}.
    """
    context = context_of(ctx)
    from vault.access import criteria_packs

    with context.open() as vault:
        found = criteria_packs.show(vault, label)
    document = _document(found)
    context.output.document(document)
    context.output.line(
        f"{found.pack.label} ({found.state}) of panel {found.pack.panel}, {found.pack.assembly}: {found.pack.source}"
    )
    context.output.table(("criterion", "asks"), [(one.id, one.title) for one in found.pack.criteria])


def _document(kept: KeptPack) -> dict[str, Any]:
    from policies.criteria import expressions

    pack = kept.pack
    return {
        "name": pack.name,
        "version": pack.version,
        "title": pack.title,
        "source": pack.source,
        "panel": pack.panel,
        "assembly": pack.assembly,
        "state": kept.state,
        "sha256": kept.sha256,
        "added_by": kept.added_by,
        "added": kept.added,
        "proposed_by": kept.proposed_by,
        "approved_by": kept.approved_by,
        "approved": kept.approved,
        "criteria": [
            {"id": one.id, "title": one.title, "expression": expressions.as_dict(one.expression)} for one in pack.criteria
        ],
    }
