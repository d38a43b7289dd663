from __future__ import annotations

import pytest

from tests.support.shell import Shell, cohort


@pytest.fixture
def shell(tmp_path, monkeypatch) -> Shell:
    """A shell in an empty folder."""
    return Shell(tmp_path, monkeypatch)


@pytest.fixture
def vault(shell) -> Shell:
    """A shell with a vault."""
    shell.init()
    return shell


@pytest.fixture
def peopled(vault) -> Shell:
    """A shell with a vault that holds the small cohort, nobody asked yet."""
    vault.write("cohort.vcf", cohort().data)
    vault.run("dataset import cohort.vcf --name cohort --assembly GRCh38 --register --assayed all")
    return vault


@pytest.fixture
def consented(peopled) -> Shell:
    """As ``peopled``; everybody accepted broad research, and the project demo is approved."""
    peopled.script(
        "consent sheet broad-research --accept > answers.csv",
        "consent import answers.csv --form broad-research",
        "project template --code demo --dataset cohort > demo.yaml",
        "project create demo.yaml",
        "project approve demo",
    )
    return peopled
