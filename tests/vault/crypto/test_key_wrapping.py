import json
import os
from dataclasses import replace

import pytest

from tests.vault.crypto.vectors import generate
from vault.crypto.key_wrapping import (
    PURPOSE_BRANCH,
    KeyPurpose,
    WrapContext,
    block_key,
    unwrap,
    unwrap_many,
    wrap,
    wrap_many,
    wrapping_key,
)
from vault.crypto.keyring import Branch
from vault.crypto.primitives import AesGcm, hkdf_expand_sha256
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UsageError

EPOCH = Secret(bytes(range(32)))
KEK = wrapping_key(EPOCH, Branch.GENOTYPE)
SHELF = WrapContext(vault_id=b"v" * 16, epoch=3, purpose=KeyPurpose.GENOTYPE)
KEY_ID, SUBJECT, KEY = b"k" * 16, b"s" * 16, b"x" * 32


def raises(code, error=IntegrityError):
    return pytest.raises(error, check=lambda caught: caught.code == code)


def wrapped_key(**change):
    return wrap(KEK, SHELF, **{"key_id": KEY_ID, "key": KEY, "subject_id": SUBJECT, "random": os.urandom, **change})


def test_a_wrapped_key_has_60_bytes_and_comes_back():
    wrapped = wrapped_key()
    assert len(wrapped) == 60
    assert KEY not in wrapped
    assert unwrap(KEK, SHELF, key_id=KEY_ID, wrapped=wrapped, subject_id=SUBJECT) == KEY


def test_the_layout_is_plain_aes_gcm_over_the_documented_context():
    wrapped = wrapped_key()
    fields = [b"genovault/dek/v1", b"v" * 16, KEY_ID, SUBJECT, (3).to_bytes(8, "big"), b"genotype"]
    aad = b"".join(len(field).to_bytes(2, "big") + field for field in fields)
    kek_info = b"\x00\x10genovault/kek/v1\x00\x08genotype"
    kek = AesGcm(hkdf_expand_sha256(EPOCH.reveal(), kek_info, 32))
    assert kek.open(wrapped[:12], wrapped[12:], aad) == KEY


@pytest.mark.parametrize("item", json.loads((generate.HERE / "wraps.json").read_text()), ids=lambda v: v["purpose"])
def test_vectors(item):
    raw = {name: bytes.fromhex(item[name]) for name in ("epoch_key", "vault_id", "key_id", "subject_id", "key", "wrapped")}
    purpose = KeyPurpose(item["purpose"])
    assert PURPOSE_BRANCH[purpose] == item["branch"]
    kek = wrapping_key(Secret(raw["epoch_key"]), Branch(item["branch"]))
    shelf = WrapContext(raw["vault_id"], item["epoch"], purpose)
    assert unwrap(kek, shelf, key_id=raw["key_id"], wrapped=raw["wrapped"], subject_id=raw["subject_id"]) == raw["key"]


@pytest.mark.parametrize(
    ("shelf", "key_id", "subject_id"),
    [
        (replace(SHELF, vault_id=b"w" * 16), KEY_ID, SUBJECT),
        (replace(SHELF, epoch=4), KEY_ID, SUBJECT),
        (replace(SHELF, purpose=KeyPurpose.PANEL), KEY_ID, SUBJECT),
        (SHELF, b"l" * 16, SUBJECT),
        (SHELF, KEY_ID, b"t" * 16),
        (SHELF, KEY_ID, b""),
        (SHELF, KEY_ID + SUBJECT, b""),
    ],
)
def test_a_wrap_does_not_open_in_another_place(shelf, key_id, subject_id):
    with raises("seal_broken"):
        unwrap(KEK, shelf, key_id=key_id, wrapped=wrapped_key(), subject_id=subject_id)


def test_a_wrap_does_not_open_under_another_branch_of_the_same_bytes():
    with raises("seal_broken"):
        unwrap(wrapping_key(EPOCH, Branch.IDENTITY), SHELF, key_id=KEY_ID, wrapped=wrapped_key(), subject_id=SUBJECT)


def test_every_flipped_byte_and_every_cut_is_noticed():
    wrapped = wrapped_key()
    damaged = [wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :] for at in range(60)]
    damaged += [wrapped[:at] for at in range(60)] + [wrapped + b"\x00"]
    for bad in damaged:
        with raises("seal_broken"):
            unwrap(KEK, SHELF, key_id=KEY_ID, wrapped=bad, subject_id=SUBJECT)


def test_many_come_back_in_order_and_one_bad_row_fails_all():
    ids, subjects, keys = ([os.urandom(width) for _ in range(50)] for width in (16, 16, 32))
    wrapped = wrap_many(KEK, SHELF, ids, subjects, keys, random=os.urandom)
    assert unwrap_many(KEK, SHELF, ids, subjects, wrapped) == keys
    assert [unwrap(KEK, SHELF, key_id=i, wrapped=w, subject_id=s) for i, s, w in zip(ids, subjects, wrapped, strict=True)] == keys
    assert len({seal[:12] for seal in wrapped}) == 50
    wrapped[10], wrapped[11] = wrapped[11], wrapped[10]
    with raises("seal_broken"):
        unwrap_many(KEK, SHELF, ids, subjects, wrapped)
    assert unwrap_many(KEK, SHELF, [], [], []) == []
    with pytest.raises(ValueError, match="zip"):
        wrap_many(KEK, SHELF, ids[1:], subjects, keys, random=os.urandom)


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(33)])
def test_only_32_byte_keys_are_wrapped(key):
    with raises("key_length", UsageError):
        wrapped_key(key=key)


def test_every_purpose_belongs_to_a_branch_that_wraps():
    assert set(PURPOSE_BRANCH) == set(KeyPurpose)
    assert set(PURPOSE_BRANCH.values()) <= {Branch.GENOTYPE, Branch.IDENTITY, Branch.BOOKS, Branch.PSEUDONYM}


def test_block_keys_differ_by_subject_key_and_dataset():
    keys = {block_key(subject, dataset) for subject in (bytes(32), KEY) for dataset in (bytes(16), b"d" * 16)}
    assert len(keys) == 4
    assert block_key(KEY, b"d" * 16) == hkdf_expand_sha256(KEY, b"\x00\x12genovault/block/v1\x00\x10" + b"d" * 16, 32)
