"""Text of others in front of people: what can drive a terminal, hide or reorder is shown as U+FFFD, in every place."""

from __future__ import annotations

import ast
import sys
import unicodedata

import pytest

from tests.support.sources import modules, parsed
from vault.files.plain_text import html_text, printable
from vault.html import charts

WRITERS = {
    "cli.output",
    "cli.errors",
    "cli.prompts",
    "cli.main",
    "cli.reference",
    "cli.demo_stage",
    "cli.forwarding",  # one fixed sentence, before anything else is imported
    "vault.audit.verify.__main__",
}


def test_plain_text_stays():
    for text in ("Zoë Ångström 42", "Łukasz", "李雷 👩", "a  b", "-1 % & <x>", ""):
        assert printable(text) == text


def test_nothing_of_the_dangerous_kinds_is_left():
    kept = {c for code in range(sys.maxunicode + 1) if (c := chr(code)) == printable(c)}
    assert {unicodedata.category(c) for c in kept}.isdisjoint({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
    assert {c for c in kept if unicodedata.category(c) == "Zs"} == {" "}
    assert kept.isdisjoint("\u034f\u115f\u1160\u2800\u3164\uffa0")


@pytest.mark.parametrize(
    "character",
    [
        "\x00",
        "\x1b",
        "\x7f",
        "\x9b",
        "\u061c",
        "\u200b",
        "\u200f",
        "\u2028",
        "\u202e",
        "\u2066",
        "\ufeff",
        "\U000e0041",
        "\ud800",
    ],
)
def test_each_becomes_one_replacement(character):
    assert printable(f"a{character}b") == "a\ufffdb"


def test_html_is_escaped_and_neutral():
    assert html_text('<a href="x">\u202e&\x1b') == "&lt;a href=&quot;x&quot;&gt;\ufffd&amp;\ufffd"
    assert charts.html_text is html_text


def test_pages_escape_in_one_way():
    users = {
        name
        for name, path in modules().items()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and node.module == "html"
    }
    assert users == {"vault.files.plain_text"}


def test_only_named_modules_write_to_the_terminal():
    found = set()
    for name, path in modules().items():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called in {"print", "typer.echo", "typer.secho", "sys.stdout.write", "sys.stderr.write"} or called.endswith(
                    "console.print"
                ):
                    found.add(name)
    assert found <= WRITERS
