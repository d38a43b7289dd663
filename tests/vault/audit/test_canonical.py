"""Canonical JSON: RFC 8785 without floats, integers of at most 53 bits."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.outside import shared
from vault.audit.canonical import MAX_INTEGER, decode, encode
from vault.errors import InputError, IntegrityError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_decoding_gives_back_the_value(value):
    assert decode(encode(value)) == value


@given(values, st.data())
def test_no_changed_byte_means_the_same(value, data):
    raw = bytearray(encode({"value": value}))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode(bytes(raw))
    except IntegrityError:
        return
    assert decoded != {"value": value}


@given(st.binary(max_size=40))
def test_the_decoder_raises_only_ours(raw):
    try:
        decoded = decode(raw)
    except IntegrityError:
        return
    assert encode(decoded) == raw


def test_keys_are_sorted_by_utf16():
    assert encode({"\u20ac": 1, "\r": 2, "\U0001f600": 3, "\ufb33": 4, "1": 5, "\u0080": 6, "\u00f6": 7}) == (
        '{"\\r":2,"1":5,"\u0080":6,"\u00f6":7,"\u20ac":1,"\U0001f600":3,"\ufb33":4}'.encode()
    )


def test_escapes_are_the_shortest():
    assert encode('\b\t\n\f\r\x00\x1f"\\/\x7f\u2028') == '"\\b\\t\\n\\f\\r\\u0000\\u001f\\"\\\\/\x7f\u2028"'.encode()


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), MAX_INTEGER + 1, -MAX_INTEGER - 1, "\ud800", {"\ud800": 1}, {1: 2}, b"bytes", {1, 2}, object()],
)
def test_what_cannot_be_encoded(value):
    with pytest.raises(InputError) as caught:
        encode(value)
    assert caught.value.code == "not_canonical_json"


def test_depth_is_bounded():
    value = "x"
    for _ in range(17):
        value = [value]
    with pytest.raises(InputError):
        encode(value)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" 1",
        b"1 ",
        b"1.0",
        b"1e3",
        b"-0",
        b"01",
        b"NaN",
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u001F"',
        b"\xef\xbb\xbf1",
        b"9007199254740992",
        b"[" * 5000,
        b'"\xff"',
        b'"\\ud800"',
    ],
)
def test_other_spellings_are_refused(raw):
    with pytest.raises(IntegrityError) as caught:
        decode(raw)
    assert caught.value.code == "not_canonical_json"


def test_the_published_vectors_without_floats():
    """The JCS set: those whose numbers fit the restriction come out byte for byte, the others are refused."""
    folder = shared("data/5-conformance/jcs/testdata")
    encoded = 0
    for source in sorted((folder / "input").glob("*.json")):
        try:
            value = json.loads(source.read_text("utf-8"))
            ours = encode(value)
        except InputError:
            assert "." in source.read_text("utf-8")
            continue
        assert ours == (folder / "output" / source.name).read_bytes().rstrip(b"\n")
        encoded += 1
    assert encoded == 2
