"""States of a request: standing or each, approved by another, released, expired; told from signatures and never from a column."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support import vaults
from tests.support.vaults import ask, opened
from vault import gate
from vault.access import project_versions, projects, requests
from vault.access.request_records import HOLDS
from vault.audit.entry import decode_leaf
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import InputError, RefusedError
from vault.session import principals

BOB = PassphraseFactor.from_text("passphrase of bob")


def code_of(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return caught.value.code


def state(s, request):
    return requests.load(s, request).state


def last(s):
    return decode_leaf(list(s.trail.log.entries())[-1].leaf)


@pytest.fixture
def each(s):
    vaults.approve(s, "each", "cohort", approval="each")
    return s


def later(s, days):
    at = s.clock() + timedelta(days=days)
    s.clock = lambda: at


def test_under_a_standing_approval_it_is_the_projects(s, tmp_path):
    asked = ask(s)
    made = requests.load(s, asked)
    assert (made.state, made.approved_by, made.standing) == ("approved", "ann", True)
    assert s.trail.detail(s.trail.log.size() - 1)["approved_by"] == "ann"
    assert code_of(InputError, lambda: requests.approve(s, asked)) == "request_state"
    gate.extract(s, asked, tmp_path / "out")
    assert state(s, asked) == "released"
    assert gate.extract(s, asked, tmp_path / "again").state == "released"  # decided anew


def test_where_each_is_approved_nothing_leaves_before(each, tmp_path):
    asked = ask(each, project="each")
    assert (state(each, asked), requests.load(each, asked).approved_by) == ("submitted", None)
    assert [one.request_id for one in requests.waiting(each)] == [asked]
    assert code_of(RefusedError, lambda: gate.extract(each, asked, tmp_path / "out")) == "request_not_approved"
    assert (last(each)["act"], last(each)["reasons"]) == ("extract.intent", {"request_not_approved": 1})
    made = requests.approve(each, asked)
    assert (made.state, made.approved_by, made.standing) == ("approved", "ann", False)
    assert (last(each)["act"], last(each)["req"], last(each)["flags"]) == ("request.approve", asked, ["self_approved"])
    assert requests.waiting(each) == []
    assert code_of(InputError, lambda: requests.approve(each, asked)) == "request_state"
    gate.extract(each, asked, tmp_path / "out")
    assert state(each, asked) == "released"


def test_with_two_stewards_another_approves(folder, tmp_path):
    with opened(folder) as s:
        vaults.approve(s, "each", "cohort", approval="each")
        alone = ask(s, project="each")
        requests.approve(s, alone)
        principals.add(s, "bob", Role.STEWARD, BOB, profile=Argon2Profile.TEST_ONLY)
        asked = ask(s, project="each")
        assert code_of(RefusedError, lambda: requests.approve(s, asked)) == "self_approval"
        assert state(s, alone) == "submitted"  # what one did alone takes another from then on
    with opened(folder, factor=BOB, principal="bob") as s:
        assert requests.approve(s, asked).approved_by == "bob"
        assert not last(s).get("flags")
        assert requests.approve(s, alone).approved_by == "bob"
        gate.extract(s, asked, tmp_path / "out")


@pytest.mark.parametrize("project", ["demo", "each"])
def test_it_expires(each, tmp_path, project):
    asked = ask(each, project=project)
    later(each, HOLDS.days - 1)
    assert state(each, asked) in {"approved", "submitted"}
    later(each, 1)
    assert state(each, asked) == "expired"
    assert code_of(RefusedError, lambda: gate.extract(each, asked, tmp_path / "out")) == "request_expired"
    assert (last(each)["act"], last(each)["reasons"]) == ("extract.intent", {"request_expired": 1})
    assert code_of(InputError, lambda: requests.approve(each, asked)) == "request_state"
    assert state(each, requests.resubmit(each, asked).request_id) in {"approved", "submitted"}


def test_an_approval_begins_its_days_anew_and_a_release_ends_them(each, tmp_path):
    asked = ask(each, project="each")
    later(each, 60)
    requests.approve(each, asked)
    later(each, 60)
    assert state(each, asked) == "approved"
    gate.extract(each, asked, tmp_path / "out")
    later(each, 400)
    assert state(each, asked) == "released"


def test_one_that_expires_while_it_is_made_is_refused(s, tmp_path, monkeypatch):
    asked, commit = ask(s), gate.accesses.commit
    monkeypatch.setattr(gate.accesses, "commit", lambda *args, **named: (later(s, HOLDS.days), commit(*args, **named))[1])
    assert code_of(RefusedError, lambda: gate.extract(s, asked, tmp_path / "out")) == "request_expired"
    assert (last(s)["act"], last(s)["outcome"]) == ("extract.outcome", "refused")


def test_a_project_that_turns_to_each_has_what_was_asked_approved(s, tmp_path):
    asked = ask(s)
    document = projects.canonical.loads(projects.load(s, "demo").declaration_text)
    project_versions.amend(s, {**document, "approval": "each"}, reason="x")
    projects.change(s, "demo", "approve", version=2)
    assert state(s, asked) == "submitted"
    assert code_of(RefusedError, lambda: gate.extract(s, asked, tmp_path / "out")) == "request_not_approved"
    requests.approve(s, asked)
    gate.extract(s, asked, tmp_path / "out")


def test_of_a_project_that_is_suspended_nothing_is_approved(each):
    asked = ask(each, project="each")
    projects.change(each, "each", "suspend")
    assert code_of(RefusedError, lambda: requests.approve(each, asked)) == "project_not_approved"


def test_who_asks_sees_their_own(folder, s):
    theirs = ask(s)
    factor = vaults.add_role(folder, Role.ENGINE)
    with opened(folder, factor=factor, principal="engine") as other:
        own = ask(other)
        assert [one.request_id for one in requests.list_visible(other)] == [own]
        assert code_of(InputError, lambda: requests.visible(other, theirs)) == "request_unknown"
        assert requests.visible(other, own).state == "approved"
    assert {one.request_id for one in requests.list_visible(s)} >= {theirs, own}
