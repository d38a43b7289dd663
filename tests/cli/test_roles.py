"""Commands run by auditors, engines and custodians."""

from __future__ import annotations

import os
from unittest.mock import ANY

import pytest

from tests.support.shell import PASSPHRASE
from vault.crypto import keystore
from vault.crypto.keystore import KeyFileFactor, PassphraseFactor, Role
from vault.crypto.primitives import Argon2Profile
from vault.crypto.secret import Secret

KEY = bytes(range(32))


@pytest.fixture
def auditor(consented):
    """A shell with a vault that an auditor can unlock: put --as aud --key-file key on the line."""
    unlocked = keystore.load(consented.vault).unlock(PassphraseFactor.from_text(PASSPHRASE))
    keystore.add_slot(
        unlocked,
        principal="aud",
        role=Role.AUDITOR,
        factor=KeyFileFactor(Secret(KEY)),
        profile=Argon2Profile.TEST_ONLY,
        random=os.urandom,
    )
    consented.write("key", KEY)
    return consented


def test_with_several_principals_one_must_be_named(auditor):
    ran = auditor.try_("subject list --json")
    assert (ran.code, ran.error) == (2, "principal_needed")
    assert auditor.try_("--as ann --key-file key subject list --json").error == "cannot_unlock"


def test_an_auditor_reads_and_verifies_the_log(auditor, monkeypatch):
    monkeypatch.setenv("GENOVAULT_PRINCIPAL", "aud")
    assert auditor.run("--key-file key audit log --json").json["entries"][0]["act"] == "vault.init"
    assert auditor.run("--key-file key audit show 1 --json").json["detail"] == {
        "assembly": "GRCh38",
        "assayed": "all",
        "source": ANY,
        "dataset": "cohort",
    }
    report = auditor.run("--key-file key audit verify --json").json
    assert (report["ok"], report["unsigned"]) == (True, [report["signed"], report["entries"] - 1])  # no signing key
    auditor.run("--key-file key audit prove 1")
    auditor.run("--key-file key audit export --format tiles tiles")
    assert auditor.try_("--key-file key audit prove 7 --json").error == "not_signed_yet"


@pytest.mark.parametrize(
    "line",
    ["subject list", "subject show SAMPLE_1", "consent show SAMPLE_1", "project list", "project approve demo", "release list"],
)
def test_an_auditor_sees_nobody_and_decides_nothing(auditor, line):
    ran = auditor.try_(f"--as aud --key-file key {line} --json")
    assert (ran.code, ran.error) == (3, "not_authorised")
