import hashlib
import hmac
import json
import os
import pickle

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from tests.support.outside import shared
from vault.crypto.primitives import (
    AesGcm,
    Argon2Profile,
    HmacSha256,
    SigningKey,
    argon2id,
    constant_time_equal,
    hkdf_expand_sha256,
    hkdf_expand_sha512,
    hmac_sha256,
    hpke_open,
    hpke_public,
    hpke_seal,
    open_each,
    openers,
    sha256,
    verify_signature,
)
from vault.crypto.secret import Secret
from vault.errors import InputError, IntegrityError, UnavailableError, UsageError

KEY = bytes(range(32))
WYCHEPROOF = "data/5-conformance/wycheproof/testvectors_v1/"


def wycheproof(name):
    groups = json.loads(shared(WYCHEPROOF + name).read_text())["testGroups"]
    return [(group, test) for group in groups for test in group["tests"]]


def unhex(*texts):
    return [bytes.fromhex(text) for text in texts]


def raises(code, error=IntegrityError):
    return pytest.raises(error, check=lambda caught: caught.code == code)


def test_sha256_of_abc():
    assert sha256(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_hmac_rfc_4231_case_2():
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hmac_sha256(b"Jefe", b"what do ya want for nothing?").hex() == expected


def test_hmac_agrees_with_wycheproof():
    for group, test in wycheproof("hmac_sha256_test.json"):
        key, message, tag = unhex(test["key"], test["msg"], test["tag"])
        ours = hmac_sha256(key, message)[: group["tagSize"] // 8]
        assert constant_time_equal(ours, tag) == (test["result"] == "valid"), test["tcId"]


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 63, 64, 65, 200])
def test_hmac_agrees_with_the_standard_library(length):
    key = bytes(range(256))[:length]
    for message in (b"", b"m", bytes(63), bytes(64), bytes(1_000), memoryview(b"view"), bytearray(b"array")):
        assert hmac_sha256(key, message) == hmac.digest(key, message, "sha256")
        if length <= 64:
            assert HmacSha256(Secret(key)).digest(message) == hmac.digest(key, message, "sha256")


def test_one_keyed_hash_serves_many_messages():
    keyed = HmacSha256(Secret(KEY))
    assert [keyed.digest(bytes([n])) for n in (1, 2, 1)] == [hmac_sha256(KEY, bytes([n])) for n in (1, 2, 1)]
    with raises("key_length", UsageError):
        HmacSha256(Secret(bytes(65)))
    with pytest.raises(TypeError):
        pickle.dumps(keyed)


def test_hkdf_expand_rfc_5869_case_1():
    prk, info = unhex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5", "f0f1f2f3f4f5f6f7f8f9")
    expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    assert hkdf_expand_sha256(prk, info, 42).hex() == expected
    assert hkdf_expand_sha256(prk, info, 32).hex() == expected[:64]


def test_hkdf_expand_agrees_with_wycheproof():
    for _, test in wycheproof("hkdf_sha256_test.json"):
        ikm, salt, info, okm = unhex(test["ikm"], test["salt"], test["info"], test["okm"])
        prk = hmac.digest(salt or bytes(32), ikm, "sha256")
        if test["result"] == "valid":
            assert hkdf_expand_sha256(prk, info, test["size"]) == okm, test["tcId"]
        else:
            with raises("hkdf_length", UsageError):
                hkdf_expand_sha256(prk, info, test["size"])


@pytest.mark.parametrize("length", [0, 1, 31, 32, 33, 63, 64, 65, 76, 255 * 32])
def test_hkdf_expand_agrees_with_the_library(length):
    for ours, algorithm in ((hkdf_expand_sha256, hashes.SHA256()), (hkdf_expand_sha512, hashes.SHA512())):
        expected = HKDFExpand(algorithm, length, b"info").derive(KEY) if length else b""
        assert ours(KEY, b"info", length) == expected


def test_aes_gcm_agrees_with_wycheproof():
    used = 0
    for group, test in wycheproof("aes_gcm_test.json"):
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (256, 96, 128):
            continue
        used += 1
        key, nonce, aad, message, sealed = unhex(test["key"], test["iv"], test["aad"], test["msg"], test["ct"] + test["tag"])
        if test["result"] == "valid":
            assert AesGcm(key).seal(nonce, message, aad) == sealed
            assert AesGcm(key).open(nonce, sealed, aad) == message
        else:
            with raises("seal_broken"):
                AesGcm(key).open(nonce, sealed, aad)
    assert used > 60


def test_open_into_fills_the_buffer_and_open_many_keeps_order():
    aead = AesGcm(KEY)
    items = [(bytes([i]) * 12, aead.seal(bytes([i]) * 12, bytes([i]) * 20, b"a"), b"a") for i in range(5)]
    assert aead.open_many(items) == [bytes([i]) * 20 for i in range(5)]
    buffer = bytearray(20)
    assert aead.open_into(*items[3], buffer) == 20
    assert buffer == bytes([3]) * 20


def test_seal_many_puts_each_nonce_before_its_seal():
    aead = AesGcm(KEY)
    items = [(bytes([i]) * 12, bytes([i]) * i, b"aad") for i in range(5)]
    assert aead.seal_many(items) == [nonce + aead.seal(nonce, plain, aad) for nonce, plain, aad in items]


def test_many_seals_under_many_keys_open_together():
    keys, nonces = [bytes([i]) * 32 for i in range(4)], [bytes([i]) * 12 for i in range(4)]
    sealed = [AesGcm(key).seal(nonce, b"plain" + key[:1], b"aad") for key, nonce in zip(keys, nonces, strict=True)]
    assert open_each(openers(keys), nonces, sealed, b"aad") == [b"plain" + key[:1] for key in keys]
    for wrong in ([*sealed[:3], sealed[0]], [*sealed[:3], b""], [*sealed[:3], sealed[3][:-1]]):
        with raises("seal_broken"):
            open_each(openers(keys), nonces, wrong, b"aad")
    for some in (sealed[:3], [*sealed, sealed[0]]):
        with pytest.raises(UsageError) as refused:
            open_each(openers(keys), nonces, some, b"aad")
        assert refused.value.code == "seal_count"
    with pytest.raises(UsageError):
        openers([bytes(16)])


def test_one_broken_seal_fails_every_way_of_opening():
    aead = AesGcm(KEY)
    nonce = bytes(12)
    sealed = bytearray(aead.seal(nonce, b"plain", b"aad"))
    sealed[0] ^= 1
    for attempt in (
        lambda: aead.open(nonce, sealed, b"aad"),
        lambda: aead.open_into(nonce, sealed, b"aad", bytearray(5)),
        lambda: aead.open_many([(nonce, aead.seal(nonce, b"x", b""), b""), (nonce, bytes(sealed), b"aad")]),
        lambda: aead.open(nonce, b"short", b"aad"),
    ):
        with raises("seal_broken"):
            attempt()


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33])
def test_only_256_bit_keys_are_taken(length):
    for make in (AesGcm, lambda key: SigningKey(Secret(key)), lambda key: hpke_public(Secret(key))):
        with raises("key_length", UsageError):
            make(bytes(length))


def test_ed25519_rfc_8032_test_2():
    seed, public, message, signature = unhex(
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    )
    key = SigningKey(Secret(seed))
    assert key.public == public
    assert key.sign(message) == signature
    assert verify_signature(public, signature, message) is None


def test_ed25519_agrees_with_wycheproof():
    for group, test in wycheproof("ed25519_test.json"):
        public, message, signature = unhex(group["publicKey"]["pk"], test["msg"], test["sig"])
        if test["result"] == "valid":
            verify_signature(public, signature, message)
        else:
            with raises("signature_invalid"):
                verify_signature(public, signature, message)


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(33), b"\xff" * 32])
def test_a_bad_public_key_is_a_bad_signature(public):
    with raises("signature_invalid"):
        verify_signature(public, bytes(64), b"message")


def test_argon2id_agrees_with_a_second_implementation():
    profile = Argon2Profile(m_kib=64, t=3, lanes=4)
    second = Argon2id(salt=b"s" * 16, length=32, iterations=3, lanes=4, memory_cost=64).derive(b"passphrase")
    assert argon2id(Secret(b"passphrase"), b"s" * 16, profile).reveal() == second


@pytest.mark.parametrize(
    ("m_kib", "t", "lanes"),
    [
        (7, 1, 1),
        (31, 1, 4),
        (8, 0, 1),
        (8, 21, 1),
        (8, 1, 0),
        (8 * 17, 1, 17),
        (2 * 2**20 + 1, 1, 1),
        (2**20, 4, 2),
        (2 * 2**20, 2, 4),
        (-8, 1, 1),
    ],
)
def test_argon2_parameters_out_of_range_are_refused(m_kib, t, lanes):
    with raises("argon2_out_of_range", InputError):
        Argon2Profile(m_kib=m_kib, t=t, lanes=lanes)


@pytest.mark.parametrize(("m_kib", "t"), [(8, 3), (19 * 1024, 1), (9 * 1024, 4)])
def test_a_new_slot_that_protects_too_little_is_refused(m_kib, t):
    with raises("argon2_out_of_range", InputError):
        Argon2Profile(m_kib=m_kib, t=t, lanes=1).require_protective()


def test_the_named_profiles_may_be_made():
    for profile in (Argon2Profile.DEFAULT, Argon2Profile.HIGH_MEMORY, Argon2Profile.TEST_ONLY):
        profile.require_protective()


def test_more_than_half_of_the_machine_is_not_taken(monkeypatch):
    monkeypatch.setattr("vault.crypto.primitives._machine_bytes", lambda: 100 << 20)
    with raises("memory_short", UnavailableError):
        argon2id(Secret(b"passphrase"), bytes(16), Argon2Profile.DEFAULT)


def test_argon2_profiles_are_those_of_rfc_9106():
    assert Argon2Profile(m_kib=65_536, t=3, lanes=4) == Argon2Profile.DEFAULT
    assert Argon2Profile(m_kib=2_097_152, t=1, lanes=4) == Argon2Profile.HIGH_MEMORY


def test_hpke_opens_what_was_sealed():
    private = Secret(os.urandom(32))
    sealed = hpke_seal(hpke_public(private), b"info", b"plain")
    assert len(sealed) == 5 + 48
    assert hpke_open(private, b"info", sealed) == b"plain"
    assert sealed != hpke_seal(hpke_public(private), b"info", b"plain")


def test_hpke_refuses_another_key_context_or_byte():
    private = Secret(KEY)
    sealed = hpke_seal(hpke_public(private), b"info", b"plain")
    attempts = [(Secret(os.urandom(32)), b"info", sealed), (private, b"other", sealed), (private, b"info", sealed[:47])]
    attempts += [(private, b"info", sealed[:i] + bytes([sealed[i] ^ 1]) + sealed[i + 1 :]) for i in range(len(sealed))]
    for attempt in attempts:
        with raises("seal_broken"):
            hpke_open(*attempt)


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(32)])
def test_hpke_refuses_a_useless_public_key(public):
    with raises("public_key_invalid"):
        hpke_seal(public, b"info", b"plain")


def hpke_by_hand(private, info, sealed, *, aead_id, key_bytes, aad=b""):
    """RFC 9180 §4-5 base mode for DHKEM(X25519, HKDF-SHA256) and HKDF-SHA256, written out from the text."""

    def labeled_extract(suite, salt, label, ikm):
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def labeled_expand(suite, prk, label, info, length):
        labeled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
        return HKDFExpand(hashes.SHA256(), length, labeled).derive(prk)

    kem = b"KEM" + (0x20).to_bytes(2, "big")
    suite = b"HPKE" + (0x20).to_bytes(2, "big") + (1).to_bytes(2, "big") + aead_id.to_bytes(2, "big")
    own = X25519PrivateKey.from_private_bytes(private)
    ephemeral = sealed[:32]
    shared_point = own.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    extracted = labeled_extract(kem, b"", b"eae_prk", shared_point)
    secret = labeled_expand(kem, extracted, b"shared_secret", ephemeral + own.public_key().public_bytes_raw(), 32)
    context = b"\x00" + labeled_extract(suite, b"", b"psk_id_hash", b"") + labeled_extract(suite, b"", b"info_hash", info)
    schedule = labeled_extract(suite, secret, b"secret", b"")
    key = labeled_expand(suite, schedule, b"key", context, key_bytes)
    nonce = labeled_expand(suite, schedule, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, sealed[32:], aad)


def test_hpke_second_reader_opens_rfc_9180_a_1_1():
    private, ephemeral, info, aad, ciphertext = unhex(
        "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
        "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
        "4f6465206f6e2061204772656369616e2055726e",
        "436f756e742d30",
        "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a",
    )
    opened = hpke_by_hand(private, info, ephemeral + ciphertext, aead_id=1, key_bytes=16, aad=aad)
    assert opened == b"Beauty is truth, truth beauty"


def test_hpke_second_reader_opens_ours():
    sealed = hpke_seal(hpke_public(Secret(KEY)), b"info", b"plain")
    assert hpke_by_hand(KEY, b"info", sealed, aead_id=2, key_bytes=32) == b"plain"


@pytest.mark.parametrize("key", [AesGcm(KEY), SigningKey(Secret(KEY))])
def test_key_objects_refuse_pickling_and_print_nothing(key):
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert KEY.hex() not in repr(key)
    assert hashlib.sha256(KEY).hexdigest() not in repr(key)
