"""Rules that every command follows."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import typer.main

from cli.forwarding import FLAGS, VALUED
from cli.main import COMMANDS, app

GLOBAL = {*FLAGS, *VALUED}


def every_command() -> Iterator[tuple[str, object]]:
    root = typer.main.get_command(app)
    for name in COMMANDS:
        yield from walk(name, root.get_command(None, name))


def walk(path: str, command) -> Iterator[tuple[str, object]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(f"{path} {name}", child)


EVERY = dict(every_command())


@pytest.mark.parametrize("path", EVERY)
def test_a_command_has_help(path):
    command = EVERY[path]
    assert command.help, f"genovault {path} has no help"
    assert command.help.strip().splitlines()[0].endswith(".")


@pytest.mark.parametrize("path", EVERY)
def test_every_option_has_help_and_none_hides_a_global_one(path):
    for parameter in EVERY[path].params:
        names = {*parameter.opts, *parameter.secondary_opts}
        assert names.isdisjoint(GLOBAL), f"genovault {path} {names}"
        if parameter.param_type_name == "option":
            assert parameter.help, f"genovault {path} {names} has no help"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_says_what_the_command_says(name):
    first = EVERY[name].help.strip().splitlines()[0]
    assert COMMANDS[name].help == first


def test_every_file_of_commands_is_in_the_table():
    folder = Path(import_module("cli").__file__).parent
    with_app = {
        f"cli.{path.stem}" for path in folder.glob("*.py") if path.stem != "main" and "\napp = group(" in path.read_text()
    }
    assert with_app == {entry.module for entry in COMMANDS.values()}
