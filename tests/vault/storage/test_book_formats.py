"""The values that docs/formats/books.md prints, recomputed from its text alone and compared with the code's."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from policies.consent import Precision
from vault.consent import ledger_columns
from vault.ids import VaultId
from vault.storage.timestamps import from_micros

PAGE = (Path(__file__).parents[3] / "docs" / "formats" / "books.md").read_text()
VAULT, SUBJECT, KEY = bytes(range(16)), bytes(range(16, 32)), bytes(range(32))


def context(*fields: str | bytes | int) -> bytes:
    raw = [f.to_bytes(8, "big") if isinstance(f, int) else f.encode() if isinstance(f, str) else f for f in fields]
    return b"".join(len(r).to_bytes(2, "big") + r for r in raw)


def mac(key: bytes, *fields: str | bytes | int) -> bytes:
    return hmac.digest(key, context(*fields), "sha256")


def test_branch_keys():
    info = context("genovault/branch-key/v1", VAULT, "books", 1, "project")
    assert hmac.digest(KEY, info + b"\x01", "sha256").hex() in PAGE  # one block of HKDF-Expand
    assert mac(VAULT, "genovault/branch-key-id/v1", "books", "project")[:16].hex() in PAGE


def test_references_handles_and_tokens():
    assert mac(KEY, "genovault/reference/v1", "mrn", "MRN-1").hex() in PAGE
    assert "s-" + mac(KEY, "genovault/handle/v1", SUBJECT)[:8].hex() in PAGE
    assert "hmac-sha256:1:" + mac(KEY, "genovault/subject-token/v1", VAULT, SUBJECT).hex() in PAGE


def test_the_consent_chain_of_the_page_is_the_codes():
    said = '{"answers":[{"answer":"accepted","policy":"research_use","valid_to":"0001-01-01T00:00:00Z"}],"qc":"valid","signer":"self"}'
    event = "01890000-0000-7000-8000-000000000001"
    start = hashlib.sha256(context("genovault/consent-chain/v1", VAULT)).digest()
    digests = hashlib.sha256(said.encode()).digest(), hashlib.sha256(b"sealed").digest()
    legal, recorded, time = (micros.to_bytes(8, "big") for micros in (1700000000000000, 1700000001000000, 1800000000000000))
    before = event.encode() + SUBJECT + legal + recorded + b"\x00\x00\x00\x01" + digests[0] + b"\x00\x01" + digests[1]
    assert start.hex() in PAGE
    assert said in PAGE
    assert ledger_columns.start(VaultId(VAULT)) == start
    texts = ledger_columns.StatementTable()
    texts.add(1, digests[0], said)
    for version, row in ((1, before), (2, before + b"\x01")):
        link = context(f"genovault/consent-batch/v{version}", start, 1, 1, hashlib.sha256(row + time).digest())
        first = hashlib.sha256(link).digest()
        assert first.hex() in PAGE, version
        assert ledger_columns.batch_head(start, 1, row, time, version=version) == first
        assert len(row) == ledger_columns.LAYOUTS[version].itemsize
        batch = ledger_columns.EventBatch(1, row, time, first, version)
        columns = ledger_columns.extended(ledger_columns.empty(VaultId(VAULT)), [batch], texts)
        assert columns.head == first
        found = columns.event(0)
        assert found.answers[0].valid_to == from_micros(1800000000000000)
        assert (found.rules, found.precision) == ((1, Precision.INSTANT) if version == 1 else (2, Precision.DAY))
