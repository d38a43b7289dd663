"""House rules of CONTRIBUTING.md that no linter has: lengths of files, and what docstrings say of arrays and errors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.sources import ROOT, found_in, parsed, python_files, relative

MODULE_LINES = 350
TEST_LINES = 500
LIBRARY = python_files("vault", "policies")  # a command's docstring is its help, so the command line is left out
MIGRATIONS = ROOT / "vault" / "storage" / "migrations"
ARRAY = re.compile(r"\b(?:NDArray|Codes|Ints|Indices|Alts)\b")
SHAPE = re.compile(r"\b(?:u?int(?:8|16|32|64|p)|bool|float64|dtype)\b|\w\[[^\]]+\]")
QUESTION = re.compile(r'^\s*"""(?:What|Who|Whom|Whose|How|Where|When|Which|Whether|Why)\b.*$', re.MULTILINE)
OURS = {
    node.name
    for path in (ROOT / "vault" / "errors.py", ROOT / "policies" / "errors.py")
    for node in ast.walk(parsed(path))
    if isinstance(node, ast.ClassDef) and node.name.endswith("Error")
}


def functions(path: Path) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Public functions and methods with their docstrings."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node, ast.get_docstring(node) or ""


def raised(function: ast.FunctionDef) -> set[str]:
    """Our errors that the function itself raises, nested functions left out."""
    found, rest = set(), list(ast.iter_child_nodes(function))
    while rest:
        node = rest.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        rest += ast.iter_child_nodes(node)
        if isinstance(node, ast.Raise) and node.exc is not None:
            made = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            found.add(ast.unparse(made))
    return found & OURS


def lengths(path: Path) -> list[int]:
    """The number of a module's lines, if that is too many and it does not say why."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    says = ast.get_docstring(parsed(path)) or ""
    explained = re.search(r"(?:long|350 lines) because", " ".join(says.split())) or path.is_relative_to(MIGRATIONS)
    return [] if lines <= MODULE_LINES or explained else [lines]


def test_a_long_module_says_why_it_is():
    assert found_in(python_files("vault", "policies", "cli", "examples", "benchmarks"), lengths) == {}


def test_a_test_file_is_read_in_one_go():
    lines = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files("tests")}
    assert {name: count for name, count in lines.items() if count > TEST_LINES} == {}


def test_a_docstring_begins_with_its_term_and_not_with_a_question():
    """Of modules, classes, functions and what stands below a name alike; a command's docstring is its help."""

    def asking(path: Path) -> list[str]:
        return QUESTION.findall(path.read_text(encoding="utf-8"))

    assert found_in(python_files("vault", "policies", "benchmarks", "examples"), asking) == {}


def test_a_class_name_stands_for_one_thing():
    places: dict[str, list[str]] = {}
    for path in python_files("vault", "policies", "cli"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(relative(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_a_function_that_returns_an_array_says_its_shape_or_type():
    def silent(path: Path) -> list[str]:
        return [
            f"{node.name}:{node.lineno}"
            for node, says in functions(path)
            if says and node.returns is not None and ARRAY.search(ast.unparse(node.returns)) and not SHAPE.search(says)
        ]

    assert found_in(LIBRARY, silent) == {}


def test_a_function_that_raises_our_errors_says_so():
    def silent(path: Path) -> list[str]:
        return [
            f"{node.name}:{node.lineno}"
            for node, says in functions(path)
            if says and raised(node) and not re.search(r"\b[Rr]aises?\b", says)
        ]

    assert found_in(LIBRARY, silent) == {}


def test_truth_is_asked_of_sql_as_both_databases_know_it():
    """A bound value behind IS is an error of syntax in PostgreSQL: sqlalchemy.true() and false() are written out."""
    bound = re.compile(r"\.is_(?:not)?_?\((?:True|False)\)")
    found = [relative(path) for path in python_files("vault") if bound.search(path.read_text(encoding="utf-8"))]
    assert found == []
