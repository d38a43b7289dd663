"""Receipts by the verifier: what the writer proves holds, and of every edited one both say the same."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.audit_log import ORIGIN, SIGNER, VKEY, event, make_books
from vault.audit.receipt import verify_receipt
from vault.audit.verify import check_receipt, receipt_lines
from vault.errors import IntegrityError

KEY = VKEY.to_text()
ENTRIES = 21


@functools.cache
def receipts():
    """The receipt of each entry of one log."""
    with tempfile.TemporaryDirectory() as folder:
        books = make_books(Path(folder))
        books.log.record_many([event() for _ in range(ENTRIES)])
        books.log.checkpoint(SIGNER)
        found = [books.log.receipt(index) for index in range(ENTRIES)]
        books.database.close()
    return found


def writer_accepts(text):
    try:
        verify_receipt(text, None, ORIGIN, [VKEY])
    except IntegrityError:
        return False
    return True


def verifier_accepts(text):
    report = check_receipt(text, KEY)
    return report is not None and report.ok


@pytest.mark.parametrize("index", range(ENTRIES))
def test_every_entry_is_proven(index):
    report = check_receipt(receipts()[index], KEY)
    assert (report.ok, report.index, report.size, report.origin) == (True, index, ENTRIES, ORIGIN)
    assert report.leaf["act"] == "dataset.show"
    assert receipt_lines(report)[-1].startswith("the receipt holds")


@settings(max_examples=200)
@given(st.integers(0, ENTRIES - 1), st.data())
def test_of_an_edited_receipt_both_say_the_same(index, data):
    text = receipts()[index]
    kind = data.draw(st.sampled_from(["character", "line", "drop", "swap", "index"]))
    if kind == "character":
        at = data.draw(st.integers(0, len(text) - 1))
        edited = text[:at] + data.draw(st.sampled_from("Aa0=+/ \n—")) + text[at + 1 :]
    elif kind == "index":
        edited = text.replace(f"index {index}\n", f"index {data.draw(st.integers(0, 2 * ENTRIES))}\n")
    else:
        lines = text.split("\n")
        at, other = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        if kind == "line":
            lines.insert(at, lines[other])
        elif kind == "drop":
            del lines[at]
        else:
            lines[at], lines[other] = lines[other], lines[at]
        edited = "\n".join(lines)
    assert verifier_accepts(edited) is writer_accepts(edited)
    if edited == text:
        assert verifier_accepts(edited)


@pytest.mark.parametrize(
    "junk", ["", "\n\n", "c2sp.org/tlog-proof@v1\n\n", "c2sp.org/tlog-proof@v1\nindex 0\n\nnote", "index 0\n\nx\n"]
)
def test_what_is_no_receipt_is_none(junk):
    report = check_receipt(junk, KEY)
    assert report is None or not report.ok
