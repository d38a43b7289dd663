import copy
import pickle

import pytest

from vault.crypto.secret import Secret

VALUE = b"canary-5f2e"


@pytest.mark.parametrize(
    "show", [repr, str, "{}".format, "{0!r:>40}".format, lambda s: f"{s}", lambda s: format(s, ">40"), lambda s: f"{[s]}"]
)
def test_no_printing_shows_the_value(show):
    text = show(Secret(VALUE))
    assert "Secret(…)" in text
    assert "canary" not in text
    assert VALUE.hex() not in text


@pytest.mark.parametrize(
    "use",
    [
        lambda s: s == VALUE,
        lambda s: s != Secret(VALUE),
        lambda s: s.__eq__(s),
        hash,
        iter,
        bytes,
        lambda s: s[0],
        lambda s: [s].index(VALUE),
        lambda s: VALUE in s,
        copy.copy,
        copy.deepcopy,
        pickle.dumps,
    ],
)
def test_everything_that_would_leak_or_compare_is_refused(use):
    with pytest.raises(TypeError) as caught:
        use(Secret(VALUE))
    assert "canary" not in str(caught.value)


def test_reveal_and_length_are_the_only_ways_in():
    assert Secret(VALUE).reveal() == VALUE
    assert len(Secret(VALUE)) == len(VALUE)


def test_a_secret_keeps_its_own_copy():
    buffer = bytearray(VALUE)
    secret = Secret(buffer)
    buffer[:] = bytes(len(VALUE))
    assert secret.reveal() == VALUE


def test_no_attribute_can_be_added():
    with pytest.raises(AttributeError):
        Secret(VALUE).label = "x"
