"""policies/ is pure: standard library only, and nothing in it that opens a file, a socket, a clock or a source of randomness."""

import ast
import sys
from pathlib import Path

import pytest

import policies

MODULES = sorted(Path(policies.__file__).parent.rglob("*.py"))
OUTSIDE = {
    "os",
    "io",
    "pathlib",
    "socket",
    "sqlite3",
    "subprocess",
    "secrets",
    "random",
    "time",
    "tempfile",
    "zoneinfo",
    "threading",
}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module]
        for root in (name.partition(".")[0] for name in names):
            assert root == "policies" or (root in sys.stdlib_module_names and root not in OUTSIDE), f"{path.name} imports {root}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_clock_and_no_files(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"now", "utcnow", "today", "read_text", "write_text"}, path.name
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input", "exec", "eval"}, path.name
