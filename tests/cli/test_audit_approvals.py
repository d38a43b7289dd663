"""Approvals beside accesses, as an auditor sees them who opens no book of projects."""

from __future__ import annotations

import json
import os
import re

import pytest

from tests.support.shell import PASSPHRASE
from tests.support.vaults import opened
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.audit.reports.approvals import approvals
from vault.audit.reports.records import Record
from vault.crypto import keystore
from vault.crypto.keystore import KeyFileFactor, PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile, sha256
from vault.crypto.secret import Secret

AUD = "--as aud --key-file key"


@pytest.fixture
def audited(consented):
    """A project with a release, a denied request and a ruling, and the auditor "aud"."""
    consented.run("principal add rita --role researcher")
    consented.run("consent withdraw SAMPLE_7")
    request = consented.run("request submit --project demo --dataset cohort --region 22:16000000-16000250 --json").json["request"]
    denied = consented.run("request submit --project demo --dataset cohort --json").json["request"]
    consented.run(f"request deny {denied} --reason 'too wide'")
    consented.run(f"extract {request} --output out")
    consented.run("consent rule demo controls --reason 'as the board decided'")
    unlocked = keystore.load(consented.vault).unlock(PassphraseFactor.from_text(PASSPHRASE))
    factor, profile = KeyFileFactor(Secret(bytes(range(32)))), Argon2Profile.TEST_ONLY
    keystore.add_slot(unlocked, principal="aud", role=Role.AUDITOR, factor=factor, profile=profile, random=os.urandom)
    consented.write("key", bytes(range(32)))
    consented.run("--as ann key slots")  # an administrator's session brings the books up to the keystore
    consented.ids = request, denied
    return consented


def test_an_auditor_sees_who_approved_what_and_what_was_released_under_it(audited):
    request, denied = audited.ids
    found = audited.run(f"{AUD} audit approvals --json").json
    (project,) = found["projects"]
    assert (found["accesses"], found["outside"], project["project"], project["state"]) == (1, 0, "demo", "approved")
    assert [(step["what"], step["by"], step["signed"]) for step in project["steps"]] == [
        ("declared", "ann", True),
        ("approved", "ann", True),
    ]
    assert project["steps"][1]["flags"] == ["self_approved"]
    assert project["terms"]["datasets"] == ["cohort"]
    (ruling,) = project["rulings"]
    assert (ruling["what"], ruling["by"], ruling["signed"], ruling["reason"]) == ("controls", "ann", True, "as the board decided")
    asked = {one["request"]: one for one in project["requests"]}
    assert asked[denied]["denied_by"], asked[denied]["reason"] == ("ann", "too wide")
    assert asked[request]["denied"] is None
    (access,) = project["accesses"]
    assert (access["request"], access["ended"], access["approval"], access["outside"]) == (
        request,
        "done",
        project["steps"][1]["entry"],
        [],
    )
    assert access["what"]["regions"] == ["22:16000000-16000250"]
    assert access["left_out"] == {"withdrawn": 1}
    shown = audited.run(f"{AUD} audit approvals --project demo").out
    assert "accesses: 1; outside an approval: none" in shown
    assert audited.try_(f"{AUD} audit approvals --project other --json").error == "project_unknown"


def test_an_approval_that_nobody_signed_is_told(audited):
    with opened(audited.vault) as s:  # whoever holds a slot can append to the log, and not sign for others
        obj = ObjectRef("declaration", f"{sha256(b'another').hex()}:9")
        s.trail.record(Action.PROJECT_APPROVE, Outcome.DONE, project="demo", obj=obj)
    audited.run(f"--as ann extract {audited.ids[0]} --output again")
    found = audited.run(f"{AUD} audit approvals --json").json
    (project,) = found["projects"]
    assert [step["signed"] for step in project["steps"]] == [True, True, False]
    assert (found["outside"], [access["outside"] for access in project["accesses"]]) == (1, [[], ["not_signed"]])
    shown = audited.run(f"{AUD} audit approvals").out
    assert "NOT SIGNED" in shown
    assert "1 of 2 accesses are OUTSIDE an approval" in shown


def declaration(**changes):
    return json.dumps(
        {
            "code": "p",
            "datasets": ["cohort"],
            "kinds": ["records"],
            "people": ["rita", "engine"],
            "organisation": {"name": "Institute"},
            "expires": "2026-06-01T00:00:00Z",
        }
        | changes
    )


def history(*entries):
    """Records and details of acts one after another, a minute each: (act, outcome, fields, detail)."""
    made = []
    for at, (act, outcome, fields, detail) in enumerate(entries):
        known = {"time": f"2026-05-01T10:{at:02}:00.000000Z", "actor": "ann", "role": "steward", "project": "p"}
        made.append((Record(at, "", f"e{at}", act=act, outcome=outcome, **(known | fields)), detail))
    return made


def project_act(act, text=None):
    text = text or declaration()
    return act.value, "done", {"object": f"declaration:{sha256(text.encode()).hex()}:1"}, {"declaration": text}


CREATE, APPROVE = project_act(Action.PROJECT_CREATE), project_act(Action.PROJECT_APPROVE)
SUBMIT = ("request.submit", "done", {"request": "r-1"}, {"dataset": "cohort"})
WHAT = {"dataset": "cohort", "recipients": ["Institute"]}


def access(what=WHAT, **fields):
    return "extract.intent", "intent", fields, what


@pytest.mark.parametrize(
    ("before", "intent", "outside"),
    [
        ((CREATE, APPROVE), access(), ()),
        ((CREATE, APPROVE, SUBMIT), access(request="r-1"), ()),
        ((CREATE, APPROVE), access(asserted_for="rita"), ()),
        ((), access(), ("project_unknown",)),
        ((CREATE,), access(), ("not_approved",)),
        ((CREATE, APPROVE, project_act(Action.PROJECT_SUSPEND)), access(), ("not_approved",)),
        ((CREATE, APPROVE, project_act(Action.PROJECT_CLOSE)), access(), ("not_approved",)),
        ((CREATE, APPROVE, project_act(Action.PROJECT_SUSPEND), APPROVE), access(), ()),
        ((CREATE, APPROVE), access({**WHAT, "dataset": "other"}), ("dataset",)),
        ((CREATE, APPROVE), access({**WHAT, "recipients": ["Somebody"]}), ("recipient",)),
        ((CREATE, APPROVE), access(asserted_for="zoe"), ("person",)),
        ((CREATE, APPROVE), access(actor="robot", role="engine"), ("person",)),
        ((CREATE, APPROVE), access(time="2026-06-01T00:00:00.000000Z"), ("after_end",)),
        ((CREATE, project_act(Action.PROJECT_APPROVE, declaration(kinds=["counts"]))), access(), ("kind",)),
        ((CREATE, APPROVE), access(request="r-1"), ("request_unknown",)),
        ((CREATE, APPROVE, SUBMIT, ("request.deny", "done", {"request": "r-1"}, {})), access(request="r-1"), ("request_denied",)),
        ((CREATE, APPROVE, (*SUBMIT[:3], {"dataset": "other"})), access(request="r-1"), ("request_differs",)),
        (((*CREATE[:3], None), (*APPROVE[:3], None)), access({}), ()),  # of before: no terms
    ],
)
def test_an_access_is_held_against_what_was_approved_before_it(before, intent, outside):
    (project,) = approvals(history(*before, intent))
    (found,) = project.accesses
    assert found.outside == outside
    assert found.ended == "assumed"


def test_what_an_auditor_does_is_told_as_unsigned_until_a_steward_works(audited):
    audited.run("--as ann audit verify")
    audited.run(f"{AUD} audit log")
    told = audited.run(f"{AUD} audit verify").out.splitlines()
    assert "an auditor's slot signs nothing" in told[-2]
    assert told[-1].endswith("are not signed yet") or told[-1].endswith("is not signed yet")
    assert audited.run("--as ann audit verify").out.splitlines()[-1] != "everything holds"  # signed when the session ends
    assert audited.run("--as ann audit verify").out.splitlines()[-1] == "everything holds"


def test_an_auditor_who_asks_for_the_books_is_told_where_the_log_has_it(audited):
    for line in ("project list", "request list", "release list"):
        ran = audited.try_(f"{AUD} {line} --json")
        assert (ran.error, ran.json["error"]["hint"]) == ("not_authorised", "genovault audit approvals"), line


def test_corrections_stand_beside_what_they_correct(consented):
    """A draft edited twice before it is approved, and a request that is taken back: each is signed, none is missing."""
    document = (consented.folder / "demo.yaml").read_text().replace("code: demo", "code: other")
    consented.write("other.yaml", document)
    consented.run("project create other.yaml")
    for title in ("First", "Second"):
        consented.write("other.yaml", re.sub(r"^title:.*", f"title: {title}", document, flags=re.MULTILINE))
        consented.run("project edit other.yaml --reason 'the title was wrong'")
    consented.run("project approve other --version 3")
    request = consented.run("request submit --project other --dataset cohort --json").json["request"]
    consented.run(f"request withdraw {request} --reason 'of the wrong dataset'")
    (project,) = consented.run("audit approvals --project other --json").json["projects"]
    assert [(step["what"], step["signed"], step["reason"]) for step in project["steps"]] == [
        ("declared", True, ""),
        ("edited", True, "the title was wrong"),
        ("edited", True, "the title was wrong"),
        ("approved", True, ""),
    ]
    assert project["terms"]["title"] == "Second"
    (asked,) = project["requests"]
    assert (asked["stopped"], asked["denied_by"], asked["reason"]) == ("withdrawn", "ann", "of the wrong dataset")
    shown = consented.run("audit approvals --project other").out
    assert "NOT SIGNED" not in shown
    assert "withdrawn by ann" in shown


def test_what_was_refused_stands_beside(audited):
    audited.run("--as ann project suspend demo")
    assert audited.try_(f"--as ann extract {audited.ids[0]} --output again").code == 3
    (project,) = audited.run(f"{AUD} audit approvals --json").json["projects"]
    (refused,) = project["refusals"]
    assert (refused["act"], refused["request"], refused["reasons"]) == ("extract", audited.ids[0], ["project_not_approved"])


def test_terms_count_only_where_the_leaf_states_their_digest():
    act, outcome, fields, _ = APPROVE
    forged = (act, outcome, fields, {"declaration": declaration(datasets=["other"])})
    (project,) = approvals(history(CREATE, forged, access()))
    assert project.terms is None


def test_what_is_approved_afterwards_covers_nothing_before():
    (project,) = approvals(history(CREATE, access(), APPROVE, access()))
    assert [(found.outside, found.approval) for found in project.accesses] == [(("not_approved",), None), ((), 2)]
