"""What an auditor holds in hand: receipts and checkpoints, checked by two programs; junk is bad input and never a broken log."""

from __future__ import annotations

import pytest

from vault.audit.verify.__main__ import main as standalone

JUNK = "not what it is said to be\n"


@pytest.fixture
def proven(vault):
    """A receipt, the log's key and a checkpoint, kept in files."""
    vault.run("audit key > log.vkey")
    vault.run("audit prove 0 > entry.tlog-proof")
    vault.run("audit export --format tiles tiles")
    return vault


def altered(shell, find, replacement):
    text = (shell.folder / "entry.tlog-proof").read_text()
    assert find in text
    shell.write("altered.tlog-proof", text.replace(find, replacement, 1))


def test_what_prove_prints_is_checked_without_the_vault(proven, monkeypatch, capsys):
    monkeypatch.delenv("GENOVAULT_HOME")
    monkeypatch.delenv("GENOVAULT_PASSPHRASE")
    ran = proven.run("audit check entry.tlog-proof --key log.vkey")
    assert "act      vault.init" in ran.out
    assert "by       ann" in ran.out
    found = proven.run("audit check entry.tlog-proof --key log.vkey --json").json
    assert (found["ok"], found["index"], found["leaf"]["act"]) == (True, 0, "vault.init")
    assert standalone(["entry.tlog-proof", "--key", "log.vkey"]) == 0
    assert capsys.readouterr().out == ran.out


def test_a_mailed_receipt_with_other_line_ends_holds(proven):
    text = (proven.folder / "entry.tlog-proof").read_text()
    proven.write("mailed", text.replace("\n", "\r\n"))
    proven.run("audit check mailed --key log.vkey")


@pytest.mark.parametrize(
    ("find", "replacement"),
    [("index 0", "index 1"), ("extra e", "extra f"), ("/log1\n", "/log2\n"), ("\n\n", "\n" + "A" * 43 + "=\n\n")],
)
def test_an_altered_receipt_does_not_hold(proven, find, replacement, capsys):
    altered(proven, find, replacement)
    ran = proven.try_("audit check altered.tlog-proof --key log.vkey")
    assert (ran.code, ran.out.splitlines()[-1]) == (5, "the receipt does NOT hold")
    assert standalone(["altered.tlog-proof", "--key", "log.vkey"]) == 5
    assert capsys.readouterr().out == ran.out


def test_a_receipt_of_another_log_does_not_hold(proven):
    proven.run("--vault w init w --steward bea --argon2-profile test-only")
    proven.run("--vault w audit key > other.vkey")
    assert proven.try_("audit check entry.tlog-proof --key other.vkey").code == 5


def test_junk_is_bad_input_and_not_a_broken_log(proven, capsys):
    proven.write("junk", JUNK)
    for line, code in (
        ("audit check junk --key log.vkey", "receipt_malformed"),
        ("audit check entry.tlog-proof --key junk", "bad_key"),
        ("audit verify --checkpoint junk", "checkpoint_malformed"),
        ("audit verify --key junk", "bad_key"),
        ("audit log --since-checkpoint junk", "checkpoint_malformed"),
    ):
        ran = proven.try_(f"{line} --json")
        assert (ran.code, ran.error) == (4, code), line
        assert "NOT hold" not in proven.try_(line).out
    for given in (
        ["junk", "--key", "log.vkey"],
        ["tiles", "--key", "junk"],
        ["entry.tlog-proof"],
        ["entry.tlog-proof", "--key", "junk"],
    ):
        assert standalone(given) == 4
    assert "NOT hold" not in capsys.readouterr().out


def test_a_checkpoint_that_agrees_is_confirmed(proven):
    size = int((proven.folder / "tiles" / "checkpoint").read_text().splitlines()[1])
    proven.run("audit log")
    ran = proven.run("audit verify --checkpoint tiles/checkpoint")
    since = proven.run("audit verify --json").json["entries"] - 1 - size  # its own entry came in between
    assert (
        f"the log agrees with tiles/checkpoint: its first {size} entries are those that were signed then; {since} came since"
        in ran.out
    )
    found = proven.run("audit verify --checkpoint tiles/checkpoint --json").json["checkpoint"]
    assert found["size"] == size
    assert proven.run("audit verify --json").json["checkpoint"] is None


def test_a_checkpoint_of_another_history_is_a_finding(proven):
    text = (proven.folder / "tiles" / "checkpoint").read_text()
    proven.write("other", text.replace(text.splitlines()[2], "A" * 43 + "="))
    ran = proven.try_("audit verify --checkpoint other")
    assert ran.code == 5
    assert "agrees" not in ran.out


def test_a_key_backup_is_no_disclosure(vault):
    vault.run("backup --keys keys")
    ran = vault.run("audit verify")
    assert "disclosed" not in ran.out
    assert ran.out.splitlines()[-1] == "everything holds"


def test_a_checkpoint_of_another_log_is_not_a_fault_of_this_one(proven):
    proven.run("--vault w init w --steward zed --argon2-profile test-only")
    proven.run("--vault w audit export --format tiles other")
    ran = proven.try_("audit verify --checkpoint other/checkpoint --json")
    assert (ran.code, ran.error) == (4, "checkpoint_of_another_log")
