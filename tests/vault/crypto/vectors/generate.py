"""Writes the vectors beside this file: ``python -m tests.vault.crypto.vectors.generate`` from the repository's root.

The files are published with the format (``docs/formats/keys.md``). Running this must not change them: a change is a new format.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from vault.crypto import key_wrapping, keystore
from vault.crypto.envelope import LABEL, Binding, seal_blob
from vault.crypto.keyring import Branch, Role
from vault.crypto.primitives import Argon2Profile, hkdf_expand_sha512
from vault.crypto.secret import Secret

HERE = Path(__file__).parent
KEY = bytes(range(32))
SALT = bytes(range(0x20, 0x38))
SIZES = (0, 1, 5, 16_383, 16_384, 16_385, 32_768)


def counted(seed: str):
    """Random bytes that are the same in every run: SHA-256(seed ‖ counter), concatenated, cut per call."""
    count = 0

    def random(length: int) -> bytes:
        nonlocal count
        out = b""
        while len(out) < length:
            out += hashlib.sha256(f"{seed}/{count}".encode()).digest()
            count += 1
        return out[:length]

    return random


def plaintext(size: int) -> bytes:
    return bytes(index % 251 for index in range(size))


BINDING = Binding(
    vault_id=bytes(range(0x40, 0x50)),
    collection="identity",
    record_id=bytes(range(0x50, 0x60)),
    key_id=bytes(range(0x60, 0x70)),
    key_version=7,
    content_type="application/json",
    subject_id=bytes(range(0x70, 0x80)),
    record_version=3,
    genome_build="GRCh38",
)


def binding_json(binding: Binding) -> dict[str, Any]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in vars(binding).items()}


def blob(size: int, binding: Binding = BINDING, key: bytes = KEY) -> bytes:
    return seal_blob(Secret(key), binding, plaintext(size), random=lambda _: SALT)


def blob_make() -> list[dict[str, Any]]:
    derived = hkdf_expand_sha512(KEY, LABEL + SALT + BINDING.context(), 76)
    first = {
        "key": KEY.hex(),
        "salt": SALT.hex(),
        "binding": binding_json(BINDING),
        "context": BINDING.context().hex(),
        "message_key": derived[:32].hex(),
        "base_nonce": derived[32:44].hex(),
        "commitment": derived[44:].hex(),
    }
    return [
        first
        | {"plaintext_bytes": size, "blob_bytes": len(sealed), "blob_sha256": hashlib.sha256(sealed).hexdigest()}
        | ({"blob": sealed.hex()} if size < 100 else {})
        for size in SIZES
        for sealed in [blob(size)]
    ]


def blob_open() -> list[dict[str, Any]]:
    common = {"key": KEY.hex(), "binding": binding_json(BINDING)}
    return [common | {"blob": blob(size).hex(), "plaintext": plaintext(size).hex()} for size in (0, 1, 5)]


def blob_must_fail() -> list[dict[str, Any]]:
    good = blob(5)
    other_place = Binding(**{**vars(BINDING), "record_id": bytes(16)})
    cases = [
        ("empty", b"", "blob_truncated"),
        ("header only", good[:25], "blob_truncated"),
        ("no room for a tag", good[:96], "blob_truncated"),
        ("last byte missing", good[:-1], "seal_broken"),
        ("a byte appended", good + b"\x00", "seal_broken"),
        ("another magic", b"GVB2" + good[4:], "blob_format_unknown"),
        ("another suite", good[:4] + b"\x02" + good[5:], "blob_format_unknown"),
        ("another key id", good[:5] + bytes(16) + good[21:], "blob_key_mismatch"),
        ("another key version", good[:21] + bytes(4) + good[25:], "blob_key_mismatch"),
        ("another salt", good[:25] + bytes(24) + good[49:], "commitment_mismatch"),
        ("another commitment", good[:49] + bytes(32) + good[81:], "commitment_mismatch"),
        ("from another place", blob(5, other_place), "commitment_mismatch"),
        ("under another key", blob(5, key=bytes(32)), "commitment_mismatch"),
    ]
    # Of the vector with 16,385 bytes of plaintext, these byte ranges in this order.
    pieces = [
        ("cut at a chunk's edge", [[0, 16_481]], "blob_truncated"),
        ("cut inside the first chunk", [[0, 16_480]], "seal_broken"),
        ("first chunk dropped", [[0, 81], [16_481, 16_498]], "seal_broken"),
        ("first chunk twice", [[0, 16_481], [81, 16_498]], "seal_broken"),
    ]
    common = {"key": KEY.hex(), "binding": binding_json(BINDING)}
    whole = [common | {"why": why, "blob": raw.hex(), "code": code} for why, raw, code in cases]
    return whole + [common | {"why": why, "pieces_of_16385": ranges, "code": code} for why, ranges, code in pieces]


def wraps() -> list[dict[str, Any]]:
    epoch_key, nonce, wrapped_key = KEY, bytes(range(0xA0, 0xAC)), bytes(range(0x80, 0xA0))
    vectors = []
    for purpose in key_wrapping.KeyPurpose:
        shelf = key_wrapping.WrapContext(BINDING.vault_id, 2, purpose)
        branch = key_wrapping.PURPOSE_BRANCH[purpose]
        kek = key_wrapping.wrapping_key(Secret(epoch_key), branch)
        for subject_id in (BINDING.subject_id, b""):
            wrapped = key_wrapping.wrap(
                kek, shelf, key_id=BINDING.key_id, key=wrapped_key, subject_id=subject_id, random=lambda _: nonce
            )
            vectors.append(
                {
                    "epoch_key": epoch_key.hex(),
                    "branch": branch,
                    "vault_id": BINDING.vault_id.hex(),
                    "epoch": 2,
                    "purpose": purpose,
                    "key_id": BINDING.key_id.hex(),
                    "subject_id": subject_id.hex(),
                    "key": wrapped_key.hex(),
                    "wrapped": wrapped.hex(),
                }
            )
    return vectors


def frozen_keystore() -> dict[str, Any]:
    random = counted("genovault keystore vector")
    key_file = bytes(range(0xC0, 0xE0))
    passphrases = {"ann": "correct horse battery staple", "aud": "père Noël"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ann = keystore.create(
            folder,
            vault_id=BINDING.vault_id,
            principal="ann",
            factor=keystore.PassphraseFactor.from_text(passphrases["ann"]),
            profile=Argon2Profile(m_kib=64, t=2, lanes=2),
            random=random,
        )
        common = {"profile": Argon2Profile.TEST_ONLY, "random": random}
        aud = keystore.PassphraseFactor.from_text(passphrases["aud"])
        ann = keystore.add_slot(ann, principal="aud", role=Role.AUDITOR, factor=aud, **common)
        eng = keystore.KeyFileFactor(Secret(key_file))
        ann = keystore.add_slot(ann, principal="eng", role=Role.ENGINE, factor=eng, **common)
        ann = keystore.add_epoch(ann, Branch.GENOTYPE, random=random)
        text = (folder / "keystore.a").read_text()
    epochs = {b: {str(n): ann.keyring.epoch(b, n).reveal().hex() for n in ann.keyring.epochs(b)} for b in Branch}
    return {"passphrases": passphrases, "key_files": {"eng": key_file.hex()}, "epochs": epochs, "file": text}


FILES = {
    "blob_make.json": blob_make,
    "blob_open.json": blob_open,
    "blob_must_fail.json": blob_must_fail,
    "wraps.json": wraps,
    "keystore.json": frozen_keystore,
}

if __name__ == "__main__":
    for name, make in FILES.items():
        (HERE / name).write_text(json.dumps(make(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
