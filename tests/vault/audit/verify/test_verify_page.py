"""The page that checks a receipt, opened from disk in a browser: it says what the verifier says, of good receipts and of edited ones."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import tempfile
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.support import consoles
from tests.support.audit_log import ORIGIN, SIGNER, VKEY, event, make_books
from tests.support.sources import ROOT
from vault.audit.note import ED25519, VerifierKey
from vault.audit.receipt import Receipt
from vault.audit.verify import check_receipt
from vault.crypto.primitives import SigningKey
from vault.crypto.secret import Secret

FILE = ROOT / "vault" / "audit" / "verify" / "verify.html"
KEY = VKEY.to_text()
OTHER = SigningKey(Secret(b"\x08" * 32))
TESSERA = (  # from C2SP's own test log: a receipt of another program, without its leaf
    "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
    "seven",
    """c2sp.org/tlog-proof@v1
index 6
ThcgoV2DYcK+VCxBUDWAlNxmLy2r7dq7dK7+OlgQKWs=
ycRkkNklus5eMVRUvkD1pK321vMrA+jjOiZKU8aOcY4=
zY1lN35vrXYAPixXSd59LsU29xUJtuW4o2dNNg5Y2Co=
5jLpqTgjsBDSEX6SgZiRnbTMdTuRd8bQ5tSsAOxe0Ks=

example.com/log/testdata
15
rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=

— example.com/log/testdata M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP6zdkdIQzd/fmwlM/dlPWF74ewI=
""",
)


@pytest.fixture(scope="module")
def chromium():
    with consoles.browser() as it:
        yield it


@functools.cache
def receipts():
    """Receipts of all entries of logs of several sizes."""
    with tempfile.TemporaryDirectory() as folder:
        books = make_books(Path(folder))
        found: list[str] = []
        size = 0
        for more in (1, 1, 5, 14):
            size += more
            books.log.record_many([event() for _ in range(more)])
            books.log.checkpoint(SIGNER)
            found += [books.log.receipt(index) for index in range(size)]
        books.database.close()
    return found


@pytest.fixture(scope="module")
def page(chromium):
    context = chromium.new_context(offline=True)
    it = context.new_page()
    it.goto(FILE.as_uri())
    yield it
    context.close()


def said(page, receipt, key=KEY, leaf=""):
    """Verdict and codes that the page shows."""
    page.get_by_label("The receipt", exact=True).fill(receipt)
    page.get_by_label("The log's public key").fill(key)
    page.get_by_label("The entry's leaf").fill(leaf)
    page.evaluate("document.getElementById('result').replaceChildren()")
    page.get_by_role("button", name="Check").click()
    page.locator("#result strong").wait_for()
    text = page.locator("#result").inner_text()
    return page.locator("#result strong").inner_text(), set(re.findall(r"\[(\w+)\]$", text, re.MULTILINE))


def edited(text, **changes):
    """A receipt with parts of it replaced."""
    found = Receipt.from_text(text)
    named = {"index": found.index, "proof": found.proof, "note": found.note, "extra": found.extra} | changes
    return Receipt(**named).to_text()


def flipped(data, at=0):
    return bytes([*data[:at], data[at] ^ 1, *data[at + 1 :]])


def test_every_receipt_of_a_good_log_holds(page):
    for receipt in receipts():
        assert check_receipt(receipt, KEY).ok
        assert said(page, receipt) == ("The receipt holds: this entry is in the log that was signed.", set())
    assert "dataset.show" in page.locator("#result").inner_text()


def test_a_receipt_of_another_program_holds_with_the_leaf_beside_it(page):
    key, leaf, receipt = TESSERA
    assert said(page, receipt, key, leaf)[0].startswith("The receipt holds")
    assert said(page, receipt, key)[1] == {"receipt_without_leaf"}
    assert said(page, receipt, key, "eight")[1] == {"inclusion_fails"}


def tampered():
    good = receipts()[-2]
    parts = Receipt.from_text(good)
    text, _, line = parts.note.rpartition("\n\n")
    origin, size, root = text.split("\n")
    signature = base64.b64decode(line.split(" ")[2])
    signed = lambda raw: f"{text}\n\n— {ORIGIN} {base64.b64encode(raw).decode()}\n"  # noqa: E731 - twice, here
    other = VerifierKey(ORIGIN, ED25519, OTHER.public)
    yield "leaf", edited(good, extra=flipped(parts.extra, 40)), KEY, "inclusion_fails"
    yield "index", edited(good, index=parts.index - 1), KEY, "inclusion_fails"
    yield "index beyond", edited(good, index=10**15), KEY, "inclusion_fails"
    yield "path", edited(good, proof=(flipped(parts.proof[0]), *parts.proof[1:])), KEY, "inclusion_fails"
    yield "path shorter", edited(good, proof=parts.proof[:-1]), KEY, "inclusion_fails"
    yield "path longer", edited(good, proof=(*parts.proof, bytes(32))), KEY, "inclusion_fails"
    yield "root", edited(good, note=parts.note.replace(root, base64.b64encode(bytes(32)).decode())), KEY, "signature_bad"
    yield "size", edited(good, note=parts.note.replace(f"\n{size}\n", f"\n{int(size) + 1}\n")), KEY, "signature_bad"
    yield "size spelt", edited(good, note=parts.note.replace(f"\n{size}\n", f"\n0{size}\n")), KEY, "checkpoint_malformed"
    yield "signature", edited(good, note=signed(flipped(signature, 20))), KEY, "signature_bad"
    yield "signature short", edited(good, note=signed(signature[:-1])), KEY, "signature_bad"
    yield "key id", edited(good, note=signed(flipped(signature))), KEY, "signature_missing"
    yield "no signature", edited(good, note=f"{text}\n\n"), KEY, "checkpoint_malformed"
    yield "key name", good, VerifierKey("genovault.test/other", ED25519, SIGNER.public).to_text(), "checkpoint_origin"
    yield "another key", good, other.to_text(), "signature_missing"
    yield "key misspelt", good, KEY[:-2] + "A=", "key_malformed"
    yield "no key", good, "", "key_malformed"
    yield "replaced key", good, f"{KEY} until 3", "signer_range"
    yield "origin", edited(good, note=parts.note.replace(origin, "genovault.test/lob")), KEY, "checkpoint_origin"
    yield "no receipt", "hello", KEY, "receipt_malformed"
    yield "base64", good.replace("index", " index", 1), KEY, "receipt_malformed"


@pytest.mark.parametrize(("receipt", "key", "code"), [pytest.param(*rest, id=name) for name, *rest in tampered()])
def test_of_what_was_tampered_with_page_and_verifier_say_the_same(page, receipt, key, code):
    verdict, codes = said(page, receipt, key)
    assert verdict == "The receipt does NOT hold."
    assert code in codes
    report = check_receipt(receipt, key)
    assert (report is None) == (code == "receipt_malformed")
    if report is not None:
        assert not report.ok
        assert code in {finding.code for finding in report.findings}


def test_a_leaf_from_elsewhere_has_to_be_the_receipt_s(page):
    receipt = receipts()[-1]
    leaf = Receipt.from_text(receipt).extra.decode()
    assert said(page, receipt, leaf=leaf)[1] == set()
    assert said(page, receipt, leaf=leaf.replace("ann", "bob"))[1] == {"leaf_differs", "inclusion_fails"}


def test_a_file_is_read_where_it_lies(page, tmp_path):
    file = tmp_path / "entry.tlog-proof"
    file.write_text(receipts()[-1], newline="\r\n")
    page.get_by_label("The receipt", exact=True).fill("")
    page.get_by_label("A receipt's file").set_input_files(file)
    page.wait_for_function("document.getElementById('receipt').value.length > 0")
    assert said(page, page.get_by_label("The receipt", exact=True).input_value())[1] == set()


def test_without_ed25519_the_signature_is_not_said_to_be_checked(page):
    with page.expect_navigation():
        page.reload()
    page.evaluate("() => { crypto.subtle.importKey = () => Promise.reject(new DOMException('no', 'NotSupportedError')) }")
    try:
        assert said(page, receipts()[-1])[0].startswith("Signature not checked")
        assert page.locator("#result").get_attribute("class") == "verdict off"
        assert said(page, edited(receipts()[-1], index=0))[1] == {"inclusion_fails"}
    finally:
        page.reload()


def test_text_of_an_entry_is_shown_as_text(page):
    leaf = b'{"act":"<img src=x onerror=alert(1)>\xe2\x80\xae","actor":{"id":"<b>x</b>"}}'
    said(page, edited(receipts()[-1], extra=leaf))
    assert page.locator("#result img, #result b").count() == 0
    assert "\u202e" not in page.content()


def test_it_is_one_file_that_can_reach_nothing():
    text = FILE.read_text("utf-8")
    for name in ("script", "style"):
        (inside,) = re.findall(rf"<{name}>(.*?)</{name}>", text, re.DOTALL)
        mark = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{mark}'" in text
    assert "default-src 'none'" in text
    assert not re.findall(r"https?:|//[a-z]+\.|src=|href=|@import|url\(", text)
    for word in ("fetch", "XMLHttpRequest", "WebSocket", "eval(", "innerHTML", "localStorage", "import("):
        assert word not in text, word


def test_its_digest_is_the_published_one():
    mark = hashlib.sha256(FILE.read_bytes()).hexdigest()
    assert mark in (ROOT / "docs" / "auditing.md").read_text("utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_a_phone_shows_it_whole(chromium, scheme):
    context = chromium.new_context(bypass_csp=True, color_scheme=scheme, viewport={"width": 360, "height": 740})
    it = context.new_page()
    it.goto(FILE.as_uri())
    for receipt in (receipts()[-1], "x"):
        said(it, receipt)
        assert Axe().run(it).response["violations"] == []
        assert it.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()
