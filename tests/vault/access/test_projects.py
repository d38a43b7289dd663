"""The book of projects: declared, approved by somebody, suspended, closed."""

from __future__ import annotations

import os

import pytest

from policies.purposes import RequestKind
from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.access import project_versions, projects, requests, rulings, signed_approvals
from vault.audit.entry import decode_leaf
from vault.crypto import keystore
from vault.crypto.key_wrapping import KeyPurpose
from vault.crypto.keystore import PassphraseFactor, Role
from vault.errors import InputError, RefusedError
from vault.files.yaml_documents import parse_yaml


def declare(s, code="second", **changes):
    return projects.create(s, parse_yaml(vaults.project_template(code, "cohort").encode(), name="t") | changes)


def code_of(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return caught.value.code


def last(s):
    return decode_leaf(list(s.trail.log.entries())[-1].leaf)


def test_a_declaration_becomes_a_draft_with_its_own_key(s):
    made = declare(s)
    assert (made.state, made.version, made.created_by, made.approved_by) == ("draft", 1, "ann", None)
    other = projects.load(s, "demo")
    keys = {s.keys.open(KeyPurpose.PROJECT, p.project_id).secret.reveal() for p in (made, other)}
    assert len(keys) == 2
    assert projects.load(s, "second") == made
    assert [p.code for p in projects.list_all(s)] == ["demo", "second"]
    assert last(s)["act"] == "project.create"


def test_the_declaration_is_sealed(folder, s):
    declare(s, title="Canary title")
    assert b"Canary" not in b"".join(path.read_bytes() for path in folder.glob("books.db*"))


def test_a_code_is_taken_once(s):
    declare(s)
    assert code_of(InputError, lambda: declare(s)) == "project_exists"
    assert (last(s)["act"], last(s)["outcome"]) == ("project.create", "failed")


@pytest.mark.parametrize(
    "changes", [{"purpose": {"use_kinds": ["weapons"]}}, {"datasets": []}, {"kinds": ["everything"]}, {"surprise": 1}]
)
def test_a_declaration_that_does_not_parse_is_refused(s, changes):
    assert code_of(InputError, lambda: declare(s, **changes)) == "document_rejected"
    assert code_of(InputError, lambda: projects.load(s, "second")) == "project_unknown"


STEPS = {
    ("draft", "approve"): "approved",
    ("draft", "suspend"): None,
    ("draft", "close"): "closed",
    ("approved", "approve"): None,
    ("approved", "suspend"): "suspended",
    ("approved", "close"): "closed",
    ("suspended", "approve"): "approved",
    ("suspended", "suspend"): None,
    ("suspended", "close"): "closed",
    ("closed", "approve"): None,
    ("closed", "suspend"): None,
    ("closed", "close"): None,
}
WAYS = {"draft": (), "approved": ("approve",), "suspended": ("approve", "suspend"), "closed": ("close",)}


@pytest.mark.parametrize(("state", "verb"), STEPS)
def test_which_state_follows_which(s, state, verb):
    declare(s)
    for step in WAYS[state]:
        projects.change(s, "second", step)
    before = projects.load(s, "second")
    assert before.state == state
    if STEPS[state, verb] is None:
        assert code_of(InputError, lambda: projects.change(s, "second", verb)) == "project_state"
        assert projects.load(s, "second") == before
        return
    after = projects.change(s, "second", verb)
    assert (after.state, after.version, after.revision) == (STEPS[state, verb], before.version, before.revision + 1)
    assert projects.load(s, "second") == after
    assert last(s)["act"] == {"approve": "project.approve", "suspend": "project.suspend", "close": "project.close"}[verb]


def test_one_steward_approves_alone_and_it_is_said(s):
    declare(s)
    assert projects.change(s, "second", "approve").self_approved
    assert last(s)["flags"] == ["self_approved"]


def test_with_two_stewards_the_other_approves(folder):
    factor = PassphraseFactor.from_text("second steward")
    with opened(folder) as s:
        unlocked = keystore.load(folder).unlock(vaults.FACTOR, principal="ann")
        keystore.add_slot(
            unlocked, principal="bob", role=Role.STEWARD, factor=factor, profile=vaults.Argon2Profile.TEST_ONLY, random=os.urandom
        )
        declare(s)
    with opened(folder) as s:  # an administrator's session enters the new principal
        assert code_of(RefusedError, lambda: projects.change(s, "second", "approve")) == "self_approval"
        assert (last(s)["act"], last(s)["outcome"]) == ("project.approve", "refused")
    with opened(folder, factor=factor, principal="bob") as s:
        made = projects.change(s, "second", "approve")
        assert (made.approved_by, made.self_approved) == ("bob", False)
        assert not last(s).get("flags")


def test_an_unknown_project(s):
    assert code_of(InputError, lambda: projects.load(s, "nosuch")) == "project_unknown"
    assert code_of(InputError, lambda: projects.change(s, "nosuch", "approve")) == "project_unknown"


def test_a_project_on_a_dataset_that_is_not_there_is_not_approved(s):
    projects.create(s, parse_yaml(vaults.project_template("nosuch", "cohrt").encode(), name="t"))
    with pytest.raises(InputError) as caught:
        projects.change(s, "nosuch", "approve")
    assert caught.value.code == "dataset_unknown"
    assert "did you mean cohort" in caught.value.hint
    assert projects.load(s, "nosuch").state == projects.DRAFT


def edit(s, code="second", reason="a slip of the pen", **changes):
    document = parse_yaml(vaults.project_template(code, "cohort").encode(), name="t") | changes
    return project_versions.edit(s, document, reason=reason)


def test_a_draft_is_edited_under_its_code_and_key_and_then_approved(s):
    made = declare(s)
    before, after = edit(s, title="The right title")
    assert before == made
    assert (after.state, after.version, after.declaration.title) == ("draft", 2, "The right title")
    assert (after.project_id, projects.load(s, "second")) == (made.project_id, after)
    assert last(s)["act"] == "project.edit"
    index = s.trail.log.size() - 1
    assert s.trail.detail(index) | {"declaration": ""} == {
        "declaration": "",
        "reason": "a slip of the pen",
        "replaces": made.declaration_sha256.hex(),
    }
    projects.change(s, "second", "approve", version=2)
    assert signed_approvals.missing(s) == []
    gate.check(s, "second")
    assert code_of(InputError, lambda: edit(s, title="Another")) == "project_state"


def test_what_says_the_same_changes_nothing_and_an_edit_says_why(s):
    declare(s)
    assert edit(s)[1].version == 1
    assert code_of(InputError, lambda: edit(s, reason=" ", title="x")) == "reason_missing"
    assert code_of(InputError, lambda: edit(s, code="nope")) == "project_unknown"
    assert code_of(InputError, lambda: edit(s, datasets=[])) == "document_rejected"


def test_rulings_on_another_purpose_are_out_of_force(s):
    declare(s)
    rulings.rule(s, "second", "controls", reason="x")
    assert projects.load(s, "second").ruled == ("controls",)
    assert edit(s, title="y")[1].ruled == ("controls",)
    assert edit(s, organisation={"name": "Another"})[1].ruled == ()


def test_a_mistaken_end_is_taken_back_and_approved_again(s):
    projects.change(s, "demo", "close")
    assert code_of(InputError, lambda: projects.change(s, "demo", "reopen")) == "reason_missing"
    assert projects.change(s, "demo", "reopen", reason="the wrong one").state == "suspended"
    assert code_of(RefusedError, lambda: requests.submit(s, "demo", "cohort", kind=RequestKind.RECORDS, spec=requests.Spec()))
    projects.change(s, "demo", "approve")
    assert signed_approvals.missing(s) == []
    declare(s)
    projects.change(s, "second", "close")
    assert projects.change(s, "second", "reopen", reason="the wrong one").state == "draft"
