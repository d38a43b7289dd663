"""Sealed files: what is sealed is opened again by its readers and by nobody else, and every altered byte is an error."""

from __future__ import annotations

import io
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.audit_log import seeded
from tests.support.parcels import pair, sealed, second_reading, secret_of
from vault.crypto.key_agreement import ChaChaPoly
from vault.crypto.secret import Secret
from vault.errors import GenovaultError, IntegrityError, UsageError
from vault.extracts.crypt4gh import EDIT_LIST, MAGIC, SEGMENT_BYTES, Envelope, SealedFile, packet
from vault.extracts.crypt4gh_reading import MAX_PACKETS, read_sealed

WRITER = pair(0)


def opened(data: bytes, key) -> bytes:
    return b"".join(read_sealed(io.BytesIO(data), key))


def code(data: bytes, key) -> str:
    with pytest.raises(IntegrityError) as caught:
        opened(data, key)
    return caught.value.code


def plaintext(size: int) -> bytes:
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


@pytest.mark.parametrize(("size", "total"), [(0, 124), (1, 153), (265, 417), (65536, 65688), (65537, 65717)])
def test_sizes_of_one_recipient(size, total):
    data = sealed(plaintext(size), [pair(1)], writer=WRITER, random=seeded(1))
    assert len(data) == total
    assert opened(data, pair(1)) == plaintext(size)


EDGES = [n * SEGMENT_BYTES + d for n in (0, 1, 2, 33) for d in (-1, 0, 1) if n * SEGMENT_BYTES + d >= 0]


@settings(max_examples=30, deadline=None)
@given(
    size=st.sampled_from(EDGES) | st.integers(0, 3 * SEGMENT_BYTES),
    pieces=st.sampled_from([1000, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 1 << 30]),
    readers=st.sets(st.integers(1, 6), min_size=1),
    seed=st.integers(0, 99),
)
def test_each_reader_opens_what_was_sealed_and_nobody_else_does(size, pieces, readers, seed):
    plain = plaintext(size)
    data = sealed(plain, [pair(n) for n in sorted(readers)], writer=WRITER, random=seeded(seed), pieces=pieces)
    for number in readers:
        assert opened(data, pair(number)) == plain
        assert second_reading(data, secret_of(number)) == plain
    assert code(data, pair(7)) == "sealed_for_others"
    assert code(data, WRITER) == "sealed_for_others"


def test_the_bytes_do_not_depend_on_how_it_was_written():
    plain = plaintext(5 * SEGMENT_BYTES + 7)
    assert sealed(plain, [pair(1)], writer=WRITER, random=bytes) == sealed(
        plain, [pair(1)], writer=WRITER, random=bytes, pieces=999
    )


def test_no_nonce_is_used_twice_and_each_file_has_a_key_of_its_own():
    random = seeded(3)
    first, second = (sealed(plaintext(3 * SEGMENT_BYTES), [pair(1)], writer=WRITER, random=random) for _ in range(2))
    nonces = [data[at : at + 12] for data in (first, second) for at in range(124, len(data), SEGMENT_BYTES + 28)]
    assert len(set(nonces)) == 6
    assert first[124:] != second[124:]


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 124 + 65564 + 40), bit=st.integers(0, 7))
def test_every_flipped_bit_is_an_error(at, bit):
    data = bytearray(sealed(plaintext(SEGMENT_BYTES + 13), [pair(1)], writer=WRITER, random=seeded(4)))
    data[at % len(data)] ^= 1 << bit
    assert code(bytes(data), pair(1)) in {"sealed_malformed", "sealed_for_others", "segment_broken"}


@pytest.mark.parametrize("keep", [0, 7, 15, 16, 19, 60, 123])
def test_a_header_that_is_cut_short_is_named(keep):
    data = sealed(b"x", [pair(1)], writer=WRITER, random=seeded(5))
    assert code(data[:keep], pair(1)) == "sealed_malformed"


@pytest.mark.parametrize("keep", [125, 152, 124 + 27])
def test_a_segment_that_is_cut_short_is_broken(keep):
    data = sealed(b"x", [pair(1)], writer=WRITER, random=seeded(5))
    assert code(data[:keep], pair(1)) == "segment_broken"


@pytest.mark.parametrize(
    "head",
    [
        b"crypt4gX" + bytes(8),
        MAGIC + (2).to_bytes(4, "little") + (1).to_bytes(4, "little"),
        MAGIC + (1).to_bytes(4, "little") + bytes(4),
        MAGIC + (1).to_bytes(4, "little") + (MAX_PACKETS + 1).to_bytes(4, "little"),
        MAGIC + (1).to_bytes(4, "little") * 2 + (7).to_bytes(4, "little"),
        MAGIC + (1).to_bytes(4, "little") * 2 + b"\xff\xff\xff\xff",
    ],
)
def test_a_hostile_header_is_refused_before_it_is_read(head):
    assert code(head + bytes(200), pair(1)) == "sealed_malformed"


def assembled(packets: list[bytes], segments: bytes) -> bytes:
    return MAGIC + (1).to_bytes(4, "little") + len(packets).to_bytes(4, "little") + b"".join(packets) + segments


def data_key(value: int, *, padding: int = 0) -> bytes:
    return bytes(8) + bytes([value]) * 32 + bytes(padding)


def segment(value: int, plain: bytes, number: int) -> bytes:
    nonce = number.to_bytes(12, "little")
    return nonce + ChaChaPoly(Secret(bytes([value]) * 32)).seal(nonce, plain)


def edits(*lengths: int) -> bytes:
    return (
        EDIT_LIST.to_bytes(4, "little") + len(lengths).to_bytes(4, "little") + b"".join(n.to_bytes(8, "little") for n in lengths)
    )


def for_one(*payloads: bytes) -> list[bytes]:
    return [packet(payload, WRITER, pair(1).public, nonce=bytes([n]) * 12) for n, payload in enumerate(payloads)]


def test_a_padded_packet_is_taken_and_one_of_another_method_passed_over():
    strange = bytearray(for_one(data_key(2))[0])
    strange[4] = 9
    data = assembled([bytes(strange), *for_one(data_key(1, padding=300))], segment(1, b"text", 0))
    assert opened(data, pair(1)) == b"text"


def test_several_data_keys_are_each_tried():
    first, second = plaintext(SEGMENT_BYTES), b"second"
    data = assembled(for_one(data_key(1), data_key(2)), segment(2, first, 0) + segment(1, second, 1))
    assert opened(data, pair(1)) == first + second


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [
        ((0, 5), b"01234"),
        ((3,), b"3456789"),
        ((2, 3, 1), b"2346789"),
        ((0, 0, 4), b"456789"),
        ((), b"0123456789"),
        ((100,), b""),
        ((1, 100), b"123456789"),
    ],
)
def test_an_edit_list_discards_and_keeps_in_turns(lengths, kept):
    data = assembled(for_one(data_key(1), edits(*lengths)), segment(1, b"0123456789", 0))
    assert opened(data, pair(1)) == kept


def test_the_edit_list_of_the_specification():
    lengths = (0, 7853, 71721, 307929, 51299, 38)
    plain = b"".join(number.to_bytes(4, "big") for number in range(120_000))
    segments = b"".join(segment(1, plain[at : at + SEGMENT_BYTES], at) for at in range(0, len(plain), SEGMENT_BYTES))
    data = assembled(for_one(data_key(1), edits(*lengths)), segments)
    at, wanted = 0, []
    for number, length in enumerate(lengths):
        wanted += [plain[at : at + length]] if number % 2 else []
        at += length
    assert opened(data, pair(1)) == b"".join(wanted)


@pytest.mark.parametrize("payload", [edits(1, 2), (7).to_bytes(4, "little") + bytes(60), edits(1, 2)[:-1]])
def test_two_edit_lists_and_unknown_payloads_are_refused(payload):
    data = assembled(for_one(data_key(1), edits(0, 5), payload), segment(1, b"0123456789", 0))
    assert code(data, pair(1)) == "sealed_malformed"


def test_a_sealed_file_is_for_somebody():
    with pytest.raises(UsageError):
        Envelope(WRITER, (), bytes)


def test_no_error_tells_what_a_file_holds():
    data = sealed(b"canary", [pair(1)], writer=WRITER, random=seeded(6))
    for at in range(0, len(data), 7):
        broken = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(GenovaultError) as caught:
            opened(broken, pair(1))
        assert "canary" not in repr(caught.value)


@settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=400), count=st.integers(0, 3), sizes=st.lists(st.integers(0, 200), max_size=3))
def test_no_bytes_end_otherwise_than_in_one_refusal(data, count, sizes):
    packets = b"".join((8 + size).to_bytes(4, "little") + bytes(4) + data[:size] for size in sizes)
    for hostile in (data, MAGIC + data, MAGIC + (1).to_bytes(4, "little") + count.to_bytes(4, "little") + packets + data):
        assert code(hostile, pair(1)) in {"sealed_malformed", "sealed_for_others"}


def test_memory_does_not_grow_with_the_file():
    """Sealing and opening 48 MB holds a few megabytes, whatever the pieces."""

    class Nothing:
        def write(self, data):
            return len(data)

    sink = SealedFile(Nothing(), Envelope(WRITER, (pair(1).public,), seeded(7)))
    piece = bytes(3_000_001)
    tracemalloc.start()
    for _ in range(16):
        sink.write(piece)
    sink.finish()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20
