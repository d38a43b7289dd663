"""Checkpoints and the keys that signed them."""

from __future__ import annotations

from tests.support.audit_log import ORIGIN, SIGNER, VKEY, event, tamper
from tests.support.log_verification import KEY, check, codes
from vault.audit.live_source import LogSource
from vault.audit.note import ED25519, VerifierKey
from vault.audit.verify import checkpoints, verify, workers
from vault.crypto.primitives import SigningKey
from vault.crypto.secret import Secret


def test_keys_before_and_after_a_rotation(books):
    newer = SigningKey(Secret(b"\x08" * 32))
    books.log.record(event())
    books.log.checkpoint(SIGNER)
    books.log.record(event())
    books.log.checkpoint(newer, trusted=[VKEY])
    both = KEY + "\n" + VerifierKey(ORIGIN, ED25519, newer.public).to_text()
    assert verify(LogSource(books.log, both), both).ok
    assert codes(verify(LogSource(books.log, KEY), KEY)) == {"signature_missing"}


def test_several_processes_judge_signatures_alike(copy, monkeypatch):
    tamper(copy, "UPDATE audit_checkpoint SET note = replace(note, '300', '299') WHERE size = 300")
    alone = check(copy)
    monkeypatch.setattr(checkpoints, "PARALLEL_SIGNATURES_FROM", 1)
    monkeypatch.setattr(workers.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(checkpoints, "_SIGNATURES_AT_ONCE", 1)
    assert check(copy) == alone
    assert codes(alone) == {"signature_bad"}
