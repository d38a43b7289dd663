"""Command that writes the page with which anybody checks a receipt in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.context import context_of


def page(
    ctx: typer.Context,
    dest: Annotated[Path, typer.Argument(metavar="DEST.html", help="The file to write; must not exist.", show_default=False)],
) -> None:
    """Write the page that checks receipts in a browser, from disk and without a network. Needs no vault.

    Compare the SHA-256 that is printed with the one in docs/auditing.md.

    JSON: {"dest", "sha256"}.
    """
    context = context_of(ctx)
    from hashlib import sha256
    from importlib import resources

    from vault.files.private_files import write_new

    text = resources.files("vault.audit.verify").joinpath("verify.html").read_text("utf-8")
    write_new(dest, text)
    mark = sha256(text.encode()).hexdigest()
    context.output.document({"dest": str(dest), "sha256": mark})
    context.output.line(f"{dest}: SHA-256 {mark}")
