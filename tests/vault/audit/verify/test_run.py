"""The offline verifier over a whole log."""

from __future__ import annotations

from tests.support.audit_log import ORIGIN, SIGNER
from tests.support.log_verification import check, codes
from vault.audit.note import ED25519, VerifierKey
from vault.audit.verify import lines_of
from vault.crypto.primitives import SigningKey
from vault.crypto.secret import Secret

SIZE = 600


def test_a_whole_log_holds(grown):
    report = check(grown.path)
    assert report.ok
    assert (report.entries, report.signed, report.unsigned, report.key_given) == (SIZE, 590, (590, 599), True)


def test_without_an_outside_key_the_report_says_so(grown):
    report = check(grown.path, None)
    assert report.ok
    assert not report.key_given
    assert any("not independently trusted" in line for line in lines_of(report))


def test_another_key_does_not_hold(grown):
    other = VerifierKey(ORIGIN, ED25519, SigningKey(Secret(b"\x09" * 32)).public)
    report = check(grown.path, other.to_text())
    assert codes(report) >= {"signature_missing"}
    assert report.signed == 0
    assert "checkpoint_origin" in codes(check(grown.path, VerifierKey("other.log", ED25519, SIGNER.public).to_text()))
    assert "key_malformed" in codes(check(grown.path, "nonsense"))
