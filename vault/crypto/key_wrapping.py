"""Wrapping of stored keys under an epoch of a branch, bound to owner and purpose (``docs/formats/keys.md`` §4).

::

    wrapped (60 bytes) = nonce 12 ‖ AES-256-GCM(wrapping key, nonce, key 32, AAD) with tag 16
    AAD                = context("genovault/dek/v1", vault id, key id, subject id, epoch, purpose)
    wrapping key       = HKDF-Expand-SHA256(epoch key, context("genovault/kek/v1", branch), 32)

For a key that is not one person's, the id of its owner (part, project, vault) stands in the place of the subject id. Nonces are random,
so one epoch must stay below ``limits.MAX_KEK_WRAPS`` wraps, which ``vault.session.key_usage`` counts. No SQL here: bytes in, bytes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from vault.crypto.context import SHORT_LENGTH, encode_context
from vault.crypto.keyring import Branch
from vault.crypto.primitives import KEY_BYTES, NONCE_BYTES, TAG_BYTES, AesGcm, hkdf_expand_sha256
from vault.crypto.secret import Secret
from vault.errors import IntegrityError, UsageError
from vault.ids import RandomBytes, draw

WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES


class KeyPurpose(StrEnum):
    """Purpose of a stored key, bound into its wrap: no key stands in for one of another purpose."""

    GENOTYPE = "genotype"  # per subject: the root of the subject's block keys
    IDENTITY = "identity"  # per subject: name, MRN, sample ids
    REFERENCE_INDEX = "reference-index"  # a version for some people each: keyed hashes from MRN or sample id to subject
    PSEUDONYM_SALT = "pseudonym-salt"  # per subject
    AUDIT_SALT = "audit-salt"  # per subject: without it the log cannot be tied to the person
    SITE_TABLE = "site-table"  # per version of a chunk's site table
    LENGTH_TABLE = "length-table"  # per container
    PART = "part"  # per import
    PANEL = "panel"  # per panel build
    PROJECT = "project"  # per project: pseudonym key
    RELEASE = "release"  # per release: pseudonym and order key
    BOOKS = "books"  # sealed columns of the books
    HANDLE = "handle"  # one: derives the handles shown instead of subject ids
    JOB = "job"  # per unfinished erasure: its remaining steps


PURPOSE_BRANCH: Mapping[KeyPurpose, Branch] = MappingProxyType(
    {
        KeyPurpose.GENOTYPE: Branch.GENOTYPE,
        KeyPurpose.IDENTITY: Branch.IDENTITY,
        KeyPurpose.REFERENCE_INDEX: Branch.IDENTITY,
        KeyPurpose.PSEUDONYM_SALT: Branch.PSEUDONYM,
        # Writers of the log compute tokens, auditors must not: so not under audit-read.
        KeyPurpose.AUDIT_SALT: Branch.PSEUDONYM,
        KeyPurpose.SITE_TABLE: Branch.GENOTYPE,
        KeyPurpose.LENGTH_TABLE: Branch.GENOTYPE,
        KeyPurpose.PART: Branch.GENOTYPE,
        KeyPurpose.PANEL: Branch.GENOTYPE,
        KeyPurpose.PROJECT: Branch.PSEUDONYM,
        KeyPurpose.RELEASE: Branch.PSEUDONYM,
        KeyPurpose.BOOKS: Branch.BOOKS,
        # Handles outlive the index key, which is renewed with every erasure.
        KeyPurpose.HANDLE: Branch.IDENTITY,
        KeyPurpose.JOB: Branch.IDENTITY,
    }
)


@dataclass(frozen=True)
class WrapContext:
    """Context shared by the wraps of one bulk call."""

    vault_id: bytes  # 16 bytes
    epoch: int  # of the purpose's branch
    purpose: KeyPurpose


def wrapping_key(epoch_key: Secret, branch: Branch) -> AesGcm:
    """Derive the AEAD that wraps keys under an epoch; the epoch's own bytes are never used as a cipher key."""
    return AesGcm(hkdf_expand_sha256(epoch_key.reveal(), encode_context("genovault/kek/v1", branch), KEY_BYTES))


def wrap(kek: AesGcm, context: WrapContext, *, key_id: bytes, key: bytes, random: RandomBytes, subject_id: bytes = b"") -> bytes:
    """Wrap a 32-byte key in 60 bytes."""
    return wrap_many(kek, context, [key_id], [subject_id], [key], random=random)[0]


def unwrap(kek: AesGcm, context: WrapContext, *, key_id: bytes, wrapped: bytes, subject_id: bytes = b"") -> bytes:
    """Unwrap a 32-byte key.

    Raises:
        IntegrityError: ``seal_broken``: another key, subject, epoch, purpose or vault, or altered bytes.
    """
    return unwrap_many(kek, context, [key_id], [subject_id], [wrapped])[0]


def wrap_many(
    kek: AesGcm,
    context: WrapContext,
    key_ids: Sequence[bytes],
    subject_ids: Sequence[bytes],
    keys: Sequence[bytes],
    *,
    random: RandomBytes,
) -> list[bytes]:
    """Wrap many keys, in order; see ``wrap``.

    Raises:
        UsageError: ``key_length``.
    """
    if not {KEY_BYTES}.issuperset(map(len, keys)):
        raise UsageError("key_length", "a wrapped key has 32 bytes")
    nonces = draw(random, len(keys), NONCE_BYTES)
    return kek.seal_many(zip(nonces, keys, _contexts(context, key_ids, subject_ids), strict=True))


def unwrap_many(
    kek: AesGcm, context: WrapContext, key_ids: Sequence[bytes], subject_ids: Sequence[bytes], wrapped: Sequence[bytes]
) -> list[bytes]:
    """Unwrap many keys, in order; one bad wrap fails the whole call. Raises as ``unwrap``."""
    if not {WRAPPED_BYTES}.issuperset(map(len, wrapped)):
        raise IntegrityError("seal_broken", "a wrapped key does not have 60 bytes")
    contexts = zip(wrapped, _contexts(context, key_ids, subject_ids), strict=True)
    return kek.open_many((seal[:NONCE_BYTES], seal[NONCE_BYTES:], aad) for seal, aad in contexts)


def block_key(genotype_key: bytes, dataset_id: bytes) -> bytes:
    """Derive the 32-byte key of one subject's blocks in one dataset (or panel build)."""
    return hkdf_expand_sha256(genotype_key, encode_context("genovault/block/v1", dataset_id), KEY_BYTES)


def block_keys(genotype_keys: Iterable[bytes], dataset_id: bytes) -> list[bytes]:
    """Derive block keys of many genotype keys, in order; see ``block_key``."""
    info = encode_context("genovault/block/v1", dataset_id)
    return [hkdf_expand_sha256(key, info, KEY_BYTES) for key in genotype_keys]


def personal_key(genotype_key: bytes, part_id: bytes, use: str) -> bytes:
    """Derive a 32-byte key of one subject's own part. ``use``: ``sealed`` (index, site tables, length tables) or ``track``."""
    return hkdf_expand_sha256(genotype_key, encode_context("genovault/personal/v1", part_id, use), KEY_BYTES)


def _contexts(context: WrapContext, key_ids: Sequence[bytes], subject_ids: Sequence[bytes]) -> Iterator[bytes]:
    """Encode the context of each wrap. What all wraps of a call share is encoded once: a cohort has thousands."""
    before, after = encode_context("genovault/dek/v1", context.vault_id), encode_context(context.epoch, context.purpose)
    lengths, join = SHORT_LENGTH, b"".join
    return (
        join((before, lengths[len(key_id)], key_id, lengths[len(subject_id)], subject_id, after))
        for key_id, subject_id in zip(key_ids, subject_ids, strict=True)
    )
