"""Pseudonyms of subjects within a project: a keyed function of the random subject id and the subject's own salt.

Stable within a project by default; random per release where the project says so. Destroying the project's key, or a subject's
salt, makes them impossible to recompute (``docs/design/pseudonyms.md`` §2; both optional secrets of the construction are always used).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vault.crypto.primitives import HmacSha256
from vault.crypto.secret import Secret
from vault.ids import Pseudonym, SubjectId
from vault.subjects import bech32m


def pseudonyms(
    key: bytes, *, domain: str, prefix: str, subjects: Sequence[SubjectId], salts: Mapping[bytes, bytes] | None
) -> list[Pseudonym]:
    """Compute the subjects' pseudonyms, in their order.

    ``key``: 32 bytes of the project (or release). ``domain``: "project:CODE" or "release:ID". ``salts``: each subject's 32-byte
    salt; None leaves it out and exists for the published vectors alone.
    """
    start = _field(b"psn-v1") + _field(domain.encode())
    tags, mac = bytearray(), HmacSha256(Secret(key))
    for subject in subjects:
        message = start + _field(subject)
        if salts is not None:
            message += _field(salts[subject])
        tags += mac.digest(message)
    matrix = np.frombuffer(bytes(tags), np.uint8).reshape(len(subjects), 32)
    return [Pseudonym(text) for text in bech32m.encode(prefix, matrix)]


def _field(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value
