"""Commands about projects: purposes that people's data may be used for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli import project_versions
from cli.context import Context, context_of
from cli.inputs import report_text
from cli.lazy import group
from cli.project_versions import Code, File, Reason, described, show_state
from policies import declarations, purposes
from policies.errors import PolicyInputError
from vault.audit.actions import Action

app = group("Purposes that people's data may be used for.")


@app.command()
def template(
    ctx: typer.Context,
    code: Annotated[str, typer.Option(metavar="C", help="The project's code.")] = "demo",
    dataset: Annotated[str, typer.Option(metavar="N", help="The dataset it uses.")] = "cohort",
) -> None:
    """Print a commented PROJECT.yaml that lints. Needs no vault.

    JSON: {"template": text}.
    """
    context = context_of(ctx)
    text = declarations.project_template(code, dataset)
    context.output.document({"template": text})
    context.output.data(text)


@app.command()
def lint(ctx: typer.Context, file: File) -> None:
    """Check a declaration and name everything that is wrong with it. Needs no vault.

    JSON: {"code", "sha256"}.
    """
    context = context_of(ctx)
    from vault.access import shipped_profiles
    from vault.files.yaml_documents import read_yaml

    document = read_yaml(file)
    problems = declarations.lint(document)
    if problems:
        raise PolicyInputError.from_problems(list(problems))
    declared = declarations.parse_project(document)
    shipped_profiles.require_shipped(declared.disclosure.reference)
    context.output.document({"code": declared.code, "sha256": declared.digest()})
    context.output.line(f"{file.name}: nothing is wrong with it")


@app.command()
def create(ctx: typer.Context, file: File) -> None:
    """Record a declaration as a draft.

    JSON: as of show.
    """
    context = context_of(ctx)
    from vault.access import declared_datasets, delivery, projects
    from vault.files.yaml_documents import read_yaml

    document = read_yaml(file)
    with context.open() as vault:
        project = projects.create(vault, document)
        with vault.books.read() as tx:
            missing = declared_datasets.missing(tx, project.declaration)
            keyless = delivery.missing(tx, project.declaration)
    for name in missing:
        context.output.warn(f"there is no dataset {name} yet: the project cannot be approved before it is imported")
    _warn_of(context, keyless)
    show_state(context, project)


app.command()(project_versions.edit)
app.command()(project_versions.amend)
app.command()(project_versions.versions)
app.command("take-back")(project_versions.take_back)


@app.command()
def approve(
    ctx: typer.Context,
    code: Code,
    version: Annotated[int | None, typer.Option(metavar="N", help="The version that you were shown.", show_default=False)] = None,
) -> None:
    """Allow a project's requests, under the declaration that it has or under a version that was proposed.

    A declaration that took the place of another is approved by its number, so that nobody approves what was not shown. One's own only while
    there is one steward, and then the log says so.

    JSON: as of show.
    """
    _change(context_of(ctx), code, "approve", version=version)


@app.command()
def suspend(ctx: typer.Context, code: Code) -> None:
    """Stop a project until it is approved again.

    JSON: as of show.
    """
    _change(context_of(ctx), code, "suspend")


@app.command()
def close(ctx: typer.Context, code: Code) -> None:
    """End a project; nothing is released to it any more.

    JSON: as of show.
    """
    _change(context_of(ctx), code, "close")


@app.command()
def reopen(ctx: typer.Context, code: Code, reason: Reason) -> None:
    """Take the end of a project back, where it was a mistake. It releases nothing until it is approved again.

    JSON: as of show.
    """
    _change(context_of(ctx), code, "reopen", reason=reason)


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """All projects; for engines and researchers those that are approved and name them.

    JSON: {"projects": [as of show]}.
    """
    context = context_of(ctx)
    from vault.access import askable

    with context.reading(Action.PROJECT_SHOW) as vault:
        found = askable.visible_projects(vault)
    context.output.document({"projects": [described(project) for project in found]})
    rows = [(p.code, p.state, p.declaration.title, ", ".join(p.declaration.datasets)) for p in found]
    context.output.table(("project", "state", "title", "datasets"), rows)


@app.command()
def show(ctx: typer.Context, code: Code) -> None:
    """One project: its state, and what it declares.

    JSON: {"code", "state", "version": n, "created_by", "approved_by", "self_approved": bool, "sha256", "declaration": {…}}.
    """
    context = context_of(ctx)
    from vault.access import askable

    with context.reading(Action.PROJECT_SHOW) as vault:
        project = askable.visible_project(vault, code)
    show_state(context, project)
    if not context.output.json:
        import yaml

        text = yaml.safe_dump(purposes.as_dict(project.declaration), sort_keys=False, allow_unicode=True)
        for line in text.splitlines():
            context.output.line(line)


@app.command()
def check(
    ctx: typer.Context,
    code: Code,
    dataset: Annotated[str | None, typer.Option(metavar="N", help="Of this dataset alone.")] = None,
    region: Annotated[list[str] | None, typer.Option(metavar="R", help="For this region; may be given again.")] = None,
    panel: Annotated[str | None, typer.Option(metavar="NAME", help="For a panel's loci.")] = None,
    version: Annotated[int | None, typer.Option(metavar="N", help="As if this proposed version were approved.")] = None,
    list_: Annotated[
        Path | None,
        typer.Option(
            "--list", metavar="FILE.csv", help="Write a row for each person: MRN, samples, verdict, all reasons in words."
        ),
    ] = None,
) -> None:
    """Who would be released now, and for the rest why not. For stewards.

    The tests are those of an extract. Counts each person once, under the first reason. "review": a steward must rule; until then it
    is a no. "refused": datasets of which nothing can be released, whoever permits it. No genotype is read: that nobody carries
    anything of what is asked for shows at the extract alone. With --list the log names everybody who is in it.

    JSON: {"subjects": n, "permit": n, "deny": {reason: n}, "review": {reason: n}, "state", "refused": [{"dataset", "code", "message"}],
    "reasons": [{"outcome", "reason", "about", "people": n, "words"}], "undelivered": {"code", "message"} or null}. "undelivered": why no
    extract is made whoever permits it, for want of a recipient's key; a view for a program has none.
    """
    context = context_of(ctx)
    from vault import gate
    from vault.access import project_versions, projects
    from vault.consent import people_list

    with context.output.reserving(list_) as write, context.open() as vault:
        found = gate.check(vault, code, dataset=dataset, panel=panel, regions=region or (), version=version)
        state = project_versions.as_project(vault, code, version).state
        if list_ is not None:
            write(report_text(people_list.COLUMNS, people_list.rows(vault, code, found.people)))
    refused = [asdict(item) for item in found.refused]
    first = [(str(judged.outcome), *judged.reasons[0], people) for judged, people in found.by_reason()]
    names = ("outcome", "reason", "about", "words", "people")
    reasons = [dict(zip(names, one, strict=True)) for one in first]
    lacking = None if found.undelivered is None else {"code": found.undelivered.code, "message": found.undelivered.message}
    told = {**found.as_dict(), "state": state, "refused": refused, "reasons": reasons, "undelivered": lacking}
    context.output.document(told)
    yes = f"{found.permit:,} of {found.subjects:,} people can be released"
    context.output.line(yes if state == projects.APPROVED else f"once it is approved, {yes}: the project is {state}")
    for item in found.refused:
        context.output.line(f"nothing of {item.dataset} can be released: {item.message}")
    if found.undelivered is not None:
        context.output.line(f"no extract is made: {found.undelivered.message}")
    rows = [(_NOT_YET[outcome], code, f"{people:,}", words) for outcome, code, _, words, people in first]
    if rows:
        context.output.table(("", "reason", "people", ""), rows)
    if list_ is not None:
        context.output.line(f"{list_}: {len(found.people):,} people, a row each")


_NOT_YET = {"deny": "no", "review": "review"}


def _change(context: Context, code: str, verb: str, *, reason: str = "", version: int | None = None) -> None:
    from vault.access import delivery, projects

    with context.open() as vault:
        project = projects.change(vault, code, verb, reason=reason, version=version)
        with vault.books.read() as tx:
            keyless = delivery.missing(tx, project.declaration) if verb == "approve" else []
    _warn_of(context, keyless)
    show_state(context, project)


def _warn_of(context: Context, keyless: Sequence[str]) -> None:
    for name in keyless:
        context.output.warn(f"recipient {name} has no confirmed key: no extract is made before it has (genovault recipient add)")
