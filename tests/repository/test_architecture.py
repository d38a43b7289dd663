"""docs/architecture.md against the import contracts and the imports themselves; names in the pages are names in the program."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from functools import cache

import pytest

from tests.support.sources import ROOT, exists, modules, parsed, relative

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CHART = PAGE.partition("```mermaid\n")[2].partition("```")[0]
EDGE = re.compile(r"^ +(\w+) (-->|-\. [a-z ]+ \.->) (\w+)$")
EDGES = [found.groups() for line in CHART.splitlines()[1:] if (found := EDGE.match(line))]
CALLED_BACK = re.findall(r"^\| `(\w+)` → `(\w+)` \| `([\w.]+)` \| `([\w.]+)` \|$", PAGE, re.MULTILINE)
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
NO_MODULES = {"vault.json", "vault.reference_version", "vault.clock"}  # a file, a column of the table of that name, an action
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *(ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md"))]
TOP_LEVEL = {
    *(
        ".ci",
        ".gitignore",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "SECURITY.md",
        "benchmarks",
        "cli",
    ),
    *("docs", "examples", "genovault_start.py", "policies", "pyproject.toml", "requirements", "tests", "vault"),
}


def layers() -> dict[str, int]:
    """Each room and its floor, the lowest 0, as pyproject.toml has them; the command line above, the policies below."""
    (inside,) = [contract for contract in CONTRACTS if contract.get("containers") == ["vault"]]
    floors = [row for row in inside["layers"] if not row.startswith("(")]
    found = {room.strip(): floor for floor, row in enumerate(reversed(floors), 1) for room in re.split("[|:]", row)}
    return {**found, "cli": len(floors) + 1, "policies": 0}


@cache
def imports() -> set[tuple[str, str]]:
    """(room, room) of every import between two rooms."""
    found = set()
    for name, path in modules().items():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                wanted = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                wanted = [alias.name for alias in node.names]
            else:
                continue
            found |= {(room(name), room(other)) for other in wanted}
    return {(here, there) for here, there in found if here and there and here != there}


def room(dotted: str) -> str:
    first, _, rest = dotted.partition(".")
    return rest.partition(".")[0] if first == "vault" else first if first in {"cli", "policies"} else ""


def test_every_line_of_the_chart_is_an_arrow():
    assert len(EDGES) == len([line for line in CHART.splitlines()[1:] if line.strip()])
    assert len(EDGES) == len(set(EDGES))


def test_every_room_of_the_contracts_is_in_the_chart():
    assert {name for here, _, there in EDGES for name in (here, there)} == set(layers())


@pytest.mark.parametrize(("here", "there"), [(here, there) for here, arrow, there in EDGES if arrow == "-->"])
def test_a_solid_arrow_goes_down_and_is_an_import(here, there):
    assert layers()[here] > layers()[there]
    assert (here, there) in imports()


def test_a_dashed_arrow_goes_up_and_is_a_declared_callback():
    dashed = {(here, there) for here, arrow, there in EDGES if arrow != "-->"}
    assert dashed == {(here, there) for here, there, _, _ in CALLED_BACK}
    for here, there, function, caller in CALLED_BACK:
        assert layers()[here] < layers()[there]
        assert room(function) == here
        assert room(caller) == there
        assert exists(function), function
        assert exists(caller), caller


def test_every_room_has_a_charter():
    charters = PAGE.partition("## 1. Rooms")[2].partition("## 2.")[0]
    for name in layers():
        assert re.search(rf"`(vault/)?{name}(/|\.py)`", charters), name


def names_in(page: str) -> set[str]:
    return set(re.findall(r"`((?:vault|policies|cli)(?:\.\w+)+)`", page))


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_every_module_and_name_that_a_page_speaks_of_exists(path):
    text = path.read_text(encoding="utf-8")
    assert [name for name in sorted(names_in(text) - NO_MODULES) if not exists(name)] == []
    paths = re.findall(r"(?<![\w/.])((?:vault|policies|cli|tests|benchmarks|examples)/[\w./*-]*[\w/*])", text)
    missing = {item for item in paths if "*" not in item and not (ROOT / item).exists()}
    missing |= {item for item in paths if "*" in item and not list(ROOT.glob(item))}
    assert sorted(missing) == []


def test_the_glossary_names_a_module_for_every_word():
    rows = [line for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    words = [line for line in rows if not line.startswith("| word ")]
    assert len(words) > 70
    for line in words:
        assert re.search(r"\| `(vault|policies)(\.\w+)+` \|$", line), line


def test_the_top_level_holds_what_the_project_has_and_nothing_that_a_trial_left():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no git checkout")
    assert {line.partition("/")[0] for line in listed.stdout.splitlines()} <= TOP_LEVEL
