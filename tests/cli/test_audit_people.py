"""The log for people: one person's disclosures, the report, exports, anchors, going on after a rollback."""

from __future__ import annotations

import csv
import json
import os
import shutil

import pytest
from pysqlite3 import dbapi2

from tests.support.shell import PASSPHRASE
from tests.support.vaults import sql
from vault.audit.verify import verify_folder
from vault.crypto import keystore
from vault.crypto.keystore import KeyFileFactor, PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.crypto.secret import Secret


@pytest.fixture
def released(consented):
    """SAMPLE_7 withdrew; the rest went out once; a request of a suspended project was refused."""
    consented.run("consent withdraw SAMPLE_7")
    request = consented.run("request submit --project demo --dataset cohort --json").json["request"]
    consented.run(f"extract {request} --output out")
    consented.run("project suspend demo")
    consented.try_(f"extract {request} --output again")
    return consented


def add_auditor(shell):
    """A principal "aud" who holds audit-read and nothing else, and the key file "key"."""
    unlocked = keystore.load(shell.vault).unlock(PassphraseFactor.from_text(PASSPHRASE))
    factor = KeyFileFactor(Secret(bytes(range(32))))
    profile = Argon2Profile.TEST_ONLY
    keystore.add_slot(unlocked, principal="aud", role=Role.AUDITOR, factor=factor, profile=profile, random=os.urandom)
    shell.write("key", bytes(range(32)))


def disclosures(shell, who):
    return shell.run(f"--as ann audit disclosures {who} --json").json


def test_somebody_taken_out_of_the_books_is_not_passed_over(released):
    tokens = disclosures(released, "SAMPLE_1")["tokens"]
    books = dbapi2.connect(str(released.vault / "books.db"))
    for (name,) in books.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        books.execute(f"DROP TRIGGER {name}")
    books.execute("DELETE FROM audit_set_token WHERE token_id = (SELECT token_id FROM audit_token WHERE token = ?)", tokens)
    books.commit()
    books.close()
    ran = released.try_("audit disclosures SAMPLE_1 --json")
    assert (ran.code, ran.error) == (5, "audit_set_altered")
    ran = released.try_("audit verify --json")
    assert (ran.code, {finding["code"] for finding in ran.json["findings"]}) == (5, {"people_altered"})


def test_one_persons_disclosures(released):
    found = disclosures(released, "SAMPLE_1")
    (one,) = found["disclosures"]
    assert (one["ended"], one["disclosed"], one["project"], one["actor"]) == ("done", True, "demo", "ann")
    assert (one["purpose"], one["what"]["dataset"]) == ("hmb", "cohort")
    assert one["recipients"]
    assert one["release"].startswith("rel-")
    assert one["outcome_index"] > one["index"]
    assert {p["law"] for p in found["paragraphs"]} == {"GDPR", "HIPAA"}
    assert all(p["source"] and p["read"] for p in found["paragraphs"])
    shown = released.run("audit disclosures SAMPLE_1").out
    assert "disclosures: 1; accesses that came to nothing: 0" in shown
    assert found["tokens"][0] in shown
    assert "GDPR" in shown

    withdrawn = disclosures(released, "SAMPLE_7")
    assert withdrawn["disclosures"] == []
    assert "consent.withdraw" in {entry["act"] for entry in withdrawn["other"]}

    (token,) = found["tokens"]
    by_token = disclosures(released, token)
    assert by_token["disclosures"] == found["disclosures"]
    assert by_token["other"][-1]["act"] == "audit.disclosures"  # the look itself is about this person

    for who, code in (("NOBODY", "subject_unknown"), ("hmac-sha256:1:" + "0" * 64, "token_unknown")):
        ran = released.try_(f"audit disclosures {who} --json")
        assert (ran.code, ran.error) == (4, code)

    forget_how_intents_ended(released.folder / "v/books.db")
    (one,) = disclosures(released, "SAMPLE_1")["disclosures"]
    assert (one["ended"], one["disclosed"], one["outcome_index"]) == ("assumed", True, None)


def test_whom_a_steward_acts_for_is_in_the_log(consented):
    consented.run("principal add eve@uni.example --role researcher")
    request = consented.run("request submit --project demo --dataset cohort --for eve@uni.example --json").json["request"]
    consented.run(f"extract {request} --output out")
    named = consented.run("audit log --who eve@uni.example --json").json["entries"]
    assert [(e["act"], e["outcome"]) for e in named if e["for"]] == [
        ("request.submit", "done"),
        ("extract.intent", "intent"),
        ("extract.outcome", "done"),
    ]
    assert {(e["actor"], e["for"]) for e in named if e["for"]} == {("ann", "eve@uni.example")}
    (one,) = disclosures(consented, "SAMPLE_1")["disclosures"]
    assert one["for"] == "eve@uni.example"
    assert "eve@uni.example" in consented.run("audit disclosures SAMPLE_1").out
    for wrong in ("=cmd|calc", "'Eve Example'", "''"):
        assert consented.try_(f"request submit --project demo --dataset cohort --for {wrong} --json").error == "person_malformed"


@pytest.mark.parametrize("state", ["staging", "committed", "aborted"])
def test_editing_the_book_of_releases_takes_no_disclosure_back(released, state):
    """Recovery ends what the books call unfinished; it must not be made to deny what the log says was done."""
    sql(released.vault / "books.db", f"UPDATE release SET state = '{state}'")
    shutil.rmtree(released.folder / "out")  # moved to where it is used
    found = released.try_("doctor --json")
    assert (found.code, {f["code"] for f in found.json["findings"] if f["severity"] == "error"}) in (
        (5, {"release_altered"}),
        (0, set()),  # "committed": recovery could not finish, and said so; the log has both
    )
    assert (found.code == 0) is (state == "committed")
    (one,) = disclosures(released, "SAMPLE_1")["disclosures"]
    assert (one["ended"], one["disclosed"]) == ("done", True)
    assert one["outcome_index"] == one["index"] + 1
    assert released.run("audit report page.html --json").json["disclosed"] == 1
    released.run("audit export fhir.ndjson --format fhir --by-person")
    resources = [json.loads(line) for line in (released.folder / "fhir.ndjson").read_text().splitlines()]
    intents = [r for r in resources if {"extract.intent"} & {c["code"] for c in r["subtype"]} and r["outcomeDesc"] != "refused"]
    assert {r["outcomeDesc"] for r in intents} == {"done"}


def test_a_release_taken_out_of_the_books_is_found(released):
    sql(released.vault / "books.db", "DELETE FROM release")
    found = released.try_("doctor --json")
    assert (found.code, {f["code"] for f in found.json["findings"] if f["severity"] == "error"}) == (5, {"release_missing"})


def forget_how_intents_ended(path):
    books = dbapi2.connect(str(path))
    for (name,) in books.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        books.execute(f"DROP TRIGGER {name}")
    books.execute("DELETE FROM audit_closing")
    books.commit()
    books.close()


def test_filters_exports_and_the_report(released):
    def listed(options):
        return [entry["act"] for entry in released.run(f"audit log --json {options}").json["entries"]]

    assert listed("--purpose HMB --act extract") == ["extract.intent", "extract.outcome"]
    assert "extract.intent" in listed("--subject SAMPLE_1")
    assert "extract.intent" not in listed("--subject SAMPLE_7")
    assert listed("--reason project_not_approved") == ["extract.intent"]
    assert listed("--until 2000-01-01") == []

    released.run("audit export tiles --format tiles")
    kept = released.folder / "tiles/checkpoint"
    size = int(kept.read_text().split("\n")[1])
    assert released.run("audit log --since-checkpoint tiles/checkpoint --json").json["entries"][0]["index"] == size
    kept.write_text(kept.read_text().replace("\n", "x\n", 1))
    assert released.try_("audit log --since-checkpoint tiles/checkpoint --json").error == "origin_unknown"

    released.run("audit export log.csv --format csv")
    rows = list(csv.DictReader((released.folder / "log.csv").read_text().splitlines()))
    assert [int(row["index"]) for row in rows] == list(range(len(rows)))
    assert "extract.outcome" in {row["act"] for row in rows}
    assert released.try_("audit export log.csv --format csv --json").error == "output_exists"

    count = released.run("audit export log.ndjson --format fhir --json").json["entries"]
    lines = (released.folder / "log.ndjson").read_text().splitlines()
    assert len(lines) == count
    assert {json.loads(line)["resourceType"] for line in lines} == {"AuditEvent"}

    released.run("audit export people.ndjson --format fhir --by-person")
    people = [json.loads(line) for line in (released.folder / "people.ndjson").read_text().splitlines()]
    (token,) = disclosures(released, "SAMPLE_1")["tokens"]
    about = [resource for resource in people if "meta" in resource and token in json.dumps(resource)]
    assert [resource["outcomeDesc"] for resource in about] == ["done"]
    assert released.run("audit log --act audit.export --json").json["entries"][-1]["flags"] == ["by_person"]
    assert released.try_("audit export people.csv --format csv --by-person --json").error == "by_person_is_fhir"

    made = released.run("audit report report.html --json").json
    assert (made["ok"], made["accesses"], made["disclosed"], made["open_intents"]) == (True, 1, 1, 0)
    text = (released.folder / "report.html").read_text()
    assert "Every entry is in its place" in text
    assert "project_not_approved" in text
    assert released.try_("audit report report.html --json").error == "output_exists"
    assert released.run("audit log --json --act audit.report").json["entries"]


class TestAnchors:
    def test_an_old_copy_is_refused_until_a_new_log_is_begun(self, vault):
        (vault.folder / "anchor").mkdir()
        place = str(vault.folder / "anchor")
        assert vault.run(f"audit anchor {place} --json").json["anchors"] == [place]
        shutil.copytree(vault.folder / "v", vault.folder / "old")
        vault.run("subject list")
        shutil.rmtree(vault.folder / "v")
        (vault.folder / "old").rename(vault.folder / "v")
        ran = vault.try_("audit log --json")
        assert (ran.code, ran.error) == (5, "log_behind_anchor")
        begun = vault.run("audit continue --json").json
        assert begun["origin"].endswith("/log2")
        log = vault.run("audit log --json").json["entries"]
        assert log[begun["entry"]]["act"] == "log.continue"
        checked = vault.run("audit verify --json").json
        assert checked["ok"]
        assert [old["ok"] for old in checked["earlier"]] == [True]
        vault.run("audit export new --format tiles")
        vault.run(f"audit export older --format tiles --origin {checked['earlier'][0]['origin']}")
        assert verify_folder(vault.folder / "new").ok
        assert verify_folder(vault.folder / "older").ok
        assert vault.try_("audit export x --format tiles --origin no/such --json").error == "origin_unknown"

    def test_a_lost_anchor_is_given_up(self, vault):
        place = vault.folder / "anchor"
        place.mkdir()
        vault.run(f"audit anchor {place}")
        shutil.rmtree(place)
        ran = vault.try_("audit log --json")
        assert (ran.code, ran.error) == (6, "anchor_unreachable")
        assert vault.run(f"audit anchor {place} --remove --json").json["anchors"] == []
        assert vault.run("audit anchor").out.strip() == "no anchors"


def test_an_auditor_sees_disclosures_by_token_and_the_report(released):
    (token,) = disclosures(released, "SAMPLE_1")["tokens"]
    add_auditor(released)
    as_auditor = "--as aud --key-file key"
    (one,) = released.run(f"{as_auditor} audit disclosures {token} --json").json["disclosures"]
    assert (one["ended"], one["what"]["dataset"]) == ("done", "cohort")
    assert released.run(f"{as_auditor} audit report report.html --json").json["ok"]
    assert released.run(f"{as_auditor} audit log --subject {token} --json").json["entries"]
    by_name = released.try_(f"{as_auditor} audit disclosures SAMPLE_1 --json")
    assert by_name.code == 6  # names need the identity branch
    for line in ("audit anchor elsewhere", "audit continue"):
        (released.folder / "elsewhere").mkdir(exist_ok=True)
        ran = released.try_(f"{as_auditor} {line} --json")
        assert (ran.code, ran.error) == (3, "not_authorised")


def test_a_list_that_an_auditor_may_not_see_is_logged_as_refused_only(released):
    add_auditor(released)
    before = len(released.run("--as ann audit log --json").json["entries"])
    refused = released.try_("--as aud --key-file key subject list --json")
    assert (refused.code, refused.error) == (3, "not_authorised")
    entries = released.run("--as ann audit log --json").json["entries"][before:]
    assert [entry["outcome"] for entry in entries if entry["act"] == "subject.list"] == ["refused"]
