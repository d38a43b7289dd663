"""Unlock slots, opened by a principal's passphrase or key file (``docs/formats/keys.md`` §6).

A slot's payload holds exactly the branch keys of its role, the key that verifies the keystore file, and, if the slot
administers, the root key. It is sealed with a key commitment (the chunk construction of ``envelope``), so one stored slot can
open under one passphrase only, and bound to every field of the slot that stands in clear: weakening a parameter breaks the seal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from vault.crypto.context import decode_context, encode_context
from vault.crypto.envelope import SALT_BYTES as SEAL_SALT_BYTES
from vault.crypto.envelope import open_chunks, seal_chunks
from vault.crypto.keyring import ROLE_BRANCHES, Branch, Role, branches_of
from vault.crypto.primitives import KEY_BYTES, Argon2Profile, SigningKey, argon2id, hkdf_expand_sha256
from vault.crypto.secret import Secret
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.files.given_files import ExposedError, read_secret
from vault.ids import ID_BYTES, RandomBytes

LABEL = b"genovault/wrap/v1+AES_256_GCM\x00"  # of every seal inside the keystore
KDF_SALT_BYTES = 16
_PAYLOADS = {1: "genovault/slot-payload/v1", 2: "genovault/slot-payload/v2"}
_PRINCIPAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")


class SlotKind(StrEnum):
    """Kind of factor that opens a slot."""

    ARGON2ID = "argon2id"
    KEYFILE = "keyfile"


@dataclass(frozen=True, eq=False)  # holds secrets, which are not compared
class PassphraseFactor:
    """A passphrase as bytes. Two people who type the same text must give the same bytes: use ``from_text``."""

    passphrase: Secret

    def __post_init__(self) -> None:
        if len(self.passphrase) == 0:
            raise InputError("passphrase_empty", "the passphrase is empty")

    @classmethod
    def from_text(cls, text: str) -> PassphraseFactor:
        """Encode as NFC, then UTF-8, so that a composed and a decomposed accent are the same passphrase."""
        return cls(Secret(unicodedata.normalize("NFC", text).encode()))


@dataclass(frozen=True, eq=False)  # holds secrets, which are not compared
class KeyFileFactor:
    """The 32 random bytes of a key file."""

    key: Secret

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise InputError("key_file_invalid", "a key file holds exactly 32 bytes")

    @classmethod
    def from_file(cls, path: Path) -> KeyFileFactor:
        """Read a key file.

        Raises:
            InputError: ``key_file_invalid``, also when the file cannot be read; ``key_file_exposed``: it is another user's, or others
                may read or write it.
        """
        try:
            return cls(Secret(read_secret(path, limit=KEY_BYTES)))
        except ExposedError as error:
            hint = f"chown and chmod 600 {path.name}; if others could have read it, add a slot with a new one"
            raise InputError("key_file_exposed", f"the key file {path.name} {error.strerror}", hint=hint) from None
        except OSError as error:
            raise InputError(
                "key_file_invalid", f"the key file cannot be read: {error.strerror or 'input/output error'}"
            ) from None


@dataclass(frozen=True)
class Slot:
    """A slot as stored in the file; everything but ``sealed`` is public.

    Raises:
        InputError: ``principal_invalid``; ``role_holds_no_keys``; ``role_cannot_administer``.
    """

    slot_id: bytes  # 16 random bytes
    kind: SlotKind
    principal: str
    role: Role
    administers: bool
    profile: Argon2Profile | None  # argon2id only
    salt: bytes  # 16 bytes for argon2id, empty for keyfile
    key: bytes = b""  # Ed25519 public key of whoever holds the slot, 32 bytes; empty for a slot of keystore format 1
    sealed: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if not _PRINCIPAL.fullmatch(self.principal):
            raise InputError("principal_invalid", "a principal's name has 1 to 64 letters, digits or . _ @ + -")
        if not ROLE_BRANCHES[self.role]:
            raise InputError("role_holds_no_keys", f"a {self.role} holds no keys and needs no slot")
        if self.administers and self.role is not Role.STEWARD:
            raise InputError("role_cannot_administer", f"a {self.role} cannot administer slots")

    def opened_by(self, factor: Factor) -> bool:
        """True if the factor is of this slot's kind; it may still be the wrong one."""
        if isinstance(factor, HeldFactor):
            return factor.slot == self
        return isinstance(factor, PassphraseFactor if self.kind is SlotKind.ARGON2ID else KeyFileFactor)

    def context(self, vault_id: bytes) -> bytes:
        """Public fields of the slot, encoded as its seal binds them."""
        profile = self.profile
        parameters = (profile.m_kib, profile.t, profile.lanes) if profile else (0, 0, 0)
        own = (self.key,) if self.key else ()
        return encode_context(
            "genovault/slot/v2" if own else "genovault/slot/v1",
            vault_id,
            self.slot_id,
            self.kind,
            self.principal,
            self.role,
            int(self.administers),
            *parameters,
            self.salt,
            *own,
        )


@dataclass(frozen=True, eq=False)  # holds secrets, which are not compared
class Payload:
    """Content of a slot: branch keys, verifying key and, if it administers, the root key."""

    verify_key: bytes  # Ed25519, 32 bytes: signs the keystore file
    root: Secret | None  # only in slots that administer
    branch_keys: Mapping[Branch, Secret]
    seed: Secret | None = None  # Ed25519 seed of ``Slot.key``; None in a slot of keystore format 1


@dataclass(frozen=True, eq=False)  # holds secrets, which are not compared
class HeldFactor:
    """A slot that was opened a while ago, and what it holds but for the root key: opens that slot again, as long as the keystore has it unchanged."""

    slot: Slot
    payload: Payload = field(repr=False)


Factor = PassphraseFactor | KeyFileFactor | HeldFactor


def new_slot(
    factor: Factor, *, principal: str, role: Role, administers: bool, profile: Argon2Profile, random: RandomBytes
) -> Slot:
    """A slot of the factor's kind, without key and not yet sealed. Raises as ``Slot``."""
    by_passphrase = isinstance(factor, PassphraseFactor)
    return Slot(
        slot_id=random(ID_BYTES),
        kind=SlotKind.ARGON2ID if by_passphrase else SlotKind.KEYFILE,
        principal=principal,
        role=role,
        administers=administers,
        profile=profile if by_passphrase else None,
        salt=random(KDF_SALT_BYTES) if by_passphrase else b"",
    )


def seal_payload(slot: Slot, factor: Factor, payload: Payload, *, vault_id: bytes, random: RandomBytes) -> bytes:
    """The slot's ``sealed`` bytes."""
    fields: list[str | bytes] = [_PAYLOADS[2 if payload.seed else 1], payload.verify_key]
    fields.append(payload.root.reveal() if payload.root else b"")
    if payload.seed:
        fields.append(payload.seed.reveal())
    for branch in sorted(payload.branch_keys):
        fields += [branch, payload.branch_keys[branch].reveal()]
    key = _slot_key(slot, factor, vault_id)
    return seal_chunks(key, slot.context(vault_id), encode_context(*fields), salt=random(SEAL_SALT_BYTES), label=LABEL)


def open_payload(slot: Slot, factor: Factor, *, vault_id: bytes) -> Payload:
    """Open a slot's payload, for exactly the branches of its role.

    Raises:
        IntegrityError: ``commitment_mismatch`` (the wrong factor, or the slot's public fields were changed), ``seal_broken``,
            ``blob_truncated``, ``slot_malformed``.
        UnavailableError: ``memory_short``.
    """
    if isinstance(factor, HeldFactor):
        if factor.slot != slot:
            raise IntegrityError("commitment_mismatch", "this is not what was opened")
        return factor.payload
    raw = open_chunks(_slot_key(slot, factor, vault_id), slot.context(vault_id), slot.sealed, label=LABEL)
    fields = decode_context(raw)
    version = 2 if slot.key else 1
    first = 2 + version  # of the branches: after label, verifying key, root and, in version 2, the seed
    expected = sorted(branches_of(slot.role, keystore_format=version))
    keys = fields[first + 1 :: 2]
    well_formed = (
        len(fields) == first + 2 * len(expected)
        and fields[0] == _PAYLOADS[version].encode()
        and fields[first::2] == [branch.encode() for branch in expected]
        and all(len(key) == KEY_BYTES for key in [fields[1], *fields[3:first], *keys])
        and len(fields[2]) == (KEY_BYTES if slot.administers else 0)
    )
    if not well_formed:
        raise IntegrityError("slot_malformed", "an unlock slot does not hold the keys of its role")
    seed = Secret(fields[3]) if version == 2 else None
    if seed is not None and SigningKey(seed).public != slot.key:
        raise IntegrityError("slot_malformed", "an unlock slot does not hold the key that it names")
    return Payload(
        verify_key=fields[1],
        root=Secret(fields[2]) if slot.administers else None,
        branch_keys={branch: Secret(key) for branch, key in zip(expected, keys, strict=True)},
        seed=seed,
    )


def _slot_key(slot: Slot, factor: Factor, vault_id: bytes) -> bytes:
    """Derive the slot's own key: another vault or slot of the same factor has another one. Raises UnavailableError ``factor_needed``."""
    if isinstance(factor, HeldFactor):
        raise UnavailableError("factor_needed", "a slot is sealed with its passphrase or key file", hint="give it")
    if isinstance(factor, PassphraseFactor):
        stretched = argon2id(factor.passphrase, slot.salt, slot.profile or Argon2Profile.DEFAULT)
    else:
        stretched = factor.key
    return hkdf_expand_sha256(stretched.reveal(), encode_context("genovault/slot-key/v1", vault_id, slot.slot_id), KEY_BYTES)
