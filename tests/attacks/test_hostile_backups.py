"""Backups made by a stranger: refused in one line, before anything stands in the vault's folder."""

from __future__ import annotations

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support import vaults
from vault.errors import GenovaultError
from vault.operations import backup
from vault.operations.restore import restore


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A vault's keys without its data, and a backup of each."""
    folder = tmp_path_factory.mktemp("made")
    vault = vaults.copy(folder, whole=False)
    with vaults.opened(vault) as s:
        backup.backup(s, folder / "b")
        backup.backup_keys(s, folder / "k", expires=s.clock() + timedelta(days=7))
    for path in vault.glob("books.db*"):
        path.unlink()
    shutil.rmtree(vault / "objects")
    return folder


@pytest.fixture
def home(made, tmp_path) -> Path:
    shutil.copytree(made, tmp_path / "h")
    return tmp_path / "h"


def about(folder: Path, change) -> None:
    document = json.loads((folder / "backup.json").read_text())
    change(document)
    (folder / "backup.json").write_text(json.dumps(document))


def replace(path: Path, make) -> None:
    path.unlink()
    make(path)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 43)


def an_object(folder: Path) -> Path:
    return next(path for path in sorted((folder / "objects").rglob("*")) if path.is_file())


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


ATTACKS = {
    "books are a link": (lambda b: replace(b / "books.db", lambda p: p.symlink_to("/etc/passwd")), "backup_foreign"),
    "books are a pipe": (lambda b: replace(b / "books.db", os.mkfifo), "backup_foreign"),
    "books are a folder": (lambda b: replace(b / "books.db", os.mkdir), "backup_foreign"),
    "books are 8 TiB": (lambda b: replace(b / "books.db", sparse), "backup_altered"),
    "books are 8 TiB and said to be": (
        lambda b: (replace(b / "books.db", sparse), about(b, lambda d: d["files"]["books.db"].update(bytes=1 << 43))),
        "disk_full",
    ),
    "books are missing": (lambda b: (b / "books.db").unlink(), "backup_altered"),
    "a journal beside the books": (lambda b: (b / "books.db-wal").write_bytes(b"x"), "backup_foreign"),
    "the description is a link": (
        lambda b: replace(b / "backup.json", lambda p: p.symlink_to("/dev/zero")),
        "backup_altered",
    ),
    "the description is a pipe": (lambda b: replace(b / "backup.json", os.mkfifo), "backup_altered"),
    "the description is deep": (lambda b: (b / "backup.json").write_text("[" * 100_000), "no_backup"),
    "a name twice": (
        lambda b: (b / "backup.json").write_text('{"format": "genovault/backup/1", "format": "genovault/backup/1"}'),
        "backup_altered",
    ),
    "a field more": (lambda b: about(b, lambda d: d.update(more=1)), "backup_altered"),
    "a file more": (lambda b: about(b, lambda d: d["files"].update({"../../x": {"bytes": 1, "sha256": ""}})), "backup_altered"),
    "no file": (lambda b: about(b, lambda d: d.update(files={})), "backup_altered"),
    "files of no form": (lambda b: about(b, lambda d: d.update(files=[1])), "backup_altered"),
    "a vault of no form": (lambda b: about(b, lambda d: d.update(vault=5)), "backup_altered"),
    "an extra": (lambda b: (b / "run-me.sh").touch(), "backup_foreign"),
    "a hidden extra": (lambda b: (b / ".bashrc").touch(), "backup_foreign"),
    "objects are a link": (
        lambda b: (shutil.move(b / "objects", b.parent / "o"), (b / "objects").symlink_to(b.parent / "o")),
        "backup_foreign",
    ),
    "no objects": (lambda b: shutil.rmtree(b / "objects"), "backup_altered"),
    "an object is a link": (lambda b: replace(an_object(b), lambda p: p.symlink_to("/etc/passwd")), "backup_foreign"),
    "an object is a pipe": (lambda b: replace(an_object(b), os.mkfifo), "backup_foreign"),
    "an object is large": (lambda b: replace(an_object(b), sparse), "object_altered"),
    "an object is longer": (lambda b: grow(an_object(b)), "object_altered"),
    "an object is missing": (lambda b: an_object(b).unlink(), "object_missing"),
    "an object more": (lambda b: (b / "objects" / ("0" * 32)).write_bytes(b"x"), "backup_foreign"),
    "an object that leads away": (lambda b: (b / "objects" / "..x").write_bytes(b"x"), "backup_foreign"),
    "a folder that leads down": (
        lambda b: (b / "objects" / "/".join("a" * 12)).mkdir(parents=True),
        "backup_foreign",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_backup_of_data_is_refused(home, attack):
    change, expected = ATTACKS[attack]
    before = sorted(path.name for path in (home / "v").iterdir())
    change(home / "b")
    with pytest.raises(GenovaultError) as caught:
        restore(home / "b", home / "v", factor=vaults.FACTOR)
    assert caught.value.code == expected
    assert "\n" not in caught.value.message
    assert sorted(path.name for path in (home / "v").iterdir()) == before
    assert not list(home.glob(".*.restore"))


KEYS = {
    "keys are a link": (lambda k: replace(k / "keys.db", lambda p: p.symlink_to("/etc/passwd")), "backup_foreign"),
    "the keystore is a device": (lambda k: replace(k / "keystore.a", lambda p: p.symlink_to("/dev/zero")), "backup_foreign"),
    "another copy of the keystore": (lambda k: shutil.copy(k / "keystore.a", k / "keystore.b"), "backup_foreign"),
    "keys are altered": (lambda k: (k / "keys.db").write_bytes(bytes((k / "keys.db").stat().st_size)), "backup_altered"),
    "objects beside keys": (lambda k: (k / "objects").mkdir(), "backup_foreign"),
}


@pytest.mark.parametrize("attack", KEYS)
def test_a_hostile_backup_of_keys_is_refused(home, attack):
    change, expected = KEYS[attack]
    (home / "anchor").mkdir()
    change(home / "k")
    with pytest.raises(GenovaultError) as caught:
        restore(home / "b", home / "new", factor=vaults.FACTOR, keys=home / "k", anchors=[home / "anchor"])
    assert caught.value.code == expected
    assert not (home / "new").exists()


def test_the_backup_as_it_was_made_is_taken(home):
    assert restore(home / "b", home / "v", factor=vaults.FACTOR).newest_keys
