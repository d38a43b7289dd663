"""Objects: written once, durable, private, and exactly as long as asked."""

from __future__ import annotations

import stat

import pytest

from vault.errors import InputError, IntegrityError, UnavailableError
from vault.storage.object_store import ObjectStore


@pytest.fixture
def store(tmp_path):
    (tmp_path / "objects").mkdir(mode=0o700)
    return ObjectStore(str(tmp_path / "objects"))


def test_what_is_put_is_got(store):
    store.put("ab/cd", b"0123456789")
    assert store.get("ab/cd") == b"0123456789"
    assert store.get_range("ab/cd", 3, 4) == b"3456"
    assert store.get_range("ab/cd", 10, 0) == b""
    assert list(store.list()) == [("ab/cd", 10)]
    assert list(store.list("ab")) == [("ab/cd", 10)]
    assert list(store.list("a")) == []


def test_an_object_is_never_overwritten(store):
    store.put("ab/cd", b"first")
    with pytest.raises(UnavailableError) as caught:
        store.put("ab/cd", b"second")
    assert caught.value.code == "objects_unavailable"
    assert store.get("ab/cd") == b"first"


def test_a_missing_object_is_an_error(store):
    for call in (lambda: store.get("ab/cd"), lambda: store.get_range("ab/cd", 0, 4)):
        with pytest.raises(IntegrityError) as caught:
            call()
        assert caught.value.code == "object_missing"


@pytest.mark.parametrize(("offset", "length"), [(0, 11), (8, 4), (10, 1), (11, 1), (10**9, 5)])
def test_a_short_object_is_an_error(store, offset, length):
    store.put("ab/cd", b"0123456789")
    with pytest.raises(IntegrityError) as caught:
        store.get_range("ab/cd", offset, length)
    assert caught.value.code == "object_truncated"


def test_an_empty_object_is_short_too(store, tmp_path):
    store.put("ab/cd", b"0123456789")
    (tmp_path / "objects/ab/cd").write_bytes(b"")
    with pytest.raises(IntegrityError) as caught:
        store.get_range("ab/cd", 0, 4)
    assert caught.value.code == "object_truncated"


def test_deleting_what_is_gone_is_fine(store):
    store.put("ab/cd", b"x")
    store.delete(["ab/cd", "ab/cd", "never/was"])
    assert list(store.list()) == []


def test_files_and_folders_are_private(store, tmp_path):
    store.put("ab/cd", b"x")
    assert stat.S_IMODE((tmp_path / "objects/ab/cd").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "objects/ab").stat().st_mode) == 0o700


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(UnavailableError) as caught:
        ObjectStore(str(tmp_path / "gone"))
    assert (caught.value.code, "relocate" in caught.value.hint) == ("no_objects", True)


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "{absolute}", "..", "a/./b", "a//b", "a b", "a\n", "\0", ""])
def test_a_name_never_leads_out_of_the_folder(store, tmp_path, name):
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    outside.chmod(0o644)
    name = name.replace("{absolute}", str(outside))
    for call in (
        lambda: store.get(name),
        lambda: store.get_range(name, 0, 4),
        lambda: store.put(name, b"x"),
        lambda: store.delete([name]),
    ):
        with pytest.raises(IntegrityError) as caught:
            call()
        assert caught.value.code == "object_name"
    assert outside.read_bytes() == b"secret"
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644  # not even its mode: storing sets modes of what it stores
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
    assert list((tmp_path / "objects").iterdir()) == []


def test_an_unknown_kind_of_store_is_an_error_of_ours():
    with pytest.raises(InputError) as caught:
        ObjectStore("ftp://ann:hunter2@host/objects")
    assert caught.value.code == "bad_url"
    assert "hunter2" not in str(caught.value)
