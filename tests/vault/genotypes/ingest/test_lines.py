"""The reader-ahead: every line once and in order, errors in their place, bounded memory, no thread left behind."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.vcf_reading import vcf_text
from vault.errors import InputError
from vault.genotypes.contigs import find_assembly
from vault.genotypes.ingest import lines as line_blocks
from vault.genotypes.ingest.lines import Lines
from vault.genotypes.ingest.open_source import open_source

HEADER = vcf_text([])
ANY = find_assembly("")


class Stream:
    """Bytes in pieces of the sizes given, over and over; ``broken``: where reading fails."""

    def __init__(self, data, *, pieces=(1 << 20,), broken=None):
        self.data, self.at, self.broken = data, 0, broken
        self.pieces, self.reads = pieces, 0

    def readinto(self, buffer):
        size = min(len(buffer), self.pieces[self.reads % len(self.pieces)], len(self.data) - self.at)
        self.reads += 1
        if self.broken is not None and self.at + size > self.broken:
            raise InputError("bad_compression", "damaged")
        buffer[:size] = self.data[self.at : self.at + size]
        self.at += size
        return size

    def position(self):
        return self.at

    def close(self):
        pass


def threads():
    return [t for t in threading.enumerate() if t.name == "read-ahead"]


def rest_of(lines):
    """Each block's text, of whole lines."""
    while lines.next_block(4):
        part = lines.text[lines.start : lines.stop].tobytes()
        assert part.endswith(b"\n")
        lines.start = lines.stop
        yield part


def body_of(lines):
    lines.header(ANY)
    text = b"".join(rest_of(lines))
    lines.close()
    return text


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 400), max_size=60),
    pieces=st.lists(st.integers(1, 300), min_size=1, max_size=5),
    final=st.booleans(),
)
def test_every_line_comes_once_and_whole(lengths, pieces, final):
    body = "".join(f"{i}".rjust(length, "x") + "\n" for i, length in enumerate(lengths)).encode()
    body = body if final or not body else body[:-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_blocks, "_BLOCK", 64)
        found = body_of(Lines(Stream(HEADER + body, pieces=pieces), "in.vcf"))
    assert found == (body if final or not body else body + b"\n")
    assert not threads()


def test_lines_before_the_damage_come_first(monkeypatch):
    monkeypatch.setattr(line_blocks, "_BLOCK", 256)
    body = b"".join(b"%05d\n" % i for i in range(1000))
    lines = Lines(Stream(HEADER + body, broken=len(HEADER) + 3000), "in.vcf")
    lines.header(ANY)
    parts = []
    with pytest.raises(InputError) as caught:
        parts.extend(rest_of(lines))
    assert caught.value.code == "bad_compression"
    assert 3000 - 2 * 256 <= sum(map(len, parts)) <= 3000
    lines.close()


def test_only_so_much_is_read_ahead(monkeypatch):
    monkeypatch.setattr(line_blocks, "_BLOCK", 1000)
    stream = Stream(HEADER + b"123456789\n" * 10_000)
    lines = Lines(stream, "in.vcf")
    lines.header(ANY)
    lines.start = lines.stop
    assert lines.next_block(4)
    time.sleep(0.1)
    assert stream.at <= len(HEADER) + 7 * 1000
    assert lines.position <= stream.at
    lines.close()
    assert not threads()


def test_a_line_without_end_is_refused_before_it_fills_memory(monkeypatch):
    monkeypatch.setattr(line_blocks, "_BLOCK", 1000)
    monkeypatch.setattr(line_blocks, "_LARGEST_BLOCK", 4000)
    monkeypatch.setattr(line_blocks, "MAX_LINE_BYTES", 50_000)
    stream = Stream(HEADER + b"x" * 1_000_000)
    lines = Lines(stream, "in.vcf")
    lines.header(ANY)
    lines.start = lines.stop
    with pytest.raises(InputError) as caught:
        lines.next_block(4)
    assert (caught.value.code, "line 4:" in caught.value.message) == ("line_too_long", True)
    assert stream.at < 100_000
    lines.close()


@pytest.mark.parametrize("ending", ["exhausted", "abandoned", "refused"])
def test_no_thread_outlives_its_file(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(line_blocks, "_BLOCK", 4096)
    body = [f"1 {i + 1} . A C . . . GT 0/1 0|1" for i in range(30_000)]
    if ending == "refused":
        body[20_000] = "1 7"
    path = tmp_path / "in.vcf"
    path.write_bytes(vcf_text(body))
    with open_source(path) as source:
        batches = source.batches()
        next(batches)
        if ending == "exhausted":
            for _ in batches:
                pass
        elif ending == "refused":
            with pytest.raises(InputError):
                list(batches)
    assert not threads()
