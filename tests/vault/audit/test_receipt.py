"""Receipts (docs/design/audit-log.md §8.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.audit_log import ORIGIN, SIGNER, VKEY, event, tamper
from vault.audit.note import VerifierKey
from vault.audit.receipt import Receipt, checkpoint_of, verify_receipt
from vault.errors import InputError, IntegrityError, UnavailableError

TESSERA = "example.com/log/testdata"
TESSERA_KEYS = [VerifierKey.from_text("example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx")]
SEVEN = """c2sp.org/tlog-proof@v1
index 6
ThcgoV2DYcK+VCxBUDWAlNxmLy2r7dq7dK7+OlgQKWs=
ycRkkNklus5eMVRUvkD1pK321vMrA+jjOiZKU8aOcY4=
zY1lN35vrXYAPixXSd59LsU29xUJtuW4o2dNNg5Y2Co=
5jLpqTgjsBDSEX6SgZiRnbTMdTuRd8bQ5tSsAOxe0Ks=

example.com/log/testdata
15
rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=

— example.com/log/testdata M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP6zdkdIQzd/fmwlM/dlPWF74ewI=
"""


def test_the_worked_example():
    proven = verify_receipt(SEVEN, b"seven", TESSERA, TESSERA_KEYS)
    assert (proven.index, proven.checkpoint.size) == (6, 15)
    assert Receipt.from_text(SEVEN).to_text() == SEVEN
    assert checkpoint_of(SEVEN).origin == TESSERA


def test_another_leaf_is_refused():
    with pytest.raises(IntegrityError) as caught:
        verify_receipt(SEVEN, b"eight", TESSERA, TESSERA_KEYS)
    assert caught.value.code == "inclusion_fails"


def test_a_receipt_without_its_leaf_needs_one():
    with pytest.raises(IntegrityError) as caught:
        verify_receipt(SEVEN, None, TESSERA, TESSERA_KEYS)
    assert caught.value.code == "receipt_without_leaf"


@given(st.integers(0, len(SEVEN.encode()) - 1), st.integers(0, 7))
def test_no_bit_of_a_receipt_can_change(position, bit):
    raw = bytearray(SEVEN.encode())
    raw[position] ^= 1 << bit
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return
    with pytest.raises(IntegrityError):
        verify_receipt(text, b"seven", TESSERA, TESSERA_KEYS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        SEVEN.replace("@v1", "@v2"),
        SEVEN.replace("index 6", "index 06"),
        SEVEN.replace("index 6", "index +6"),
        SEVEN.replace("index 6\n", ""),
        SEVEN.replace("index 6", "extra !\nindex 6"),
        SEVEN.replace("index 6", "index 6\nextra AAAA"),
        SEVEN.replace("ThcgoV2DYcK+VCxBUDWAlNxmLy2r7dq7dK7+OlgQKWs=", "Thcg"),
        SEVEN.replace("\n\n", "\n", 1),
        SEVEN.replace("index 6\n", "index 6\n" + "ThcgoV2DYcK+VCxBUDWAlNxmLy2r7dq7dK7+OlgQKWs=\n" * 64),
    ],
)
def test_malformed_receipts(text):
    with pytest.raises(IntegrityError) as caught:
        Receipt.from_text(text)
    assert caught.value.code in {"receipt_malformed", "note_malformed"}


def test_every_entry_of_a_log_has_a_receipt_that_carries_it(books):
    appended = books.log.record_many([event() for _ in range(300)])
    books.log.checkpoint(SIGNER)
    for index in (0, 1, 255, 256, 299):
        proven = verify_receipt(books.log.receipt(index), None, ORIGIN, [VKEY])
        assert (proven.index, proven.leaf) == (index, appended[index].leaf)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE audit_tile SET data = zeroblob(length(data))",
        "UPDATE audit_leaf SET leaf = CAST(replace(leaf, 'done', 'none') AS BLOB) WHERE idx = 3",
        "UPDATE audit_checkpoint SET note = replace(note, char(10) || '300' || char(10), char(10) || '299' || char(10))",
    ],
)
def test_no_false_receipt_is_given_out(books, edit):
    books.log.record_many([event() for _ in range(300)])
    books.log.checkpoint(SIGNER)
    books.log.receipt(3)
    tamper(books.path, edit)
    with pytest.raises(IntegrityError) as caught:
        books.log.receipt(3)
    assert caught.value.code == "entry_unproven"


def test_no_receipt_before_a_checkpoint_covers_the_entry(books):
    books.log.record(event())
    with pytest.raises(UnavailableError) as caught:
        books.log.receipt(0)
    assert caught.value.code == "not_signed_yet"
    with pytest.raises(InputError) as missing:
        books.log.receipt(1)
    assert missing.value.code == "no_such_entry"
