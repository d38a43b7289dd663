"""Releases as their recipients check them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from vault.extracts.manifest import FileEntry
from vault.extracts.verification import key_fingerprint


def pinned(vault) -> dict[str, object]:
    """The keys of an unlocked vault that a recipient has been given, as arguments of ``verify_release``."""
    return {
        "log_keys": vault.trail.log_keys(),
        "release_keys": [key_fingerprint(public) for public in vault.release_keys().values()],
    }


def file_entry(path: Path, *, file_format: str) -> FileEntry:
    """What a manifest says of a finished file."""
    data = path.read_bytes()
    return FileEntry(name=path.name, format=file_format, bytes=len(data), sha256=sha256(data).hexdigest())
