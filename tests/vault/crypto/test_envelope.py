import hashlib
import json
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vault.crypto.vectors import generate
from vault.crypto.envelope import (
    Binding,
    PersonalPlace,
    blob_key,
    open_blob,
    open_blobs,
    open_chunks,
    open_range,
    seal_blob,
    seal_blobs,
    seal_chunks,
)
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UsageError

KEY = Secret(bytes(range(32)))
BINDING = generate.BINDING
SIZES = [0, 1, 16_383, 16_384, 16_385, 32_767, 32_768, 32_769, 100_000]
C2SP_LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"


def raises(code, error=IntegrityError):
    return pytest.raises(error, check=lambda caught: caught.code == code)


def vectors(name):
    return json.loads((generate.HERE / name).read_text())


def binding_of(item):
    fields = dict(item["binding"])
    for name in ("vault_id", "record_id", "key_id", "subject_id"):
        fields[name] = bytes.fromhex(fields[name])
    return Binding(**fields)


def reader(blob, log=None):
    def read(offset, length):
        if log is not None:
            log.append((offset, length))
        return blob[offset : offset + length]

    return read


@pytest.mark.parametrize("size", SIZES)
def test_blobs_round_trip_at_every_edge(size):
    plaintext = generate.plaintext(size)
    blob = seal_blob(KEY, BINDING, plaintext, random=os.urandom)
    assert len(blob) == 97 + size + 16 * (size // 16_384)
    assert open_blob(KEY, BINDING, blob) == plaintext
    assert blob_key(blob) == (BINDING.key_id, BINDING.key_version)


@given(st.binary(max_size=2_000))
def test_any_content_round_trips(plaintext):
    assert open_blob(KEY, BINDING, seal_blob(KEY, BINDING, plaintext, random=os.urandom)) == plaintext


def places(count):
    """Places of as many people, each with a record of a name of its own length."""
    return [PersonalPlace(b"r" * n, bytes([n]) * 16, bytes([n + 50]) * 16, Secret(bytes([n + 90]) * 32)) for n in range(count)]


def bound(place):
    return replace(BINDING, record_id=place.record_id, subject_id=place.subject_id, key_id=place.key_id)


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 40_000])
def test_blobs_sealed_together_open_one_by_one_and_together(size):
    texts = [bytes([n]) * size for n in range(3)]
    sealed = seal_blobs(BINDING, places(3), texts, random=os.urandom)
    for blob, place, plaintext in zip(sealed, places(3), texts, strict=True):
        assert open_blob(place.key, bound(place), blob) == plaintext
    assert open_blobs(BINDING, places(3), sealed) == texts
    assert seal_blobs(BINDING, [], [], random=os.urandom) == open_blobs(BINDING, [], []) == []


def test_blobs_sealed_together_are_those_sealed_apart():
    def fixed(length):
        return bytes(range(length))

    place = places(3)[2]
    apart = [seal_blob(place.key, bound(place), b"text", random=fixed)]
    assert seal_blobs(BINDING, [place], [b"text"], random=fixed) == apart


@pytest.mark.parametrize("field", PersonalPlace._fields)
def test_a_blob_of_another_place_does_not_open_among_many(field):
    sealed = seal_blobs(BINDING, places(3), [b"text"] * 3, random=os.urandom)
    moved = [*places(2), places(3)[2]._replace(**{field: getattr(places(4)[3], field)})]
    with pytest.raises(IntegrityError) as caught:
        open_blobs(BINDING, moved, sealed)
    assert caught.value.code == ("blob_key_mismatch" if field == "key_id" else "commitment_mismatch")


@pytest.mark.parametrize("damage", [lambda blob: blob[:20], lambda blob: b"GVB2" + blob[4:]])
def test_a_damaged_header_among_many_is_refused(damage):
    sealed = seal_blobs(BINDING, places(1), [b"text"], random=os.urandom)
    with pytest.raises(IntegrityError) as caught:
        open_blobs(BINDING, places(1), [damage(sealed[0])])
    assert caught.value.code in {"blob_truncated", "blob_format_unknown"}


@pytest.mark.parametrize(
    ("size", "digest"),
    [
        (16_383, "8da7041716b6ff3ed0853da1baf1cb7775e961d9e5eacdb25fe13167cd75b449"),
        (16_384, "b06c7f4fdb564f4d547930e766f767662b788c1e449392b78c611749a7a53198"),
        (20_480, "aee278ebc68c8604b2a5c1461d2c2a87d5d6839da5af76dc72ea82f017cb1826"),
    ],
)
def test_under_its_label_the_construction_is_c2sp_chunked_encryption(size, digest):
    plaintext = bytes(i % 256 for i in range(size))
    sealed = seal_chunks(KEY.reveal(), b"test", plaintext, salt=generate.SALT, label=C2SP_LABEL)
    assert hashlib.sha256(sealed).hexdigest() == digest
    assert open_chunks(KEY.reveal(), b"test", sealed, label=C2SP_LABEL) == plaintext


def test_c2sp_small_messages():
    for plaintext, tail in ((b"", "6c8aee67864be0872badc01ec7401db7"), (b"hello", "d116f6e38b41df30d7d0d5e0a2e2039c34a8675936")):
        sealed = seal_chunks(KEY.reveal(), b"test", plaintext, salt=generate.SALT, label=C2SP_LABEL)
        assert sealed[24:56].hex() == "fb4f188ce805ed03a543deb81ab965bb8fe4cdf6d861a8f7da7657ef89a5fb49"
        assert sealed[56:].hex() == tail


@pytest.mark.parametrize("name", generate.FILES)
def test_the_committed_vectors_are_what_the_generator_makes(name):
    assert vectors(name) == json.loads(json.dumps(generate.FILES[name]()))


@pytest.mark.parametrize("item", vectors("blob_make.json"), ids=lambda item: item["plaintext_bytes"])
def test_vectors_make(item):
    salt = bytes.fromhex(item["salt"])
    plaintext = generate.plaintext(item["plaintext_bytes"])
    blob = seal_blob(Secret(bytes.fromhex(item["key"])), binding_of(item), plaintext, random=lambda _: salt)
    assert hashlib.sha256(blob).hexdigest() == item["blob_sha256"]
    assert item.get("blob", blob.hex()) == blob.hex()


@pytest.mark.parametrize("item", vectors("blob_open.json"))
def test_vectors_open(item):
    opened = open_blob(Secret(bytes.fromhex(item["key"])), binding_of(item), bytes.fromhex(item["blob"]))
    assert opened.hex() == item["plaintext"]


@pytest.mark.parametrize("item", vectors("blob_must_fail.json"), ids=lambda item: item["why"])
def test_vectors_must_fail(item):
    if "blob" in item:
        blob = bytes.fromhex(item["blob"])
    else:
        blob = b"".join(generate.blob(16_385)[start:stop] for start, stop in item["pieces_of_16385"])
    with raises(item["code"]):
        open_blob(Secret(bytes.fromhex(item["key"])), binding_of(item), blob)


def test_every_flipped_byte_is_noticed():
    blob = seal_blob(KEY, BINDING, b"five!", random=os.urandom)
    codes = set()
    for at in range(len(blob)):
        for flip in (0x01, 0x80):
            with pytest.raises(IntegrityError) as caught:
                open_blob(KEY, BINDING, blob[:at] + bytes([blob[at] ^ flip]) + blob[at + 1 :])
            codes.add(caught.value.code)
    assert codes == {"blob_format_unknown", "blob_key_mismatch", "commitment_mismatch", "seal_broken"}


def test_every_cut_of_a_small_blob_is_noticed():
    blob = seal_blob(KEY, BINDING, b"five!", random=os.urandom)
    for length in range(len(blob)):
        with pytest.raises(IntegrityError) as caught:
            open_blob(KEY, BINDING, blob[:length])
        assert caught.value.code == ("blob_truncated" if length < 97 else "seal_broken")


def test_cuts_and_moves_at_chunk_edges_are_noticed():
    blob = seal_blob(KEY, BINDING, generate.plaintext(3 * 16_384), random=os.urandom)
    head, chunks = blob[:81], [blob[81 + i * 16_400 : 81 + (i + 1) * 16_400] for i in range(4)]
    assert len(chunks[3]) == 16
    for damaged, code in (
        (chunks[:3], "blob_truncated"),
        (chunks[:2], "blob_truncated"),
        ([chunks[1], chunks[0], *chunks[2:]], "seal_broken"),
        ([*chunks[:2], chunks[3]], "seal_broken"),
        ([*chunks[:3], chunks[2], chunks[3]], "seal_broken"),
        ([*chunks[:3], chunks[3] + b"\x00"], "seal_broken"),
    ):
        with raises(code):
            open_blob(KEY, BINDING, head + b"".join(damaged))


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("vault_id", bytes(16), "commitment_mismatch"),
        ("collection", "identities", "commitment_mismatch"),
        ("record_id", bytes(16), "commitment_mismatch"),
        ("subject_id", bytes(16), "commitment_mismatch"),
        ("subject_id", b"", "commitment_mismatch"),
        ("record_version", 4, "commitment_mismatch"),
        ("content_type", "text/plain", "commitment_mismatch"),
        ("genome_build", "GRCh37", "commitment_mismatch"),
        ("key_id", bytes(16), "blob_key_mismatch"),
        ("key_version", 8, "blob_key_mismatch"),
    ],
)
def test_a_blob_opens_only_in_its_own_place(field, value, code):
    blob = seal_blob(KEY, BINDING, b"content", random=os.urandom)
    elsewhere = replace(BINDING, **{field: value})
    with raises(code):
        open_blob(KEY, elsewhere, blob)
    if code == "blob_key_mismatch":  # nor after its header was made to fit
        with raises("commitment_mismatch"):
            open_blob(KEY, elsewhere, elsewhere.header() + blob[25:])


def test_neighbouring_fields_do_not_run_together():
    blob = seal_blob(KEY, replace(BINDING, content_type="ab", genome_build="c"), b"", random=os.urandom)
    with raises("commitment_mismatch"):
        open_blob(KEY, replace(BINDING, content_type="a", genome_build="bc"), blob)


def test_a_blob_under_another_key_fails_at_the_commitment():
    blob = seal_blob(KEY, BINDING, b"content", random=os.urandom)
    with raises("commitment_mismatch"):
        open_blob(Secret(bytes(32)), BINDING, blob)


@pytest.mark.parametrize("change", [{"key_id": b"short"}, {"key_version": 1 << 32}])
def test_a_binding_that_does_not_fit_the_header_is_refused(change):
    with raises("binding_invalid", UsageError):
        seal_blob(KEY, replace(BINDING, **change), b"", random=os.urandom)


def test_a_short_key_is_refused():
    with raises("key_length", UsageError):
        seal_blob(Secret(bytes(16)), BINDING, b"", random=os.urandom)


@pytest.mark.parametrize("size", SIZES)
def test_ranges_equal_slices(size):
    plaintext = generate.plaintext(size)
    blob = seal_blob(KEY, BINDING, plaintext, random=os.urandom)
    edges = sorted({0, 1, size // 2, 16_383, 16_384, 16_385, 32_768, size - 1, size} & set(range(size + 1)))
    for start in edges:
        for stop in edges:
            if start <= stop:
                opened = open_range(KEY, BINDING, reader(blob), size=len(blob), start=start, stop=stop)
                assert opened == plaintext[start:stop]


def test_a_range_reads_only_its_chunks_and_the_last():
    blob = seal_blob(KEY, BINDING, generate.plaintext(100_000), random=os.urandom)
    log = []
    open_range(KEY, BINDING, reader(blob, log), size=len(blob), start=20_000, stop=20_010)
    assert [offset for offset, _ in log] == [0, 81 + 6 * 16_400, 81 + 16_400]


def test_a_range_notices_a_cut_blob_even_where_the_range_is_whole():
    blob = seal_blob(KEY, BINDING, generate.plaintext(100_000), random=os.urandom)
    for length, code in (
        (len(blob) - 1, "seal_broken"),
        (81 + 2 * 16_400, "blob_truncated"),
        (81 + 2 * 16_400 + 16, "seal_broken"),
    ):
        with raises(code):
            open_range(KEY, BINDING, reader(blob[:length]), size=length, start=0, stop=10)


def test_a_store_that_gives_less_than_it_said_is_noticed():
    blob = seal_blob(KEY, BINDING, b"content", random=os.urandom)
    for kept in (10, 90):
        with raises("blob_truncated"):
            open_range(KEY, BINDING, reader(blob[:kept]), size=len(blob), start=0, stop=1)


@pytest.mark.parametrize(("start", "stop"), [(-1, 1), (0, 8), (5, 4), (8, 8)])
def test_a_range_outside_the_blob_is_refused(start, stop):
    blob = seal_blob(KEY, BINDING, b"content", random=os.urandom)
    with raises("range_outside_blob", UsageError):
        open_range(KEY, BINDING, reader(blob), size=len(blob), start=start, stop=stop)


@pytest.mark.parametrize("blob", [b"", b"GVB1", bytes(24)])
def test_a_header_that_is_too_short_names_no_key(blob):
    with raises("blob_truncated"):
        blob_key(blob)
