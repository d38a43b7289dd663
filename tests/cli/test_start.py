"""Where the commands begin: no module is taken from the working folder, the script's folder or PYTHONPATH."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from genovault_start import trusted
from tests.support.audit_log import SIGNER, event, make_books
from tests.support.log_verification import KEY
from vault.audit.export import export_tiles

ROOT = Path(__file__).resolve().parents[2]
PLANTED = [
    "__future__",
    "argparse",
    "json",
    "typing",
    "dataclasses",
    "hashlib",
    "struct",
    "cli",
    "vault",
    "policies",
    "numpy",
    "pickle",
    "cryptography",
]
SIGN = "PLANTED CODE RAN"


@pytest.fixture(scope="module")
def commands(tmp_path_factory) -> Path:
    """The scripts that an installer makes of the entry points, beside a module of somebody else."""
    folder = tmp_path_factory.mktemp("bin")
    for name, entry in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"].items():
        module, function = entry.split(":")
        script = folder / name
        script.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
        script.chmod(0o755)
    plant(folder)
    return folder


@pytest.fixture
def export(tmp_path) -> Path:
    books = make_books(tmp_path)
    books.log.record_many([event(detail={"i": i}) for i in range(300)])
    books.log.checkpoint(SIGNER)
    export_tiles(books.log, tmp_path / "tiles", vkey=KEY)
    books.database.close()
    return tmp_path / "tiles"


def plant(folder: Path) -> None:
    """Modules and packages that say that they ran, under names that the program imports."""
    for name in PLANTED:
        (folder / f"{name}.py").write_text(f"print({SIGN!r})\nraise SystemExit(0)\n")
    for name in ("cli", "vault", "policies"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "__init__.py").write_text(f"print({SIGN!r})\nraise SystemExit(0)\n")


def run(command: list[object], *, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, cwd=cwd, env=environment)


@pytest.mark.parametrize("path", [None, "", ".", ":", "planted"])
def test_the_verifier_loads_nothing_from_the_export_it_is_run_in(commands, export, path):
    plant(export)
    variables = {} if path is None else {"PYTHONPATH": str(export) if path == "planted" else path}
    done = run([commands / "genovault-verify", ".", "--key", KEY], cwd=export, **variables)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "everything holds"), done.stderr
    (export / "tile/entries/000").write_bytes(b"")
    assert run([commands / "genovault-verify", ".", "--key", KEY], cwd=export, **variables).returncode == 5


@pytest.mark.parametrize("option", ["-P", "-I"])
def test_nor_does_its_module_as_documented(export, option):
    plant(export)
    done = run([sys.executable, option, "-m", "vault.audit.verify", ".", "--key", KEY], cwd=export)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "everything holds"), done.stderr


def test_the_pages_name_no_other_way_to_run_it():
    pages = [
        *(ROOT / "docs").rglob("*.md"),
        ROOT / "README.md",
        ROOT / "SECURITY.md",
        *(ROOT / "vault").rglob("*.py"),
        *(ROOT / "cli").rglob("*.py"),
    ]
    found = [line for page in pages for line in page.read_text().splitlines() if "-m vault.audit.verify" in line]
    assert len(found) >= 2
    assert all(re.search(r"python -[IP] -m vault\.audit\.verify", line) for line in found), found


@pytest.mark.parametrize("kind", ["folder", "pythonpath"])
def test_genovault_runs_no_code_of_others_with_a_passphrase_in_reach(commands, tmp_path, kind):
    plant(tmp_path)
    variables = {"GENOVAULT_PASSPHRASE": "x", "PYTHONPATH": str(tmp_path) if kind == "pythonpath" else ""}
    for line in (["--version"], ["consent", "forms"], ["status", "--vault", "nowhere"]):
        done = run([commands / "genovault", *line], cwd=tmp_path, **variables)
        assert SIGN not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert "no_vault" in run([commands / "genovault", "--json", "status", "--vault", "nowhere"], cwd=tmp_path, **variables).stdout


def test_to_begin_it_imports_only_what_the_interpreter_has_loaded():
    code = (
        f"import os, site, sys; sys.path.append({str(ROOT)!r}); before = set(sys.modules)\n"
        "import genovault_start; print(*(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["genovault_start"]


class TestTrusted:
    HOME = "/opt/site-packages"
    INSTALLED = ("/usr/lib/python3.11", HOME)
    PATH = ("/usr/bin", "/home/ann/tools", "/usr/lib/python3.11", HOME, "/opt/clone")

    def found(self, path=PATH, *, home=HOME, **environment):
        return trusted(path, environment, script="/usr/bin/genovault", home=home, installed=self.INSTALLED)

    def test_the_scripts_folder_and_pythonpath_go(self):
        assert self.found(PYTHONPATH="/home/ann/tools") == ["/usr/lib/python3.11", self.HOME, "/opt/clone"]

    def test_without_the_variable_other_folders_stay(self):
        assert self.found() == list(self.PATH[1:])

    def test_relative_ones_and_the_working_folder_go(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert self.found(["", ".", str(tmp_path), self.HOME]) == [self.HOME]

    def test_installed_folders_stay_however_they_came(self):
        assert self.found(PYTHONPATH=f"/usr/lib/python3.11:{self.HOME}:/opt/clone")[0] == self.HOME

    def test_a_program_that_pythonpath_names_comes_first(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        path = ["/usr/bin", str(tmp_path), "/home/ann/tools", "/srv/genovault", "/usr/lib/python3.11"]
        named = os.pathsep.join(path[1:4])
        assert self.found(path, home="/srv/genovault", PYTHONPATH=named) == ["/srv/genovault", "/home/ann/tools", path[4]]


@pytest.mark.parametrize("path", [None, ".", str(ROOT)])
def test_a_clone_that_is_installed_in_place_works_from_its_own_folder(commands, path):
    done = run([commands / "genovault", "--version"], cwd=ROOT, **({} if path is None else {"PYTHONPATH": path}))
    assert done.returncode == 0, done.stderr
