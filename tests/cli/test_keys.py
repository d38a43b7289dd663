"""The commands about keys, principals, erasure, backups and health, as a person gives them."""

from __future__ import annotations

import pytest

from tests.support.shell import Shell


def tiny(vault: Shell) -> None:
    """One more of each role that has a slot, opened by key files that cost nothing."""
    for role in ("auditor", "engine", "custodian", "steward"):
        vault.run(f"--as ann principal add {role}1 --role {role} --new-key-file {role}.key")


def test_a_new_principal_unlocks_with_what_was_made_for_it(vault, monkeypatch):
    made = vault.run("--json principal add eve --role engine --new-key-file eve.key").json
    assert (made["role"], made["slots"]) == ("engine", 1)
    assert (vault.folder / "eve.key").stat().st_mode & 0o777 == 0o600
    vault.run("--as eve --key-file eve.key audit verify")
    assert vault.try_("--as eve --key-file eve.key --json subject list").error == "not_authorised"


def test_the_adding_steward_s_passphrase_is_never_taken_for_the_new_slot(vault):
    ran = vault.try_("--json principal add aud --role auditor")
    assert (ran.code, ran.error) == (6, "passphrase_needed")
    assert "GENOVAULT_NEW_PASSPHRASE" in ran.err


def test_slots_come_and_go_but_never_the_last_that_administers(vault):
    vault.run("key add-slot ann --new-key-file spare.key --administers")
    slots = vault.run("--json key slots").json["slots"]
    assert [slot["principal"] for slot in slots] == ["ann", "ann"]
    vault.run(f"--as ann key remove-slot {slots[0]['slot_id']} --key-file spare.key")
    ran = vault.try_(f"--json key remove-slot {slots[1]['slot_id']} --key-file spare.key")
    assert (ran.code, ran.error) == (2, "last_administrator")


def test_a_disabled_principal_cannot_unlock(vault):
    vault.run("principal add aud --role auditor --new-key-file aud.key")
    vault.run("--as ann principal disable aud")
    assert vault.try_("--as aud --key-file aud.key --json audit log").error == "cannot_unlock"
    assert {p["name"]: p["state"] for p in vault.run("--json --as ann principal list").json["principals"]}["aud"] == "disabled"


def test_rotation_and_the_end_of_an_old_epoch(consented):
    done = consented.run("--json key rotate").json
    assert done["rewrapped"] > 40
    assert done["branches"] == ["genotype", "identity", "pseudonym"]
    consented.run("key destroy-epoch 1 --yes")
    epochs = consented.run("--json key epochs").json["epochs"]
    assert [e["epoch"] for e in epochs if e["branch"] == "genotype"] == [2]
    assert consented.run("--json project check demo").json["permit"] == 12
    assert consented.try_("--json key destroy-epoch 2 --yes").error == "epoch_current"


def test_a_rotated_root_drops_other_slots(vault):
    tiny(vault)
    done = vault.run("--json --as ann key rotate --root --yes").json
    assert len(done["slots_dropped"]) == 4
    assert vault.try_("--as auditor1 --key-file auditor.key --json audit log").error == "cannot_unlock"
    vault.run("--as ann key add-slot auditor1 --new-key-file auditor.key")
    vault.run("--as auditor1 --key-file auditor.key audit verify")


def test_erasing_wants_a_confirmation_and_gives_a_certificate(consented):
    assert consented.try_("--json subject erase SAMPLE_3").error == "confirmation_needed"
    content = consented.run("--json subject erase SAMPLE_3 --yes --certificate c.txt").json
    assert content["horizon"] is None
    assert content["destroyed"]["keys"] == 4
    assert (consented.folder / "c.txt").read_text().startswith("{")
    assert consented.try_("--json subject show SAMPLE_3").error == "subject_unknown"
    assert consented.run("--json project check demo").json["permit"] == 11
    consented.run("audit verify")


def test_a_backup_of_keys_shows_in_status_and_in_certificates(consented):
    made = consented.run("--json backup kb --keys --days 10").json
    assert consented.run("--json audit verify").json["open_intents"] == []
    assert [b["backup"] for b in consented.run("--json status").json["key_backups"]] == [made["backup"]]
    assert consented.run("--json subject erase SAMPLE_3 --yes").json["horizon"] == made["expires"]
    consented.run(f"key backup-destroyed {made['backup']}")
    assert consented.run("--json subject erase SAMPLE_4 --yes").json["horizon"] is None


def test_a_vault_comes_back_from_its_backup_beside_its_own_keys(consented):
    consented.run("backup b")
    for name in ("books.db", "books.db-wal", "books.db-shm"):
        (consented.vault / name).unlink(missing_ok=True)
    assert consented.try_("--json restore b").error == "vault_present"
    (consented.vault / "objects").rename(consented.folder / "aside")
    report = consented.run("--json restore b").json
    assert (report["newest_keys"], report["anchored"], report["erased_again"]) == (True, False, 0)
    assert consented.run("--json project check demo").json["permit"] == 12


def test_the_doctor_finds_nothing_wrong_with_a_fresh_vault_and_says_what_it_lacks(consented):
    report = consented.run("--json doctor").json
    assert report["ok"]
    assert {f["code"] for f in report["findings"]} == {"one_administrator", "no_anchor", "no_key_backup"}


def test_the_doctor_finds_and_mends(consented):
    objects = consented.vault / "objects"
    (objects / "stray").write_bytes(b"x")
    (consented.vault / "keystore.b").unlink()
    codes = {f["code"] for f in consented.run("--json doctor").json["findings"]}
    assert {"orphans", "keystore_copies"} <= codes
    codes = {f["code"] for f in consented.run("--json doctor --mend").json["findings"]}
    assert not {"orphans", "keystore_copies"} & codes
    victim = next(path for path in objects.rglob("*.blocks"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"\0\0")
    ran = consented.try_("--json doctor")
    assert ran.code == 5
    assert "object_altered" in {f["code"] for f in ran.json["findings"]}
    victim.chmod(0o644)


@pytest.mark.parametrize("role", ["auditor", "engine", "custodian"])
@pytest.mark.parametrize(
    "line",
    [
        "subject erase SAMPLE_1 --yes",
        "key rotate",
        "key add-slot ann --new-key-file other.key",
        "key destroy-epoch 1 --yes",
        "principal disable ann",
        "principal add x --role researcher",
        "key rotate --project demo",
        "key destroy-tokens --yes",
        "key backup-destroyed kb-1",
        "backup kb --keys",
        "principal add x --role auditor --new-key-file x.key",
    ],
)
def test_only_an_administrator_changes_keys(role, line, vault):
    vault.run(f"principal add {role}1 --role {role} --new-key-file {role}.key")
    ran = vault.try_(f"--json --as {role}1 --key-file {role}.key {line}")
    assert (ran.code, ran.error) in ((3, "not_authorised"), (6, "not_administrator"))


def test_a_researcher_is_promised_no_slot(vault):
    ran = vault.try_("--json principal add rita --role researcher --new-key-file rita.key")
    assert (ran.code, ran.error) == (2, "no_slot")
    assert not (vault.folder / "rita.key").exists()
