"""A second reader of keystore, wraps and blobs, written from ``docs/formats/keys.md`` alone: it imports nothing of the vault.

What it opens proves that the page is enough, and that writer and reader of ours do not share a mistake.
"""

import base64
import hashlib
import hmac
import json
import unicodedata
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

VECTORS = Path(__file__).parent / "vectors"
ROLES = {"steward": 7, "auditor": 1, "engine": 4}


def context(*fields):
    out = b""
    for field in fields:
        raw = field.to_bytes(8, "big") if isinstance(field, int) else field.encode() if isinstance(field, str) else field
        out += len(raw).to_bytes(2, "big") + raw
    return out


def fields_of(raw):
    fields = []
    while raw:
        size = int.from_bytes(raw[:2], "big")
        fields.append(raw[2 : 2 + size])
        raw = raw[2 + size :]
    return fields


def expand(algorithm, key, info, length):
    return HKDFExpand(algorithm, length, info).derive(key)


def open_chunks(key, bound, sealed, label):
    derived = expand(hashes.SHA512(), key, label + b"\x00" + sealed[:24] + bound, 76)
    if not hmac.compare_digest(derived[44:], sealed[24:56]):
        return None
    body, base = sealed[56:], int.from_bytes(derived[32:44], "big")
    return b"".join(
        AESGCM(derived[:32]).decrypt((base ^ i).to_bytes(12, "big"), body[i * 16_400 : (i + 1) * 16_400], b"")
        for i in range(len(body) // 16_400 + 1)
    )


def dumped(document, *without):
    kept = {name: value for name, value in document.items() if name not in without}
    return json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize("principal", ["ann", "aud", "eng"])
@pytest.mark.parametrize("version", [1, 2])
def test_keystore(principal, version):
    vector = json.loads((VECTORS / ("keystore.json" if version == 2 else "keystore-1.json")).read_text())
    document = json.loads(vector["file"])
    assert hashlib.sha256(dumped(document, "sha256")).hexdigest() == document["sha256"]
    vault_id = bytes.fromhex(document["vault_id"])
    slot = next(slot for slot in document["slots"] if slot["principal"] == principal)
    kdf, slot_id = slot["kdf"], bytes.fromhex(slot["id"])
    if slot["kind"] == "argon2id":
        salt = base64.b64decode(kdf["salt"])
        passphrase = unicodedata.normalize("NFC", vector["passphrases"][principal]).encode()
        derivation = Argon2id(salt=salt, length=32, iterations=kdf["t"], lanes=kdf["lanes"], memory_cost=kdf["m_kib"])
        stretched, parameters = derivation.derive(passphrase), (kdf["m_kib"], kdf["t"], kdf["lanes"], salt)
    else:
        stretched, parameters = bytes.fromhex(vector["key_files"][principal]), (0, 0, 0, b"")
    slot_key = expand(hashes.SHA256(), stretched, context("genovault/slot-key/v1", vault_id, slot_id), 32)
    own = [base64.b64decode(slot["key"])] if version == 2 else []
    public = (vault_id, slot_id, slot["kind"], principal, slot["role"], int(slot["administers"]), *parameters, *own)
    bound = context(f"genovault/slot/v{version}", *public)
    label = b"genovault/wrap/v1+AES_256_GCM"
    name, verify_key, root, *rest = fields_of(open_chunks(slot_key, bound, base64.b64decode(slot["sealed"]), label))
    assert name == b"genovault/slot-payload/v%d" % version
    if version == 2:
        seed, *rest = rest
        assert Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw() == own[0]
    signed = b"genovault/keystore-sign/v1\x00" + dumped(document, "signature", "sha256")
    Ed25519PublicKey.from_public_bytes(verify_key).verify(base64.b64decode(document["signature"]), signed)
    assert len(rest) == 2 * (ROLES[slot["role"]] + (version == 2))
    for branch, branch_key in zip(rest[::2], rest[1::2], strict=True):
        record = document["branches"][branch.decode()]
        ring = open_chunks(
            branch_key, context("genovault/keyring/v1", vault_id, branch), base64.b64decode(record["keyring"]), label
        )
        label_field, *epochs = fields_of(ring)
        assert label_field == b"genovault/keyring-payload/v1"
        found = {str(int.from_bytes(epochs[i], "big")): epochs[i + 1].hex() for i in range(0, len(epochs), 2)}
        assert found == vector["epochs"][branch.decode()]
        if root:
            bound = context("genovault/branch-key/v1", vault_id, branch)
            assert open_chunks(root, bound, base64.b64decode(record["wrapped"]), label) == branch_key
    assert bool(root) == (principal == "ann") == slot["administers"]
    if root:
        seed = expand(hashes.SHA256(), root, context("genovault/keystore-sign/v1"), 32)
        assert Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw() == verify_key


def test_wraps():
    for item in json.loads((VECTORS / "wraps.json").read_text()):
        raw = {name: bytes.fromhex(item[name]) for name in ("epoch_key", "vault_id", "key_id", "subject_id", "wrapped")}
        kek = expand(hashes.SHA256(), raw["epoch_key"], context("genovault/kek/v1", item["branch"]), 32)
        aad = context("genovault/dek/v1", raw["vault_id"], raw["key_id"], raw["subject_id"], item["epoch"], item["purpose"])
        assert AESGCM(kek).decrypt(raw["wrapped"][:12], raw["wrapped"][12:], aad).hex() == item["key"]


def test_blobs():
    for item in json.loads((VECTORS / "blob_open.json").read_text()):
        blob, key = bytes.fromhex(item["blob"]), bytes.fromhex(item["key"])
        binding = {
            name: bytes.fromhex(value) if name in ("vault_id", "record_id", "subject_id", "key_id") else value
            for name, value in item["binding"].items()
        }
        order = "vault_id collection record_id subject_id record_version key_id key_version content_type genome_build"
        bound = context("genovault/blob/v1", *(binding[name] for name in order.split()), 16_384)
        assert blob[:25] == b"GVB1\x01" + binding["key_id"] + binding["key_version"].to_bytes(4, "big")
        assert open_chunks(key, bound, blob[25:], b"genovault/blob/v1+AES_256_GCM").hex() == item["plaintext"]
