"""Something else in the place of a stored file: a pipe nobody writes to is waited for by nobody."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.support.vaults import opened
from vault import gate
from vault.errors import GenovaultError


def _pipe(path):
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((f"{base}.db{beside}", "not_a_database") for base in ("books", "keys") for beside in ("", "-wal", "-journal", "-shm")),
        ("vault.json", "settings_unreadable"),
        ("keystore.a", "keystore_unreadable"),
        ("keystore.b", "keystore_unreadable"),
        ("objects", "no_objects"),
    ],
)
def test_a_pipe_in_the_place_of_a_store_is_told_at_once(small, name, expected):
    _pipe(small / name)
    with pytest.raises(GenovaultError) as caught, opened(small):
        pass
    assert caught.value.code == expected


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_an_object_that_is_no_file_is_not_read(small, kind):
    for path in [path for path in (small / "objects").rglob("*") if path.is_file()]:
        path.unlink()
        if kind == "pipe":
            os.mkfifo(path, 0o600)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        else:
            path.mkdir()
    with opened(small) as s, pytest.raises(GenovaultError) as caught:
        gate.view(s, project="demo", dataset="cohort")
    assert caught.value.code in {"object_not_a_file", "object_missing"}
