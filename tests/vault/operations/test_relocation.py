"""A vault is moved, or copied, by a command that its owner gives."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.audit.actions import Action
from vault.audit.reports.records import Filter, records
from vault.consent import recording
from vault.crypto.keystore import Role
from vault.errors import GenovaultError
from vault.operations import log_anchors
from vault.operations.relocation import relocate
from vault.session import bound_settings


@pytest.fixture
def vault(tmp_path):
    return vaults.copy(tmp_path, whole=False)


def refused(work) -> str:
    with pytest.raises(GenovaultError) as caught:
        work()
    return caught.value.code


def works(folder) -> int:
    with opened(folder) as s:
        return len(gate.view(s, project="demo", dataset="cohort").pseudonyms)


def test_a_folder_is_moved_without_a_word(vault, tmp_path):
    vault.rename(tmp_path / "elsewhere")
    assert works(tmp_path / "elsewhere") == 10


def test_a_store_is_moved_by_a_command_that_is_logged(vault, tmp_path):
    (tmp_path / "mount").mkdir()
    shutil.move(vault / "objects", tmp_path / "mount" / "objects")
    for path in vault.glob("keys.db*"):
        shutil.move(path, tmp_path / "mount" / path.name)
    keys, objects = f"sqlite:///{tmp_path}/mount/keys.db", str(tmp_path / "mount" / "objects")
    found = relocate(vault, factor=vaults.FACTOR, keys=keys, objects=objects)
    assert (found.places.keys, found.places.objects, found.copy) == (keys, objects, False)
    assert works(vault) == 10
    with opened(vault) as s:
        assert next(records(s.trail.log, Filter(act=Action.VAULT_RELOCATE)), None) is not None
        assert vaults.verified(s).ok


def test_an_edited_file_is_confirmed_but_its_anchors_are_those_that_the_books_know(vault, tmp_path):
    (tmp_path / "anchor").mkdir()
    with opened(vault) as s:
        log_anchors.add(s, tmp_path / "anchor")
    document = json.loads((vault / "vault.json").read_text())
    shutil.move(vault / "objects", tmp_path / "objects")
    (vault / "vault.json").write_text(json.dumps(document | {"objects": str(tmp_path / "objects"), "anchors": []}))
    assert refused(lambda: works(vault)) == "settings_altered"
    assert relocate(vault, factor=vaults.FACTOR).anchors == (tmp_path / "anchor",)
    assert works(vault) == 10


def test_a_new_password_moves_nothing(vault):
    known = "postgresql://genovault:one@db.example/books?sslmode=require"
    renewed = known.replace("one", "two")
    assert bound_settings.places_in(json.dumps({"books": known})) == {"books": known}
    from vault.session.settings import Places, Settings, bound_text  # noqa: PLC0415

    first, second = (bound_text(Settings(bytes(16), Places(books=url))) for url in (known, renewed))
    assert first == second
    assert "one" not in first
    assert first != bound_text(Settings(bytes(16), Places(books=known.replace("db.example", "evil.example"))))


def test_older_stores_are_not_taken_by_naming_them(vault, tmp_path):
    shutil.copytree(vault, tmp_path / "old")
    with opened(vault) as s:
        recording.withdraw(s, "S03")
    books = f"sqlite:///{tmp_path}/old/books.db"
    assert refused(lambda: relocate(vault, factor=vaults.FACTOR, books=books)) == "books_behind"


def test_only_stewards_say_where_a_vault_lies(vault):
    factor = vaults.add_role(vault, Role.ENGINE)
    assert refused(lambda: relocate(vault, factor=factor, principal="engine")) == "not_authorised"


def test_a_copied_folder_becomes_a_vault_of_its_own(vault, tmp_path):
    (tmp_path / "anchor").mkdir()
    with opened(vault) as s:
        log_anchors.add(s, tmp_path / "anchor")
    shutil.copytree(vault, tmp_path / "copy")
    found = relocate(tmp_path / "copy", factor=vaults.FACTOR, copy=True)
    assert (found.copy, found.anchors) == (True, ())
    with opened(tmp_path / "copy") as s:
        recording.withdraw(s, "S04")
    with opened(vault) as s:
        recording.withdraw(s, "S03")
        assert s.trail.origin != found.origin
    with opened(tmp_path / "copy") as s:  # even its log may go to the same anchor
        log_anchors.add(s, tmp_path / "anchor")
    assert (works(vault), works(tmp_path / "copy")) == (9, 9)
    for path in vault.glob("books.db*"):
        path.unlink()
    for path in (tmp_path / "copy").glob("books.db*"):
        shutil.copy(path, vault / path.name)
    assert refused(lambda: works(vault)) in {"other_incarnation", "keystore_behind"}


def test_a_copy_does_not_share_what_the_original_uses(vault, tmp_path):
    shutil.move(vault / "objects", tmp_path / "objects")
    relocate(vault, factor=vaults.FACTOR, objects=str(tmp_path / "objects"))
    shutil.copytree(vault, tmp_path / "copy")
    assert refused(lambda: relocate(tmp_path / "copy", factor=vaults.FACTOR, copy=True)) == "copy_shares"
    shutil.copytree(tmp_path / "objects", tmp_path / "copy" / "objects")
    assert relocate(tmp_path / "copy", factor=vaults.FACTOR, objects="objects", copy=True).copy
    assert works(tmp_path / "copy") == 10
