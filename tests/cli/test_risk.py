"""The risk report at a steward's shell: what it prints, and its page."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.support import vaults
from tests.support.shell import Shell
from vault.risk.risk_page import page


@pytest.fixture
def shell(tmp_path, monkeypatch):
    shutil.copytree(vaults.template(whole=False), tmp_path / "v")
    return Shell(tmp_path, monkeypatch, documented=True)


@pytest.fixture
def asked(shell):
    return shell.run("request submit --project demo --dataset cohort --json").json["request"]


def test_a_report_and_its_page(shell, asked):
    found = shell.run(f"request risk {asked} --html page.html --json").json
    assert found["request"] == asked
    page = (shell.folder / "page.html").read_text()
    assert not re.search(r"<script|https?:|@import|url\(|<link|<img", page)
    assert "default-src 'none'" in page
    assert page.count('<svg class="plot" role="img"') == page.count("<details>") == 2  # nothing is hidden
    for words in (
        "<title>People singled out by common sites",
        "Not assessed: it takes 2,000 common sites",
        *found["not_protected"][:1],
    ):
        assert words.replace("'", "&#x27;") in page
    assert page.index("What none of this protects against") > page.index("Calls that are missing")


def test_what_people_read(shell, asked):
    said = shell.run(f"request risk {asked} --html page.html").out
    assert f"request {asked}: 10 people would be in it" in said
    assert "relatives: it takes 2,000 common sites" in said
    assert said.endswith("the page is page.html\n")


def test_a_page_is_written_over_nothing(shell, asked):
    (shell.folder / "page.html").write_text("mine")
    assert shell.try_(f"request risk {asked} --html page.html --json").error == "output_exists"
    assert (shell.folder / "page.html").read_text() == "mine"


def test_text_of_others_does_not_become_markup():
    document = {
        "request": "<b>r",
        "project": "<i>",
        "dataset": "<i>",
        "kind": "counts",
        "made": "2026-01-01T00:00:00Z",
        "n": 100,
        "sites": None,
        "price": {"alleles": 1, "accuracy95": 30, "nats": 0.1, "factor": 1.1, "left": {"<u>": 1}},
        "profile": {"profile": "<s>", "sha256": "<s>", "fields": ["<s>"], "opt_outs": "<s>"},
        "not_protected": ["<q>"],
        "stale": False,
    }
    assert not re.search(r"<(b>r|i>|u>|s>|q>)", page(document))
