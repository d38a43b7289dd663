from __future__ import annotations

import json

import pytest

import cli.main
from cli.vaults import _shown
from tests.support.shell import PASSPHRASE


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("objects", "objects"),
        ("sqlite:///books.db", "sqlite:///books.db"),
        ("postgresql://ann:secret@db.example:5432/books?sslmode=require", "postgresql://db.example:5432/books"),
        ("postgresql://db/books?password=secret", "postgresql://db/books"),
        ("postgresql://ann@db/books", "postgresql://db/books"),
    ],
)
def test_a_place_is_shown_without_user_password_and_parameters(place, shown):
    assert _shown(place) == shown


def test_the_status_of_no_vault_is_exit_6(tmp_path, capsys):
    assert cli.main.run(["status", "--vault", str(tmp_path), "--json"]) == 6
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "no_vault"


def test_init_makes_a_private_vault_that_opens(shell):
    made = shell.run("init v --steward ann --json --argon2-profile test-only").json
    assert made == {"folder": "v", "vault": made["vault"], "steward": "ann", "time_zone": "UTC"}
    assert len(made["vault"]) == 32
    for path in (shell.vault, *shell.vault.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    entries = shell.run("audit log --json").json["entries"]
    assert [(entry["act"], entry["outcome"]) for entry in entries] == [("vault.init", "done")]
    assert shell.run("status --json").json["vault"] == made["vault"]


def test_init_never_overwrites_and_leaves_nothing_behind(vault):
    before = {path: path.stat().st_mtime_ns for path in vault.folder.rglob("*")}
    ran = vault.try_("init v --steward bob --json")
    assert (ran.code, ran.error) == (4, "vault_exists")
    assert {path: path.stat().st_mtime_ns for path in vault.folder.rglob("*")} == before
    assert vault.try_("init w --steward 'no name' --json").error == "principal_invalid"
    assert vault.try_("init w --steward ann --database mysql://x/y --json").code == 4
    assert set(vault.folder.rglob("*")) == set(before)


def test_a_vault_without_protection_says_so(shell):
    assert "test-only" in shell.run("init v --steward ann --argon2-profile test-only").err
    assert shell.run("init w --steward ann").err == ""
    assert "argon2" not in shell.run("init --help").out


def test_a_key_file_unlocks(shell, monkeypatch):
    monkeypatch.delenv("GENOVAULT_PASSPHRASE")
    shell.write("key", bytes(range(32)))
    shell.write("other", bytes(32))
    shell.write("short", b"1")
    shell.run("init v --steward ann --key-file key")
    assert shell.run("subject list --key-file key --json").json == {"subjects": []}
    assert shell.try_("subject list --key-file other --json").error == "cannot_unlock"
    assert shell.try_("subject list --key-file short --json").error == "key_file_invalid"
    assert shell.try_("subject list --key-file none --json").error == "key_file_invalid"


def test_a_passphrase_file_unlocks(vault, monkeypatch):
    monkeypatch.delenv("GENOVAULT_PASSPHRASE")
    vault.write("secret", f"{PASSPHRASE}\n").chmod(0o600)
    assert vault.run("subject list --passphrase-file secret --json").json == {"subjects": []}
    ran = vault.try_("subject list --json")
    assert (ran.code, ran.error) == (6, "passphrase_needed")


def test_a_wrong_passphrase_and_an_unknown_name_look_alike(vault, monkeypatch):
    unknown = vault.try_("--as eve subject list")
    monkeypatch.setenv("GENOVAULT_PASSPHRASE", "wrong")
    wrong = vault.try_("--as ann subject list")
    assert unknown == wrong
    assert wrong.code == 6
    assert vault.try_("subject list").err == wrong.err
    monkeypatch.setenv("GENOVAULT_PASSPHRASE", PASSPHRASE)
    log = vault.run("audit log --act vault.unlock --json").json["entries"]
    assert [(entry["actor"], entry["outcome"]) for entry in log] == [("unknown", "refused")] * 3


def test_what_is_not_a_vault_is_told_before_a_passphrase_is_asked(shell, monkeypatch):
    monkeypatch.delenv("GENOVAULT_PASSPHRASE")
    (shell.folder / "v").mkdir()
    for line in ("subject list --json", "audit verify --json --vault none", "status --json --vault v/none"):
        ran = shell.try_(line)
        assert (ran.code, ran.error) == (6, "no_vault"), line


@pytest.mark.parametrize(
    ("file", "damage", "code", "error"),
    [
        ("vault.json", lambda data: data[:-9], 5, "settings_malformed"),
        ("vault.json", lambda data: data.replace(b"vault/1", b"vault/9"), 5, "settings_unknown"),
        ("books.db", None, 6, "no_database"),
        ("keys.db", None, 6, "no_database"),
        ("books.db", lambda _: b"not a database at all, " * 200, 5, "schema_missing"),
    ],
)
def test_a_damaged_vault_is_a_clear_error(vault, file, damage, code, error):
    path = vault.vault / file
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    ran = vault.try_("subject list --json")
    assert (ran.code, ran.error) == (code, error)
    assert "hint" in ran.err


def test_a_damaged_keystore_is_an_integrity_failure(vault):
    for name in ("keystore.a", "keystore.b"):
        (vault.vault / name).write_bytes(b"\0" * 100)
    assert vault.try_("subject list --json").code == 5


def test_a_vault_open_to_others_is_refused(vault):
    (vault.vault / "keys.db").chmod(0o644)
    assert vault.try_("subject list --json").error == "open_permissions"
