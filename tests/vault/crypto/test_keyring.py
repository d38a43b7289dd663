import pickle

import pytest

from vault.crypto.context import encode_context
from vault.crypto.keyring import PUBLIC_BRANCHES, Branch, Keyring, decode_epochs, encode_epochs, public_half
from vault.crypto.secret import Secret
from vault.errors import IntegrityError

LABEL = "genovault/keyring-payload/v1"
KEY = b"k" * 32


def test_epochs_come_back_in_order():
    epochs = decode_epochs(encode_epochs({5: Secret(KEY), 2: Secret(bytes(32))}))
    assert [(number, key.reveal()) for number, key in epochs.items()] == [(2, bytes(32)), (5, KEY)]


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (LABEL,),
        ("genovault/keyring-payload/v2", 1, KEY),
        (LABEL, 1),
        (LABEL, 1, KEY[:31]),
        (LABEL, 1, KEY, 2),
        (LABEL, 2, KEY, 1, KEY),
        (LABEL, 1, KEY, 1, KEY),
    ],
)
def test_any_other_form_is_refused(fields):
    with pytest.raises(IntegrityError, check=lambda error: error.code == "keyring_malformed"):
        decode_epochs(encode_context(*fields))


def test_a_keyring_prints_numbers_only_and_is_not_pickled():
    ring = Keyring({Branch.BOOKS: {1: Secret(KEY), 3: Secret(KEY)}})
    assert repr(ring) == "Keyring(books: (1, 3))"
    with pytest.raises(TypeError):
        pickle.dumps(ring)


def test_a_keyring_does_not_change_with_the_dictionary_it_was_made_from():
    epochs = {1: Secret(KEY)}
    ring = Keyring({Branch.BOOKS: epochs})
    epochs[2] = Secret(KEY)
    assert ring.epochs(Branch.BOOKS) == (1,)


def test_public_halves_have_32_bytes_and_are_not_the_key():
    for branch in PUBLIC_BRANCHES:
        assert len(public_half(branch, Secret(KEY))) == 32
        assert public_half(branch, Secret(KEY)) != KEY
