"""Keystore file as text: a strict, canonical JSON document (``docs/formats/keys.md`` §5). Pure: no files, no secrets.

Reading checks form, checksum and every cap, so that nothing costly runs on a hostile file. The signature is kept, and checked by
``keystore`` at unlock, because the key that verifies it lies in the slots.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from vault.crypto.keyring import FORMAT_BRANCHES, PUBLIC_BRANCHES, Branch, Role
from vault.crypto.primitives import KEY_BYTES, SIGNATURE_BYTES, Argon2Profile, SigningKey, sha256
from vault.crypto.slots import KDF_SALT_BYTES, Slot, SlotKind
from vault.errors import GenovaultError, InputError, IntegrityError
from vault.ids import ID_BYTES
from vault.limits import MAX_KEYSTORE_BYTES, MAX_SLOTS

FORMATS = {1: "genovault/keystore/1", 2: "genovault/keystore/2"}
NEWEST_FORMAT = 2
MAX_SEQ = 2**53 - 1  # the largest integer that every JSON reader holds exactly


@dataclass(frozen=True)
class BranchRecord:
    """A branch as stored."""

    wrapped: bytes  # the branch key, sealed under the root key
    keyring: bytes  # the epochs, sealed under the branch key
    epochs: tuple[int, ...]  # ascending; the numbers that the keyring holds
    public: Mapping[int, bytes]  # public halves, also of epochs destroyed since; empty for the secret branches


@dataclass(frozen=True)
class FormerKey:
    """The key of a slot that was removed: what was signed with it before stays checkable, nothing new is."""

    principal: str
    role: Role
    key: bytes  # Ed25519 public key, 32 bytes
    seq: int  # of the keystore that removed the slot


@dataclass(frozen=True)
class KeyHolder:
    """Holder of a signing key."""

    principal: str
    role: Role
    administers: bool = False
    removed: int | None = None  # number of the keystore that removed the slot; None: it stands


@dataclass(frozen=True)
class Document:
    """Parsed keystore file."""

    vault_id: bytes
    seq: int
    branches: Mapping[Branch, BranchRecord]  # every branch
    slots: tuple[Slot, ...]
    former: tuple[FormerKey, ...] = ()
    version: int = NEWEST_FORMAT
    bound: bool = True  # format 2: the books are signed; False while an upgrade is under way
    marks: str = ""  # format 2: how far the books had come at this change (``vault.session.high_water``); absent where empty
    signature: bytes = b""

    def signed_bytes(self) -> bytes:
        """Bytes that the signature covers: a label, then everything but the signature."""
        return b"genovault/keystore-sign/v1\x00" + _canonical(self._body())

    def signed_by(self, key: SigningKey) -> Document:
        """Copy of the document with its signature."""
        return replace(self, signature=key.sign(self.signed_bytes()))

    def to_bytes(self) -> bytes:
        """Content of the file."""
        document = self._body() | {"signature": _b64(self.signature)}
        return _canonical(document | {"sha256": sha256(_canonical(document)).hex()}) + b"\n"

    def holder(self, key: bytes) -> KeyHolder | None:
        """Holder of a slot's public signing key, also of a removed slot's; None for a key that no slot ever had."""
        for slot in self.slots:
            if slot.key == key != b"":
                return KeyHolder(slot.principal, slot.role, slot.administers)
        for former in self.former:
            if former.key == key:
                return KeyHolder(former.principal, former.role, removed=former.seq)
        return None

    def _body(self) -> dict[str, Any]:
        body = {
            "format": FORMATS[self.version],
            "vault_id": self.vault_id.hex(),
            "seq": self.seq,
            "branches": {branch: _branch_json(record) for branch, record in self.branches.items()},
            "slots": [_slot_json(slot, version=self.version) for slot in self.slots],
        }
        if self.version == 1:
            return body
        marks = {"marks": self.marks} if self.marks else {}
        return body | {"former": [_former_json(item) for item in self.former], "bound": self.bound} | marks


def parse(raw: bytes) -> Document:
    """Parse a file's content.

    Raises:
        IntegrityError: ``keystore_damaged``; ``keystore_format_unknown``: written by a later version.
    """
    if len(raw) > MAX_KEYSTORE_BYTES:
        raise _damaged()
    try:
        top = json.loads(raw, object_pairs_hook=_no_duplicates, parse_float=_refuse, parse_constant=_refuse)
        document = _document(top)
        canonical = document.to_bytes()
    except IntegrityError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, GenovaultError):
        raise _damaged() from None
    if canonical != raw:  # one spelling only; this compares the checksum too
        raise _damaged()
    return document


def _document(top: Any) -> Document:
    if isinstance(top, dict) and isinstance(top.get("format"), str) and top["format"] not in FORMATS.values():
        raise IntegrityError("keystore_format_unknown", "the keystore was written by another version")
    _require(isinstance(top, dict))
    version = next((number for number, name in FORMATS.items() if name == top.get("format")), 0)
    fields = {"format", "vault_id", "seq", "branches", "slots", "signature", "sha256"}
    _require(set(top) - ({"marks"} if version > 1 else set()) == (fields if version == 1 else fields | {"former", "bound"}))
    _require(isinstance(top.get("bound", True), bool) and isinstance(top.get("marks", ""), str))
    slots = tuple(_slot(item, version=version) for item in _list(top["slots"], at_most=MAX_SLOTS))
    _require(len({slot.slot_id for slot in slots}) == len(slots) > 0)
    _require(set(top["branches"]) == FORMAT_BRANCHES[version])
    return Document(
        vault_id=_hex(top["vault_id"], ID_BYTES),
        seq=_int(top["seq"]),
        branches={branch: _branch(branch, top["branches"][branch]) for branch in Branch if branch in FORMAT_BRANCHES[version]},
        slots=slots,
        former=tuple(_former(item) for item in _list(top["former"])) if version > 1 else (),
        version=version,
        bound=top.get("bound", False),
        marks=top.get("marks", ""),
        signature=_bytes(top["signature"], SIGNATURE_BYTES),
    )


def _branch(branch: Branch, item: Any) -> BranchRecord:
    _require(set(item) == {"wrapped", "keyring", "epochs", "public"})
    epochs = tuple(_int(number) for number in _list(item["epochs"]))
    public = {_int(int(number)): _bytes(key, KEY_BYTES) for number, key in item["public"].items()}
    _require(len(epochs) > 0 and list(epochs) == sorted(set(epochs)))
    _require(set(epochs) <= set(public) if branch in PUBLIC_BRANCHES else not public)
    return BranchRecord(wrapped=_bytes(item["wrapped"]), keyring=_bytes(item["keyring"]), epochs=epochs, public=public)


def _slot(item: Any, *, version: int) -> Slot:
    fields = {"id", "kind", "principal", "role", "administers", "kdf", "sealed"}
    _require(set(item) == (fields if version == 1 else fields | {"key"}))
    kind = SlotKind(item["kind"])
    kdf = item["kdf"]
    _require(set(kdf) == ({"m_kib", "t", "lanes", "salt"} if kind is SlotKind.ARGON2ID else set()))
    _require(isinstance(item["principal"], str) and isinstance(item["administers"], bool))
    profile = _profile(_int(kdf["m_kib"]), _int(kdf["t"]), _int(kdf["lanes"])) if kdf else None
    return Slot(
        slot_id=_hex(item["id"], ID_BYTES),
        kind=kind,
        principal=item["principal"],
        role=Role(item["role"]),
        administers=item["administers"],
        profile=profile,
        salt=_bytes(kdf["salt"], KDF_SALT_BYTES) if kdf else b"",
        key=_bytes(item["key"], KEY_BYTES) if item.get("key") else b"",
        sealed=_bytes(item["sealed"]),
    )


def _profile(m_kib: int, t: int, lanes: int) -> Argon2Profile:
    try:
        return Argon2Profile(m_kib=m_kib, t=t, lanes=lanes)
    except InputError as error:  # nothing in the file is trusted yet: it must not exhaust the machine
        message = "an unlock slot asks for Argon2 costs out of range"
        raise IntegrityError("keystore_damaged", message, hint=f"restore the keystore; allowed: {error.hint}") from None


def _branch_json(record: BranchRecord) -> dict[str, Any]:
    return {
        "wrapped": _b64(record.wrapped),
        "keyring": _b64(record.keyring),
        "epochs": list(record.epochs),
        "public": {str(number): _b64(key) for number, key in record.public.items()},
    }


def _former(item: Any) -> FormerKey:
    _require(set(item) == {"principal", "role", "key", "seq"} and isinstance(item["principal"], str))
    return FormerKey(item["principal"], Role(item["role"]), _bytes(item["key"], KEY_BYTES), _int(item["seq"]))


def _former_json(former: FormerKey) -> dict[str, Any]:
    return {"principal": former.principal, "role": former.role, "key": _b64(former.key), "seq": former.seq}


def _slot_json(slot: Slot, *, version: int) -> dict[str, Any]:
    profile = slot.profile
    kdf = {"m_kib": profile.m_kib, "t": profile.t, "lanes": profile.lanes, "salt": _b64(slot.salt)} if profile else {}
    own = {"key": _b64(slot.key)} if version > 1 else {}
    return own | {
        "id": slot.slot_id.hex(),
        "kind": slot.kind,
        "principal": slot.principal,
        "role": slot.role,
        "administers": slot.administers,
        "kdf": kdf,
        "sealed": _b64(slot.sealed),
    }


def _canonical(value: dict[str, Any]) -> bytes:
    """Encode with sorted keys, no white space, ASCII: RFC 8785 for the strings and integers that occur here."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _bytes(text: Any, size: int | None = None) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _damaged() from None
    _require(size is None or len(raw) == size)
    return raw


def _hex(text: Any, size: int) -> bytes:
    raw = bytes.fromhex(text)
    _require(len(raw) == size)
    return raw


def _int(value: Any) -> int:
    _require(type(value) is int and 0 <= value <= MAX_SEQ)
    return cast("int", value)


def _list(value: Any, *, at_most: int = 100_000) -> list[Any]:
    _require(isinstance(value, list) and len(value) <= at_most)
    return cast("list[Any]", value)


def _require(condition: bool) -> None:  # noqa: FBT001 - reads as the assertion that it replaces
    if not condition:
        raise _damaged()


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _require(len({key for key, _ in pairs}) == len(pairs))
    return dict(pairs)


def _refuse(_: str) -> Any:
    raise _damaged()


def _damaged() -> IntegrityError:
    return IntegrityError("keystore_damaged", "the keystore file is damaged")
