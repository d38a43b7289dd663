from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest

from cli.demo_stage import forge
from tests.support.vaults import sql
from vault.audit.note import VerifierKey
from vault.audit.receipt import verify_receipt

FIELDS = {
    "index",
    "event",
    "time",
    "actor",
    "role",
    "for",
    "act",
    "outcome",
    "project",
    "request",
    "purpose",
    "object",
    "subjects",
    "reasons",
    "counts",
    "flags",
    "refers",
}


@pytest.fixture
def busy(consented):
    """A shell whose vault has a log worth reading: 8 entries."""
    consented.run("consent withdraw SAMPLE_7")
    consented.try_("project show nope")
    return consented


def entries(shell, options: str = "") -> list[dict]:
    return shell.run(f"audit log --json {options}").json["entries"]


def test_the_log_is_listed_and_filtered(busy):
    log = entries(busy)
    assert all(set(entry) == FIELDS for entry in log)
    assert [entry["index"] for entry in log] == list(range(8))
    assert entries(busy)[8]["act"] == "audit.read"
    assert [entry["index"] for entry in entries(busy, "--project demo")] == [4, 5]
    assert [entry["act"] for entry in entries(busy, "--act project")] == ["project.create", "project.approve", "project.show"]
    assert [entry["index"] for entry in entries(busy, "--act consent.withdraw")] == [6]
    assert [entry["reasons"] for entry in entries(busy, "--outcome failed")] == [{"project_unknown": 1}]
    assert entries(busy, "--who eve") == []
    assert [entry["index"] for entry in entries(busy, "--who ann --last 2 --act consent")] == [3, 6]
    assert entries(busy, "--since 2999-01-01") == []
    assert entries(busy, f"--since {log[6]['time']}")[0]["index"] == 6
    assert "consent.withdraw" in busy.run("audit log").out


def test_bad_filters(busy):
    assert busy.try_("audit log --since never --json").error == "bad_time"
    assert busy.try_("audit log --outcome fine --json").code == 2
    assert busy.try_("audit log --last 0 --json").code == 2
    assert busy.try_("audit log --act consents --json").error == "act_unknown"


def test_an_entry_is_shown_with_its_detail(busy):
    shown = busy.run("audit show 1 --json").json
    assert re.fullmatch(r"[0-9a-f]{64}", shown["detail"].pop("source"))
    assert shown["detail"] == {"assembly": "GRCh38", "assayed": "all", "dataset": "cohort"}
    assert shown["leaf"]["act"] == shown["act"] == "dataset.import"
    assert "cohort" in busy.run("audit show 1").out
    assert busy.run("audit show 0 --json").json["detail"] is None
    ran = busy.try_("audit show 999 --json")
    assert (ran.code, ran.error) == (4, "no_such_entry")
    assert busy.try_("audit show -- -1").code == 2


def test_a_whole_log_verifies_and_says_what_the_key_is_worth(busy):
    document = busy.run("audit verify --json").json
    assert (document["ok"], document["key_given"], document["findings"]) == (True, False, [])
    assert document["signed"] == document["entries"]
    assert "not independently trusted" in busy.run("audit verify").out
    key = busy.run("audit key").out.strip()
    proven = busy.run(f"audit verify --key {key} --json").json
    assert (proven["ok"], proven["key_given"], proven["key"]) == (True, True, key)
    assert "not independently trusted" not in busy.run(f"audit verify --key {key}").out
    assert [entry["outcome"] for entry in entries(busy, "--act audit.verify")] == ["done"] * 4


def test_another_key_is_exit_5_and_no_key_exit_4(busy):
    busy.run("init other --steward eve --argon2-profile test-only")
    key = busy.run("--vault other audit key --json").json["key"]
    ran = busy.try_(f"audit verify --key {key} --json")
    assert (ran.code, ran.json["ok"]) == (5, False)
    busy.write("key.txt", "nothing")
    assert busy.try_("audit verify --key key.txt --json").error == "bad_key"
    assert busy.try_("audit verify --key none --json").error == "file_unreadable"
    assert busy.try_("audit verify --key a+b+c --json").error == "bad_key"


def test_a_forged_entry_is_exit_5_and_named(busy):
    copy = busy.folder / "forged"
    forge(busy.vault, copy, was=b"consent.withdraw", becomes=b"consent.show")
    ran = busy.try_("--vault forged audit verify --json")
    assert (ran.code, ran.json["ok"], ran.json["first_bad"]) == (5, False, 6)
    assert "BAD" in busy.try_("--vault forged audit verify").out
    busy.run("audit verify")


def test_a_log_rolled_back_is_caught_by_a_checkpoint_kept_elsewhere(busy):
    shutil.copytree(busy.vault, busy.folder / "old")
    busy.script("subject list", "audit export --format tiles kept")
    busy.run("audit verify --checkpoint kept/checkpoint")
    busy.run("--vault old audit verify")
    ran = busy.try_("--vault old audit verify --checkpoint kept/checkpoint --json")
    assert ran.code == 5
    assert ran.json["findings"]
    assert busy.try_("audit verify --checkpoint none --json").error == "file_unreadable"


@pytest.fixture
def rolled_back(vault):
    """A shell whose vault was put back behind its anchor, and whose log goes on under a new name. ``kept`` was exported before,
    ``ahead`` is a checkpoint that the old log no longer reaches.
    """
    (vault.folder / "anchor").mkdir()
    vault.script("audit anchor anchor", "audit export --format tiles kept")
    shutil.copytree(vault.vault, vault.folder / "old")
    vault.script("subject list", "subject list", "audit export --format tiles ahead")
    shutil.rmtree(vault.vault)
    (vault.folder / "old").rename(vault.vault)
    assert vault.try_("subject list --json").error == "log_behind_anchor"
    vault.run("audit continue")
    return vault


def test_an_auditor_s_key_and_checkpoint_are_for_the_log_that_they_name(rolled_back):
    key, held = rolled_back.folder / "kept/log.vkey", rolled_back.folder / "kept/checkpoint"
    found = rolled_back.run(f"audit verify --key {key} --checkpoint {held} --json").json
    assert (found["ok"], found["key_given"]) == (True, False)
    assert [(old["ok"], old["key_given"]) for old in found["earlier"]] == [(True, True)]
    ran = rolled_back.try_("audit verify --checkpoint ahead/checkpoint --json")
    assert (ran.code, ran.json["findings"]) == (5, [])
    assert [finding["code"] for finding in ran.json["earlier"][0]["findings"]] == ["truncated"]


def test_the_list_since_a_checkpoint_leaves_nothing_out(rolled_back):
    assert entries(rolled_back, "--since-checkpoint ahead/checkpoint")[0]["act"] == "log.continue"
    size = int((rolled_back.folder / "kept/checkpoint").read_text().split("\n")[1])
    assert entries(rolled_back, "--since-checkpoint kept/checkpoint")[0]["index"] == size


def test_a_log_that_has_not_come_as_far_as_a_checkpoint_lists_nothing_since(busy):
    shutil.copytree(busy.vault, busy.folder / "old")
    busy.script("subject list", "audit export --format tiles kept")
    ran = busy.try_("--vault old audit log --since-checkpoint kept/checkpoint --json")
    assert (ran.code, ran.error) == (5, "log_behind_checkpoint")


def test_a_log_is_ended_only_when_it_has_to_be(rolled_back):
    assert rolled_back.try_("audit continue --json").error == "log_stands"


@pytest.mark.parametrize("leaf", ["{nonsense", "{}", '{"actor":7}'])
def test_a_leaf_that_is_none_is_named_wherever_entries_are_read(busy, leaf):
    sql(busy.vault / "books.db", ("UPDATE audit_leaf SET leaf = CAST(? AS BLOB) WHERE idx = 3", (leaf,)))
    assert busy.try_("audit show 3 --json").code == 5
    for command in ("log", "report page.html", "export --format csv x.csv", "export --format fhir x.fhir"):
        ran = busy.try_(f"audit {command} --json")
        assert (ran.code, "audit entry 3" in ran.out) == (5, True), command
    ran = busy.try_("doctor --json")
    assert ran.code == 5
    assert {"log_broken", "entry_malformed"} <= {f["code"] for f in ran.json["findings"]}
    assert busy.try_("audit verify --json").json["first_bad"] == 3


def test_half_an_export_is_taken_away(busy, monkeypatch):
    def stop(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("vault.audit.reports.records.export_csv", stop)
        assert busy.try_("audit export log.csv --format csv --json").error == "output_unwritable"
    assert not (busy.folder / "log.csv").exists()
    busy.run("audit export log.csv --format csv")
    assert (busy.folder / "log.csv").stat().st_mode & 0o777 == 0o600


def test_an_export_verifies_offline(busy):
    made = busy.run("audit export --format tiles tiles --json").json
    assert {path.name for path in (busy.folder / "tiles").iterdir()} == {"checkpoint", "log.vkey", "tile"}
    key = busy.run("audit key").out.strip()
    assert (busy.folder / "tiles" / "log.vkey").read_text().strip() == key
    command = [sys.executable, "-P", "-m", "vault.audit.verify", str(busy.folder / "tiles"), "--key", key, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["entries"] == made["entries"] == 8
    assert busy.try_("audit export --format tiles tiles --json").error == "output_exists"


def test_lines_are_exported(busy):
    made = busy.run("audit export --format jsonl log.jsonl --json").json
    lines = [json.loads(line) for line in (busy.folder / "log.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(made["entries"]))
    assert busy.try_("audit export --format jsonl log.jsonl --json").error == "output_exists"
    assert busy.try_("audit export --format jsonl none/log.jsonl --json").error == "output_unwritable"
    assert busy.try_("audit export --format xml x --json").code == 2


def test_a_receipt_proves_an_entry(busy):
    key = VerifierKey.from_text(busy.run("audit key").out.strip())
    proven = verify_receipt(busy.run("audit prove 6").out, None, key.name, [key])
    assert (proven.index, json.loads(proven.leaf)["act"]) == (6, "consent.withdraw")
    assert busy.run("audit prove 6 --json").json["index"] == 6
    assert busy.try_("audit prove 999 --json").error == "no_such_entry"


def test_the_keys_that_audit_key_prints_after_a_rotation_verify_as_they_are(busy):
    busy.run("key rotate --branch log-sign")
    busy.run("consent withdraw SAMPLE_1")
    printed = busy.run("audit key").out
    assert " until " in printed
    busy.write("log.vkey", printed)
    found = busy.run("audit verify --key log.vkey --json").json
    assert (found["ok"], found["key_given"], found["key"]) == (True, True, printed.strip())
    busy.run("audit report page.html --key log.vkey")
    busy.write("half.vkey", printed.replace(" until ", " until the end of "))
    assert busy.try_("audit verify --key half.vkey --json").error == "bad_key"


def test_an_anchor_that_is_not_there_is_made_first(busy):
    ran = busy.try_("audit anchor nowhere")
    assert (ran.code, "make it first" in ran.err) == (6, True)
