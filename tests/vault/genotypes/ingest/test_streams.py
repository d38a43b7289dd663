from __future__ import annotations

import gzip
import struct
import zlib

import pytest
import zstandard
from isal import igzip

from tests.support.vcf_reading import our_rows, vcf_text
from vault.errors import InputError
from vault.genotypes.ingest import lines, streams
from vault.genotypes.ingest.source import open_source
from vault.limits import MAX_LINE_BYTES

TEXT = vcf_text([f"1 {i} . A C . . . GT 0/1 1|1" for i in range(1, 30_000)])


def bgzf(data: bytes, *, end: bool = True) -> bytes:
    """BGZF of the data, in blocks of 60,000 bytes."""
    out = []
    for start in range(0, len(data), 60_000):
        piece = data[start : start + 60_000]
        deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
        body = deflate.compress(piece) + deflate.flush()
        out.append(bytes.fromhex("1f8b08040000000000ff0600424302 00".replace(" ", "")) + struct.pack("<H", len(body) + 25) + body)
        out.append(struct.pack("<II", zlib.crc32(piece), len(piece)))
    return b"".join(out) + (streams.BGZF_EOF if end else b"")


@pytest.fixture
def code_of(tmp_path):
    def read(data):
        path = tmp_path / "cohort.vcf.gz"
        path.write_bytes(data)
        with pytest.raises(InputError) as caught:
            our_rows(path)
        assert caught.value.message.startswith("cohort.vcf.gz:")
        return caught.value.code

    return read


def zstd(data: bytes) -> bytes:
    """A zstd frame with a checksum and no word of its size, as programs that stream write it."""
    return zstandard.ZstdCompressor(write_checksum=True, write_content_size=False).compress(data)


@pytest.mark.parametrize(
    "pack",
    [
        lambda d: d,
        gzip.compress,
        bgzf,
        lambda d: gzip.compress(d[:1000]) + gzip.compress(d[1000:]),
        zstd,
        lambda d: zstd(d[:1000]) + zstd(d[1000:70_000]) + zstd(d[70_000:]),
    ],
)
def test_the_same_rows_however_compressed(tmp_path, pack):
    path = tmp_path / "cohort.anything"
    path.write_bytes(pack(TEXT))
    rows = our_rows(path)
    assert len(rows) == 29_999
    assert rows[-1][:2] == ("1", "29999")


def test_zero_padding_behind_gzip_is_ignored(tmp_path):
    path = tmp_path / "cohort.vcf.gz"
    path.write_bytes(gzip.compress(TEXT) + bytes(512))
    assert len(our_rows(path)) == 29_999


def test_a_bgzf_file_without_its_end_block_is_truncated(code_of):
    assert code_of(bgzf(TEXT, end=False)) == "file_truncated"
    assert code_of(bgzf(TEXT)[:-1]) == "file_truncated"
    assert code_of(bgzf(TEXT)[:20]) == "file_truncated"


@pytest.mark.parametrize("keep", [0.01, 0.5, 0.999])
def test_a_gzip_file_that_ends_early_is_truncated(code_of, keep):
    packed = gzip.compress(TEXT)
    assert code_of(packed[: int(len(packed) * keep)]) == "file_truncated"
    assert code_of(packed[:-1]) == "file_truncated"
    assert code_of(packed[:-8]) == "file_truncated"


def test_a_wrong_checksum_length_or_bit_is_damage(code_of):
    packed = gzip.compress(TEXT)
    for place in (-8, -1):
        damaged = bytearray(packed)
        damaged[place] ^= 1
        assert code_of(bytes(damaged)) == "bad_compression"
    damaged = bytearray(bgzf(TEXT))
    damaged[5000] ^= 0x10
    assert code_of(bytes(damaged)) in {"bad_compression", "file_truncated"}


def test_rubbish_behind_gzip_is_damage(code_of):
    assert code_of(gzip.compress(TEXT) + b"rubbish") == "file_truncated"  # too short to be told from half a header
    assert code_of(gzip.compress(TEXT) + b"rubbish, and more of it") == "bad_compression"


def test_a_gzip_bomb_is_stopped_by_the_limits_on_line_and_header(code_of):
    endless = b"x" * (MAX_LINE_BYTES + (8 << 20))
    assert code_of(igzip.compress(TEXT + endless, 0)) == "line_too_long"
    assert code_of(igzip.compress(b"##fileformat=VCFv4.3\n##" + endless, 0)) == "header_too_long"


@pytest.mark.parametrize("keep", [5, 0.5, -1])
def test_a_zstd_file_that_ends_early_is_truncated(code_of, keep):
    packed = zstd(TEXT)
    assert code_of(packed[: int(len(packed) * keep) if isinstance(keep, float) else keep]) == "file_truncated"


def test_a_damaged_zstd_file_and_rubbish_behind_one_are_damage(code_of):
    damaged = bytearray(zstd(TEXT))
    damaged[-1] ^= 1
    assert code_of(bytes(damaged)) == "bad_compression"
    assert code_of(zstd(TEXT) + b"rubbish") == "bad_compression"


def test_a_zstd_bomb_expands_by_a_bounded_step(tmp_path, monkeypatch):
    path = tmp_path / "bomb.zst"
    path.write_bytes(zstd(bytes(1 << 28)))
    assert path.stat().st_size < 50_000
    sizes = []
    step = streams._ZstdStream._step
    monkeypatch.setattr(streams._ZstdStream, "_step", lambda self: (found := step(self), sizes.append(len(found)))[0])
    stream = streams.open_stream(path)
    buffer = memoryview(bytearray(1 << 20))
    total = 0
    while count := stream.readinto(buffer):
        total += count
    stream.close()
    assert total == 1 << 28
    assert max(sizes) <= 32 << 20


def test_what_a_read_expands_to_is_bounded(tmp_path, monkeypatch):
    path = tmp_path / "cohort.vcf.gz"
    path.write_bytes(gzip.compress(TEXT))
    asked = []
    monkeypatch.setattr(lines, "_BLOCK", 10_000)
    original = streams._GzipStream.readinto

    def readinto(self, buffer):
        asked.append(len(buffer))
        return original(self, buffer)

    monkeypatch.setattr(streams._GzipStream, "readinto", readinto)
    with open_source(path) as source:
        assert sum(len(batch.sites) for batch in source.batches()) == 29_999
    assert max(asked) <= 10_000
