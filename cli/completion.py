"""``genovault completion``: the script by which a shell completes commands and options."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import typer

from cli.context import context_of
from cli.lazy import group

VARIABLE = "_GENOVAULT_COMPLETE"  # by which the script asks the program; typer's name for it

app = group("Tab completion.")


def prepare() -> None:
    """Let typer answer a shell that asks for completions, if this run is one."""
    if VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined] # typer's own entry to its completions, not listed

        completion_init()


@app.command("completion")
def completion(
    ctx: typer.Context,
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print the script that lets the tab key complete commands and options. Needs no vault.

    bash: genovault completion bash >> ~/.bashrc; zsh: … >> ~/.zshrc; fish: … > ~/.config/fish/completions/genovault.fish

    JSON: {"script": text}.
    """
    context = context_of(ctx)
    from typer._completion_shared import get_completion_script

    script = get_completion_script(prog_name="genovault", complete_var=VARIABLE, shell=shell) + "\n"
    context.output.document({"script": script})
    context.output.data(script)
