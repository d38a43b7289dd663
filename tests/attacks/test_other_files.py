"""Something else in the place of a stored file: a pipe nobody writes to is waited for by nobody."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.support.vaults import opened
from vault import gate
from vault.audit.entry import decode_leaf
from vault.errors import GenovaultError
from vault.session.failed_unlocks import NOTES


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


@pytest.mark.parametrize("name", ["books.db", "books.db-wal", "keys.db", "keys.db-journal"])
def test_links_that_lead_in_a_circle_are_told(small, name):
    (small / name).unlink(missing_ok=True)
    (small / name).symlink_to(name)
    with pytest.raises(GenovaultError) as caught, opened(small):
        pass
    assert caught.value.code == "no_database"


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "lines"])
def test_whatever_stands_for_the_notes_of_failed_unlocks_opens_nothing_and_hinders_nobody(small, kind):
    """A line that is no time of ours is not taken into the log."""
    notes = small / NOTES
    notes.unlink(missing_ok=True)
    if kind == "folder":
        notes.mkdir()
    elif kind == "pipe":
        os.mkfifo(notes, 0o600)
    elif kind == "link":
        notes.symlink_to("/dev/zero")
    else:
        notes.write_bytes(b"\n" * 9_000 + b"\x1b[2Jgone\n" + b"2026-11-29T12:00:00.000000Z\n")
    with opened(small) as s:
        noted = [entry for entry in s.trail.log.entries() if decode_leaf(entry.leaf)["act"] == "vault.unlock.failed"]
        details = [s.trail.detail(entry.index) for entry in noted]
    assert details == ([{"time": "2026-11-29T12:00:00.000000Z"}] if kind == "lines" else [])
