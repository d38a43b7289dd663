"""A notice as a file that is sent to recipients (notice/1): which pseudonyms to drop from a release, how, and by when.

It holds pseudonyms and nothing that leads to a person. The format is in docs/formats/extract.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vault.audit.note import Signer
from vault.extracts.signed_file import MAX_SIGNED_FILE_BYTES, SignedFile
from vault.files.given_files import read_given

LABEL = "pseudonymised personal data"
NOTICE = SignedFile(
    "notice",
    frozenset({"label", "notice", "revision", "project", "concerns", "to", "created", "due", "drops", "called_off"}),
)


def sign_notice(said: Mapping[str, Any], log: str, signing_key: Signer) -> bytes:
    """The bytes of a notice's file. ``said``: all of its fields but the label."""
    return NOTICE.sign({"label": LABEL, **said}, log, signing_key)


def verify_notice(path: Path, release_keys: Sequence[str]) -> dict[str, Any]:
    """The notice in a file, once its signature by one of the release keys holds. ``release_keys``: fingerprints.

    Raises:
        InputError: ``file_unreadable``, ``file_too_large``. IntegrityError: as ``SignedFile.verify``.
    """
    return NOTICE.verify(read_given(path, limit=MAX_SIGNED_FILE_BYTES, name=path.name), release_keys)
