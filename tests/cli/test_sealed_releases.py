"""A sealed release from the steward's command to the recipient's check, without a vault on the recipient's side."""

from __future__ import annotations

import gzip
import shutil

import pytest

from tests.support.parcels import client, key_files, pair
from tests.vault.crypto.test_crypt4gh_keys import LOCKED
from vault.crypto.crypt4gh_keys import fingerprint

NAMES = [f"genotypes.vcf.gz{end}.c4gh" for end in ("", ".csi", ".tbi")]


@pytest.fixture
def sealed(consented):
    """A shell, and the id of a request of a project that declares the recipient ``lab`` (key 1) and ``clinic`` (key 2)."""
    for number in (1, 2, 3):
        key_files(consented.folder, number)
    text = consented.run("project template --code sealed --dataset cohort").out
    consented.write("sealed.yaml", text + "recipients: [{name: lab}, {name: clinic}]\n")
    warned = consented.run("project create sealed.yaml").err
    assert "recipient lab has no confirmed key" in warned
    for number, name in ((1, "lab"), (2, "clinic")):
        consented.run(f"recipient add {name} --key {number}.pub")
        consented.run(f"recipient confirm {name} --fingerprint {fingerprint(pair(number).public)}")
    assert "recipient" not in consented.run("project approve sealed").err
    return consented, consented.run("request submit --project sealed --dataset cohort --region 22 --json").json["request"]


def test_a_sealed_release_reaches_its_recipients(sealed, monkeypatch):
    shell, request = sealed
    made = shell.run(f"extract {request} --output out --json").json
    assert made["sealed_for"] == ["clinic", "lab"]
    assert shell.run(f"release show {made['release']} --json").json["sealed_for"] == ["clinic", "lab"]
    (names,) = [line for line in shell.run(f"release show {made['release']}").out.splitlines() if line.startswith("sealed_for")]
    assert sorted(names.split()[1::2]) == ["clinic", "lab"]
    assert "{" not in names
    told = shell.run("release key").out
    shell.write("keys.txt", told)
    begin = told.index("# -----BEGIN")
    shell.write("vault.pub", "".join(line.removeprefix("# ") + "\n" for line in told[begin:].splitlines()))
    shutil.rmtree(shell.vault)
    monkeypatch.delenv("GENOVAULT_PASSPHRASE")
    for number in (1, 2):
        found = shell.run(f"release verify out --key keys.txt --sk {number}.sec --json").json
        assert (found["opened"], found["others"]) == (NAMES, [])
    assert "3 sealed files open with this key" in shell.run("release verify out --key keys.txt --sk 1.sec").out
    assert shell.run("release verify out/manifest.json --key keys.txt --json").json["opened"] == []
    data = (shell.folder / "out" / NAMES[0]).read_bytes()
    opened = client("decrypt", "--sk", shell.folder / "2.sec", "--sender_pk", shell.folder / "vault.pub", data=data)
    assert opened.returncode == 0, opened.stderr
    assert gzip.decompress(opened.stdout).startswith(b"##fileformat=VCFv4.3")
    ran = shell.try_("release verify out --key keys.txt --sk 3.sec --json")
    assert (ran.code, ran.error) == (4, "not_a_recipient")


def test_a_locked_private_key_asks_for_its_passphrase(sealed, monkeypatch):
    shell, request = sealed
    shell.run(f"extract {request} --output out --recipient lab")
    path = shell.folder / "locked.sec"
    path.write_bytes(LOCKED["pbkdf2"])
    path.chmod(0o600)
    monkeypatch.delenv("C4GH_PASSPHRASE", raising=False)
    ran = shell.try_("release verify out --sk locked.sec --json")
    assert (ran.code, ran.error) == (6, "passphrase_needed")
    assert "C4GH_PASSPHRASE" in ran.err
    monkeypatch.setenv("C4GH_PASSPHRASE", "wrong")
    assert shell.try_("release verify out --sk locked.sec --json").error == "key_passphrase"
    monkeypatch.setenv("C4GH_PASSPHRASE", "right")
    assert shell.run("release verify out --sk locked.sec --json").json["opened"] == NAMES


def test_what_is_no_private_key_of_a_recipient_is_refused_in_one_line(sealed):
    shell, request = sealed
    shell.run(f"extract {request} --output out --recipient lab")
    shell.write("rsa.pem", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n")
    (shell.folder / "rsa.pem").chmod(0o600)
    shell.write("open.sec", (shell.folder / "1.sec").read_text())
    (shell.folder / "open.sec").chmod(0o644)
    (shell.folder / "1.pub").chmod(0o600)
    for name, error in (
        ("1.pub", "key_kind"),
        ("rsa.pem", "key_kind"),
        ("2.sec", "not_a_recipient"),
        ("open.sec", "key_exposed"),
        ("none.sec", "key_unreadable"),
    ):
        ran = shell.try_(f"release verify out --sk {name} --json")
        assert (ran.code, ran.error) == (4, error)
    assert shell.try_("release verify out --sk 1.sec --json").code == 0


def test_who_may_get_an_extract_is_told(sealed):
    shell, request = sealed
    ran = shell.try_(f"extract {request} --output out --recipient nobody --json")
    assert (ran.code, ran.error) == (3, "recipient_not_declared")
    assert "lab, clinic" in ran.err
    shell.run("recipient retire lab --reason stolen")
    ran = shell.try_(f"extract {request} --output out --json")
    assert (ran.code, ran.error) == (3, "recipient_retired")
    checked = shell.run("project check sealed --json").json
    assert checked["undelivered"] == {"code": "recipient_retired", "message": "recipient lab is retired"}
    assert "no extract is made: recipient lab is retired" in shell.run("project check sealed").out
    assert shell.run(f"extract {request} --output out --recipient clinic --json").json["sealed_for"] == ["clinic"]
    assert not (shell.folder / "out" / "genotypes.vcf.gz").exists()


@pytest.mark.parametrize("options", ["--format bcf", "--format pgen", "--format parquet", "--split contig"])
def test_every_format_is_sealed(sealed, options):
    shell, request = sealed
    shell.run(f"extract {request} --output out --recipient lab {options}")
    clear = {"LIMITS.txt", "README.txt", "manifest.json", "manifest.json.tlog-proof"}
    names = {path.name for path in (shell.folder / "out").iterdir()} - clear
    assert names
    assert all(name.endswith(".c4gh") for name in names)
    assert set(shell.run("release verify out --sk 1.sec --json").json["opened"]) == names


def test_a_release_is_made_anew_for_those_who_hold_it(sealed):
    shell, request = sealed
    old = shell.run(f"extract {request} --output out --recipient clinic --format bcf --json").json["release"]
    shell.run("consent withdraw SAMPLE_1")
    refused = shell.try_(f"release reissue {old} --output new --without-withdrawn --recipient lab --json")
    assert (refused.code, refused.error) == (3, "not_a_holder")
    assert "sealed for clinic\n" in shell.run(f"release reissue {old} --output new --without-withdrawn").out
    assert sorted(path.name for path in (shell.folder / "new").glob("*.c4gh")) == ["genotypes.bcf.c4gh", "genotypes.bcf.csi.c4gh"]
