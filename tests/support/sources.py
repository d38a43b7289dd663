"""The repository's own source and pages, read without importing anything."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("vault", "policies", "cli")


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def found_in(paths: Sequence[Path], look: Callable[[Path], Sequence[object]]) -> dict[str, list[object]]:
    """What ``look`` finds in files, by their names; files in which it finds nothing are left out.

    One test reads all files of a rule: a test for each would cost pytest more than the reading.
    """
    assert paths
    found = {relative(path): list(look(path)) for path in paths}
    return {name: items for name, items in found.items() if items}


@cache
def modules() -> dict[str, Path]:
    """Every module of the program by its dotted name; a package by its own."""
    found = {}
    for path in python_files(*PACKAGES):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def exists(dotted: str) -> bool:
    """True if a dotted name is a module, a name at the top of one, or a member of a class there."""
    known = modules()
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        path = known.get(".".join(parts[:cut]))
        if path is not None:
            return _defines(path, tuple(parts[cut:]))
    return False


def _defines(path: Path, names: tuple[str, ...]) -> bool:
    body = parsed(path).body
    for name in names:
        node = next((node for node in body if name in _names(node)), None)
        if node is None:
            return False
        body = node.body if isinstance(node, ast.ClassDef) else []
    return True


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    if isinstance(node, ast.ImportFrom | ast.Import):
        return {alias.asname or alias.name for alias in node.names}
    return set()


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())
