"""What an unlock may cost: the parameters stand in a file that nothing vouches for until a slot has opened."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from tests.vault.crypto.conftest import ANN
from vault.crypto import keystore
from vault.crypto.primitives import Argon2Profile
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UnavailableError


def raises(code, error):
    return pytest.raises(error, check=lambda caught: caught.code == code)


@pytest.mark.parametrize(("m_kib", "t", "lanes"), [(2**20, 4, 2), (2**21, 20, 1), (2**22, 1, 1), (65_536, 3, 64), (2**40, 1, 1)])
def test_costs_of_a_file_that_nobody_vouches_for_are_bounded_before_they_are_spent(founded, m_kib, t, lanes):
    folder, document = founded.keystore.folder, json.loads((founded.keystore.folder / "keystore.a").read_bytes())
    document["slots"][0]["kdf"] |= {"m_kib": m_kib, "t": t, "lanes": lanes}
    del document["sha256"]
    encoded = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    document["sha256"] = hashlib.sha256(encoded).hexdigest()
    for name in ("keystore.a", "keystore.b"):
        (folder / name).write_bytes(json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    with raises("keystore_damaged", IntegrityError) as caught:
        keystore.load(folder)
    assert "Argon2" in caught.value.message


def test_many_costly_slots_of_one_name_are_not_all_tried(founded, monkeypatch):
    tried = []
    monkeypatch.setattr("vault.crypto.slots.argon2id", lambda *_: tried.append(1) or Secret(bytes(32)))
    costly = replace(founded.slot, profile=Argon2Profile(m_kib=2**20, t=3, lanes=1))
    slots = tuple(replace(costly, slot_id=bytes([n]) * 16) for n in range(32))
    with raises("keystore_altered", IntegrityError):
        keystore.Keystore(founded.keystore.folder, replace(founded.keystore.document, slots=slots)).unlock(ANN)
    assert len(tried) == 2


def test_memory_that_cannot_be_had_is_said(founded):
    huge = replace(founded.slot, profile=Argon2Profile(m_kib=2 * 2**20, t=1, lanes=1))
    document = replace(founded.keystore.document, slots=(huge,))
    import resource  # noqa: PLC0415 - only here, and only where it exists

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2**31, hard))
    try:
        with raises("memory_short", UnavailableError):
            keystore.Keystore(founded.keystore.folder, document).unlock(ANN)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
