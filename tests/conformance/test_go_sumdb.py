"""Go's golang.org/x/mod/sumdb, which shares no line with us, judges an exported log and its receipts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.audit_log import SIGNER, VKEY, event, make_books
from tests.support.outside import lacking, tool
from vault.audit.export import export_tiles

GOPATH = Path("/usr/share/gocode")
PROGRAM = Path(__file__).parent / "go_sumdb" / "main.go"


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """The compiled verifier."""
    go = tool("go")
    if not (GOPATH / "src/golang.org/x/mod/sumdb").is_dir():
        lacking("golang-golang-x-mod-dev")
    folder = tmp_path_factory.mktemp("go")
    environment = os.environ | {"GO111MODULE": "off", "GOPATH": str(GOPATH), "GOCACHE": str(folder / "cache"), "GOFLAGS": ""}
    subprocess.run([go, "build", "-o", str(folder / "judge"), str(PROGRAM)], env=environment, check=True, timeout=300)

    def run(*arguments):
        return subprocess.run([folder / "judge", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)

    return run


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """600 entries, with two receipts beside the folder."""
    folder = tmp_path_factory.mktemp("export")
    books = make_books(folder)
    books.log.record_many([event(detail={"i": i}) for i in range(600)])
    books.log.checkpoint(SIGNER)
    export_tiles(books.log, folder / "tiles", vkey=VKEY.to_text())
    for index in (0, 599):
        (folder / f"{index}.tlog-proof").write_text(books.log.receipt(index))
    books.database.close()
    return folder


def test_signature_inclusion_consistency_and_receipts(judge, export):
    receipts = (export / "0.tlog-proof", 0, export / "599.tlog-proof", 599)
    done = judge(export / "tiles", VKEY.to_text(), *receipts)
    assert done.stdout == "OK 600\n", done.stdout + done.stderr


@pytest.mark.parametrize("name", ["checkpoint", "tile/0/001", "tile/entries/001", "tile/1/000.p/2"])
def test_it_would_notice(judge, export, tmp_path, name):
    """The judge is awake: a flipped bit in any part makes it fail."""
    shutil.copytree(export / "tiles", tmp_path / "tiles")
    path = tmp_path / "tiles" / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    assert judge(tmp_path / "tiles", VKEY.to_text()).returncode != 0
