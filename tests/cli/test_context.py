from __future__ import annotations

from pathlib import Path

import pytest

from cli.context import Context
from cli.forwarding import hoist_globals
from cli.output import Output
from vault.errors import UsageError


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([], []),
        (["a", "b"], ["a", "b"]),
        (["a", "--json", "b"], ["--json", "a", "b"]),
        (["a", "--vault", "v", "b"], ["--vault", "v", "a", "b"]),
        (["a", "--vault=v"], ["--vault=v", "a"]),
        (["a", "--as", "ann", "--json"], ["--as", "ann", "--json", "a"]),
        (["a", "--vault"], ["--vault", "a"]),
        (["a", "--", "--json", "--vault", "v"], ["a", "--", "--json", "--vault", "v"]),
        (["a", "--vaulted", "v", "--as-is"], ["a", "--vaulted", "v", "--as-is"]),
        (["a", "--reason=--json"], ["a", "--reason=--json"]),
    ],
)
def test_global_options_move_to_the_front_and_keep_their_values(given, wanted):
    assert hoist_globals(given) == wanted


def test_a_vault_must_be_named():
    with pytest.raises(UsageError) as caught:
        Context(output=Output()).vault_folder()
    assert caught.value.code == "vault_not_named"
    assert Context(output=Output(), folder=Path("v")).vault_folder() == Path("v")
