"""Digest of the files of an import: the same batch is known again by it, and a steward can compare it with ``sha256sum``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from vault.files.given_files import open_regular

_BESIDE = (".psam", ".pvar", ".pvar.zst", ".pvar.gz")  # of a .pgen


def source_digest(files: Sequence[Path]) -> str | None:
    """Lower-case hex SHA-256 of the one file, or of the ascending digests of several; None if one cannot be read a second time."""
    named = [*files, *(beside for file in files if file.suffix == ".pgen" for beside in _companions(file))]
    digests = []
    for file in named:
        with suppress(OSError), open_regular(file) as handle:
            digests.append(hashlib.file_digest(handle, "sha256").digest())
    if not digests or len(digests) != len(named):
        return None
    return digests[0].hex() if len(digests) == 1 else hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def _companions(file: Path) -> list[Path]:
    return [beside for suffix in _BESIDE if (beside := file.with_suffix(suffix)).is_file()]
