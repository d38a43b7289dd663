"""The documents that ``--json`` prints, held to their published schemas wherever a test runs a command."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from typer.main import get_command

import cli.main
from tests.support.sources import ROOT

SCHEMAS = ROOT / "docs/json-documents.schema.json"
ERROR = "error"
_VALUED = frozenset({"--vault", "--as", "--passphrase-file", "--key-file"})  # global options that take a value


def check(arguments: Sequence[str], printed: str) -> None:
    """Hold what a command line printed to the schema of its command, or of a failure.

    Raises:
        AssertionError: it is of another form, or the command has no schema.
    """
    if {"-h", "--help"}.intersection(arguments):
        return
    document = json.loads(printed)
    name = ERROR if ERROR in document else command_of(arguments)
    if name:
        found = sorted(_validator(name).iter_errors(document), key=str)
        assert not found, (
            f"{name} printed what docs/json-documents.schema.json does not describe: {found[0].json_path} {found[0].message}"
        )


def command_of(arguments: Sequence[str]) -> str:
    """The command that a line names ("project check"), or nothing."""
    words = list(_words(arguments))
    at = next((at for at, word in enumerate(words) if word in cli.main.COMMANDS), None)
    if at is None:
        return ""
    names = [" ".join(words[at : at + length]) for length in (1, 2, 3)]
    return next((name for name in names if name in commands()), names[1])


@cache
def commands() -> frozenset[str]:
    """Every command by its whole name."""
    root: Any = get_command(cli.main.app)
    context = root.make_context("genovault", [], resilient_parsing=True)
    return frozenset(name for top in cli.main.COMMANDS for name in _leaves(root.get_command(context, top), top))


@cache
def schemas() -> Any:
    """The published file."""
    return json.loads(SCHEMAS.read_text(encoding="utf-8"))


@cache
def _validator(name: str) -> Draft202012Validator:
    held = schemas()
    assert name.replace(" ", "-") in held["$defs"], f"{name} has no schema in docs/json-documents.schema.json"
    return Draft202012Validator({**held, "$ref": f"#/$defs/{name.replace(' ', '-')}"})


def _leaves(command: Any, name: str) -> Iterator[str]:
    children = getattr(command, "commands", None)
    if not children:
        yield name
    for child, found in (children or {}).items():
        yield from _leaves(found, f"{name} {child}")


def _words(arguments: Sequence[str]) -> Iterator[str]:
    rest = iter(arguments)
    for word in rest:
        if word in _VALUED:
            next(rest, None)
        elif not word.startswith("-"):
            yield word
