"""Crypt4GH as others write and read it: the reference client both ways, and published files and keys of three other projects."""

from __future__ import annotations

import importlib
import io
import subprocess
import sys
import tarfile

import pytest

from tests.support.audit_log import seeded
from tests.support.outside import extra, shared
from tests.support.parcels import client, key_files, pair, sealed, secret_of
from tests.vault.crypto.test_crypt4gh_keys import LOCKED
from vault.crypto.crypt4gh_keys import parse_private_key, parse_public_key
from vault.errors import InputError, IntegrityError
from vault.extracts.crypt4gh_reading import read_sealed

EDGE = 65536


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Folder with the key files of pairs 0 to 2, 0 the writer."""
    folder = tmp_path_factory.mktemp("keys")
    for number in range(3):
        key_files(folder, number)
    return folder


def opened(data: bytes, key) -> bytes:
    return b"".join(read_sealed(io.BytesIO(data), key))


def plaintext(size: int) -> bytes:
    return bytes(range(256)) * (size // 256) + b"x" * (size % 256)


@pytest.mark.parametrize("size", [0, EDGE, EDGE + 1])
def test_the_reference_client_opens_what_we_seal_for_two(keys, size):
    data = sealed(plaintext(size), [pair(1), pair(2)], writer=pair(0), random=seeded(1))
    for number in (1, 2):
        done = client("decrypt", "--sk", keys / f"{number}.sec", "--sender_pk", keys / "0.pub", data=data)
        assert (done.returncode, done.stdout) == (0, plaintext(size)), done.stderr


def test_the_reference_client_refuses_another_reader_and_another_writer(keys):
    data = sealed(b"text", [pair(1)], writer=pair(0), random=seeded(2))
    for arguments in (("--sk", keys / "2.sec"), ("--sk", keys / "1.sec", "--sender_pk", keys / "2.pub")):
        done = client("decrypt", *arguments, data=data)
        assert done.returncode != 0
        assert done.stdout == b""


@pytest.mark.parametrize("size", [0, 1, EDGE, EDGE + 1])
def test_we_open_what_the_reference_client_seals_for_two(keys, size):
    recipients = ("--recipient_pk", keys / "1.pub", "--recipient_pk", keys / "2.pub")
    done = client("encrypt", "--sk", keys / "0.sec", *recipients, data=plaintext(size))
    assert done.returncode == 0, done.stderr
    assert [opened(done.stdout, pair(number)) for number in (1, 2)] == [plaintext(size)] * 2
    with pytest.raises(IntegrityError) as caught:
        opened(done.stdout, pair(0))
    assert caught.value.code == "sealed_for_others"


@pytest.mark.parametrize("phrase", ["", "right"])
@pytest.mark.parametrize("lock", ["scrypt", "bcrypt"])
def test_key_files_of_the_reference_client_are_read(tmp_path, phrase, lock):
    extra("crypt4gh")
    script = (
        "import sys, crypt4gh.keys.c4gh as c\n"
        "c.scrypt_supported = sys.argv[4] == 'scrypt'\n"
        "c.generate(sys.argv[1], sys.argv[2], sys.argv[3].encode(), b'of the lab')\n"
    )
    public, private = tmp_path / "lab.pub", tmp_path / "lab.sec"
    done = subprocess.run([sys.executable, "-c", script, private, public, phrase, lock], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    if phrase and lock == "bcrypt":
        with pytest.raises(InputError) as caught:
            parse_private_key(private.read_bytes(), passphrase=lambda: phrase)
        assert caught.value.code == "key_kdf"
    else:
        found = parse_private_key(private.read_bytes(), passphrase=lambda: phrase)
        assert found.public == parse_public_key(public.read_bytes())


@pytest.mark.parametrize("lock", sorted(LOCKED))
def test_locks_that_we_open_are_those_of_the_reference_client(tmp_path, lock):
    extra("crypt4gh")
    client_keys = importlib.import_module("crypt4gh.keys")
    (tmp_path / "lab.sec").write_bytes(LOCKED[lock])
    assert bytes(client_keys.get_private_key(str(tmp_path / "lab.sec"), lambda: "right")) == secret_of(1)


def test_our_public_key_files_are_read_by_the_reference_client(keys):
    extra("crypt4gh")
    assert bytes(importlib.import_module("crypt4gh.keys").get_public_key(str(keys / "1.pub"))) == pair(1).public


GA4GH = "data/6-wave2/ga4gh/crypt4gh-js"
EDITED = b"faaaaaaaaabbbbb"
"""Of the clients' files: (file, key, what it gives)."""
CASES = [
    ("testcase10.c4gh", 1, EDITED),
    ("testcase10.c4gh", 2, None),
    ("testcase25.c4gh", 1, EDITED),
    ("testcase25.c4gh", 2, EDITED),
    ("testcase39.c4gh", 1, EDITED),
    ("testcase39.c4gh", 2, b"faaaa"),
    ("testcase19.c4gh", 2, None),
]


def test_files_of_the_javascript_client():
    folder = shared(GA4GH)
    found = {n: parse_private_key((folder / f"testcase{n}_secret").read_bytes(), passphrase=lambda: "abc") for n in (1, 2)}
    for name, number, wanted in CASES:
        data = (folder / name).read_bytes()
        if wanted is None:
            with pytest.raises(IntegrityError) as caught:
                opened(data, found[number])
            assert caught.value.code == "sealed_for_others"
        else:
            assert opened(data, found[number]) == wanted
    assert len(opened((folder / "testcase19.c4gh").read_bytes(), found[1])) == EDGE
    for number, key in found.items():
        assert parse_public_key((folder / f"testcase{number}_public").read_bytes()) == key.public
    with pytest.raises(InputError):
        parse_public_key((folder / "testcase7_wrongPubkeyFile").read_bytes())


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    with tarfile.open(shared("data/5-conformance/crypt4gh_vectors.tar.gz")) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_keys_of_the_reference_clients_own_tests(vectors):
    folder = vectors / "crypt4gh_ega/_common"
    for name in ("alice", "bob"):
        assert len(parse_public_key((folder / f"{name}.pub").read_bytes())) == 32
        with pytest.raises(InputError) as caught:  # armour of an early client, locked with bcrypt
            parse_private_key((folder / f"{name}.sec").read_bytes(), passphrase=lambda name=name: name)
        assert caught.value.code == "key_kdf"
        with pytest.raises(InputError) as caught:
            parse_public_key((folder / f"{name}.sec").read_bytes())
        assert "private key" in caught.value.message


def test_files_and_keys_of_the_go_client(vectors):
    folder = vectors / "crypt4gh_neicnordic"
    keys = folder / "keys_extracted"
    found = parse_private_key((keys / "crypt4ghX25519Sec.sec").read_bytes(), passphrase=lambda: "password")
    assert found.public == parse_public_key((keys / "crypt4ghX25519Pub.pub").read_bytes())
    with pytest.raises(InputError) as caught:
        parse_private_key((keys / "sshEd25519SecEnc.sec").read_bytes(), passphrase=lambda: "123123")
    assert caught.value.code == "key_kind"
