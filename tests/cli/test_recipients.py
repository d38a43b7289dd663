from __future__ import annotations

import subprocess

import pytest

from tests.support.outside import tool
from tests.support.parcels import key_files, pair
from vault.crypto.crypt4gh_keys import fingerprint

MARK = fingerprint(pair(1).public)


@pytest.fixture
def lab(vault):
    key_files(vault.folder, 1)
    return vault


def test_a_recipient_is_added_confirmed_listed_and_retired(lab):
    added = lab.run("recipient add lab --key 1.pub --json").json
    assert (added["state"], added["fingerprint"], added["confirmed_by"]) == ("added", MARK, None)
    confirmed = lab.run(f"recipient confirm lab --fingerprint {MARK} --json").json
    assert (confirmed["state"], confirmed["self_confirmed"]) == ("confirmed", True)
    assert lab.run("recipient list --json").json == {"recipients": [confirmed]}
    assert MARK in lab.run("recipient list").out
    assert lab.run("recipient retire lab --reason 'key lost' --json").json["state"] == "retired"
    acts = [entry["act"] for entry in lab.run("audit log --json").json["entries"]]
    assert [act for act in acts if act.startswith("recipient.")] == [
        "recipient.add",
        "recipient.confirm",
        "recipient.list",
        "recipient.list",
        "recipient.retire",
    ]


def test_the_command_that_tells_a_recipient_the_fingerprint_is_right(lab):
    tool("sha256sum")
    command = "grep -v KEY 1.pub | base64 -d | sha256sum"
    assert command.replace("1.pub", "lab.pub") in " ".join(lab.run("recipient confirm --help").out.split())
    found = subprocess.run(["bash", "-c", command], cwd=lab.folder, capture_output=True, text=True, check=True)
    assert found.stdout.split()[0] == MARK


def test_a_refusal_is_one_line_with_its_cause(lab):
    for line, code, error in (
        ("recipient add lab --key 1.sec", 4, "key_kind"),
        ("recipient add lab --key none.pub", 4, "file_unreadable"),
        ("recipient confirm lab --fingerprint 00", 4, "recipient_unknown"),
        ("recipient retire lab --reason x", 4, "recipient_unknown"),
    ):
        ran = lab.try_(f"{line} --json")
        assert (ran.code, ran.error) == (code, error)
    lab.run("recipient add lab --key 1.pub")
    assert lab.try_("recipient confirm lab --fingerprint 00 --json").error == "fingerprint_differs"
    assert lab.try_("recipient retire lab --reason '' --json").error == "reason_missing"


def test_a_key_that_awaits_confirmation_is_in_the_queue(lab):
    lab.run("recipient add lab --key 1.pub")
    (waiting,) = lab.run("consent queue --json").json["recipients"]
    assert (waiting["name"], waiting["added_by"]) == ("lab", "ann")
    assert "ann added a key of lab" in lab.run("consent queue").out
    lab.run(f"recipient confirm lab --fingerprint {MARK}")
    assert lab.run("consent queue --json").json["recipients"] == []
