"""Changes while a view is made stop it: consent and project are checked again between the decision and the commit."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support import vaults
from tests.support.vaults import copy, opened, verified
from vault import gate
from vault.access import project_versions, projects, publication, releases, requests
from vault.audit.entry import decode_leaf
from vault.consent import recording
from vault.crypto.keystore import Role
from vault.errors import GenovaultError, IntegrityError, RefusedError
from vault.operations import release_recovery
from vault.operations.corrections import moving
from vault.operations.recovery import open_recovered
from vault.views.deidentify import Deidentified


@pytest.fixture
def folder(tmp_path):
    return copy(tmp_path, whole=False)


@pytest.fixture
def meanwhile(monkeypatch):
    """Have something happen after blocks were opened and before the outcome is committed."""

    def arrange(happens):
        commit = gate.accesses.commit

        def committing(*arguments, **keywords):
            happens()
            return commit(*arguments, **keywords)

        monkeypatch.setattr(gate.accesses, "commit", committing)

    return arrange


@pytest.fixture
def amid(monkeypatch):
    """Have something happen while an extract is being written: when its sites are surveyed and none of its pages is read."""

    def arrange(happens):
        pages = Deidentified.pages

        def paging(self):
            happens()
            return pages(self)

        monkeypatch.setattr(Deidentified, "pages", paging)

    return arrange


def another(folder, act):
    """The act, done by another session of the vault."""

    def happens():
        with opened(folder) as other:
            act(other)

    return happens


def amended(s):
    """Version 2 comes into force."""
    document = projects.canonical.loads(projects.load(s, "demo").declaration_text)
    project_versions.amend(s, {**document, "title": "amended"}, reason="x")
    projects.change(s, "demo", "approve", version=2)


CHANGES = {
    "withdrawal": (lambda s: recording.withdraw(s, "S03"), "consent_changed"),
    "restriction": (lambda s: recording.restrict(s, "S03"), "consent_changed"),
    "project suspended": (lambda s: projects.change(s, "demo", "suspend"), "project_changed"),
    "project closed": (lambda s: projects.change(s, "demo", "close"), "project_changed"),
    "project amended": (amended, "project_changed"),
    "calls exchanged": (lambda s: moving.move(s, "cohort", "S03", "S11", swap=True, reason="tubes mixed up"), "calls_changed"),
}


@pytest.mark.parametrize("when", ["meanwhile", "amid"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_stops_an_extract(folder, request, tmp_path, change, when):
    act, code = CHANGES[change]
    request.getfixturevalue(when)(another(folder, act))
    with opened(folder) as s:
        asked = vaults.ask(s)
        with pytest.raises(RefusedError) as caught:
            gate.extract(s, asked, tmp_path / "out")
        assert caught.value.code == code
        assert [r.state for r in releases.list_all(s)] == ["aborted"]
        report = verified(s)
        assert report.ok
        assert report.open_intents == ()
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".genovault-*"))


def test_what_stopped_it_is_one_line(folder, meanwhile, tmp_path):
    meanwhile(another(folder, amended))
    with opened(folder) as s, pytest.raises(RefusedError, match=r"^project demo was amended: version 2 is in force since"):
        gate.extract(s, vaults.ask(s), tmp_path / "out")


def test_a_proposal_stops_nothing(folder, meanwhile, tmp_path):
    def propose(s):
        document = projects.canonical.loads(projects.load(s, "demo").declaration_text)
        project_versions.amend(s, {**document, "title": "amended"}, reason="x")

    meanwhile(another(folder, propose))
    with opened(folder) as s:
        assert gate.extract(s, vaults.ask(s), tmp_path / "out").state == "released"


def test_a_project_that_ends_meanwhile_stops_its_extract(folder, meanwhile, tmp_path):
    with opened(folder) as s:
        ends = s.clock() + timedelta(hours=1)
        vaults.approve(s, "ending", "cohort", expires=ends.isoformat())
        asked = vaults.ask(s, project="ending")
        meanwhile(lambda: setattr(s, "clock", lambda: ends))
        with pytest.raises(RefusedError) as caught:
            gate.extract(s, asked, tmp_path / "out")
        assert caught.value.code == "project_expired"
        assert [r.state for r in releases.list_all(s)] == ["aborted"]
        leaf = decode_leaf(list(s.trail.log.entries())[-1].leaf)
        assert (leaf["act"], leaf["outcome"], leaf["reasons"]) == ("extract.outcome", "refused", {"project_expired": 1})
    assert not (tmp_path / "out").exists()


def test_a_denied_request_stops_its_extract(folder, meanwhile, tmp_path):
    with opened(folder) as s:
        request = vaults.ask(s)
        meanwhile(another(folder, lambda other: requests.deny(other, request, "second thoughts")))
        with pytest.raises(RefusedError) as caught:
            gate.extract(s, request, tmp_path / "out")
    assert caught.value.code == "request_denied"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_stops_a_view(folder, meanwhile, change):
    act, code = CHANGES[change]
    meanwhile(another(folder, act))
    with opened(folder) as s:
        with pytest.raises(RefusedError) as caught:
            gate.view(s, project="demo", dataset="cohort")
        assert caught.value.code == code
        assert verified(s).open_intents == ()


@pytest.mark.parametrize("change", CHANGES)
def test_an_engine_is_not_told_what_changed(folder, meanwhile, change):
    factor = vaults.add_role(folder, Role.ENGINE)
    meanwhile(another(folder, CHANGES[change][0]))
    with opened(folder, factor=factor, principal="engine") as s:
        with pytest.raises(RefusedError) as late:
            gate.view(s, project="demo", dataset="cohort")
        with pytest.raises(RefusedError) as unknown:
            gate.view(s, project="nosuch", dataset="cohort")
    assert (late.value.code, str(late.value)) == (unknown.value.code, str(unknown.value))
    assert late.value.__cause__ is None


def test_a_new_acceptance_does_not_widen_a_view_in_the_making(folder, meanwhile):
    """Decided once: who accepts meanwhile is in the next view."""
    with opened(folder) as s:
        before = gate.view(s, project="demo", dataset="cohort")

    def accept(other):
        sheet = b"subject,legal_time,research_use,signer\nS11,,yes,self\n"
        recording.import_answers(other, sheet, "broad-research")

    meanwhile(another(folder, accept))
    with opened(folder) as s:
        assert set(gate.view(s, project="demo", dataset="cohort").pseudonyms) == set(before.pseudonyms)


def test_nor_does_a_correction_of_people_who_are_not_released(folder, meanwhile):
    meanwhile(another(folder, lambda other: moving.move(other, "cohort", "S11", "S12", swap=True, reason="tubes mixed up")))
    with opened(folder) as s:
        assert len(gate.view(s, project="demo", dataset="cohort").pseudonyms) == len(vaults.PERMITTED)


def test_someone_elses_withdrawal_does_not_stop_a_view(folder, meanwhile):
    meanwhile(another(folder, lambda other: recording.withdraw(other, "S11")))
    with opened(folder) as s:
        assert len(gate.view(s, project="demo", dataset="cohort").pseudonyms) == len(vaults.PERMITTED)


def test_a_withdrawal_after_the_commit_is_after_the_release(folder, tmp_path, monkeypatch):
    finish = publication.finish

    def late(session, release):
        another(folder, lambda other: recording.withdraw(other, "S03"))()
        finish(session, release)

    monkeypatch.setattr(publication, "finish", late)
    with opened(folder) as s:
        assert gate.extract(s, vaults.ask(s), tmp_path / "out").state == "released"
    assert (tmp_path / "out/manifest.json").exists()


def test_recovery_leaves_a_live_extract_alone(folder, meanwhile, tmp_path):
    seen = []

    def look():
        with opened(folder) as other:
            seen.extend(r.state for r in releases.list_all(other))
        seen.append(len(list(tmp_path.glob(".genovault-*"))))

    meanwhile(look)
    with opened(folder) as s:
        assert gate.extract(s, vaults.ask(s), tmp_path / "out").state == "released"
    assert seen == ["staging", 1]


def test_recovery_leaves_a_live_view_alone(folder, meanwhile):
    seen = []

    def look():
        with opened(folder) as other:
            seen.extend(r.state for r in releases.list_all(other))

    meanwhile(look)
    with opened(folder) as s:
        gate.view(s, project="demo", dataset="cohort")
        assert [r.state for r in releases.list_all(s)] == ["released"]
    assert seen == ["staging"]


def test_recovery_that_comes_late_does_not_undo_a_release(folder, tmp_path, monkeypatch):
    """The list of what is unfinished is older than the lock: what was ended in between is left as it is."""
    with opened(folder) as s:
        request, stale = vaults.ask(s), []
        opening = gate.blocks.open_view
        monkeypatch.setattr(gate.blocks, "open_view", lambda *a, **k: (stale.extend(releases.unfinished(s)), opening(*a, **k))[1])
        gate.extract(s, request, tmp_path / "out")
        monkeypatch.setattr(releases, "unfinished", lambda _: stale)
        assert [r.state for r in stale] == ["staging"]
        assert release_recovery.recover(s) == 0
        assert [r.state for r in releases.list_all(s)] == ["released"]
    assert (tmp_path / "out/manifest.json").exists()


def commit_only(folder, tmp_path, monkeypatch):
    """A release whose process died between its commit and its rename."""

    class Died(BaseException):
        pass

    def die(*_args):
        raise Died

    with monkeypatch.context() as patch, opened(folder) as s:
        patch.setattr(publication, "finish", die)
        request = vaults.ask(s)
        with pytest.raises(Died):
            gate.extract(s, request, tmp_path / "out")
        assert [r.state for r in releases.list_all(s)] == ["committed"]
    assert not (tmp_path / "out").exists()


def test_recovery_finishes_a_committed_release(folder, tmp_path, monkeypatch):
    commit_only(folder, tmp_path, monkeypatch)
    with opened(folder) as s:
        assert [r.state for r in releases.list_all(s)] == ["released"]
    assert (tmp_path / "out/manifest.json.tlog-proof").exists()


ENDED = {
    **{name: act for name, (act, _) in CHANGES.items()},
    "request denied": lambda s: requests.deny(s, requests.list_all(s)[0].request_id, "second thoughts"),
    "limits": lambda _: None,
}


@pytest.mark.parametrize("change", ENDED)
def test_recovery_does_not_finish_what_is_no_longer_allowed(folder, tmp_path, monkeypatch, change):
    commit_only(folder, tmp_path, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(release_recovery, "recover", lambda _: 0)
        another(folder, ENDED[change])()
    if change == "limits":
        monkeypatch.setattr(release_recovery.release_limits, "limits", expired)
    with opened(folder) as s:
        assert [r.state for r in releases.list_all(s)] == ["aborted"]
        assert verified(s).ok
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".genovault-*"))


def expired(*_args, **_kwargs):
    raise RefusedError("project_expired", "the project has expired")


def test_a_vault_opens_although_a_release_lost_its_place(folder, tmp_path, monkeypatch):
    commit_only(folder, tmp_path, monkeypatch)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("somebody's")
    with opened(folder) as s:
        assert [r.state for r in releases.list_all(s)] == ["aborted"]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["mine"]


def test_a_vault_opens_although_a_staged_folder_was_removed(folder, tmp_path, monkeypatch):
    commit_only(folder, tmp_path, monkeypatch)
    for staged in tmp_path.glob(".genovault-*"):
        vaults.shutil.rmtree(staged)
    with opened(folder) as s:
        assert [r.state for r in releases.list_all(s)] == ["aborted"]
        assert verified(s).ok


def test_a_vault_opens_although_a_release_cannot_be_ended_now(folder, tmp_path, monkeypatch):
    commit_only(folder, tmp_path, monkeypatch)
    with monkeypatch.context() as patch:

        def broken(*_args, **_kwargs):
            raise IntegrityError("consent_ledger_altered", "the consent ledger is not whole")

        patch.setattr(release_recovery.cohort_decisions, "decide", broken)
        with opened(folder) as s:
            assert [r.state for r in releases.list_all(s)] == ["committed"]
    with opened(folder) as s:
        assert [r.state for r in releases.list_all(s)] == ["released"]


def test_an_auditor_who_opens_does_not_recover(folder, tmp_path, monkeypatch):
    factor = vaults.add_role(folder, Role.AUDITOR)
    commit_only(folder, tmp_path, monkeypatch)
    session = open_recovered(folder, factor=factor, principal="auditor")
    session.books.close()
    assert not (tmp_path / "out").exists()


def test_a_release_that_was_ended_cannot_be_committed(folder, meanwhile):
    """Should a lock ever fail: the release row says that recovery gave it up."""
    with opened(folder) as s:

        def give_up():
            with s.books.write() as tx:
                releases.drop(tx, releases.unfinished(s)[0].release_id)

        meanwhile(give_up)
        with pytest.raises(GenovaultError) as caught:
            gate.view(s, project="demo", dataset="cohort")
    assert caught.value.code == "release_ended"
