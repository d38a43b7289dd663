"""Commands about the versions of a project's declaration."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import Context, context_of
from policies import purposes
from policies.declaration_changes import changes
from vault.audit.actions import Action

if TYPE_CHECKING:
    from policies.declaration_changes import Change
    from vault.access.project_versions import ListedVersion
    from vault.access.projects import Project

Code = Annotated[str, typer.Argument(metavar="P", help="The project's code.", show_default=False)]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; only auditors read it.", show_default=False)]
File = Annotated[Path, typer.Argument(metavar="PROJECT.yaml", help="The declaration.", show_default=False)]


def edit(ctx: typer.Context, file: File, reason: Reason) -> None:
    """Put another declaration in the place of a draft's; its code, and so its pseudonyms, stay.

    It is the project's next version; what was declared before stays in the log. Rulings on another purpose are out of force. Whoever edits is
    who declares it: another approves.

    JSON: as of show, and "changed": [{"field", "old", "new"}].
    """
    context = context_of(ctx)
    from vault.access import project_versions
    from vault.files.yaml_documents import read_yaml

    document = read_yaml(file)
    with context.open() as vault:
        before, project = project_versions.edit(vault, document, reason=reason)
    changed = changes(before.declaration_text, project.declaration_text)
    context.output.document({**described(project), "changed": _fields(changed)})
    context.output.line(f"project {project.code} is {project.state} (version {project.version})")
    _tell(context, changed)
    if not changed:
        context.output.line("nothing is changed: it says the same")


def amend(ctx: typer.Context, file: File, reason: Reason) -> None:
    """Propose the next version of an approved project. What was approved stays in force until the new version is approved.

    Code and scope of pseudonyms stay. An amendment that waits is replaced. Rulings stay in force if the purpose is the same.

    JSON: {"project", "version": n, "in_force": n, "sha256", "changed": [{"field", "old", "new"}]}.
    """
    context = context_of(ctx)
    from vault.access import project_versions
    from vault.files.yaml_documents import read_yaml

    document = read_yaml(file)
    with context.open() as vault:
        project, made = project_versions.amend(vault, document, reason=reason)
    changed = changes(project.declaration_text, made.declaration_text)
    context.output.document(
        {
            "project": project.code,
            "version": made.version,
            "in_force": project.version,
            "sha256": made.declaration_sha256.hex(),
            "changed": _fields(changed),
        }
    )
    context.output.line(
        f"version {made.version} of project {project.code} is proposed; version {project.version} is {project.state}"
    )
    _tell(context, changed)
    context.output.line(f"what it would release: genovault project check {project.code} --version {made.version}")
    context.output.line(f"to put it in force: genovault project approve {project.code} --version {made.version}")


def versions(ctx: typer.Context, code: Code) -> None:
    """All versions of a project's declaration: state, who declared and approved them, and what each changes.

    States: draft, proposed, in_force, suspended, closed; replaced by another draft or amendment, taken_back, superseded.

    JSON: {"project", "versions": [{"version": n, "state", "declared_by", "declared", "approved_by", "approved", "reason", "sha256",
    "changed": [{"field", "old", "new"}]}]}.
    """
    context = context_of(ctx)
    from vault.access import project_versions

    with context.reading(Action.PROJECT_SHOW) as vault:
        found = project_versions.list_all(vault, code)
    context.output.document({"project": code, "versions": [_document(one) for one in found]})
    for one in found:
        version = one.version
        line = f"version {version.version}: {version.state.replace('_', ' ')}; declared by {version.created_by}, {_time(version.created)}"
        if version.approved_by is not None:
            line += f"; approved by {version.approved_by}, {_time(version.approved)}"
        context.output.line(line)
        if version.reason:
            context.output.line(f"  because: {version.reason}")
        _tell(context, one.changes)


def take_back(ctx: typer.Context, code: Code, reason: Reason) -> None:
    """Take back the version of a project that is proposed: nobody can approve it any more. What is in force stays so.

    JSON: {"project", "version": n, "state"}.
    """
    context = context_of(ctx)
    from vault.access import project_versions

    with context.open() as vault:
        version = project_versions.take_back(vault, code, reason=reason)
    context.output.document({"project": code, "version": version.version, "state": version.state})
    context.output.line(f"version {version.version} of project {code} is taken back")


def show_state(context: Context, project: Project) -> None:
    """Say what became of a project, as its own document or line."""
    context.output.document(described(project))
    context.output.line(f"project {project.code} is {project.state} (version {project.version})")
    if project.self_approved:
        context.output.line(f"approved by {project.approved_by}, who also declared it: the log says so")


def described(project: Project) -> dict[str, object]:
    """A project for programs."""
    return {
        "code": project.code,
        "state": project.state,
        "version": project.version,
        "created_by": project.created_by,
        "approved_by": project.approved_by,
        "self_approved": project.self_approved,
        "sha256": project.declaration_sha256.hex(),
        "declaration": purposes.as_dict(project.declaration),
    }


def _document(listed: ListedVersion) -> dict[str, object]:
    version = listed.version
    return {
        "version": version.version,
        "state": version.state,
        "declared_by": version.created_by,
        "declared": _time(version.created),
        "approved_by": version.approved_by,
        "approved": _time(version.approved),
        "reason": version.reason,
        "sha256": version.declaration_sha256.hex(),
        "changed": _fields(listed.changes),
    }


def _fields(changed: Sequence[Change]) -> list[dict[str, object]]:
    return [{"field": one.field, "old": one.old, "new": one.new} for one in changed]


def _tell(context: Context, changed: Sequence[Change]) -> None:
    for one in changed:
        context.output.line(f"  {one.words()}")


def _time(micros: int | None) -> str | None:
    return None if micros is None else f"{datetime.fromtimestamp(micros / 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
