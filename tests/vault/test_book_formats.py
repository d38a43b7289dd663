"""The values that docs/formats/books.md prints, recomputed from its text alone and compared with the code's."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from types import SimpleNamespace

from vault import ledger
from vault.ids import SubjectId, VaultId

PAGE = (Path(__file__).parents[2] / "docs" / "formats" / "books.md").read_text()
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
    said, sealed = '{"answers":[{"answer":"accepted","policy":"research_use"}]}', b"sealed"
    event = "01890000-0000-7000-8000-000000000001"
    start = hashlib.sha256(context("genovault/consent-chain/v1", VAULT)).digest()
    digests = hashlib.sha256(said.encode()).digest(), hashlib.sha256(sealed).digest()
    link = context("genovault/consent-event/v1", start, 1, event, SUBJECT, "1700000000000000", "1700000001000000", *digests)
    first = hashlib.sha256(link).digest()
    assert start.hex() in PAGE
    assert first.hex() in PAGE
    row = SimpleNamespace(
        seq=1,
        event_id=event,
        subject_id=SubjectId(SUBJECT),
        legal_time=1700000000000000,
        recorded_at=1700000001000000,
        said=said,
        sealed=sealed,
    )
    assert ledger._start(VaultId(VAULT)) == start
    assert ledger._link(start, row) == first
