"""Durable writes: whole or not at all, with the mode that was asked for."""

from __future__ import annotations

import os

import pytest

from vault.files import durable


def test_a_new_file_never_takes_the_place_of_another(tmp_path):
    path = tmp_path / "a"
    durable.create(path, b"first")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"first", 0o600)
    (tmp_path / "link").symlink_to(tmp_path / "b")
    for taken in (path, tmp_path / "link"):
        with pytest.raises(FileExistsError):
            durable.create(taken, b"second")
    assert not (tmp_path / "b").exists()


def test_replacing_goes_over_what_a_dead_process_left(tmp_path):
    path, left = tmp_path / "a", tmp_path / "a.new"
    path.write_bytes(b"old")
    left.write_bytes(b"half of something longer")
    durable.replace(path, b"new", temporary=left)
    assert path.read_bytes() == b"new"
    assert [one.name for one in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("call", ["open", "fsync"])
def test_a_refused_write_leaves_the_old_content(tmp_path, monkeypatch, call):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def refuse(*_):
        raise OSError(28, "full")

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(OSError, match="full"):
        durable.replace(path, b"new", temporary=tmp_path / "a.new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
