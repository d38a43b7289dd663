"""Checking a release's folder offline, with nothing but the log's public key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vault.audit.entry import blob_list_digest, decode_leaf
from vault.audit.note import VerifierKey
from vault.audit.receipt import Proven, verify_receipt
from vault.crypto.primitives import sha256
from vault.errors import InputError, IntegrityError
from vault.extracts.manifest import MANIFEST_NAME, MAX_MANIFEST_BYTES, Manifest, signer_of, verify_files, verify_manifest
from vault.extracts.release_folder import RECEIPT_NAME
from vault.files.given_files import read_given
from vault.limits import MAX_NOTE_BYTES


@dataclass(frozen=True)
class VerifiedRelease:
    """A release's folder that passed every check."""

    manifest: Manifest
    index: int
    log_size: int
    log_key: VerifierKey  # the one of the log's keys that signed the receipt
    release_key: str  # the key that signed the manifest; the log's entry vouches for the manifest itself


def verify_release(folder: Path, *, log_keys: Sequence[VerifierKey]) -> VerifiedRelease:
    """Check a release's folder with nothing but the log's public keys: the present one, and earlier ones for earlier releases.

    1 the receipt proves an entry of the log; 2 that entry names this very manifest; 3 the manifest's own signature holds;
    4 every file is the one that the manifest names.

    Raises:
        InputError: ``file_unreadable``. IntegrityError: what does not hold, among them ``manifest_not_logged``.
    """
    manifest, receipt = _bytes(folder / MANIFEST_NAME, MAX_MANIFEST_BYTES), _bytes(folder / RECEIPT_NAME, MAX_NOTE_BYTES)
    log_key, proven = _proven(receipt.decode(errors="replace"), log_keys)
    stated = decode_leaf(proven.leaf).get("blobs")
    if stated != {"n": 1, "list": blob_list_digest([sha256(manifest)]).hex()}:
        raise IntegrityError("manifest_not_logged", "the log's entry is about another manifest than this one")
    signer = signer_of(manifest)
    found = verify_manifest(manifest, signer.public)
    verify_files(found, folder)
    return VerifiedRelease(found, proven.index, proven.checkpoint.size, log_key, signer.to_text())


def _proven(receipt: str, log_keys: Sequence[VerifierKey]) -> tuple[VerifierKey, Proven]:
    """(log key, proven leaf) of the receipt. Raises IntegrityError: the first key's objection where it holds under none."""
    objection: IntegrityError | None = None
    for key in log_keys:
        try:
            return key, verify_receipt(receipt, None, key.name, [key])
        except IntegrityError as error:
            objection = objection or error
    raise objection or IntegrityError("no_log_key", "no key of the log is given")


def _bytes(path: Path, limit: int) -> bytes:
    try:
        return read_given(path, limit=limit, name=path.name)
    except InputError as error:
        raise InputError(error.code, error.message, hint="name the manifest.json of a release") from None
