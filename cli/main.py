"""The command ``genovault``: global options, the table of commands, and the edge where errors become exit codes."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from cli.completion import VARIABLE, prepare
from cli.context import Context
from cli.errors import EXIT_INTERRUPTED, EXIT_READER_GONE, exit_code, tell, tell_unseen
from cli.forwarding import hoist_globals
from cli.lazy import CommandSource, LazyGroup
from cli.output import Output, told_stdout
from vault.errors import UnavailableError, UsageError
from vault.files.hardening import forbid_core_files

COMMANDS = {
    "init": CommandSource("cli.vaults", "Make a new vault.", single=True),
    "status": CommandSource("cli.vaults", "Which vault this is, where its parts are and whether they are there.", single=True),
    "subject": CommandSource("cli.subjects", "The people whose data is held."),
    "dataset": CommandSource("cli.datasets", "Imported genotypes."),
    "consent": CommandSource("cli.consents", "What people allowed, and what they took back."),
    "panel": CommandSource("cli.panels", "Named lists of loci."),
    "criteria": CommandSource("cli.criteria", "Questions about genotypes that may be asked in place."),
    "match": CommandSource("cli.matches", "Ask an approved criteria pack in place."),
    "project": CommandSource("cli.projects", "Purposes that people's data may be used for."),
    "recipient": CommandSource("cli.recipients", "Whom extracts are sealed for."),
    "request": CommandSource("cli.requests", "What projects ask for."),
    "table": CommandSource("cli.tables", "Exact frequency tables of approved panels."),
    "budget": CommandSource("cli.budgets", "How much evidence counts may let out."),
    "extract": CommandSource("cli.extract", "Release what a request asks for as a folder of files.", single=True),
    "release": CommandSource("cli.releases", "Views that left the vault."),
    "pseudonym": CommandSource("cli.pseudonyms", "Whose a pseudonym is, and what a person is called in a project."),
    "audit": CommandSource("cli.audit", "The log of every access."),
    "key": CommandSource("cli.keys", "Unlock slots, key epochs and backups of keys."),
    "principal": CommandSource("cli.principals", "Who acts, and in which role."),
    "backup": CommandSource(
        "cli.backups", "Copy the vault's data while it is in use. A backup of data never holds a key.", single=True
    ),
    "restore": CommandSource(
        "cli.backups",
        "Make the vault's folder a vault again, from a backup and the newest keys, or from backups and an anchor.",
        single=True,
    ),
    "doctor": CommandSource(
        "cli.backups",
        "Look the vault over: keystore, permissions, databases, log, ledger, keys, every object. Exit code 5 on an error.",
        single=True,
    ),
    "upgrade": CommandSource(
        "cli.upgrades",
        "Sign the books of a vault that an earlier version made; before it, that vault shows views and takes withdrawals only.",
        single=True,
    ),
    "relocate": CommandSource(
        "cli.vaults", "Say where the vault's parts are after they were moved, or make of copies a vault of its own.", single=True
    ),
    "serve": CommandSource(
        "cli.serving",
        "Serve the vault's engines and researchers, by their access tokens, until the process is told to end.",
        single=True,
    ),
    "unlock": CommandSource(
        "cli.unlocking", "Keep a slot open for the commands that follow, in a process of your own on this machine.", single=True
    ),
    "lock": CommandSource(
        "cli.unlocking", "End whatever genovault unlock has left open for you on this machine, of every vault.", single=True
    ),
    "completion": CommandSource(
        "cli.completion", "Print the script that lets the tab key complete commands and options. Needs no vault.", single=True
    ),
    "demo": CommandSource(
        "cli.demo",
        "Show the main job on an invented cohort, from import to a caught forgery: seconds, or over a minute where code is compiled first.",
        single=True,
    ),
}


# Modules and compiled kernels are made once and stay: looking through them every 700 objects, as Python does, costs a fifth of the start.
_COLLECT = (50_000, 20, 50)


class Root(LazyGroup):
    """The root group of ``genovault``."""

    entries = COMMANDS


app = typer.Typer(
    cls=Root,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    vault: Annotated[
        Path | None, typer.Option("--vault", envvar="GENOVAULT_HOME", metavar="DIR", help="The vault's folder.")
    ] = None,
    principal: Annotated[
        str | None, typer.Option("--as", envvar="GENOVAULT_PRINCIPAL", metavar="NAME", help="Who acts; default: the only slot.")
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option("--passphrase-file", metavar="FILE", help="Take the passphrase from the first line of FILE."),
    ] = None,
    key_file: Annotated[Path | None, typer.Option("--key-file", metavar="FILE", help="Unlock with a key file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout and nothing else there.")] = False,
    no_agent: Annotated[  # noqa: ARG001 - ``forwarding`` has seen it before anything else
        bool, typer.Option("--no-agent", help="Do not use what genovault unlock has left open.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Keep genotypes sealed per person, release by each person's consent, and log every access.

    The options below may stand anywhere on the line. Without a terminal nothing is asked: GENOVAULT_PASSPHRASE or
    --passphrase-file answers. Exit codes: 0 done, 2 usage, 3 refused by policy, 4 bad input, 5 integrity failure, 6 locked or
    unavailable, 70 a bug.
    """
    output = Output(json=json)
    if version:
        _show_version(output)
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        raise UsageError("command_missing", "no command is given", hint="genovault --help lists the commands")
    folder = None if vault is None else Path(*_at_home([str(vault)]))  # GENOVAULT_HOME=~/vault in a unit or a cron line
    ctx.obj = Context(output=output, folder=folder, principal=principal, passphrase_file=passphrase_file, key_file=key_file)


def main() -> NoReturn:
    """The process's command line, from ``run`` straight to its end.

    What a command opened it has closed. Taking the program itself apart would cost a tenth of a second and give back nothing that the
    system does not take anyway.
    """
    os._exit(run_whole())


def run_whole(arguments: Sequence[str] | None = None) -> int:
    """Run one command line in a process that is its alone, and return the exit code when everything is written."""
    gc.set_threshold(*_COLLECT)
    # numpy would begin a thread for each processor, and nothing here multiplies matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Python's own hooks would print messages, which may hold data.
    threading.excepthook = lambda failed: tell_unseen(failed.exc_value)
    sys.unraisablehook = lambda failed: tell_unseen(failed.exc_value)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what stops services: clean up as after Ctrl-C
    code = run() if arguments is None else run(arguments)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return code


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's) and return its exit code. Never raises, never shows a traceback unasked."""
    forbid_core_files()
    _keep_streams_writable()
    prepare()
    with told_stdout():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    line = hoist_globals(_at_home(sys.argv[1:] if arguments is None else arguments))
    output = Output(json="--json" in line)
    try:
        code = _invoke(line)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_gone()
    except SystemExit as end:  # typer turns a broken pipe into one
        if isinstance(end.__context__, BrokenPipeError):
            return _reader_gone()
        return end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 — the edge: whatever comes here is told and becomes an exit code
        return _tell(error, output)
    if code == EXIT_INTERRUPTED:
        sys.stderr.write("genovault: interrupted\n")
    return code


def _invoke(line: list[str]) -> int:
    if not line and VARIABLE not in os.environ:
        sys.stdout.write(_help_text())
        return 2
    value = typer.main.get_command(app).main(line, prog_name="genovault", standalone_mode=False)
    return value if isinstance(value, int) else 0


def _help_text() -> str:
    command = typer.main.get_command(app)
    return command.get_help(command.make_context("genovault", [], resilient_parsing=True)) + "\n"


def _show_version(output: Output) -> None:
    from importlib.metadata import version

    number = version("genovault")
    output.document({"version": number})
    output.line(f"genovault {number}")


def _tell(error: Exception, output: Output) -> int:
    try:
        code = tell(error, output)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_gone()
    except (OSError, UnavailableError):  # stdout takes nothing: what happened stands on stderr
        _forget_stdout()
        return exit_code(error)
    return code


def _reader_gone() -> int:
    _forget_stdout()
    return EXIT_READER_GONE


def _forget_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's own flush at the end does not fail too."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _keep_streams_writable() -> None:
    """Files and pipes get UTF-8 whatever the locale; a character the terminal lacks is escaped rather than an error half-way."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


def _at_home(arguments: Sequence[str]) -> list[str]:
    """The arguments with ``~/`` at their beginning, also behind ``--option=``, as the home folder, where no shell did it."""
    home, found = os.environ.get("HOME"), []
    for argument in arguments:
        name, separator, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
        found.append(f"{name}{separator}{home}{value[1:]}" if home and (value == "~" or value.startswith("~/")) else argument)
    return found
