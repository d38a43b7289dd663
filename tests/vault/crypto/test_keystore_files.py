"""A hostile or failing disk under the keystore."""

import base64
import json
import os
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.vault.crypto.conftest import ANN, CHEAP
from vault.crypto import keystore, keystore_files, slots
from vault.crypto.context import encode_context
from vault.crypto.keystore import Branch, PassphraseFactor, Role
from vault.crypto.keystore_format import parse
from vault.crypto.primitives import SigningKey, hkdf_expand_sha256, sha256
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UnavailableError
from vault.limits import MAX_KEYSTORE_BYTES

AUD = PassphraseFactor.from_text("the auditor's")


def raises(code, error=IntegrityError):
    return pytest.raises(error, check=lambda caught: caught.code == code)


def dumped(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def edit(folder, change, *, sign=None):
    """Change the document as somebody who can write the files would: with a right checksum, and a signature of their own."""
    document = json.loads((folder / "keystore.a").read_bytes())
    change(document)
    document.pop("sha256", None)
    if sign:
        signature = document.pop("signature")
        signature = sign.sign(b"genovault/keystore-sign/v1\x00" + dumped(document))
        document["signature"] = base64.b64encode(signature).decode()
    document["sha256"] = sha256(dumped(document)).hex()
    for name in keystore_files.COPIES:
        (folder / name).write_bytes(dumped(document) + b"\n")


@pytest.fixture
def folder(founded):
    return founded.keystore.folder


@pytest.mark.parametrize("name", keystore_files.COPIES)
@pytest.mark.parametrize("damage", [lambda raw: raw[:-40], lambda _: b"", lambda raw: raw.replace(b"ann", b"eve"), None])
def test_one_bad_copy_is_not_missed(folder, name, damage):
    assert keystore_files.copies_agree(folder)
    path = folder / name
    path.write_bytes(damage(path.read_bytes())) if damage else path.unlink()
    assert not keystore_files.copies_agree(folder)
    opened = keystore.load(folder).unlock(ANN)
    keystore.add_epoch(opened, Branch.BOOKS, random=os.urandom)
    assert keystore_files.copies_agree(folder)


def test_two_bad_copies_are_an_integrity_failure(folder):
    for name in keystore_files.COPIES:
        (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    with raises("keystore_damaged"):
        keystore.load(folder)


def test_one_bad_copy_and_no_other_is_an_integrity_failure(folder):
    (folder / "keystore.a").write_bytes(b"{}")
    (folder / "keystore.b").unlink()
    with raises("keystore_damaged"):
        keystore.load(folder)


def test_the_newer_copy_wins(founded, folder):
    old = (folder / "keystore.b").read_bytes()
    keystore.add_epoch(founded, Branch.BOOKS, random=os.urandom)
    (folder / "keystore.b").write_bytes(old)
    assert keystore.load(folder).document.seq == 2
    assert keystore.load(folder).unlock(ANN).keyring.epochs(Branch.BOOKS) == (1, 2)


def test_copies_that_contradict_each_other_are_refused(founded, folder):
    first = (folder / "keystore.a").read_bytes()
    keystore.add_epoch(founded, Branch.BOOKS, random=os.urandom)
    one = (folder / "keystore.a").read_bytes()
    for name in keystore_files.COPIES:
        (folder / name).write_bytes(first)
    keystore.add_epoch(founded, Branch.BOOKS, random=os.urandom)
    (folder / "keystore.b").write_bytes(one)
    with raises("keystore_conflict"):
        keystore.load(folder)


def test_a_copy_of_a_later_version_is_not_overridden_by_its_elder(folder):
    document = json.loads((folder / "keystore.a").read_bytes()) | {"format": "genovault/keystore/9", "more": 1}
    (folder / "keystore.a").write_bytes(dumped(document))
    with raises("keystore_format_unknown"):
        keystore.load(folder)


def test_a_copy_that_cannot_be_read_is_unavailable(folder):
    (folder / "keystore.a").unlink()
    (folder / "keystore.a").mkdir()
    with raises("keystore_unreadable", UnavailableError):
        keystore.load(folder)


@pytest.mark.parametrize("step", range(14))
def test_a_kill_at_any_step_of_writing_leaves_the_old_or_the_new_keystore(founded, folder, step, monkeypatch):
    class Killed(BaseException):
        pass

    count = 0

    def killing(real):
        def call(*args, **kwargs):
            nonlocal count
            if count == step:
                raise Killed
            count += 1
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in ("open", "fsync", "fdopen"):
            patch.setattr(keystore_files.os, name, killing(getattr(os, name)))
        patch.setattr(keystore_files.Path, "rename", killing(keystore_files.Path.rename))
        with suppress(Killed):
            keystore.add_epoch(founded, Branch.BOOKS, random=os.urandom)
    opened = keystore.load(folder).unlock(ANN)
    assert opened.keyring.epochs(Branch.BOOKS) in ((1,), (1, 2))
    keystore.add_slot(opened, principal="aud", role=Role.AUDITOR, factor=AUD, profile=CHEAP, random=os.urandom)
    assert keystore_files.copies_agree(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["keystore.a", "keystore.b"]


def weaken(document):
    document["slots"][0]["kdf"]["m_kib"] = 16


def more_power(document):
    document["slots"][1]["administers"] = True
    document["slots"][1]["role"] = "steward"


def other_role(document):
    document["slots"][1]["role"] = "engine"


def other_name(document):
    document["slots"][1]["principal"] = "eve"


@pytest.mark.parametrize("change", [weaken, more_power, other_role, other_name])
def test_changed_slot_fields_break_the_slot(founded, folder, change):
    keystore.add_slot(founded, principal="aud", role=Role.AUDITOR, factor=AUD, profile=CHEAP, random=os.urandom)
    edit(folder, change, sign=SigningKey(Secret(bytes(32))))
    name = "eve" if change is other_name else "aud"
    factor, name = (ANN, "ann") if change is weaken else (AUD, name)
    with raises("cannot_unlock", UnavailableError):
        keystore.load(folder).unlock(factor, principal=name)


def swap_audit_key(document):
    document["branches"]["audit-read"]["public"]["1"] = base64.b64encode(b"m" * 32).decode()


def swap_log_key(document):
    document["branches"]["log-sign"]["public"]["1"] = base64.b64encode(b"m" * 32).decode()


def drop_slot(document):
    del document["slots"][1]


def double_slot(document):
    document["slots"].append(document["slots"][1] | {"id": "00" * 16})


def swap_keyrings(document):
    branches = document["branches"]
    branches["genotype"], branches["books"] = branches["books"], branches["genotype"]


def other_seq(document):
    document["seq"] += 1


def more_epochs(document):
    document["branches"]["books"]["epochs"] = [1, 2]


@pytest.mark.parametrize("change", [swap_audit_key, swap_log_key, drop_slot, double_slot, swap_keyrings, other_seq, more_epochs])
@pytest.mark.parametrize("sign", [None, SigningKey(Secret(bytes(32)))])
def test_any_other_change_is_noticed_by_everybody_who_unlocks(founded, folder, change, sign):
    engine = PassphraseFactor.from_text("the engine's")
    more = {"profile": CHEAP, "random": os.urandom}
    changed = keystore.add_slot(founded, principal="aud", role=Role.AUDITOR, factor=AUD, **more)
    keystore.add_slot(changed, principal="eng", role=Role.ENGINE, factor=engine, **more)
    edit(folder, change, sign=sign)
    for name, factor in (("ann", ANN), ("eng", engine)):
        with raises("keystore_altered"):
            keystore.load(folder).unlock(factor, principal=name)


def test_a_damaged_slot_behind_the_right_passphrase_is_an_integrity_failure(folder):
    def damage(document):
        sealed = bytearray(base64.b64decode(document["slots"][0]["sealed"]))
        sealed[-1] ^= 1
        document["slots"][0]["sealed"] = base64.b64encode(sealed).decode()

    edit(folder, damage)
    with raises("keystore_altered"):
        keystore.load(folder).unlock(ANN)


def test_an_epoch_list_that_an_administrator_signed_must_still_match_the_keyring(founded, folder):
    def more(document):
        document["branches"]["books"]["epochs"] = [1, 2]

    seed = hkdf_expand_sha256(founded.root.reveal(), encode_context("genovault/keystore-sign/v1"), 32)
    edit(folder, more, sign=SigningKey(Secret(seed)))
    with raises("keystore_altered"):
        keystore.load(folder).unlock(ANN)


def test_a_slot_that_holds_other_branches_than_its_role_is_refused(founded, folder):
    slot = founded.slot
    payload = slots.open_payload(slot, ANN, vault_id=founded.vault_id)
    fewer = replace(payload, branch_keys={Branch.BOOKS: payload.branch_keys[Branch.BOOKS]})
    sealed = slots.seal_payload(slot, ANN, fewer, vault_id=founded.vault_id, random=os.urandom)
    edit(folder, lambda document: document["slots"][0].__setitem__("sealed", base64.b64encode(sealed).decode()))
    with raises("keystore_altered"):
        keystore.load(folder).unlock(ANN)
    with raises("slot_malformed"):
        slots.open_payload(replace(slot, sealed=sealed), ANN, vault_id=founded.vault_id)


def set_kdf(name, value):
    return lambda document: document["slots"][0]["kdf"].__setitem__(name, value)


@pytest.mark.parametrize(
    "change",
    [
        set_kdf("m_kib", 4 * 2**20 + 1),
        set_kdf("m_kib", 7),
        set_kdf("m_kib", True),
        set_kdf("m_kib", 8.0),
        set_kdf("t", 21),
        set_kdf("t", 0),
        set_kdf("lanes", 17),
        set_kdf("salt", "AAAA"),
        set_kdf("salt", "!"),
        set_kdf("salt", None),
        set_kdf("more", 1),
        lambda document: document.__setitem__("more", 1),
        lambda document: document.__setitem__("slots", []),
        lambda document: document.__setitem__("slots", document["slots"] * 2),
        lambda document: document.__setitem__("slots", [document["slots"][0] | {"id": f"{number:032x}"} for number in range(33)]),
        lambda document: document.__setitem__("seq", -1),
        lambda document: document.__setitem__("seq", 2**53),
        lambda document: document.__setitem__("vault_id", "00"),
        lambda document: document["slots"][0].__setitem__("kind", "pkcs11"),
        lambda document: document["slots"][0].__setitem__("role", "researcher"),
        lambda document: document["slots"][0].__setitem__("principal", "a\ud800"),
        lambda document: document["slots"][0].__setitem__("principal", 7),
        lambda document: document["branches"].pop("books"),
        lambda document: document["branches"]["books"].__setitem__("epochs", []),
        lambda document: document["branches"]["books"].__setitem__("public", {"1": base64.b64encode(bytes(32)).decode()}),
        lambda document: document["branches"]["log-sign"].__setitem__("public", {}),
        lambda document: document["branches"]["log-sign"].__setitem__("public", {"01": base64.b64encode(bytes(32)).decode()}),
    ],
)
def test_malformed_or_costly_files_are_refused_before_any_key_derivation(folder, change, monkeypatch):
    def never(*_):
        pytest.fail("the key derivation ran")

    monkeypatch.setattr(slots, "argon2id", never)
    edit(folder, change)
    with raises("keystore_damaged"):
        keystore.load(folder).unlock(ANN)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"[" * 100_000,
        b'{"format":7}',
        b'{"format":"genovault/keystore/1"}',
        b"\xff\xfe",
        b"NaN",
        b'{"a":1,"a":1}',
        b"1" * 10_000,
        b" " * (MAX_KEYSTORE_BYTES + 1),
    ],
)
def test_what_is_no_keystore_is_damaged(raw):
    with raises("keystore_damaged"):
        parse(raw)


@pytest.mark.parametrize("respell", [lambda raw: raw + b" ", lambda raw: raw.replace(b'":', b'": ', 1), lambda raw: raw.strip()])
def test_there_is_one_spelling_only(folder, respell):
    raw = (folder / "keystore.a").read_bytes()
    assert parse(raw).to_bytes() == raw
    with raises("keystore_damaged"):
        parse(respell(raw))


@given(at=st.integers(0, 1 << 16), byte=st.integers(0, 255))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_changed_byte_is_noticed_without_a_key(folder, at, byte):
    raw = (folder / "keystore.a").read_bytes()
    at %= len(raw)
    changed = raw[:at] + bytes([byte]) + raw[at + 1 :]
    if changed != raw:
        with pytest.raises(IntegrityError):
            parse(changed)
