"""Stores put back to an earlier moment, or pointed elsewhere, by somebody who writes every file and holds no slot."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.support import vaults
from tests.support.vaults import opened, sql
from vault import gate
from vault.audit.entry import decode_leaf
from vault.consent import recording
from vault.crypto.keystore import Role
from vault.errors import GenovaultError, UnavailableError
from vault.operations import log_anchors, recovery
from vault.operations.erasure import process
from vault.session import bound_settings
from vault.session.settings import read_settings, signed, write_settings
from vault.session.unlocked_vault import open_vault

KEYSTORE = ("keystore.a", "keystore.b")


def code(folder) -> str:
    """The code of the error with which an opening is refused; empty where it is not."""
    try:
        with opened(folder):
            return ""
    except GenovaultError as error:
        assert "\n" not in error.message
        return error.code


def keep(folder, *names):
    """Copy parts of a vault, each with its write-ahead log."""
    kept = folder.parent / "kept"
    kept.mkdir(exist_ok=True)
    for name in names:
        for path in folder.glob(f"{name}*"):
            shutil.copy(path, kept / path.name)


def put_back(folder, *names):
    for name in names:
        for path in folder.glob(f"{name}*"):
            path.unlink()
        for path in (folder.parent / "kept").glob(f"{name}*"):
            shutil.copy(path, folder / path.name)


def edit(folder, **fields):
    document = json.loads((folder / "vault.json").read_text()) | fields
    (folder / "vault.json").write_text(json.dumps({name: value for name, value in document.items() if value is not None}))


@pytest.fixture
def anchored(small):
    (small.parent / "anchor").mkdir()
    with opened(small) as s:
        log_anchors.add(s, small.parent / "anchor")
    return small


def test_books_of_yesterday_are_refused(small):
    keep(small, "books.db")
    with opened(small) as s:
        recording.withdraw(s, "S03")
    put_back(small, "books.db")
    assert code(small) == "books_behind"
    assert code(small) == "books_behind"  # refusing changes nothing


def test_an_anchor_taken_out_of_the_settings_is_missed(anchored):
    keep(anchored, "books.db")
    with opened(anchored) as s:
        recording.withdraw(s, "S03")
    edit(anchored, anchors=None)
    assert code(anchored) == "settings_altered"
    put_back(anchored, "books.db")
    assert code(anchored) in {"books_behind", "settings_altered"}


def test_settings_of_before_the_anchor_are_refused(small):
    """They are as a command wrote them, signature and all."""
    keep(small, "vault.json")
    (small.parent / "anchor").mkdir()
    with opened(small) as s:
        log_anchors.add(s, small.parent / "anchor")
    newest = (small / "vault.json").read_bytes()
    put_back(small, "vault.json")
    assert code(small) == "settings_altered"
    (small / "vault.json").write_bytes(newest)
    with opened(small) as s:
        leaves = [decode_leaf(entry.leaf) for entry in s.trail.log.entries()]
    refused = [leaf["reasons"] for leaf in leaves if leaf["act"] == "vault.open" and leaf["outcome"] == "failed"]
    assert refused == [{"settings_altered": 1}]


def test_a_log_that_was_continued_by_hand_is_refused(anchored):
    keep(anchored, "books.db")
    with opened(anchored) as s:
        recording.withdraw(s, "S03")
    put_back(anchored, "books.db")
    base = sql(anchored / "books.db", "SELECT base + size FROM audit_head")[0][0]
    sql(
        anchored / "books.db",
        "INSERT INTO audit_origin (base, origin) SELECT base + size, 'genovault.test/log2' FROM audit_head",
        "UPDATE vault SET origin = 'genovault.test/log2'",
        f"UPDATE audit_head SET base = {base}, size = 0, stack = x''",
    )
    assert code(anchored) in {"log_head_unauthentic", "collection_altered"}
    assert not list((anchored.parent / "anchor").rglob("continued"))


@pytest.mark.parametrize("name", ["keys", "books", "objects"])
def test_no_other_store_is_used_because_a_file_says_so(small, name):
    shadow = small.parent / "shadow"
    if name == "objects":
        shutil.copytree(small / "objects", shadow)
        edit(small, objects=str(shadow))
    else:
        shadow.mkdir()
        for path in small.glob(f"{name}.db*"):
            shutil.copy(path, shadow / path.name)
        edit(small, **{name: f"sqlite:///{shadow / name}.db"})
    assert code(small) == "settings_altered"


def test_settings_signed_by_a_role_that_may_not_change_them_are_refused(small):
    factor = vaults.add_role(small, Role.ENGINE)
    engine = open_vault(small, factor=factor, principal="engine")
    settings = read_settings(small)
    ahead = signed(
        type(settings)(settings.vault_id, settings.places, (small.parent,), settings.change + 1), engine.unlocked.signer
    )
    engine.abandon()
    write_settings(small, ahead)
    assert code(small) == "settings_altered"


def test_a_change_of_the_settings_that_was_killed_halfway_goes_on(small, monkeypatch):
    (small.parent / "anchor").mkdir()

    def killed(_table):
        raise KeyboardInterrupt

    monkeypatch.setattr(bound_settings, "update", killed)
    with pytest.raises(KeyboardInterrupt), opened(small) as s:
        log_anchors.add(s, small.parent / "anchor")
    monkeypatch.undo()
    with opened(small) as s:
        assert [anchor.folder for anchor in s.trail.anchors] == [small.parent / "anchor"]
        assert bound_settings.state(s) is bound_settings.State.SAME
    assert code(small) == ""


def test_keys_from_before_an_erasure_are_refused(small):
    keep(small, "keys.db")
    with opened(small) as s:
        process.erase(s, "S03")
    put_back(small, "keys.db")
    assert code(small) == "keys_behind"
    sql(small / "books.db", "DELETE FROM erasure")
    assert code(small) != ""


def test_keys_from_before_a_change_of_the_keystore_are_refused(small):
    keep(small, "keys.db")
    vaults.add_role(small, Role.AUDITOR)
    put_back(small, "keys.db")
    assert code(small) == "keys_behind"


def test_books_and_keys_from_before_a_change_of_the_keystore_are_refused(small):
    """Both are of one moment; the keystore remembers a later one."""
    from vault.session import principals  # noqa: PLC0415

    keep(small, "books.db", "keys.db")
    with opened(small) as s:
        recording.withdraw(s, "S03")
        principals.add(s, "rita", Role.AUDITOR, vaults.PassphraseFactor.from_text("passphrase of rita"))
    put_back(small, "books.db", "keys.db")
    assert code(small) == "books_behind"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM high_water", "marks_missing"),
        ("UPDATE high_water SET mac = zeroblob(32)", "marks_altered"),
        ("UPDATE high_water SET epoch = epoch + 1", "marks_altered"),
        ("UPDATE high_water SET marks = replace(marks, '\"size\":', '\"size\":1')", "marks_altered"),
        ("UPDATE high_water SET marks = 'x'", "marks_altered"),
    ],
)
def test_marks_are_not_edited(small, statement, expected):
    sql(small / "keys.db", statement)
    assert code(small) == expected


def test_a_history_that_was_made_anew_is_not_signed(small):
    """Every leaf made anew and the signed heads deleted: what an insider who holds the key of the log's head could do."""
    s = open_vault(small, factor=vaults.FACTOR)
    head = sql(small / "books.db", "SELECT base, size, stack, state FROM audit_head")[0]
    stack = bytes(32) + bytes(head[2])[32:]
    forged = s.trail.log._seal.sealed(head[0], head[1], stack, head[3])
    s.abandon()
    sql(
        small / "books.db",
        "DELETE FROM audit_checkpoint",
        ("UPDATE audit_head SET stack = ?, epoch = ?, mac = ?", (stack, forged.epoch, forged.mac)),
    )
    assert code(small) in {"history_rewritten", "log_head_altered"}  # the second where the marks are not so far yet


def test_two_processes_do_not_make_each_other_fail(small):
    with opened(small) as first, opened(small) as second:
        recording.withdraw(first, "S03")
        first.marks.keep()
        gate.check(second, "demo")
        recording.withdraw(second, "S04")
        second.marks.keep()
        first.marks.keep()
        assert first.marks.read() == second.marks.standing()
        with opened(small):
            pass
    assert code(small) == ""


def test_books_that_a_killed_process_left_are_ahead_and_open(small):
    s = recovery.open_recovered(small, factor=vaults.FACTOR)
    recording.withdraw(s, "S03")
    s.abandon()
    before = open_vault(small, factor=vaults.FACTOR)
    kept, now = before.marks.read(), before.marks.standing()
    before.abandon()
    assert kept.far < now.far
    assert code(small) == ""
    keep(small, "keys.db")


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.ENGINE, Role.CUSTODIAN])
def test_every_role_compares_and_keeps_the_marks(small, role):
    factor = vaults.add_role(small, role)
    keep(small, "books.db")
    with opened(small) as s:
        recording.withdraw(s, "S03")
    with opened(small, factor=factor, principal=role.value) as s:
        assert s.marks.read().far == s.marks.standing().far
    put_back(small, "books.db")
    with pytest.raises(GenovaultError) as caught, opened(small, factor=factor, principal=role.value):
        pass
    assert caught.value.code == "books_behind"


def test_two_processes_that_change_the_settings_at_once_lose_no_anchor(small, tmp_path):
    places = [tmp_path / "one", tmp_path / "two"]
    for place in places:
        place.mkdir()
    with opened(small) as first, opened(small) as second:
        log_anchors.add(first, places[0])
        with pytest.raises(UnavailableError) as caught:
            log_anchors.add(second, places[1])
        assert caught.value.code == "changed_meanwhile"
    with opened(small) as s:
        assert s.settings.anchors == (places[0],)
