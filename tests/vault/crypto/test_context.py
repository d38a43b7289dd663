import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.crypto.context import decode_context, encode_context, fitting
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError, UsageError


def test_the_encoding_is_a_length_then_the_bytes():
    assert encode_context("ab", b"\x00", 258, "é", b"").hex() == "00026162000100000800000000000001020002c3a90000"


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_fields_come_back(fields):
    assert decode_context(encode_context(*fields)) == fields


@given(st.lists(st.binary(max_size=40), max_size=5), st.lists(st.binary(max_size=40), max_size=5))
def test_two_lists_of_fields_never_encode_alike(one, other):
    assert (encode_context(*one) == encode_context(*other)) == (one == other)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.data())
def test_an_encoding_cut_inside_a_field_is_refused(fields, data):
    raw = encode_context(*fields)
    ends = [len(encode_context(*fields[:count])) for count in range(len(fields) + 1)]
    cut = data.draw(st.sampled_from([at for at in range(len(raw)) if at not in ends]))
    with pytest.raises(IntegrityError, check=lambda error: error.code == "context_malformed"):
        decode_context(raw[:cut])


@pytest.mark.parametrize("field", [bytes(65_536), "x" * 65_536, -1, 1 << 64])
def test_what_does_not_fit_is_a_usage_error(field):
    with pytest.raises(UsageError) as caught:
        encode_context(field)
    assert caught.value.code == "context_invalid"


@pytest.mark.parametrize("field", [bytes(65_535), 0, (1 << 64) - 1])
def test_the_largest_fields_fit(field):
    assert len(decode_context(encode_context(field))) == 1


def test_what_is_too_long_for_a_field_goes_in_by_its_digest():
    assert fitting(bytes(65_535)) == bytes(65_535)
    assert fitting(bytes(65_536)) == sha256(bytes(65_536))
