"""A command group that fails in every way a command can, for the tests of the command line's edge."""

from __future__ import annotations

import os
import resource

import typer

from cli.context import context_of
from cli.lazy import group
from policies.errors import InputProblem, PolicyInputError
from vault.errors import InputError, IntegrityError, RefusedError, UnavailableError, UsageError
from vault.files.sheet_problems import Problem, rejected

SECRET = "canary-7f3a"
ERRORS = {
    "usage": UsageError("u", "the usage is wrong", hint="do this"),
    "refused": RefusedError("r", "policy says no"),
    "input": InputError("i", "the input is bad", hint="line\nbreak \x1b[31m"),
    "integrity": IntegrityError("t", "the seal does not hold"),
    "unavailable": UnavailableError("a", "the vault is locked"),
    "sheet": rejected([Problem(line, "mrn", "is empty") for line in range(2, 12)], source="s.csv"),
    "policy": PolicyInputError(
        "p", "no such term", "purpose", problems=tuple(InputProblem(f"a[{i}]", "p", "bad") for i in range(2))
    ),
}

app = group("Failing commands.")


@app.command()
def fail(kind: str) -> None:
    """Raise one of ERRORS."""
    raise ERRORS[kind]


@app.command()
def bug() -> None:
    """Raise what no command should, with a secret in its message and in a local variable."""
    hidden = SECRET
    try:
        _ = os.environ[hidden]
    except KeyError as error:
        raise ValueError(hidden) from error


@app.command()
def interrupt() -> None:
    """As if the person pressed Ctrl-C."""
    raise KeyboardInterrupt


@app.command()
def show(ctx: typer.Context, word: str = "") -> None:
    """Show the global options."""
    context = context_of(ctx)
    context.output.document({"folder": context.folder, "as": context.principal, "word": word})
    context.output.line(f"{context.folder} {context.principal} {word}")


@app.command()
def flood(ctx: typer.Context) -> None:
    """Write until the reader goes away."""
    context = context_of(ctx)
    for _ in range(100_000):
        context.output.line("x" * 100)


@app.command()
def limits(ctx: typer.Context) -> None:
    """Show the core file limit."""
    context_of(ctx).output.document({"core": list(resource.getrlimit(resource.RLIMIT_CORE)), "pid": os.getpid()})
