"""What every command is told by the global options: which vault, as whom, unlocked how, printed how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from cli.output import Output
from cli.prompts import ask_passphrase
from vault.errors import UsageError

# Global options may stand anywhere on the line; no command may have an option of the same name (a test looks).
FLAGS = ("--json",)
VALUED = ("--vault", "--as", "--passphrase-file", "--key-file")


@dataclass(frozen=True)
class Context:
    """The global options of one run."""

    output: Output
    folder: Path | None = None
    principal: str | None = None
    passphrase_file: Path | None = None
    key_file: Path | None = None

    def vault_folder(self) -> Path:
        """The vault's folder. UsageError("vault_not_named")."""
        if self.folder is None:
            raise UsageError("vault_not_named", "no vault is named", hint="give --vault DIR or set GENOVAULT_HOME")
        return self.folder

    def passphrase(self, *, new: bool = False) -> str:
        """The passphrase of the principal's slot; ``new`` asks twice. Raises as ``ask_passphrase``."""
        return ask_passphrase(self.passphrase_file, new=new)


def context_of(ctx: typer.Context) -> Context:
    """The run's Context, which the root command left in typer's own."""
    found = ctx.find_object(Context)
    if found is None:
        raise RuntimeError("the root command has not run")
    return found


def hoist_globals(arguments: Sequence[str]) -> list[str]:
    """The arguments with the global options moved to the front, where the parser wants them. What follows "--" stays."""
    front: list[str] = []
    rest: list[str] = []
    pending = iter(arguments)
    for argument in pending:
        if argument == "--":
            rest += [argument, *pending]
        elif argument in FLAGS or argument.startswith(tuple(f"{name}=" for name in VALUED)):
            front.append(argument)
        elif argument in VALUED:
            value = next(pending, None)
            front += [argument] if value is None else [argument, value]
        else:
            rest.append(argument)
    return front + rest
