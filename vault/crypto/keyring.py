"""Branches, roles and the keyring (``docs/formats/keys.md`` §3).

A branch is one independent line of keys, a numbered epoch one random 32-byte key of it. Branches share nothing: one tells
nothing of another. The branch decides the use of an epoch's 32 bytes:

========================  =========================================================================
genotype, identity,       root of the branch's key-wrapping key (``wrapping_key``) and of
books, pseudonym          blobs sealed straight under the branch
audit-read                X25519 private key: anyone seals to its public half, only auditors open
log-sign, release-sign    Ed25519 seed
log-append                HMAC key of the log's head: every role that acts holds it, so that only sessions append
========================  =========================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NoReturn, SupportsIndex, final

from vault.crypto.context import decode_context, encode_context
from vault.crypto.primitives import KEY_BYTES, SigningKey, hpke_public
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UnavailableError


class Branch(StrEnum):
    """An independent line of keys."""

    GENOTYPE = "genotype"
    IDENTITY = "identity"
    BOOKS = "books"
    PSEUDONYM = "pseudonym"
    AUDIT_READ = "audit-read"
    LOG_SIGN = "log-sign"
    RELEASE_SIGN = "release-sign"
    LOG_APPEND = "log-append"


class Role(StrEnum):
    """Role of a principal; it decides which branches the principal's slots wrap."""

    STEWARD = "steward"
    AUDITOR = "auditor"
    ENGINE = "engine"
    CUSTODIAN = "custodian"
    RESEARCHER = "researcher"
    SERVICE = "service"


ROLE_BRANCHES: Mapping[Role, frozenset[Branch]] = MappingProxyType(
    {
        Role.STEWARD: frozenset(Branch),
        Role.AUDITOR: frozenset({Branch.AUDIT_READ, Branch.LOG_APPEND}),
        # Opens genotypes under project pseudonyms and signs what it logged; can name nobody.
        Role.ENGINE: frozenset({Branch.GENOTYPE, Branch.BOOKS, Branch.PSEUDONYM, Branch.LOG_SIGN, Branch.LOG_APPEND}),
        # The second person of a re-identification: knows who people are, sees no genotype.
        Role.CUSTODIAN: frozenset({Branch.IDENTITY, Branch.BOOKS, Branch.PSEUDONYM, Branch.LOG_SIGN, Branch.LOG_APPEND}),
        Role.RESEARCHER: frozenset(),
        # A server: what it gives it opens and signs, in the name of people without keys; it can name nobody and reads no log.
        Role.SERVICE: frozenset(
            {Branch.GENOTYPE, Branch.BOOKS, Branch.PSEUDONYM, Branch.LOG_SIGN, Branch.LOG_APPEND, Branch.RELEASE_SIGN}
        ),
    }
)
FORMAT_BRANCHES: Mapping[int, frozenset[Branch]] = MappingProxyType(
    {1: frozenset(Branch) - {Branch.LOG_APPEND}, 2: frozenset(Branch)}
)
"""The branches that a keystore of each format has."""
PUBLIC_BRANCHES = (Branch.AUDIT_READ, Branch.LOG_SIGN, Branch.RELEASE_SIGN)  # epochs that have a public half


def branches_of(role: Role, *, keystore_format: int) -> frozenset[Branch]:
    """The branches that a slot of a role wraps in a keystore of a format."""
    return ROLE_BRANCHES[role] & FORMAT_BRANCHES[keystore_format]


@final
class Keyring:
    """Open branches of one unlocked vault: for each, its epochs by number. Immutable; prints only names and numbers."""

    __slots__ = ("_branches",)

    def __init__(self, branches: Mapping[Branch, Mapping[int, Secret]]) -> None:
        self._branches = {branch: dict(epochs) for branch, epochs in branches.items()}

    def has(self, branch: Branch) -> bool:
        """True if the branch is open."""
        return branch in self._branches

    def current(self, branch: Branch) -> tuple[int, Secret]:
        """Newest epoch (number, key), to write with.

        Raises:
            UnavailableError: ``branch_closed``.
        """
        epochs = self._open(branch)
        number = max(epochs)
        return number, epochs[number]

    def epoch(self, branch: Branch, number: int) -> Secret:
        """Key of a numbered epoch, to read with.

        Raises:
            UnavailableError: ``branch_closed``; ``epoch_gone``: destroyed, or not yet known to this process.
        """
        epochs = self._open(branch)
        if number not in epochs:
            raise UnavailableError("epoch_gone", f"epoch {number} of the {branch} keys is not in the keystore")
        return epochs[number]

    def epochs(self, branch: Branch) -> tuple[int, ...]:
        """Numbers of the epochs held, ascending. Raises UnavailableError ``branch_closed``."""
        return tuple(sorted(self._open(branch)))

    def _open(self, branch: Branch) -> dict[int, Secret]:
        if branch not in self._branches:
            raise UnavailableError("branch_closed", f"the {branch} keys are not open to this role")
        return self._branches[branch]

    def __repr__(self) -> str:
        return f"Keyring({', '.join(f'{branch}: {self.epochs(branch)}' for branch in sorted(self._branches))})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a Keyring is not pickled")


def encode_epochs(epochs: Mapping[int, Secret]) -> bytes:
    """Encode the plaintext of a branch's keyring."""
    fields: list[str | bytes | int] = ["genovault/keyring-payload/v1"]
    for number in sorted(epochs):
        fields += [number, epochs[number].reveal()]
    return encode_context(*fields)


def decode_epochs(raw: bytes) -> dict[int, Secret]:
    """Decode the epochs of an authenticated keyring plaintext.

    Raises:
        IntegrityError: ``keyring_malformed``.
    """
    label, *fields = decode_context(raw) or [b""]
    numbers = [int.from_bytes(field, "big") for field in fields[::2]]
    keys = fields[1::2]
    ordered = numbers == sorted(set(numbers)) and len(numbers) == len(keys) > 0
    if label != b"genovault/keyring-payload/v1" or not ordered or any(len(key) != KEY_BYTES for key in keys):
        raise IntegrityError("keyring_malformed", "a keyring does not have a known form")
    return {number: Secret(key) for number, key in zip(numbers, keys, strict=True)}


def public_half(branch: Branch, key: Secret) -> bytes:
    """Compute the 32-byte public key of an epoch of one of ``PUBLIC_BRANCHES``."""
    return hpke_public(key) if branch is Branch.AUDIT_READ else SigningKey(key).public
