"""Acts that commands about the log share: signing what is new, and writing a file that is there whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from vault.errors import UnavailableError

if TYPE_CHECKING:
    from vault.session.unlocked_vault import UnlockedVault


def sign(vault: UnlockedVault) -> None:
    """Sign the newest entries too. An auditor holds no signing key, and works with what a steward signed."""
    with suppress(UnavailableError):
        vault.trail.checkpoint()


def written(dest: Path, write: Callable[[TextIO], int]) -> int:
    """Write a new file; the value that ``write`` returned. Raises as ``new_text_file``."""
    from vault.files.private_files import new_text_file

    with new_text_file(dest) as stream:
        return write(stream)
