"""Key files of Crypt4GH clients: read whatever locks them, and anything else is refused by its name."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st

from tests.support.parcels import armour, pair, private_file, secret_of, text
from vault.crypto.crypt4gh_keys import fingerprint, parse_private_key, parse_public_key, public_key_armour
from vault.crypto.key_agreement import ChaChaPoly
from vault.crypto.secret import Secret
from vault.errors import InputError

PUBLIC = pair(1).public


def asked(answer: str = "right"):
    return lambda: answer


def never():
    pytest.fail("no passphrase is needed")


def refusal(action) -> InputError:
    with pytest.raises(InputError) as caught:
        action()
    return caught.value


def locked(kdf: bytes, derived: bytes, options: bytes, *, comment: bytes | None = None) -> bytes:
    nonce = bytes(range(12))
    blob = nonce + ChaChaPoly(Secret(derived)).seal(nonce, secret_of(1))
    fields = [text(kdf), text(options), text(b"chacha20_poly1305"), text(blob), *([] if comment is None else [text(comment)])]
    return armour("CRYPT4GH PRIVATE KEY", b"c4gh-v1" + b"".join(fields))


SALT = bytes(range(16))
SCRYPT = hashlib.scrypt(b"right", salt=SALT, n=1 << 14, r=8, p=1, dklen=32)
PBKDF2 = hashlib.pbkdf2_hmac("sha256", b"right", SALT, 1000, 32)
LOCKED = {
    "scrypt": locked(b"scrypt", SCRYPT, bytes(4) + SALT),
    "pbkdf2": locked(b"pbkdf2_hmac_sha256", PBKDF2, (1000).to_bytes(4, "big") + SALT, comment=b"of the lab"),
}


def test_a_public_key_is_read_as_it_was_written():
    data = public_key_armour(PUBLIC).encode()
    assert parse_public_key(data) == PUBLIC
    assert parse_public_key(b"\n" + data.replace(b"\n", b"\r\n")) == PUBLIC
    assert fingerprint(PUBLIC) == hashlib.sha256(PUBLIC).hexdigest()


@pytest.mark.parametrize("comment", [None, b"", b"of the lab"])
def test_a_private_key_without_a_lock_is_read(comment):
    assert parse_private_key(private_file(secret_of(1), comment=comment), passphrase=never).public == PUBLIC


@pytest.mark.parametrize("kdf", sorted(LOCKED))
def test_a_locked_private_key_opens_with_its_passphrase_alone(kdf):
    assert parse_private_key(LOCKED[kdf], passphrase=asked()).public == PUBLIC
    assert refusal(lambda: parse_private_key(LOCKED[kdf], passphrase=asked("wrong"))).code == "key_passphrase"


def test_a_passphrase_of_bytes_that_are_no_text_is_wrong_and_nothing_else():
    assert refusal(lambda: parse_private_key(LOCKED["pbkdf2"], passphrase=asked("\udcff"))).code == "key_passphrase"


def test_a_lock_that_is_not_opened_here_is_named_before_a_passphrase_is_asked():
    found = refusal(lambda: parse_private_key(locked(b"bcrypt", SCRYPT, bytes(20)), passphrase=never))
    assert found.code == "key_kdf"
    assert "bcrypt" in found.message


def pem(key) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def spki(key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


ED, RSA = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)), rsa.generate_private_key(65537, 1024)
SSH = ED.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
OTHERS = {
    "private key of Crypt4GH": (private_file(secret_of(1)), "private key"),
    "private key in public armour": (armour("CRYPT4GH PUBLIC KEY", b"c4gh-v1" + text(b"none")), "private key"),
    "openssh public": (SSH + b" ann@lab\n", "OpenSSH public key"),
    "openssh private": (
        ED.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()),
        "OpenSSH private key",
    ),
    "rsa private": (
        RSA.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ),
        "RSA key",
    ),
    "rsa public": (spki(RSA), "X.509"),
    "p-256": (pem(ec.generate_private_key(ec.SECP256R1())), "PKCS #8"),
    "x25519 in X.509": (spki(x25519.X25519PrivateKey.from_private_bytes(bytes(32))), "X.509"),
    "certificate": (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate"),
    "pgp": (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n", "PGP"),
    "age": (b"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\n", "age"),
    "vkey": (b"vault.example/log+f07c77ed+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4\n", "signatures"),
}


@pytest.mark.parametrize("kind", sorted(OTHERS))
def test_a_key_of_another_kind_is_refused_by_its_name(kind):
    data, named = OTHERS[kind]
    found = refusal(lambda: parse_public_key(data))
    assert found.code == "key_kind"
    assert named in found.message
    assert found.hint
    assert "\n" not in str(found)


def test_a_public_key_opens_nothing():
    found = refusal(lambda: parse_private_key(public_key_armour(PUBLIC).encode(), passphrase=never))
    assert found.code == "key_kind"
    assert refusal(lambda: parse_private_key(OTHERS["openssh private"][0], passphrase=never)).code == "key_kind"


GOOD = public_key_armour(PUBLIC).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        GOOD[:-10],
        GOOD.replace(b"PUBLIC KEY", b"PUBLIC KY", 1),
        GOOD + b"more",
        b"\0" * 100,
        armour("CRYPT4GH PUBLIC KEY", bytes(31)),
        armour("CRYPT4GH PUBLIC KEY", bytes(33)),
        GOOD.replace(b"=", b"!"),
        GOOD + b" " * 70_000,
    ],
)
def test_what_is_no_key_file_is_malformed(data):
    assert refusal(lambda: parse_public_key(data)).code == "key_malformed"


@pytest.mark.parametrize("value", [bytes(32), (1).to_bytes(32, "little"), (2**255 - 19).to_bytes(32, "little"), b"\xff" * 32])
def test_a_public_key_that_nobody_is_alone_with_is_refused(value):
    assert refusal(lambda: parse_public_key(armour("CRYPT4GH PUBLIC KEY", value))).code == "public_key_invalid"


@given(data=st.binary(max_size=200), inner=st.booleans())
def test_no_input_ends_otherwise_than_in_one_refusal(data, inner):
    file = armour("CRYPT4GH PRIVATE KEY", b"c4gh-v1" + data) if inner else data
    assert refusal(lambda: parse_private_key(file, passphrase=asked())).code.startswith("key_")
    assert refusal(lambda: parse_public_key(file)).code.startswith("key_")


@pytest.mark.parametrize("at", range(0, 150, 5))
def test_a_private_key_that_is_cut_short_is_malformed(at):
    whole = b"c4gh-v1" + b"".join(map(text, (b"scrypt", bytes(4) + SALT, b"chacha20_poly1305", bytes(60))))
    if at < len(whole):
        file = armour("CRYPT4GH PRIVATE KEY", whole[:at])
        assert refusal(lambda: parse_private_key(file, passphrase=never)).code == "key_malformed"
