from __future__ import annotations

import gzip
import struct
import zlib
from contextlib import nullcontext

import pytest
import zstandard
from isal import igzip

from tests.support.vcf_reading import our_rows, vcf_text
from vault.errors import InputError
from vault.genotypes.ingest import gzip_streams, lines, streams
from vault.genotypes.ingest.open_source import open_source
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
    return b"".join(out) + (gzip_streams.BGZF_EOF if end else b"")


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
        lambda d: bgzf(d[:300_000], end=False) + bgzf(b"") + bgzf(d[300_000:]),
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


def blocks_of(packed: bytes) -> list[bytes]:
    blocks, at = [], 0
    while at < len(packed):
        end = at + struct.unpack_from("<H", packed, at + 16)[0] + 1
        blocks.append(packed[at:end])
        at = end
    return blocks


@pytest.mark.parametrize("place", [0, 3, -2])
@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[:-1] + bytes([b[-1] ^ 1]),  # inflated size, by a lot
        lambda b: b[:-4] + struct.pack("<I", struct.unpack("<I", b[-4:])[0] + 1),
        lambda b: b[:-4] + struct.pack("<I", struct.unpack("<I", b[-4:])[0] - 1),
        lambda b: b[:-4] + bytes(4),
        lambda b: b[:-8] + bytes([b[-8] ^ 1]) + b[-7:],  # checksum
        lambda b: b[:16] + struct.pack("<H", len(b) - 2) + b[18:],  # stored size
        lambda b: b[:16] + struct.pack("<H", len(b)) + b[18:],
        lambda b: b[:16] + bytes(2) + b[18:],
        lambda b: b[:50] + bytes([b[50] ^ 0x20]) + b[51:],
        lambda b: b[:-30] + b[-8:],
    ],
)
def test_a_block_that_is_not_what_it_says_is_damage(code_of, place, damage):
    blocks = blocks_of(bgzf(TEXT))
    blocks[place] = damage(blocks[place])
    assert code_of(b"".join(blocks)) in {"bad_compression", "file_truncated"}


@pytest.mark.parametrize("other", [gzip.compress(b"1\t30001\n", mtime=0), bytes(100)], ids=["gzip", "zeros"])
def test_bgzf_that_goes_on_as_something_else_is_damage(code_of, other):
    assert code_of(bgzf(TEXT) + other + gzip_streams.BGZF_EOF) == "bad_compression"


@pytest.mark.parametrize("size", [1, 1000, 59_999, 60_000, 60_001, 300_000, 1 << 21])
def test_bgzf_fills_any_buffer(tmp_path, size):
    path = tmp_path / "in.gz"
    data = TEXT[:200_000] if size == 1 else TEXT
    path.write_bytes(bgzf(data))
    stream = streams.open_stream(path)
    assert isinstance(stream, gzip_streams.BgzfStream)
    buffer, found = bytearray(size + 10), bytearray()
    while count := stream.readinto(memoryview(buffer)[:size]):
        assert not any(buffer[size:])
        found += buffer[:count]
    assert found == data
    assert stream.position() == path.stat().st_size
    stream.close()


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


@pytest.mark.parametrize(("log", "code"), [(27, None), (28, "zstd_window"), (31, "zstd_window")])
def test_a_zstd_window_that_takes_too_much_memory_is_named(tmp_path, log, code):
    path = tmp_path / "long.zst"
    settings = zstandard.ZstdCompressionParameters(window_log=log, enable_ldm=True, format=zstandard.FORMAT_ZSTD1)
    packer = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    path.write_bytes(zstd(b"first ") + packer.compress(TEXT) + packer.flush())
    stream, buffer, found = streams.open_stream(path), memoryview(bytearray(1 << 20)), b""
    with nullcontext() if code is None else pytest.raises(InputError, match="MiB") as caught:
        while count := stream.readinto(buffer):
            found += buffer[:count]
    stream.close()
    assert (caught.value.code if code else None) == code
    assert code or found == b"first " + TEXT


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
    original = gzip_streams.GzipStream.readinto

    def readinto(self, buffer):
        asked.append(len(buffer))
        return original(self, buffer)

    monkeypatch.setattr(gzip_streams.GzipStream, "readinto", readinto)
    with open_source(path) as source:
        assert sum(len(batch.sites) for batch in source.batches()) == 29_999
    assert max(asked) <= 10_000
