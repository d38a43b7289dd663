"""Anchors: an old or edited copy of a vault is refused, and a new log names the one it continues."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from pysqlite3 import dbapi2

from vault.audit.actions import Action, Outcome
from vault.audit.live_source import LogSource
from vault.audit.receipt import verify_receipt
from vault.audit.verify import verify
from vault.crypto.primitives import Argon2Profile
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.operations import log_anchors
from vault.operations.create import init
from vault.operations.recovery import open_recovered
from vault.session.settings import read_settings
from vault.session.unlocked_vault import factor, open_vault

SECRET = factor(passphrase="correct horse battery staple")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template") / "v"
    init(folder, steward="ann", factor=SECRET, profile=Argon2Profile.TEST_ONLY)
    return folder


@pytest.fixture
def home(template, tmp_path):
    shutil.copytree(template, tmp_path / "v")
    (tmp_path / "anchor").mkdir()
    return tmp_path


@pytest.fixture
def anchored(home):
    with_session(home, lambda session: log_anchors.add(session, home / "anchor"))
    return home


def with_session(home, work, *, opening=open_recovered):
    session = opening(home / "v", factor=SECRET)
    try:
        return work(session)
    finally:
        session.close()


def note_something(session):
    session.trail.record(Action.SUBJECT_LIST, Outcome.DONE)


def refusal(home):
    with pytest.raises((IntegrityError, UnavailableError)) as caught:
        open_recovered(home / "v", factor=SECRET)
    return caught.value.code


def copy_vault(home, name="copy"):
    shutil.copytree(home / "v", home / name)


def put_back(home, name="copy"):
    shutil.rmtree(home / "v")
    shutil.copytree(home / name, home / "v")


def test_every_checkpoint_is_anchored(anchored):
    with_session(anchored, note_something)
    session = open_recovered(anchored / "v", factor=SECRET)
    newest = session.trail.anchors[0].newest(session.trail.origin)
    assert newest == session.trail.log.latest_checkpoint()
    session.close()
    assert len([p for p in (anchored / "anchor").rglob("*") if p.is_file()]) >= 2


def test_an_old_copy_is_behind_and_refused(anchored):
    copy_vault(anchored)
    with_session(anchored, note_something)
    put_back(anchored)
    assert refusal(anchored) == "log_behind_anchor"
    assert refusal(anchored) == "log_behind_anchor"  # refusing does not sign the fork


def test_an_old_copy_that_went_on_differs_and_is_refused(anchored):
    copy_vault(anchored)
    with_session(anchored, note_something)
    put_back(anchored)
    session = open_vault(anchored / "v", factor=SECRET)
    for _ in range(5):
        note_something(session)
    session.abandon()
    assert refusal(anchored) == "log_differs_from_anchor"


def test_a_rolled_back_log_behind_a_newer_signing_key_is_refused(anchored):
    # The old keystore does not know the newer key: what the anchor says counts all the same.
    (anchor,) = read_settings(anchored / "v").anchors
    (origin_folder,) = [p for p in anchor.iterdir() if p.is_dir()]
    newest = max(p for p in origin_folder.rglob("*") if p.is_file())
    origin, _, rest = newest.read_text().split("\n", 2)
    forged = origin_folder / "000/000/000/900"
    forged.write_text(f"{origin}\n900\n{rest}")
    assert refusal(anchored) == "log_behind_anchor"


def test_a_missing_or_empty_mount_is_unavailable(anchored):
    (anchored / "anchor").rename(anchored / "elsewhere")
    assert refusal(anchored) == "anchor_unreachable"
    (anchored / "anchor").mkdir()
    assert refusal(anchored) == "anchor_unreachable"


def test_nonsense_in_the_anchor_is_passed_over(anchored):
    (anchored / "anchor" / "readme").write_text("hello")
    (folder,) = [p for p in (anchored / "anchor").iterdir() if p.is_dir()]
    (folder / "000/000/000/999").write_text("")
    with_session(anchored, note_something)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_passed_over_and_waited_for_by_nobody(anchored, make):
    (folder,) = [p for p in (anchored / "anchor").iterdir() if p.is_dir()]
    make(folder / "000/000/000/999")
    with_session(anchored, note_something)


def test_a_spoilt_file_does_not_stop_the_next_checkpoint(anchored):
    session = open_recovered(anchored / "v", factor=SECRET)
    note_something(session)
    (folder,) = [p for p in (anchored / "anchor").iterdir() if p.is_dir()]
    size = session.trail.log.size()
    (folder / f"000/000/000/{size:03}").write_text("")  # a disk that was full
    session.trail.checkpoint()
    assert session.trail.anchors[0].newest(session.trail.origin).split("\n")[1] == str(size)
    session.close()


def test_an_anchor_that_has_another_tree_stops_the_next_checkpoint(anchored):
    session = open_recovered(anchored / "v", factor=SECRET)
    note_something(session)
    (folder,) = [p for p in (anchored / "anchor").iterdir() if p.is_dir()]
    origin, _, rest = session.trail.anchors[0].newest(session.trail.origin).split("\n", 2)
    now = session.trail.log.size()
    (folder / f"000/000/000/{now:03}").write_text(f"{origin}\n{now}\n{rest}")
    with pytest.raises(IntegrityError) as caught:
        session.trail.checkpoint()
    assert caught.value.code == "anchor_differs"
    session.abandon()


@pytest.mark.parametrize(
    ("place", "code"), [("v/inside", "anchor_inside"), ("anchor", "anchor_known"), ("gone", "anchor_unreachable")]
)
def test_what_cannot_be_an_anchor(anchored, place, code):
    session = open_recovered(anchored / "v", factor=SECRET)
    with pytest.raises((InputError, UnavailableError)) as caught:
        log_anchors.add(session, anchored / place)
    assert caught.value.code == code
    session.close()


def test_an_anchor_is_given_up(anchored):
    session = open_recovered(anchored / "v", factor=SECRET)
    log_anchors.remove(session, anchored / "anchor")
    with pytest.raises(InputError) as caught:
        log_anchors.remove(session, anchored / "anchor")
    assert caught.value.code == "anchor_unknown"
    session.close()
    shutil.rmtree(anchored / "anchor")
    with_session(anchored, note_something)
    assert read_settings(anchored / "v").anchors == ()


class TestContinuing:
    @pytest.fixture
    def continued(self, anchored):
        copy_vault(anchored)
        with_session(anchored, note_something)
        put_back(anchored)
        self.appended = with_session(anchored, log_anchors.continue_log, opening=open_vault)
        return anchored

    def test_leaf_0_names_the_last_good_checkpoint(self, continued):
        session = open_recovered(continued / "v", factor=SECRET)
        old, new = session.trail.log.parts()
        receipt = session.trail.log.receipt(new.base)
        leaf = json.loads(verify_receipt(receipt, None, new.origin, session.trail.log_keys()).leaf)
        assert (old.origin.rpartition("/")[2], new.origin.rpartition("/")[2]) == ("log1", "log2")
        origin, signed = leaf["prev"].split("\n")[:2]
        assert origin == old.origin == leaf["obj"]["ref"]
        assert leaf["counts"] == {"kept": old.size, "signed": int(signed)}
        assert int(signed) > old.size
        session.close()

    def test_the_new_log_goes_on_and_both_hold(self, continued):
        with_session(continued, note_something)
        session = open_recovered(continued / "v", factor=SECRET)
        old, new = session.trail.log.parts()
        assert new.size >= 2
        for part, live in ((old, old), (new, None)):
            key = session.trail.log_keys(part.origin)[0].to_text()
            report = verify(LogSource(session.trail.log, key, part=live), key)
            assert report.ok, report.findings
            assert report.entries == part.size
        assert session.trail.log.receipt(0).count(f"\n{old.origin}\n") == 1
        session.close()

    def test_the_old_copy_stays_refused_even_at_its_anchored_size(self, continued):
        shutil.copytree(continued / "v", continued / "now")
        put_back(continued)
        assert refusal(continued) == "log_continued_elsewhere"
        put_back(continued, "now")
        with_session(continued, note_something)

    def test_a_process_with_the_old_name_does_not_sign(self, anchored):
        stale, fresh = (open_vault(anchored / "v", factor=SECRET) for _ in range(2))
        log_anchors.continue_log(fresh)
        note_something(stale)
        with pytest.raises(UnavailableError) as caught:
            stale.trail.checkpoint()
        assert caught.value.code == "log_continued"
        stale.abandon()
        fresh.close()

    def test_an_interrupted_announcement_is_made_up_for(self, continued):
        for statement in (continued / "anchor").rglob("continued"):
            statement.unlink()
        with_session(continued, note_something)
        assert len(list((continued / "anchor").rglob("continued"))) == 1

    def test_a_log_that_every_anchor_agrees_with_is_not_ended(self, anchored):
        session = open_vault(anchored / "v", factor=SECRET)
        with pytest.raises(InputError) as caught:
            log_anchors.require_cause(session)
        assert caught.value.code == "log_stands"
        session.close()

    def test_a_log_behind_its_anchor_may_be_ended(self, anchored):
        copy_vault(anchored)
        with_session(anchored, note_something)
        put_back(anchored)
        session = open_vault(anchored / "v", factor=SECRET)
        log_anchors.require_cause(session)
        session.abandon()

    def test_without_anchors_too(self, home):
        with_session(home, log_anchors.continue_log, opening=open_vault)
        with_session(home, note_something)


def test_settings_name_the_anchors(anchored):
    document = json.loads((anchored / "v/vault.json").read_text())
    assert document["anchors"] == [str((anchored / "anchor").resolve())]


def test_consent_head_carries_over_into_the_new_log(anchored):
    with_session(anchored, log_anchors.continue_log, opening=open_vault)
    connection = dbapi2.connect(str(anchored / "v/books.db"))
    base = connection.execute("SELECT max(base) FROM audit_origin").fetchone()[0]
    (leaf,) = connection.execute("SELECT leaf FROM audit_leaf WHERE idx = ?", (base,)).fetchone()
    connection.close()
    assert json.loads(leaf)["consent"]["seq"] == 0
