"""Locks between processes: one holder, released with an error."""

from __future__ import annotations

import pytest

from vault.session.process_lock import process_lock


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    with process_lock(tmp_path, "rel-1") as mine:
        assert mine
        with process_lock(tmp_path, "rel-1") as another:
            assert not another
        with process_lock(tmp_path, "rel-2") as other:
            assert other
    assert list((tmp_path / "locks").iterdir()) == []


def test_a_lock_is_let_go_of_with_an_error(tmp_path):
    def failing():
        with process_lock(tmp_path, "rel-1"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    with process_lock(tmp_path, "rel-1") as mine:
        assert mine
