"""Command groups that are imported when they are used, so that help answers at once however heavy the vault is.

A group lives in one module, which exports ``app``, made by ``group``. The table in ``cli.main`` names the modules and repeats the
first line of their help; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_group


@dataclass(frozen=True)
class CommandSource:
    """Module and help line of a command or group. ``module`` exports ``app``; ``single``: one command in it, not the group."""

    module: str
    help: str
    single: bool = False


DESTROYING = frozenset({"erase", "merge", "remove", "destroy-epoch", "destroy-tokens", "remove-slot"})
"""Commands that take something away for good: whoever mistypes another one is not led to them."""


class CarefulGroup(TyperGroup):
    """A group that answers a mistyped command with those that are spelt nearly so, but never with one that destroys."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of a line. Raises typer's usage error, with what may have been meant."""
        self.suggest_commands = False
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException as error:
            harmless = [name for name in self.list_commands(ctx) if name not in DESTROYING]
            near = get_close_matches(args[0], harmless) if args else []
            if near and hasattr(error, "message"):
                error.message = f"{error.message.rstrip('.')}. Did you mean {' or '.join(map(repr, near))}?"
            raise


class LazyGroup(CarefulGroup):
    """The root of the command line: knows every command's name and one line of help, imports a command when it is run."""

    entries: ClassVar[Mapping[str, CommandSource]] = {}

    # typer ships its own copy of click without public names, hence the Any
    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 — the signature is typer's
        """Names in the order of the table: the order of the work, not of the alphabet."""
        return list(self.entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 — the signature is typer's
        """The command, imported now; None when there is no such command."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        found = get_group(import_module(entry.module).app)
        return found.commands[cmd_name] if entry.single else found

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 — the signature is typer's
        """The list in ``--help``, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.entries.items()])


def group(summary: str) -> typer.Typer:
    """A command group with our settings: plain help, no completion options, no traceback of typer's own."""
    return typer.Typer(
        cls=CarefulGroup, help=summary, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
    )
