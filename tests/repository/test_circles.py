"""No module imports, over however many others, itself: imports inside functions and under TYPE_CHECKING count as any."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(name: str, source: str, modules: Mapping[str, object], *, package: bool = False) -> Iterator[str]:
    """Those of the modules that a module imports, anywhere in its source."""
    home = name if package else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            above = home.split(".")[: len(home.split(".")) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                if inner in modules or origin in modules:
                    yield inner if inner in modules else origin


def find_circle(sources: Mapping[str, str], packages: frozenset[str] = frozenset()) -> list[str]:
    """Modules of one circle, the first repeated at the end; empty where there is none."""
    graph = {name: set(imported(name, source, sources, package=name in packages)) - {name} for name, source in sources.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_there_is_no_circle():
    paths = [path for folder in ("vault", "policies", "cli") for path in (ROOT / folder).rglob("*.py")]
    packages = frozenset(module_name(path) for path in paths if path.name == "__init__.py")
    assert not find_circle({module_name(path): path.read_text() for path in paths}, packages)


@pytest.mark.parametrize(
    "back",
    [
        "import p.a",
        "from p.a import x",
        "from p import a",
        "from . import a",
        "from .a import x",
        "def f():\n    from p import a",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.a import X",
    ],
)
def test_a_circle_is_found_however_it_is_imported(back):
    circle = find_circle({"p": "", "p.a": "from p import b", "p.b": "from p.c import y", "p.c": back}, frozenset({"p"}))
    assert set(circle) == {"p.a", "p.b", "p.c"}


def test_a_package_may_be_imported_beside_its_modules():
    assert find_circle({"p": "", "p.a": "from p import x", "p.b": "from p import a, x"}, frozenset({"p"})) == []
