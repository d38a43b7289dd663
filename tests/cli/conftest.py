"""Shells in folders that are made once for each process, by the commands themselves, and copied for each test."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.support.shell import Shell, cohort


def _with_people(shell: Shell) -> None:
    shell.write("cohort.vcf", cohort().data)
    shell.run("dataset import cohort.vcf --name cohort --assembly GRCh38 --register --assayed all")


def _with_consent(shell: Shell) -> None:
    shell.script(
        "consent sheet broad-research --accept > answers.csv",
        "consent import answers.csv --form broad-research",
        "project template --code demo --dataset cohort > demo.yaml",
        "project create demo.yaml",
        "project approve demo",
    )


STAGES: dict[str, tuple[str, Callable[[Shell], None]]] = {  # the stage before, and what is done then
    "vault": ("", Shell.init),
    "peopled": ("vault", _with_people),
    "consented": ("peopled", _with_consent),
}


@cache
def _made(stage: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="genovault-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    before, work = STAGES[stage]
    with pytest.MonkeyPatch.context() as monkeypatch:
        shell = Shell(folder, monkeypatch)
        work(_at(before, shell) if before else shell)
    return folder


def _at(stage: str, shell: Shell) -> Shell:
    shutil.copytree(_made(stage), shell.folder, dirs_exist_ok=True)
    return shell


@pytest.fixture
def shell(tmp_path, monkeypatch) -> Shell:
    """A shell in an empty folder."""
    return Shell(tmp_path, monkeypatch, documented=True)


@pytest.fixture
def vault(shell) -> Shell:
    """A shell with a vault."""
    return _at("vault", shell)


@pytest.fixture
def peopled(shell) -> Shell:
    """A shell with a vault that holds the small cohort, nobody asked yet."""
    return _at("peopled", shell)


@pytest.fixture
def consented(shell) -> Shell:
    """As ``peopled``; everybody accepted broad research, and the project demo is approved."""
    return _at("consented", shell)
