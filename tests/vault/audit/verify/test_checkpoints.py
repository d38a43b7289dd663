"""Checkpoints and the keys that signed them."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from tests.support.audit_log import ORIGIN, SIGNER, VKEY, event, tamper
from tests.support.log_verification import KEY, check, codes
from vault.audit import signer_ranges
from vault.audit.export import export_tiles
from vault.audit.live_source import LogSource
from vault.audit.note import ED25519, Checkpoint, VerifierKey, sign_note
from vault.audit.verify import checkpoints, verify, verify_folder, workers
from vault.crypto.primitives import SigningKey
from vault.crypto.secret import Secret
from vault.errors import IntegrityError
from vault.storage.audit_tables import AuditCheckpointRow


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


NEWER = SigningKey(Secret(b"\x08" * 32))
NEWER_KEY = VerifierKey(ORIGIN, ED25519, NEWER.public).to_text()


def rotated(log):
    """Entries signed by the old key, then handed over, then signed by the newer one."""
    log.record(event())
    log.checkpoint(SIGNER)
    log.record(event())
    log.checkpoint(NEWER, SIGNER, trusted=[VKEY])
    log.record(event())
    log.checkpoint(NEWER)


@pytest.mark.parametrize("keys", [f"{KEY}\n{NEWER_KEY}", f"{NEWER_KEY}\n{KEY}"])
def test_a_key_that_was_replaced_signs_nothing_after(books, keys):
    rotated(books.log)
    assert verify(LogSource(books.log, keys), keys).ok
    books.log.record(event())
    forge_checkpoint(books.log)
    report = verify(LogSource(books.log, keys), keys)
    assert codes(report) == {"signer_range"}
    assert report.signed == 3
    assert codes(verify(LogSource(books.log, NEWER_KEY), NEWER_KEY)) == {"signature_missing"}
    with pytest.raises(IntegrityError) as caught:  # nor does the vault go on from it
        books.log.checkpoint(NEWER, trusted=[VKEY])
    assert caught.value.code == "signer_range"


def forge_checkpoint(log):
    """The newest head signed with the old key, as somebody does who kept it."""
    size = log.size()
    root = log.root_at(size)
    note = sign_note(Checkpoint(ORIGIN, size, root).to_text(), ORIGIN, SIGNER)
    with log.database.write() as tx:
        tx.execute(insert(AuditCheckpointRow), [{"base": 0, "size": size, "root": root, "note": note, "created": 0}])


def test_an_export_of_one_checkpoint_needs_the_range_in_the_key(books, tmp_path):
    rotated(books.log)
    books.log.record(event())
    forge_checkpoint(books.log)
    export_tiles(books.log, tmp_path / "x", vkey=KEY)
    both = f"{NEWER_KEY}\n{KEY}"
    assert verify_folder(tmp_path / "x", both).ok  # one note, and nothing that says when its key ended
    assert codes(verify_folder(tmp_path / "x", f"{both} until 2")) >= {"signer_range"}
    assert verify_folder(tmp_path / "x", f"{both} until 4").ok


@pytest.mark.parametrize("line", [f"{KEY} until", f"{KEY} until ", f"{KEY} until -1", f"{KEY} until 01", f"{KEY} from 3"])
def test_a_range_has_one_spelling(line):
    assert checkpoints.parse_vkey(line) is None


def test_the_vault_says_where_each_key_ends(books):
    rotated(books.log)
    newer = VerifierKey(ORIGIN, ED25519, NEWER.public)
    assert signer_ranges.ends(books.log.checkpoints(), [newer, VKEY]) == {VKEY: 2}
