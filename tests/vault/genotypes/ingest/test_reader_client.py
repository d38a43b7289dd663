"""The reading process: what becomes of it, and what it may not do to the process that began it."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.vcf_reading import vcf_text
from vault.errors import InputError, IntegrityError, RefusedError, UnavailableError, UsageError
from vault.genotypes.ingest import pipe_frames
from vault.genotypes.ingest.pipe_frames import FrameKind, describe, described, read_frame, write_frame
from vault.genotypes.ingest.reader_client import ReadingApart

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.vcf"
    path.write_bytes(vcf_text([f"1 {at} . A C . . . GT 0/1 1|0" for at in range(1, 40_000)]))
    return path


def ended(process_id):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            os.kill(process_id, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def test_it_ends_with_the_reading(path):
    with ReadingApart([path], "GRCh38") as reading:
        reading.files()
        process = reading._process.pid
    assert ended(process)


def test_it_ends_when_the_process_that_began_it_is_killed(path):
    work = (
        "import sys, time; from pathlib import Path\n"
        "from vault.genotypes.ingest.reader_client import ReadingApart\n"
        f"reading = ReadingApart([Path({str(path)!r})], 'GRCh38'); reading.files()\n"
        "print(reading._process.pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", work], stdout=subprocess.PIPE, cwd=ROOT) as parent:
        process = int(parent.stdout.readline())
        parent.kill()
    assert ended(process)


def test_a_killed_one_is_told(path):
    with ReadingApart([path], "GRCh38") as reading:
        (file,) = reading.files()
        os.kill(reading._process.pid, signal.SIGKILL)
        reading._process.wait()
        for _ in range(2):
            with pytest.raises(UnavailableError) as caught:
                list(file.chunks([0, 1], lambda *_: None))
            assert caught.value.code == "reader_ended"


def test_it_does_not_listen_to_ctrl_c(path):
    with ReadingApart([path], "GRCh38") as reading:
        (file,) = reading.files()
        os.kill(reading._process.pid, signal.SIGINT)
        assert sum(len(chunk.sites) for chunk in file.chunks([0, 1], lambda *_: None)) == 39_999


def test_it_loads_no_key_no_database_and_no_network():
    listing = "import sys, vault.genotypes.ingest.reader_process; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-P", "-c", listing], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    for name in (
        "cryptography",
        "sqlalchemy",
        "vault.crypto",
        "vault.storage",
        "vault.session.wrapped_keys",
        "vault.session.unlocked_vault",
        "obstore",
    ):
        assert name not in loaded.split()


def test_a_folder_named_like_the_program_is_not_the_program(path, tmp_path, monkeypatch):
    hostile = tmp_path / "vault"
    hostile.mkdir()
    (hostile / "__init__.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    with ReadingApart([Path("a.vcf")], "GRCh38") as reading:
        assert reading.files()[0].samples == ("A", "B")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x01\x05",
        b"\x09" + bytes(8),
        b"\x01" + b"\xff" * 8,
        b"\x03" + bytes(8),
        b"\x01" + (4).to_bytes(8, "little") + b"{}{}",
        b"\x05" + (2).to_bytes(8, "little") + b"[]",
    ],
)
def test_what_it_must_not_say_is_one_error(said, path, tmp_path, monkeypatch):
    stand_in = tmp_path / "says.py"
    stand_in.write_text(f"import sys; sys.stdout.buffer.write({said!r})")
    monkeypatch.setattr("vault.genotypes.ingest.reader_client.module_command", lambda _: [sys.executable, str(stand_in)])
    with ReadingApart([path], "GRCh38") as reading, pytest.raises(UnavailableError) as caught:
        reading.files()
    assert caught.value.code == "reader_ended"


def test_a_bug_of_the_reader_is_told_as_a_bug(path, tmp_path, monkeypatch):
    stand_in = tmp_path / "says.py"
    body = json.dumps(["", "ValueError", "vcf.py:7", ""]).encode()
    said = io.BytesIO()
    write_frame(said, FrameKind.FAILED, [body])
    stand_in.write_text(f"import sys; sys.stdout.buffer.write({said.getvalue()!r})")
    monkeypatch.setattr("vault.genotypes.ingest.reader_client.module_command", lambda _: [sys.executable, str(stand_in)])
    with ReadingApart([path], "GRCh38") as reading, pytest.raises(RuntimeError, match=r"ValueError at vcf\.py:7"):
        reading.files()


@pytest.mark.parametrize("kind", [InputError, IntegrityError, RefusedError, UnavailableError, UsageError])
def test_errors_come_back_as_they_were(kind):
    error = described(json.loads(json.dumps(describe(kind("a_code", "what happened", hint="what to do")))))
    assert (type(error), error.code, error.message, error.hint) == (kind, "a_code", "what happened", "what to do")


def test_frames_come_back_from_a_pipe_that_gives_little_at_a_time():
    out = io.BytesIO()
    write_frame(out, FrameKind.CHUNK, [b"abc", memoryview(b"defg")])
    write_frame(out, FrameKind.END)
    written = io.BytesIO(out.getvalue())

    def trickle(buffer):
        return written.readinto(buffer[:2])

    assert read_frame(trickle) == (FrameKind.CHUNK, b"abcdefg")
    assert read_frame(trickle) == (FrameKind.END, b"")
    with pytest.raises(EOFError):
        read_frame(trickle)


def test_a_frame_cannot_ask_for_all_memory(monkeypatch):
    monkeypatch.setattr(pipe_frames, "MAX_FRAME", 10)
    out = io.BytesIO()
    write_frame(out, FrameKind.CHUNK, [bytes(11)])
    with pytest.raises(ValueError, match="too long"):
        read_frame(io.BytesIO(out.getvalue()).readinto)
