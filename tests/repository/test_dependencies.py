"""The lock, the project file and the documents say the same."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = [requirement for extra in PROJECT["optional-dependencies"].values() for requirement in extra]
DIRECT = [*PROJECT["dependencies"], *EXTRAS]
LOCKS = ("core.txt", "dev.txt")


def pins(name: str) -> dict[str, list[Requirement]]:
    """The pinned requirements of a lock by name; a name occurs once for each marker."""
    text = (ROOT / "requirements" / name).read_text().replace("\\\n", " ")
    found: dict[str, list[Requirement]] = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            requirement = Requirement(line.partition(" --hash")[0])
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def version_of(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    assert specifier.operator == "=="
    return specifier.version


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_has_a_version_and_a_hash(lock):
    text = (ROOT / "requirements" / lock).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert lines
    for line in lines:
        assert re.match(r"[a-z0-9-]+(\[[a-z0-9,-]+\])?==\S+ ", line), line[:60]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line[:60]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_server_and_no_place_on_a_machine(lock):
    text = (ROOT / "requirements" / lock).read_text()
    for word in ("://", "--index", "--extra-index", "--find-links", "file:", "-e ", "/home", "/opt", "/work", "/tmp"):
        assert word not in text


@pytest.mark.parametrize(("lock", "requirements"), [("core.txt", PROJECT["dependencies"]), ("dev.txt", DIRECT)])
def test_a_lock_satisfies_the_project_file(lock, requirements):
    locked = pins(lock)
    for text in requirements:
        wanted = Requirement(text)
        found = locked.get(canonicalize_name(wanted.name))
        assert found, f"{wanted.name} is not in {lock}: make lock"
        assert all(wanted.specifier.contains(version_of(pin)) for pin in found), f"{wanted} in {lock}: make lock"


def test_both_locks_pin_the_same_versions():
    whole = pins("dev.txt")
    for name, found in pins("core.txt").items():
        assert {version_of(pin) for pin in found} == {version_of(pin) for pin in whole[name]}


def test_every_direct_dependency_is_explained():
    text = (ROOT / "docs" / "dependencies.md").read_text()
    explained = {canonicalize_name(name) for name in re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)}
    assert explained == {canonicalize_name(Requirement(text).name) for text in DIRECT}


def test_the_changelog_opens_with_this_version():
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    assert PROJECT["version"] in versions[:2]
    assert versions[0] in {"Unreleased", PROJECT["version"]}


def test_the_gates_run_from_one_script():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    makefile = (ROOT / "Makefile").read_text()
    for target in ("check", "test", "test-long"):
        assert f"\nmake {target}\n" in script.read_text()
        assert f"\n{target}: " in makefile
    for gate in ("ruff check .", "ruff format --check .", "mypy", "lint-imports"):
        assert f"$(BIN)/{gate}\n" in makefile


def test_whatever_installs_the_lock_takes_wheels_only():
    places = [
        ROOT / "Makefile",
        ROOT / ".ci" / "run",
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").rglob("*.md"),
    ]
    lines = [
        line
        for place in places
        for line in place.read_text().splitlines()
        if re.search(r"pip install.*(-r |--requirement )", line)
    ]
    assert len(lines) >= 2
    for line in lines:
        assert "--only-binary :all:" in line or "$(WHEELS)" in line, line
    assert "WHEELS ?= --only-binary :all:" in (ROOT / "Makefile").read_text()


def test_every_pin_has_hashes_of_several_files_or_one_wheel_for_all():
    """A lock with nothing but the source archive's hash could not be installed from wheels."""
    text = (ROOT / "requirements" / "core.txt").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if "--hash" in line:
            assert line.count("--hash=") >= 2, line[:60]
