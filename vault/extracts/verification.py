"""Checking a release's folder offline, with nothing but public keys that were had by another way than the folder.

Both keys are needed. Whoever may append to the log could name any manifest there, and engines hold the log's signing key; manifests
are signed by the release key, which stewards alone hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.audit.actions import Action, Outcome
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
    release_key: str  # the one of the release keys that signed the manifest


def verify_release(folder: Path, *, log_keys: Sequence[VerifierKey], release_keys: Sequence[str]) -> VerifiedRelease:
    """Check a release's folder with the log's public keys and fingerprints of release keys: present ones, and earlier ones for earlier releases.

    1 the receipt proves an entry of the log; 2 the manifest is signed by one of the release keys; 3 the entry says that this very release
    was made, and names this manifest; 4 every file is the one that the manifest names.

    Raises:
        InputError: ``file_unreadable``. IntegrityError: what does not hold, among them ``manifest_key`` (signed by none of the release
            keys) and ``manifest_not_logged``.
    """
    manifest, receipt = _bytes(folder / MANIFEST_NAME, MAX_MANIFEST_BYTES), _bytes(folder / RECEIPT_NAME, MAX_NOTE_BYTES)
    log_key, proven = _proven(receipt.decode(errors="replace"), log_keys)
    signer = signer_of(manifest)
    if key_fingerprint(signer.public) not in release_keys:
        raise IntegrityError("manifest_key", "the manifest is signed by none of the release keys of this vault")
    found = verify_manifest(manifest, signer.public)
    _require_entry_of(found, sha256(manifest), decode_leaf(proven.leaf), log_key.name)
    verify_files(found, folder)
    return VerifiedRelease(found, proven.index, proven.checkpoint.size, log_key, signer.to_text())


def key_fingerprint(public: bytes) -> str:
    """Fingerprint of a release key: SHA-256 in hex of its 32 bytes."""
    return sha256(public).hex()


def _require_entry_of(manifest: Manifest, digest: bytes, entry: Mapping[str, Any], origin: str) -> None:
    """Raises IntegrityError ``manifest_not_logged`` unless the entry says that this release was made, with this manifest."""
    wanted = {
        "act": Action.EXTRACT_OUTCOME.value,
        "outcome": Outcome.DONE.value,
        "obj": {"kind": "release", "ref": manifest.release},
        "project": manifest.project,
        "req": manifest.request,
        "blobs": {"n": 1, "list": blob_list_digest([digest]).hex()},
    }
    wrong = [field for field, value in wanted.items() if entry.get(field) != value]
    if manifest.log != origin:
        wrong.append("log")
    if wrong:
        what = "another manifest" if "blobs" in wrong else "something else than this release"
        raise IntegrityError("manifest_not_logged", f"the log's entry is about {what} (it differs in {', '.join(wrong)})")


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
