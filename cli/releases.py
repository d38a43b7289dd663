"""Commands about views that left the vault."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import context_of
from cli.inputs import vkey
from cli.lazy import group
from vault.audit.actions import Action
from vault.errors import InputError

if TYPE_CHECKING:
    from vault.access.releases import Release

app = group("Views that left the vault.")


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """All releases, newest first.

    JSON: {"releases": [{"release", "request", "project", "state", "subjects": n, "sites": n, "created", "output", "entry": n}]}.
    """
    context = context_of(ctx)
    from vault.access import releases

    with context.reading(Action.RELEASE_SHOW) as vault:
        found = releases.list_all(vault)
    context.output.document({"releases": [described(release) for release in found]})
    rows = [
        (r.release_id, r.request_id, r.project, r.state, f"{r.n_subjects:,}", f"{r.n_sites:,}", r.created[:19]) for r in found
    ]
    context.output.table(("release", "request", "project", "state", "people", "sites", "created"), rows)


@app.command()
def show(
    ctx: typer.Context,
    release_id: Annotated[str, typer.Argument(metavar="ID", help="The release's id.", show_default=False)],
) -> None:
    """One release: what was asked, how much left, under which duties.

    JSON: as of list, with {"asked": {…}, "obligations": {…}}.
    """
    context = context_of(ctx)
    from vault.access import releases

    with context.reading(Action.RELEASE_SHOW) as vault:
        release = releases.load(vault, release_id)
    facts = described(release)
    asked, duties = dict(release.content.asked), dict(release.content.obligations)
    context.output.document({**facts, "asked": asked, "obligations": duties})
    for name, value in {**facts, **asked, **duties}.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        if shown not in (None, "", False):
            context.output.line(f"{name:12} {shown}")


@app.command()
def verify(
    ctx: typer.Context,
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="The manifest.json of a release.", show_default=False)],
    key: Annotated[
        str | None, typer.Option(metavar="VKEY", help="The log's public key, or a file that holds it; then no vault is needed.")
    ] = None,
) -> None:
    """Check a release's folder: receipt, log entry, signature, every file.

    JSON: {"release", "project", "subjects": n, "sites": n, "files": [...], "entry": n, "log_size": n, "log_key", "release_key"}.
    """
    context = context_of(ctx)
    from vault.audit.note import VerifierKey
    from vault.extracts.manifest import MANIFEST_NAME
    from vault.extracts.verification import verify_release

    given = vkey(key)
    if manifest.name != MANIFEST_NAME:
        raise InputError(
            "not_a_manifest", f"{manifest.name} is not a release's {MANIFEST_NAME}", hint="name the file in its folder"
        )
    if given is not None:
        found = verify_release(manifest.parent, log_keys=[VerifierKey.from_text(given)])
    else:
        with context.reading(Action.RELEASE_VERIFY) as vault:
            found = verify_release(manifest.parent, log_keys=vault.trail.log_keys())
    facts = found.manifest
    context.output.document(
        {
            "release": facts.release,
            "project": facts.project,
            "subjects": facts.counts.subjects,
            "sites": facts.counts.sites,
            "files": [entry.name for entry in facts.files],
            "entry": found.index,
            "log_size": found.log_size,
            "log_key": found.log_key.to_text(),
            "release_key": found.release_key,
        }
    )
    context.output.line(f"release {facts.release} of project {facts.project}: {len(facts.files)} files are as they were released")
    context.output.line(f"it is entry {found.index} of the log, and its signature holds")


def described(release: Release) -> dict[str, object]:
    """A release as JSON documents show it."""
    return {
        "release": release.release_id,
        "request": release.request_id,
        "project": release.project,
        "state": release.state,
        "subjects": release.n_subjects,
        "sites": release.n_sites,
        "created": release.created,
        "output": release.content.output or None,
        "entry": release.outcome_index,
    }
