"""The demo's stage: runs genovault's own commands as a person would, shows them with what they print, and steps beside the vault.

Every step is the real command, run in this process; nothing here knows how the vault works inside, except the forger, who works on a copy
of the books as a thief with the disk would.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vault.errors import UnavailableError
from vault.files.child_process import scrubbed
from vault.files.private_files import write_new

if TYPE_CHECKING:
    from rich.console import Console

ROOT = Path(__file__).parents[1]
ENGINES = (Path(__file__).with_name("matching_engine"), ROOT / "examples" / "matching_engine")
ENGINE_VARIABLES = ("GENOVAULT_PASSPHRASE", "PYTHONPATH")  # what opens the vault, and where a clone is found
FIRST_LINES, LAST_LINES = 6, 6  # of a long output


@dataclass(frozen=True)
class Stage:
    """Folder and console of the demo, and the commands run there."""

    console: Console
    folder: Path

    @property
    def vault(self) -> Path:
        """The vault's folder."""
        return self.folder / "vault"

    def say(self, text: str) -> None:
        """A paragraph for the person."""
        self.console.print(f"{text}\n")

    def title(self, number: int, text: str) -> None:
        """The heading of a step."""
        self.console.rule(f"[bold]{number}. {text}", align="left")

    def table(self, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        """A small table."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2, 0, 2))
        for name in columns:
            table.add_column(Text(name, style="bold"))
        for row in rows:
            table.add_row(*map(Text, row))
        self.console.print(table, "")

    def run(self, *arguments: str, into: Path | None = None) -> str:
        """Run a command; its stdout. ``into`` keeps stdout in a file. Ends the demo with the command's exit code if it fails."""
        self.echo("genovault", *arguments, into=into)
        code, out, err = self._invoke(arguments)
        if code:
            sys.stderr.write(err)
            raise typer.Exit(code)
        if into:
            into.unlink(missing_ok=True)
            write_new(into, out)
        else:
            self.quote(out)
        return out

    def fail(self, *arguments: str) -> int:
        """Run a command that must not succeed, and show what it says; its exit code."""
        self.echo("genovault", *arguments)
        code, out, err = self._invoke(arguments)
        self.quote(out + err, style="red")
        return code

    def engine(self, *arguments: str) -> str:
        """Run the example matching engine as a process of its own, and show what it prints; all of its report. Raises as ``engine_script``."""
        script = self.engine_script()
        self.echo("python", "examples/matching_engine/engine.py", *arguments)
        done = subprocess.run(  # noqa: S603 - our own script, no shell
            [sys.executable, str(script), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=scrubbed() | {name: os.environ[name] for name in ENGINE_VARIABLES if name in os.environ},
        )
        if done.returncode:
            sys.stderr.write(done.stderr)
            raise typer.Exit(6)
        self.quote(done.stdout)
        return done.stdout

    def engine_script(self) -> Path:
        """The example matching engine. Raises UnavailableError ``no_example``: it is not installed."""
        script = next((folder / "engine.py" for folder in ENGINES if folder.is_dir()), None)
        if script is None:
            raise UnavailableError("no_example", "the example matching engine is not installed", hint="run the demo from a clone")
        return script

    def engine_panel(self, assembly: str) -> Path:
        """The loci that the engine asks for."""
        return next(folder for folder in ENGINES if folder.is_dir()) / f"panel.{assembly}.vcf"

    def echo(self, program: str, *arguments: str, into: Path | None = None, behind: bool = False) -> None:
        """Show a command line; ``behind``: of a process that runs on."""
        from rich.text import Text

        shown = shlex.join([program, *(self._short(argument) for argument in arguments)])
        self.console.print(Text(f"$ {shown}" + (f" > {into.name}" if into else "") + (" &" if behind else ""), style="cyan"))

    def _short(self, argument: str) -> str:
        return argument.removeprefix(f"{self.folder}{os.sep}").removeprefix(f"{ROOT}{os.sep}")

    def quote(self, text: str, *, style: str = "dim") -> None:
        """Show what a command printed."""
        from rich.padding import Padding
        from rich.text import Text

        lines = text.replace(f"{self.folder}{os.sep}", "").rstrip("\n").splitlines()
        left_out = len(lines) - FIRST_LINES - LAST_LINES
        kept = [*lines[:FIRST_LINES], f"… {left_out} more lines …", *lines[-LAST_LINES:]] if left_out > 1 else lines
        for line in kept:
            self.console.print(Padding(Text(line, style=style), (0, 0, 0, 2)), overflow="fold")  # wrapped: nothing is cut
        self.console.print()

    def _invoke(self, arguments: tuple[str, ...]) -> tuple[int, str, str]:
        from cli.main import run

        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(list(arguments))
        return code, out.getvalue(), err.getvalue()


@contextlib.contextmanager
def environment(vault: Path, passphrase: str) -> Iterator[None]:
    """The variables that say which vault and unlock it, for this process and the engine's."""
    saved = {name: value for name, value in os.environ.items() if name.startswith("GENOVAULT_")}
    for name in saved:
        del os.environ[name]
    os.environ |= {"GENOVAULT_HOME": str(vault), "GENOVAULT_PASSPHRASE": passphrase}
    try:
        yield
    finally:
        for name in ("GENOVAULT_HOME", "GENOVAULT_PASSPHRASE", "GENOVAULT_PRINCIPAL"):
            os.environ.pop(name, None)
        os.environ |= saved


def forge(vault: Path, copy: Path, *, was: bytes, becomes: bytes) -> None:
    """Copy the vault and rewrite, in the copy's log, every entry that holds ``was``, with hashes made to fit, as a careful forger would."""
    shutil.copytree(vault, copy)
    with contextlib.closing(sqlite3.connect(copy / "books.db")) as books, books:
        for (name,) in books.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            books.execute(f'DROP TRIGGER "{name}"')
        for index, leaf in books.execute("SELECT idx, leaf FROM audit_leaf").fetchall():
            if was in leaf:
                forged = leaf.replace(was, becomes)
                digest = hashlib.sha256(b"\0" + forged).digest()
                books.execute("UPDATE audit_leaf SET leaf = ?, leaf_hash = ? WHERE idx = ?", (forged, digest, index))
