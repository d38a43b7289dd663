"""Commands about pseudonyms: whose one is, which takes two people, and what a person is called in a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import context_of
from cli.lazy import group
from cli.subjects import Ref

if TYPE_CHECKING:
    from vault.access.resolutions import Resolution

app = group("Whose a pseudonym is, and what a person is called in a project.")
resolve = group("To be told whose a pseudonym is, for a reported data error: always two people.")
app.add_typer(resolve, name="resolve")

ResolutionId = Annotated[str, typer.Argument(metavar="ID", help="The request's id.", show_default=False)]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; kept sealed.", show_default=False)]
ProjectCode = Annotated[str, typer.Option(metavar="P", help="The project's code.", show_default=False)]


@resolve.command("open")
def open_(
    ctx: typer.Context,
    pseudonym: Annotated[str, typer.Argument(metavar="PSEUDONYM", help="One, as the researcher has it.", show_default=False)],
    project: ProjectCode,
    reason: Reason,
    case: Annotated[str, typer.Option(metavar="TEXT", help="The report's own reference.")] = "",
) -> None:
    """Ask whose a pseudonym is. Another person has to approve it within seven days.

    JSON: {"resolution", "project", "state", "opened_by", "approved_by": name or null, "expires"}.
    """
    context = context_of(ctx)
    from vault.access import resolutions

    with context.open() as vault:
        found = resolutions.open_request(vault, pseudonym, project=project, reason=reason, case=case)
    context.output.document(document(found))
    context.output.line(f"another person approves it until {found.expires:%Y-%m-%d %H:%M} UTC:")
    context.output.line(f"genovault pseudonym resolve approve {found.resolution_id}")


@resolve.command()
def approve(ctx: typer.Context, resolution_id: ResolutionId) -> None:
    """Agree, as the second person, that somebody may be told whose a pseudonym is.

    JSON: as of open.
    """
    context = context_of(ctx)
    from vault.access import resolutions

    with context.open() as vault:
        found = resolutions.approve(vault, resolution_id)
    context.output.document(document(found))
    context.output.line(f"approved; either of you is told, once, by: genovault pseudonym resolve execute {resolution_id}")


@resolve.command()
def execute(ctx: typer.Context, resolution_id: ResolutionId) -> None:
    """Be told, once, which person it is: the references by which they are found. It is logged before it is shown.

    JSON: {"resolution", "subject", "mrn", "samples": [...]}.
    """
    context = context_of(ctx)
    from vault.access import resolutions

    with context.open() as vault:
        found = resolutions.execute(vault, resolution_id)
    context.output.document(
        {"resolution": resolution_id, "subject": found.handle, "mrn": found.mrn, "samples": list(found.samples)}
    )
    context.output.line(f"subject  {found.handle}")
    if found.mrn:
        context.output.line(f"MRN      {found.mrn}")
    context.output.line(f"samples  {', '.join(found.samples)}")


@resolve.command()
def close(ctx: typer.Context, resolution_id: ResolutionId, reason: Reason) -> None:
    """End a request: refuse it, or take it back.

    JSON: as of open.
    """
    context = context_of(ctx)
    from vault.access import resolutions

    with context.open() as vault:
        found = resolutions.close(vault, resolution_id, reason=reason)
    context.output.document(document(found))
    context.output.line(f"closed: nobody is told by {resolution_id}")


@resolve.command("list")
def list_(ctx: typer.Context) -> None:
    """All requests, the newest first, with their reasons.

    JSON: {"resolutions": [as of open, with {"pseudonym", "reason", "case", "opened"}]}.
    """
    context = context_of(ctx)
    from vault.access import resolutions

    with context.open() as vault:
        found = resolutions.listed(vault)
    full = [
        {
            **document(one),
            "pseudonym": one.pseudonym,
            "reason": one.reason,
            "case": one.case,
            "opened": f"{one.opened:%Y-%m-%dT%H:%M:%SZ}",
        }
        for one in found
    ]
    context.output.document({"resolutions": full})
    rows = [
        (one.resolution_id, one.state, one.project, one.pseudonym, one.opened_by, one.approved_by or "", one.reason)
        for one in found
    ]
    context.output.table(("id", "state", "project", "pseudonym", "asked by", "approved by", "reason"), rows)


@app.command()
def of(ctx: typer.Context, ref: Ref, project: ProjectCode, reason: Reason) -> None:
    """What a person is called in everything of a project that left with them: to tell a researcher which record to drop.

    JSON: {"project", "names": [{"id", "pseudonym": text or null}]}.
    """
    context = context_of(ctx)
    from vault.access import named_people

    with context.open() as vault:
        found = named_people.names_of(vault, ref, project=project, reason=reason)
    context.output.document({"project": project, "names": [{"id": one.ref, "pseudonym": one.pseudonym} for one in found]})
    for one in found:
        context.output.line(f"{one.ref}  {one.pseudonym or 'nobody can tell: the key of its names was destroyed'}")


def document(found: Resolution) -> dict[str, object]:
    """A request for programs; neither pseudonym nor reason."""
    return {
        "resolution": found.resolution_id,
        "project": found.project,
        "state": found.state,
        "opened_by": found.opened_by,
        "approved_by": found.approved_by,
        "expires": f"{found.expires:%Y-%m-%dT%H:%M:%SZ}",
    }
