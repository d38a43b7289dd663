"""Files that people name: regular ones, to a limit, whatever stands in their place; and no other way to open one."""

from __future__ import annotations

import ast
import os
import socket
import time

import pytest

from tests.support.sources import modules, parsed
from vault.errors import InputError
from vault.files.csv_sheets import Column, read_sheet, text
from vault.files.given_files import ExposedError, open_regular, read_given, read_secret
from vault.files.sheet_problems import SheetRejectedError
from vault.files.yaml_documents import parse_yaml, read_yaml
from vault.limits import MAX_SHEET_LINES, MAX_SHEET_PROBLEMS

NO_FILES = ("folder", "fifo", "/dev/zero", "/dev/null", "link to /dev/zero", "socket")
OPENERS = {  # modules that open files by themselves, and why
    "vault.files.given_files": "the reader of given files itself",
    "vault.files.private_files": "writes new files only",
    "vault.files.durable": "writes new files only, and syncs",
    "vault.audit.verify.folder": "shares no code with the rest; has a reader of its own",
    "vault.audit.anchors": "reads regular files only, and tells a missing one from an unreachable one",
    "vault.session.failed_unlocks": "bounded, follows no link",
    "vault.session.process_lock": "a lock of the vault's own",
    "vault.session.time_zone": "the machine's /etc/timezone",
    "vault.operations.backup_folder": "regular files only, follows no link, bounded by what the backup says of itself",
    "vault.crypto.keystore_files": "locks the vault's folder",
    "vault.storage.database": "makes a database",
    "vault.storage.object_store": "objects, by ranges",
    "vault.genotypes.compute.kernel_cache": "the program's own source",
    "vault.genotypes.contigs": "shipped with the program",
    "vault.extracts.staging": "leftovers of an extract: its own regular files, follows no link",
    "vault.access.spool": "a server's own folder: regular files only, follows no link",
    "vault.access.accounting": "shipped with the program",
    "vault.server.console.frame": "shipped with the program",
    "cli.audit_page": "shipped with the program",
    "vault.access.reference_data": "shipped with the program",
    "vault.access.shipped_profiles": "shipped with the program",
    "vault.consent.forms": "shipped with the program",
    "cli.demo": "the demo's own files",
    "cli.demo_cohort": "the demo's own files",
    "cli.main": "/dev/null",
    "cli.agent": "/dev/null, and the terminal of whoever asks",
    "cli.forwarding": "folders: the working one, and that of its sockets",
}


def placed(tmp_path, what):
    path = tmp_path / "given"
    if what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "socket":
        held = socket.socket(socket.AF_UNIX)
        held.bind(str(path))
        held.close()
    elif what.startswith("link"):
        path.symlink_to(what.removeprefix("link to "))
    else:
        return type(path)(what)
    return path


@pytest.mark.parametrize("what", NO_FILES)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, what):
    path, started = placed(tmp_path, what), time.monotonic()
    for read in (
        lambda: read_given(path, limit=10),
        lambda: read_yaml(path),
        lambda: read_sheet(path, columns=[Column("a", text)]),
    ):
        with pytest.raises(InputError) as caught:
            read()
        assert caught.value.code in {"file_unreadable", "file_missing", "sheet_unreadable"}
    for read in (open_regular, lambda given: read_secret(given, limit=10)):
        with pytest.raises(OSError):  # noqa: PT011 - its strerror is the system's
            read(path)
    assert time.monotonic() - started < 5


def test_a_sparse_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(40 << 30)
    with pytest.raises(InputError) as caught:
        read_given(path, limit=1 << 20)
    assert caught.value.code == "file_too_large"


def test_a_file_that_has_no_size_of_its_own_is_read_to_the_limit():
    with pytest.raises(InputError) as caught:
        read_given(type(next(iter(modules().values())))("/proc/self/maps"), limit=100)
    assert caught.value.code == "file_too_large"


def test_a_file_of_the_limit_is_read_whole(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 10)
    assert read_given(tmp_path / "a", limit=10) == b"x" * 10


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_secret_of_others_is_not_read(tmp_path, mode):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "a").chmod(mode)
    with pytest.raises(ExposedError):
        read_secret(tmp_path / "a", limit=10)


@pytest.mark.skipif(os.geteuid() != 0, reason="systemd's credentials are root's")
@pytest.mark.parametrize(("mode", "read"), [(0o400, True), (0o440, True), (0o444, False), (0o460, False)])
def test_what_systemd_gives_to_one_unit_is_that_unit_s(tmp_path, monkeypatch, mode, read):
    path = tmp_path / "slot.key"
    path.write_bytes(b"x" * 32)
    path.chmod(mode)
    if mode & 0o077:
        with pytest.raises(ExposedError):
            read_secret(path, limit=32)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    if read:
        assert read_secret(path, limit=32) == b"x" * 32
    else:
        with pytest.raises(ExposedError):
            read_secret(path, limit=32)


@pytest.mark.parametrize(
    "document",
    [
        "a\n" + "\n" * (MAX_SHEET_LINES + 1) + "x",
        "a\n" + "\r" * (MAX_SHEET_LINES + 1) + "x",
        ",".join(f"c{i}" for i in range(10**6)),
        "," * 10**7,
        "a\n" + '"' + "x" * (2 << 20),
        "a\n" + '"\n",' * 10**6,
        "a\n" + "x,y\n" * 100_000,
        "a\n" + "\n" * 100_000 + "x\n",
    ],
    ids=[
        "blank lines",
        "carriage returns",
        "columns",
        "commas",
        "open quote",
        "quoted line breaks",
        "bad rows",
        "blanks between",
    ],
)
def test_a_sheet_without_measure_is_refused_soon_and_shortly(document):
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        read_sheet(document.encode(), columns=[Column("a", text)])
    assert caught.value.code in {"sheet_too_large", "sheet_rejected"}
    assert len(caught.value.message) < 2_000
    if isinstance(caught.value, SheetRejectedError):
        assert len(caught.value.problems) <= MAX_SHEET_PROBLEMS + 2
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("document", ["[" * 10**6, "a: " + "{a: " * 20_000, "a: " * 200_000, "- " * 100_000, "? " * 100_000])
def test_yaml_without_measure_is_refused_soon(document):
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        parse_yaml(document.encode()[: 1 << 20], name="x")
    assert caught.value.code == "document_malformed"
    assert time.monotonic() - started < 20


def test_depth_that_documents_need_is_read():
    document = "".join(f"{'  ' * depth}a:\n" for depth in range(20)) + "  " * 20 + "b: 1\n"
    assert parse_yaml(document.encode(), name="x")


def test_no_other_module_opens_files():
    found = set()
    for name, path in modules().items():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and opens(node):
                found.add(name)
    assert found - OPENERS.keys() == set(), "open what people name with vault.files.given_files"
    assert OPENERS.keys() - found == set(), "these need no exception any more"


def opens(call: ast.Call) -> bool:
    """True for a call that opens, reads or writes a file by its name."""
    function = ast.unparse(call.func)
    method = function.rpartition(".")[2]
    if "." in function and method in {"read_text", "read_bytes", "write_text", "write_bytes", "touch"}:
        return True
    if function in {"open", "os.open", "io.open", "gzip.open", "lzma.open", "bz2.open"}:
        return not (function == "gzip.open" and ast.unparse(call.args[0]) == "file")
    mode = call.args[0] if call.args else None
    return (
        method == "open" and isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) <= set("rwxabt+")
    )
