"""Checking a release's folder offline, with nothing but public keys that were had by another way than the folder.

Both keys are needed. Whoever may append to the log could name any manifest there, and engines hold the log's signing key; manifests
are signed by the release key, which stewards alone hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vault.audit.actions import Action, Outcome
from vault.audit.entry import blob_list_digest, decode_leaf
from vault.audit.note import VerifierKey
from vault.audit.receipt import Proven, verify_receipt
from vault.crypto.crypt4gh_keys import MAX_KEY_FILE_BYTES, fingerprint, parse_private_key
from vault.crypto.key_agreement import ExchangeKey
from vault.crypto.primitives import sha256
from vault.errors import InputError, IntegrityError
from vault.extracts.crypt4gh_reading import read_sealed
from vault.extracts.manifest import (
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    Content,
    Manifest,
    Sealing,
    signer_of,
    verify_files,
    verify_manifest,
)
from vault.extracts.release_folder import RECEIPT_NAME
from vault.files.given_files import ExposedError, open_regular, read_given, read_secret
from vault.files.plain_text import printable
from vault.limits import MAX_NOTE_BYTES


@dataclass(frozen=True)
class VerifiedRelease:
    """A release's folder that passed every check."""

    manifest: Manifest
    index: int
    log_size: int
    log_key: VerifierKey  # the one of the log's keys that signed the receipt
    release_key: str  # the one of the release keys that signed the manifest
    opened: tuple[str, ...] = ()  # sealed files that were opened and hold what the manifest says


def verify_release(
    folder: Path, *, log_keys: Sequence[VerifierKey], release_keys: Sequence[str], reader: ExchangeKey | None = None
) -> VerifiedRelease:
    """Check a release's folder with the log's public keys and fingerprints of release keys: present ones, and earlier ones for earlier releases.

    1 the receipt proves an entry of the log; 2 the manifest is signed by one of the release keys; 3 the entry says that this very release
    was made, and names this manifest; 4 every file is the one that the manifest names; 5 with a ``reader``'s key, every sealed file holds what
    the manifest says. Nothing that is opened is written anywhere.

    Raises:
        InputError: ``file_unreadable``; ``not_a_recipient``: the files are sealed for other keys than the reader's; ``nothing_sealed``.
        IntegrityError: what does not hold, among them ``manifest_key`` (signed by none of the release
            keys), ``manifest_not_logged``, and ``content_differs`` (of a sealed file); as ``read_sealed``.
    """
    manifest, receipt = _bytes(folder / MANIFEST_NAME, MAX_MANIFEST_BYTES), _bytes(folder / RECEIPT_NAME, MAX_NOTE_BYTES)
    log_key, proven = _proven(receipt.decode(errors="replace"), log_keys)
    signer = signer_of(manifest)
    if key_fingerprint(signer.public) not in release_keys:
        raise IntegrityError("manifest_key", "the manifest is signed by none of the release keys of this vault")
    found = verify_manifest(manifest, signer.public)
    _require_entry_of(found, sha256(manifest), decode_leaf(proven.leaf), log_key.name)
    verify_files(found, folder)
    opened = () if reader is None else _verify_contents(found, folder, reader)
    return VerifiedRelease(found, proven.index, proven.checkpoint.size, log_key, signer.to_text(), opened)


def private_key(path: Path, *, passphrase: Callable[[], str]) -> ExchangeKey:
    """The key of a recipient's private key file. ``passphrase`` is asked if the file is locked.

    Raises:
        InputError: ``key_unreadable``, ``key_exposed``: others may read it; as ``parse_private_key``.
    """
    try:
        return parse_private_key(read_secret(path, limit=MAX_KEY_FILE_BYTES), passphrase=passphrase)
    except ExposedError as error:
        raise InputError("key_exposed", f"the private key {path.name} {error.strerror}", hint=f"chmod 600 {path.name}") from None
    except OSError as error:
        raise InputError("key_unreadable", f"{path.name}: {error.strerror or 'cannot be read'}", hint="check the path") from None


def key_fingerprint(public: bytes) -> str:
    """Fingerprint of a release key: SHA-256 in hex of its 32 bytes."""
    return sha256(public).hex()


def _verify_contents(manifest: Manifest, folder: Path, reader: ExchangeKey) -> tuple[str, ...]:
    """Open every sealed file; their names. Raises as ``verify_release``."""
    sealing, own = manifest.crypt4gh, fingerprint(reader.public)
    if sealing is None:
        raise InputError("nothing_sealed", "no file of this release is sealed: it needs no private key", hint="leave out --sk")
    if own not in {recipient.fingerprint for recipient in sealing.recipients}:
        raise _not_a_recipient(sealing, own)
    opened = []
    for entry in manifest.files:
        if entry.plain is not None:
            if _content(folder / entry.name, reader) != entry.plain:
                raise IntegrityError("content_differs", f"{entry.name} does not hold what the manifest says")
            opened.append(entry.name)
    return tuple(opened)


def _content(path: Path, reader: ExchangeKey) -> Content:
    digest, size = hashlib.sha256(), 0
    try:
        with open_regular(path) as file:
            for piece in read_sealed(file, reader):
                digest.update(piece)
                size += len(piece)
    except OSError:
        raise InputError("file_unreadable", f"{path.name} cannot be read") from None
    return Content(bytes=size, sha256=digest.hexdigest())


def _not_a_recipient(sealing: Sealing, own: str) -> InputError:
    named = ", ".join(f"{one.name} (key {one.fingerprint[:16]}…)" for one in sealing.recipients)
    message = f"the files are encrypted for {printable(named)}; you hold key {own[:16]}…"
    return InputError("not_a_recipient", message, hint="give the private key whose fingerprint the manifest names")


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
