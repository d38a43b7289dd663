"""The built wheel holds the program, whole, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("genovault-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_it_holds_three_packages_and_every_file_of_them(unpacked):
    tops = {path.name for path in unpacked.iterdir() if not path.name.endswith(".dist-info")}
    assert tops == {"vault", "policies", "cli", "genovault_start.py"}
    for package in ("vault", "policies", "cli"):
        listed = subprocess.run(["git", "ls-files", package], cwd=ROOT, check=True, capture_output=True, text=True)
        for name in listed.stdout.split():
            assert not (ROOT / name).exists() or (unpacked / name).exists(), name


def test_its_packages_are_typed_and_it_carries_the_licence(unpacked):
    for package in ("vault", "policies", "cli"):
        assert (unpacked / package / "py.typed").is_file()
    (licence,) = unpacked.glob("genovault-*.dist-info/licenses/LICENSE")
    assert licence.read_text() == (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence.read_text()


def test_the_demo_finds_its_matching_engine(unpacked):
    assert (unpacked / "cli" / "matching_engine" / "engine.py").is_file()


def test_it_runs_from_another_folder(unpacked, tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import cli.main, vault, policies\n"
        "assert all(m.__file__.startswith(sys.argv[1]) for m in (cli.main, vault, policies)), 'imported from elsewhere'\n"
        "sys.exit(cli.main.run(['--help']))\n"
    )
    command = [sys.executable, "-c", code, str(unpacked)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: genovault")


def test_installed_in_place_the_commands_begin_beside_the_packages(tmp_path):
    """Else the clone, as the working folder, would be taken for somebody else's."""
    code = "import sys, hatchling.build; print(hatchling.build.build_editable(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "genovault_start.py" not in archive.namelist()
        (pth,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith(".pth"))
    assert str(ROOT) in pth.split()
