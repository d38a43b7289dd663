"""Versions of a project: proposed, shown, approved by number, taken back; what is in force stays until the next one is."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.vaults import opened
from vault import gate
from vault.access import project_versions, projects, rulings, signed_approvals
from vault.audit.entry import decode_leaf
from vault.crypto.keystore import PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.errors import InputError, RefusedError
from vault.session import principals

BOB = PassphraseFactor.from_text("passphrase of bob")


def amend(s, code="demo", reason="the board asked", **changes):
    document = projects.canonical.loads(projects.load(s, code).declaration_text)
    return project_versions.amend(s, {**document, "code": code, **changes}, reason=reason)


def code_of(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return caught.value.code


def states(s, code="demo"):
    return [(one.version.version, one.version.state) for one in project_versions.list_all(s, code)]


def last(s):
    entry = list(s.trail.log.entries())[-1]
    return decode_leaf(entry.leaf), s.trail.detail(entry.index)


def test_what_was_approved_is_in_force_until_the_next_version_is(s):
    before = projects.load(s, "demo")
    project, made = amend(s, title="Hearts and lungs", people=["engine"])
    assert (project, made.version, made.state, made.created_by) == (before, 2, "proposed", "ann")
    leaf, detail = last(s)
    assert (leaf["act"], leaf["project"], detail["reason"]) == ("project.amend", "demo", "the board asked")
    assert leaf["obj"] == {"kind": "declaration", "ref": f"{made.declaration_sha256.hex()}:2"}
    assert projects.load(s, "demo") == before  # its revision too: nothing in progress is stopped by a proposal
    assert gate.view(s, project="demo", dataset="cohort").pseudonyms
    assert states(s) == [(1, "in_force"), (2, "proposed")]
    after = projects.change(s, "demo", "approve", version=2)
    assert (after.version, after.state, after.declaration.title, after.reason) == (
        2,
        "approved",
        "Hearts and lungs",
        "the board asked",
    )
    assert after.project_id == before.project_id  # and so its pseudonyms
    assert states(s) == [(1, "superseded"), (2, "in_force")]
    assert gate.view(s, project="demo", dataset="cohort").pseudonyms
    assert signed_approvals.missing(s) == []


def test_each_version_says_what_it_changes(s):
    amend(s, title="x", datasets=["cohort", "other"])
    first, second = project_versions.list_all(s, "demo")
    assert first.changes == ()
    assert [one.words() for one in second.changes] == [
        "datasets: adds other",
        f"title: {projects.load(s, 'demo').declaration.title} → x",
    ]
    assert [(code, one.version.version) for code, one in project_versions.proposed(s)] == [("demo", 2)]


def test_nothing_is_approved_that_was_not_shown(s):
    amend(s, title="shown")
    assert code_of(InputError, lambda: projects.change(s, "demo", "approve")) == "version_needed"
    amend(s, title="slipped in")
    assert code_of(InputError, lambda: projects.change(s, "demo", "approve", version=2)) == "version_not_proposed"
    assert code_of(InputError, lambda: projects.change(s, "demo", "approve", version=9)) == "version_not_proposed"
    assert states(s) == [(1, "in_force"), (2, "replaced"), (3, "proposed")]
    assert projects.change(s, "demo", "approve", version=3).declaration.title == "slipped in"


def test_nor_is_a_draft_that_was_edited_since(s):
    document = projects.canonical.loads(projects.load(s, "demo").declaration_text) | {"code": "second"}
    projects.create(s, document)
    project_versions.edit(s, {**document, "title": "edited"}, reason="x")
    assert code_of(InputError, lambda: projects.change(s, "second", "approve")) == "version_needed"
    assert code_of(InputError, lambda: projects.change(s, "second", "approve", version=1)) == "version_not_proposed"
    assert projects.change(s, "second", "approve", version=2).version == 2
    assert states(s, "second") == [(1, "replaced"), (2, "in_force")]
    assert gate.check(s, "second").permit


def test_a_proposal_is_taken_back(s):
    assert code_of(InputError, lambda: project_versions.take_back(s, "demo", reason="x")) == "version_not_proposed"
    amend(s, title="y")
    assert code_of(InputError, lambda: project_versions.take_back(s, "demo", reason=" ")) == "reason_missing"
    assert project_versions.take_back(s, "demo", reason="a mistake").state == "taken_back"
    assert last(s)[0]["act"] == "project.take_back"
    assert last(s)[1]["reason"] == "a mistake"
    assert code_of(InputError, lambda: projects.change(s, "demo", "approve", version=2)) == "version_not_proposed"
    assert amend(s, title="z")[1].version == 3  # numbers are not used twice
    assert states(s) == [(1, "in_force"), (2, "taken_back"), (3, "proposed")]


def test_the_same_proposal_again_changes_nothing(s):
    made = amend(s, title="y")[1]
    entries = s.trail.log.size()
    assert amend(s, title="y")[1] == made
    assert s.trail.log.size() == entries


def test_code_scope_and_state_are_held(s):
    assert code_of(InputError, lambda: amend(s, pseudonyms="release")) == "pseudonyms_changed"
    assert code_of(InputError, lambda: amend(s)) == "nothing_changed"
    assert code_of(InputError, lambda: amend(s, title="x", reason="")) == "reason_missing"
    assert code_of(InputError, lambda: amend(s, datasets=[])) == "document_rejected"
    document = projects.canonical.loads(projects.load(s, "demo").declaration_text)
    with pytest.raises(InputError, match="no project heart2") as caught:
        project_versions.amend(s, {**document, "code": "heart2"}, reason="x")
    assert "never changes" in caught.value.hint
    projects.create(s, {**document, "code": "second"})
    assert code_of(InputError, lambda: amend(s, "second", title="x")) == "project_state"  # a draft is edited
    projects.change(s, "demo", "close")
    assert code_of(InputError, lambda: amend(s, title="x")) == "project_state"


def test_an_amendment_of_what_is_not_there_is_not_approved(s):
    before = projects.load(s, "demo")
    amend(s, datasets=["cohrt"])
    assert code_of(InputError, lambda: projects.change(s, "demo", "approve", version=2)) == "dataset_unknown"
    assert projects.load(s, "demo") == before
    assert states(s) == [(1, "in_force"), (2, "proposed")]


def test_a_check_of_a_proposal_is_of_what_it_would_release(s):
    amend(s, kinds=["records"], disclosure={"min_group": 50})
    assert gate.check(s, "demo").permit
    found = gate.check(s, "demo", version=2)
    assert found.permit == 0
    assert [one.code for one in found.refused] == ["group_too_small"]
    assert code_of(InputError, lambda: gate.check(s, "demo", version=3)) == "version_not_proposed"


def test_rulings_stay_with_their_purpose(s):
    rulings.rule(s, "demo", "COL", reason="x")
    amend(s, title="another title")
    assert projects.change(s, "demo", "approve", version=2).ruled == ("COL",)
    assert gate.view(s, project="demo", dataset="cohort").pseudonyms
    purpose = projects.canonical.loads(projects.load(s, "demo").declaration_text)["purpose"]
    amend(s, purpose={**purpose, "commercial": True})
    assert projects.change(s, "demo", "approve", version=3).ruled == ()
    assert gate.view(s, project="demo", dataset="cohort").pseudonyms
    rulings.rule(s, "demo", "COL", reason="again")
    assert projects.load(s, "demo").ruled == ("COL",)
    assert signed_approvals.missing(s) == []


def test_a_suspended_project_says_which_of_two_versions_it_goes_on_with(s):
    projects.change(s, "demo", "suspend")
    amend(s, title="x")
    assert code_of(InputError, lambda: projects.change(s, "demo", "approve")) == "version_needed"
    assert projects.change(s, "demo", "approve", version=1).version == 1
    assert states(s) == [(1, "in_force"), (2, "proposed")]
    projects.change(s, "demo", "suspend")
    assert projects.change(s, "demo", "approve", version=2).state == "approved"


def test_another_steward_approves_an_amendment(folder):
    with opened(folder) as s:
        principals.add(s, "bob", Role.STEWARD, BOB, profile=Argon2Profile.TEST_ONLY)
        amend(s, title="x")
        assert code_of(RefusedError, lambda: projects.change(s, "demo", "approve", version=2)) == "self_approval"
        assert states(s) == [(1, "in_force"), (2, "proposed")]
    with opened(folder, factor=BOB, principal="bob") as s:
        made = projects.change(s, "demo", "approve", version=2)
        assert (made.created_by, made.approved_by, made.self_approved) == ("ann", "bob", False)
        assert gate.check(s, "demo").permit


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.sampled_from(["amend", "take_back", "approve", "suspend", "reapprove"]), max_size=6))
def test_whatever_happens_one_version_is_in_force_and_signed(s, acts):
    for number, act in enumerate(acts):
        before = projects.load(s, "demo")
        numbers = [version for version, _ in states(s)]
        try:
            match act:
                case "amend":
                    amend(s, title=f"title {number} {before.version} {len(numbers)}")
                case "take_back":
                    project_versions.take_back(s, "demo", reason="x")
                case "approve":
                    projects.change(s, "demo", "approve", version=numbers[-1])
                case "suspend":
                    projects.change(s, "demo", "suspend")
                case _:
                    projects.change(s, "demo", "approve")
        except InputError:
            assert projects.load(s, "demo") == before
        found = states(s)
        assert [version for version, _ in found] == list(range(1, len(found) + 1))
        assert [state for _, state in found].count("proposed") <= 1
        assert sum(state in {"in_force", "suspended"} for _, state in found) == 1
        assert signed_approvals.missing(s) == []
