"""Evidence of what is recorded: a file that somebody keeps, by its SHA-256, or the digest itself."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from vault.errors import InputError
from vault.files.csv_sheets import BadField
from vault.files.given_files import open_regular
from vault.limits import MAX_EVIDENCE_BYTES


def digest_of(evidence: str) -> str:
    """SHA-256 of the evidence in hex: the text itself, or the digest of the file that it names. Raises InputError ``bad_evidence``."""
    try:
        return evidence_digest(evidence)
    except BadField as error:
        raise InputError("bad_evidence", f"the evidence {error}") from None


def evidence_digest(value: str) -> str:
    """SHA-256 in hex: the value itself, or the digest of the file at that path. Raises BadField."""
    if re.fullmatch(r"[0-9a-f]{64}", value):
        return value
    try:
        with open_regular(Path(value)) as file:
            if os.fstat(file.fileno()).st_size > MAX_EVIDENCE_BYTES:
                raise BadField(f"names a file of more than {MAX_EVIDENCE_BYTES >> 30} GiB")
            digest = hashlib.sha256()
            for piece in iter(lambda: file.read(1 << 20), b""):
                digest.update(piece)
            return digest.hexdigest()
    except (OSError, ValueError):  # ValueError: a NUL in the path
        raise BadField("is neither a SHA-256 nor a file that can be read") from None
