"""Commands about the vault as a whole."""

from __future__ import annotations

from urllib.parse import urlsplit

import typer

from cli.context import context_of
from cli.lazy import group

app = group("The vault as a whole.")


@app.command()
def status(ctx: typer.Context) -> None:
    """Which vault this is, where its parts are and whether they are there.

    Opens nothing: no passphrase is needed.
    """
    context = context_of(ctx)
    from vault.session import VAULT_FORMAT, read_settings

    folder = context.vault_folder()
    settings = read_settings(folder)
    places = {name: _shown(getattr(settings.places, name)) for name in ("books", "keys", "objects")}
    context.output.document({"folder": folder, "format": VAULT_FORMAT, "vault": settings.vault_id.hex(), **places})
    context.output.line(f"vault    {folder}")
    context.output.line(f"format   {VAULT_FORMAT}")
    context.output.line(f"id       {settings.vault_id.hex()}")
    for name, place in places.items():
        context.output.line(f"{name:8} {place}")


def _shown(place: str) -> str:
    """A place without the user, password and parameters that a database URL may hold."""
    parts = urlsplit(place)
    if not parts.netloc:
        return place
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
