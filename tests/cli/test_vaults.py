from __future__ import annotations

import json

import pytest

import cli.main
from cli.vaults import _shown


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("objects", "objects"),
        ("sqlite:///books.db", "sqlite:///books.db"),
        ("postgresql://ann:secret@db.example:5432/books?sslmode=require", "postgresql://db.example:5432/books"),
        ("postgresql://db/books?password=secret", "postgresql://db/books"),
        ("postgresql://ann@db/books", "postgresql://db/books"),
    ],
)
def test_a_place_is_shown_without_user_password_and_parameters(place, shown):
    assert _shown(place) == shown


def test_the_status_of_no_vault_is_exit_6(tmp_path, capsys):
    assert cli.main.run(["status", "--vault", str(tmp_path), "--json"]) == 6
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "no_vault"
