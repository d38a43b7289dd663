"""genovault: a privacy-preserving genetic data vault. The Python API for programs beside the vault and for notebooks.

    import vault
    with vault.open("v", key_file="engine.key") as v:
        view = v.view(project="demo", dataset="cohort", panel="pgx")

Importing this package loads nothing heavy: opening a vault does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vault.errors import GenovaultError, InputError, IntegrityError, RefusedError, UnavailableError, UsageError

if TYPE_CHECKING:
    from vault.api import Vault

__all__ = [
    "GenovaultError",
    "InputError",
    "IntegrityError",
    "RefusedError",
    "UnavailableError",
    "UsageError",
    "open",
]


def open(  # noqa: A001 - the name that programs rely on (docs/python-api.md)
    path: str | os.PathLike[str],
    *,
    principal: str | None = None,
    passphrase: str | None = None,
    key_file: str | os.PathLike[str] | None = None,
) -> Vault:
    """Unlock the vault in a folder, as ``principal`` (default: the only one), with a passphrase or a key file.

    Use as a context manager. Raises the errors of ``vault.errors``, nothing else.
    """
    from vault.api import open_vault  # noqa: PLC0415 - importing the package must stay light

    return open_vault(path, principal=principal, passphrase=passphrase, key_file=key_file)
