"""npm's @sigstore/verify, which shares no line with us, judges receipts.

GENOVAULT_NODE_MODULES names the folder into which ``npm ci`` has put ``sigstore/package-lock.json`` (``.ci/run`` does that; the
lock holds every package's digest).
"""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.audit_log import SIGNER, VKEY, event, make_books
from tests.support.outside import lacking, tool
from vault.crypto.primitives import SigningKey
from vault.crypto.secret import Secret

JUDGE = Path(__file__).parent / "node" / "judge.js"


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """Output of the outside verifier on receipts, one line each."""
    node = tool("node")
    modules = os.environ.get("GENOVAULT_NODE_MODULES")
    if modules is None or not (Path(modules) / "@sigstore/verify").is_dir():
        lacking("@sigstore/verify, in the folder GENOVAULT_NODE_MODULES,")
    folder = tmp_path_factory.mktemp("judge")
    (folder / "log.vkey").write_text(VKEY.to_text() + "\n")

    def run(*texts):
        files = [folder / str(i) for i in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)
        command = [node, JUDGE, modules, folder / "log.vkey", *files]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, timeout=120)
        return done.stdout.splitlines()

    return run


@pytest.fixture(scope="module")
def receipts(tmp_path_factory):
    """Receipts of entries from a log of 600, the first and the last among them."""
    books = make_books(tmp_path_factory.mktemp("log"))
    books.log.record_many([event(detail={"i": i}) for i in range(600)])
    books.log.checkpoint(SIGNER)
    made = {index: books.log.receipt(index) for index in (0, 1, 255, 256, 511, 512, 598, 599)}
    books.database.close()
    return made


def test_every_receipt_is_accepted(judge, receipts):
    assert judge(*receipts.values()) == [f"ok {index} 600" for index in receipts]


def test_whatever_was_altered_is_refused(judge, receipts):
    good = receipts[256]
    lines = good.split("\n")
    other_leaf = receipts[255].split("\n")[1]
    hashed = next(i for i, line in enumerate(lines) if line.startswith("index ")) + 1
    flipped = base64.b64encode(bytes([base64.b64decode(lines[hashed])[0] ^ 1]) + base64.b64decode(lines[hashed])[1:]).decode()
    altered = (
        good.replace(lines[1], other_leaf),
        good.replace("index 256\n", "index 257\n"),
        good.replace(lines[hashed], flipped),
        good.replace(f"{lines[hashed]}\n", ""),
        good.replace("\n600\n", "\n601\n"),
    )
    assert all(said.startswith("bad ") for said in judge(*altered))


def test_another_logs_signature_is_refused(judge, tmp_path):
    books = make_books(tmp_path)
    books.log.record(event())
    books.log.checkpoint(SigningKey(Secret(b"\x09" * 32)))
    (said,) = judge(books.log.receipt(0))
    books.database.close()
    assert said == "bad invalid checkpoint signature"
