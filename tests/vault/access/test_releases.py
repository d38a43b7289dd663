"""The book of releases: one row from intent to end, its record sealed and bound to its version."""

from __future__ import annotations

import pytest

from tests.support import vaults
from tests.support.vaults import sql
from vault import gate
from vault.access import releases
from vault.errors import InputError, IntegrityError


def test_a_view_and_an_extract_are_both_in_the_book(s, tmp_path):
    gate.view(s, project="demo", dataset="cohort", regions=["22:1-1020"])
    request = vaults.ask(s)
    gate.extract(s, request, tmp_path / "out")
    extract, view = releases.list_all(s)
    assert (view.request_id, view.content.output, view.content.staged) == (None, "", "")
    assert (extract.request_id, extract.content.output) == (request, str(tmp_path / "out"))
    assert view.content.asked["regions"] == ["22:1-1020"]
    assert {view.state, extract.state} == {"released"}
    assert releases.unfinished(s) == []


def test_what_a_release_was_of_is_sealed(folder, s, tmp_path):
    (tmp_path / "canary-output").mkdir()
    gate.extract(s, vaults.ask(s, regions=("22:1-1033",)), tmp_path / "canary-output/out")
    stored = b"".join(path.read_bytes() for path in folder.glob("books.db*"))
    assert b"canary-output" not in stored
    assert b"22:1-1033" not in stored


def test_a_record_of_another_version_does_not_open(folder, s):
    gate.view(s, project="demo", dataset="cohort")
    sql(folder / "books.db", "UPDATE release SET version = version + 1")
    with pytest.raises(IntegrityError):
        releases.list_all(s)


def test_an_unknown_release(s):
    with pytest.raises(InputError) as caught:
        releases.load(s, "rel-0")
    assert caught.value.code == "release_unknown"


def test_one_altered_record_does_not_hide_the_others(folder, s):
    for _ in range(2):
        gate.view(s, project="demo", dataset="cohort")
    first, second = releases.list_all(s)
    sql(folder / "books.db", ("UPDATE release SET sealed = x'00' WHERE release_id = ?", (first.release_id,)))
    assert releases.load(s, second.release_id) == second
    with pytest.raises(IntegrityError):
        releases.load(s, first.release_id)
