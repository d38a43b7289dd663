"""A verifier written from docs/formats/audit.md and the cited RFCs alone: it imports nothing of the product to judge with.

Only the fixture that makes the log does. The recursion is the RFC's own, unlike the code it judges.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.support.audit_log import SIGNER, VKEY, event, make_books, token
from vault.audit.export import export_tiles

DOCUMENT = Path(__file__).parents[2] / "docs/formats/audit.md"


def digest(data):
    return hashlib.sha256(data).digest()


def mth(leaves):
    if not leaves:
        return digest(b"")
    if len(leaves) == 1:
        return digest(b"\0" + leaves[0])
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return digest(b"\1" + mth(leaves[:k]) + mth(leaves[k:]))


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


def open_note(note, vkey):
    name, key_id, encoded = vkey.split("+", 2)
    key = base64.b64decode(encoded)
    assert digest(name.encode() + b"\n" + key)[:4].hex() == key_id
    text, _, signatures = note.rpartition("\n\n")
    for line in signatures.splitlines():
        dash, signer, blob = line.split(" ")
        raw = base64.b64decode(blob)
        if (dash, signer, raw[:4].hex()) == ("—", name, key_id):
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(raw[4:], (text + "\n").encode())
            origin, size, root = text.split("\n")
            assert origin == name
            return int(size), base64.b64decode(root)
    raise AssertionError("not signed")


def name_of(n):
    digits = str(n).zfill(-(-len(str(n)) // 3) * 3)
    groups = re.findall("...", digits)
    return "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])


def read_entries(folder, size):
    leaves = []
    for n in range(-(-size // 256)):
        width = min(256, size - 256 * n)
        data = (folder / "tile/entries" / (name_of(n) + ("" if width == 256 else f".p/{width}"))).read_bytes()
        while data:
            length = int.from_bytes(data[:2], "big")
            leaves.append(data[2 : 2 + length])
            data = data[2 + length :]
    return leaves


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    books = make_books(folder)
    books.log.record_many([event(subjects=[token(i)], detail={"i": i}) for i in range(300)])
    books.log.checkpoint(SIGNER)
    export_tiles(books.log, folder / "tiles", vkey=VKEY.to_text())
    receipt = books.log.receipt(123)
    books.database.close()
    return folder / "tiles", VKEY.to_text(), receipt


def test_the_export_holds(made):
    folder, vkey, _ = made
    size, root = open_note((folder / "checkpoint").read_text(), vkey)
    leaves = read_entries(folder, size)
    assert len(leaves) == size == 300
    assert mth(leaves) == root
    tiles = (folder / "tile/0/000").read_bytes() + (folder / "tile/0/001.p/44").read_bytes()
    assert tiles == b"".join(digest(b"\0" + leaf) for leaf in leaves)
    assert (folder / "tile/1/000.p/1").read_bytes() == mth(leaves[:256])
    for leaf in leaves:
        value = json.loads(leaf)
        assert json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode() == leaf
        assert {"v", "id", "t", "boot", "actor", "act", "outcome", "n", "subj", "detail"} == value.keys()


def test_the_receipt_holds(made):
    folder, vkey, receipt = made
    head, _, note = receipt.partition("\n\n")
    title, extra, index, *hashes = head.split("\n")
    size, _ = open_note(note, vkey)
    leaves = read_entries(folder, size)
    assert (title, index) == ("c2sp.org/tlog-proof@v1", "index 123")
    assert base64.b64decode(extra.removeprefix("extra ")) == leaves[123]
    assert [base64.b64decode(line) for line in hashes] == path(123, leaves)


def test_the_document_s_vector():
    block = DOCUMENT.read_text().rpartition("## 11. Vector")[2].partition("```\n")[2].partition("```")[0]
    lines = [line[7:] for line in block.splitlines()]
    leaf, hashed, vkey, note = lines[0].encode(), lines[1], lines[2], "\n".join(lines[3:]) + "\n"
    assert digest(b"\0" + leaf).hex() == hashed
    assert open_note(note, vkey) == (1, bytes.fromhex(hashed))
    with pytest.raises(InvalidSignature):
        open_note(note.replace("\n1\n", "\n2\n"), vkey)
    fields = json.loads(leaf)
    salt = bytes(range(16, 32))
    tokens = "".join(f"hmac-sha256:1:{letter * 64}\n" for letter in "ab")
    subjects = digest(b"genovault/subject-set/v1\0" + salt + (2).to_bytes(8, "big") + tokens.encode())
    assert fields["subj"] == {"n": 2, "set": subjects.hex()}
    assert fields["detail"] == digest(b"\2" + salt + b'{"region":"22:16000000-16100000"}').hex()


def test_every_code_of_the_verifier_is_documented():
    verifier = Path(__file__).parents[2] / "vault/audit/verify"
    source = "".join(path.read_text() for path in sorted(verifier.glob("*.py")))
    codes = set(re.findall(r'found\(\s*"([a-z_]+)"', source))
    assert len(codes) > 15
    assert {code for code in codes if f"`{code}`" not in DOCUMENT.read_text()} == set()
