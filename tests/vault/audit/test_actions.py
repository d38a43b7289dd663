"""Final outcome of an access, from the entries that close it."""

from __future__ import annotations

import pytest

from vault.audit.actions import ending


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        ([], None),
        (["done"], "done"),
        (["aborted"], "aborted"),
        (["failed", "aborted"], "aborted"),
        (["failed", "done"], "done"),
        (["done", "aborted"], "done"),  # what left is not taken back by an entry
        ([None, "done"], "done"),
        ([None], None),
    ],
)
def test_done_stands_and_else_the_last_word_counts(said, ended):
    assert ending(said) == ended
