"""Commands about the vault as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer

from cli.context import context_of
from cli.lazy import group

app = group("The vault as a whole.")


@app.command()
def init(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is absent or empty.", show_default=False)],
    steward: Annotated[str, typer.Option(metavar="NAME", help="Name of the founding steward.", show_default=False)],
    database: Annotated[str | None, typer.Option(metavar="URL", help="Books on PostgreSQL; default: SQLite in DIR.")] = None,
    keys: Annotated[str | None, typer.Option(metavar="URL", help="Wrapped keys elsewhere; default: SQLite in DIR.")] = None,
    objects: Annotated[str | None, typer.Option(metavar="URL", help="Genotype objects on S3; default: a folder in DIR.")] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Whose days typed dates are, such as Europe/Berlin; default: this machine's zone."),
    ] = None,
    argon2_profile: Annotated[
        Literal["default", "high-memory", "test-only"],
        typer.Option(hidden=True, help="What a guess of the passphrase costs; test-only protects nothing."),
    ] = "default",
) -> None:
    """Make a new vault.

    The passphrase, or the key file of --key-file, unlocks it from now on; nobody can recover it. Then keep what
    "audit key" prints somewhere else: with it "audit verify --key" proves the log.

    JSON: {"folder", "vault", "steward", "time_zone"}.
    """
    context = context_of(ctx)
    from dataclasses import replace

    from vault.operations import create
    from vault.session.principals import PROFILES
    from vault.session.settings import Places
    from vault.session.time_zone import of_machine, require_zone
    from vault.session.unlocked_vault import factor

    if argon2_profile == "test-only":
        context.output.warn("test-only: this vault's passphrase is not protected against guessing")
    if context.key_file is not None:
        secret = factor(key_file=context.key_file)
    else:
        secret = factor(passphrase=context.passphrase(new=True))
    named = {"books": database, "keys": keys, "objects": objects}
    places = replace(Places(), **{name: place for name, place in named.items() if place is not None})
    zone = require_zone(time_zone) if time_zone is not None else of_machine()
    vault_id = create.init(
        folder, steward=steward, factor=secret, places=places, profile=PROFILES[argon2_profile], time_zone=zone
    )
    context.output.document({"folder": folder, "vault": vault_id.hex(), "steward": steward, "time_zone": zone})
    context.output.line(f"made vault {folder}")
    context.output.line(f"id       {vault_id.hex()}")
    context.output.line(f"steward  {steward}")
    context.output.line(f"days     of {zone}")


@app.command()
def status(ctx: typer.Context) -> None:
    """Which vault this is, where its parts are and whether they are there.

    Opens nothing: no passphrase is needed.

    JSON: {"folder", "format", "vault", "books", "keys", "objects", "key_backups": [{"backup", "created", "expires", "destroyed"}]}.
    """
    context = context_of(ctx)
    from vault.operations import key_backups
    from vault.session.settings import VAULT_FORMAT, read_settings

    folder = context.vault_folder()
    settings = read_settings(folder)
    places = {name: _shown(getattr(settings.places, name)) for name in ("books", "keys", "objects")}
    copies = [backup.as_dict() for backup in key_backups.of_vault(folder)]
    about = {"folder": folder, "format": VAULT_FORMAT, "vault": settings.vault_id.hex(), **places, "key_backups": copies}
    context.output.document(about)
    context.output.line(f"vault    {folder}")
    context.output.line(f"format   {VAULT_FORMAT}")
    context.output.line(f"id       {settings.vault_id.hex()}")
    for name, place in places.items():
        context.output.line(f"{name:8} {place}")
    for copy in copies:
        end = f"destroyed {copy['destroyed']}" if copy["destroyed"] else f"expires {copy['expires']}"
        context.output.line(f"{'backup':8} of the keys: {copy['backup']}, {end}")


@app.command()
def relocate(
    ctx: typer.Context,
    database: Annotated[str | None, typer.Option(metavar="URL", help="Where the books are now.")] = None,
    keys: Annotated[str | None, typer.Option(metavar="URL", help="Where the wrapped keys are now.")] = None,
    objects: Annotated[str | None, typer.Option(metavar="URL", help="Where the genotype objects are now.")] = None,
    as_copy: Annotated[
        bool, typer.Option("--as-copy", help="The original stays in use: begin a life, and a log, of its own here.")
    ] = False,
) -> None:
    """Say where the vault's parts are after they were moved, or make of copies a vault of its own.

    Move them first, with the tools of the database or the store; whatever is not named stays where vault.json says. The vault is
    opened only where it was last told to be, because vault.json is a plain file. A vault all of whose parts lie in its folder can be moved
    with the folder, without this. Anchors stay those that the books know; a copy has none until "audit anchor" gives it some.

    JSON: {"books", "keys", "objects", "anchors": [...], "origin", "copy": bool}.
    """
    context = context_of(ctx)
    from vault.operations import relocation

    found = relocation.relocate(
        context.vault_folder(),
        factor=context.factor(),
        principal=context.principal,
        books=database,
        keys=keys,
        objects=objects,
        copy=as_copy,
    )
    places = {name: _shown(getattr(found.places, name)) for name in ("books", "keys", "objects")}
    anchors = [str(anchor) for anchor in found.anchors]
    context.output.document({**places, "anchors": anchors, "origin": found.origin, "copy": found.copy})
    for name, place in places.items():
        context.output.line(f"{name:8} {place}")
    for anchor in anchors:
        context.output.line(f"{'anchor':8} {anchor}")
    if found.copy:
        context.output.line(f"a copy, whose log is {found.origin}")


def _shown(place: str) -> str:
    """A database URL without user, password and parameters."""
    parts = urlsplit(place)
    if not parts.netloc:
        return place
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
