"""genovault: a privacy-preserving genetic data vault. The Python API for programs beside the vault and for notebooks.

    import vault
    with vault.open("v", key_file="engine.key") as v:
        view = v.view(project="demo", dataset="cohort", panel="pgx")

Importing this package loads nothing heavy: opening a vault does.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from vault.errors import GenovaultError, InputError, IntegrityError, RefusedError, UnavailableError, UsageError

if TYPE_CHECKING:
    from vault.api import Vault
    from vault.views.view import View

__all__ = [
    "GenovaultError",
    "InputError",
    "IntegrityError",
    "RefusedError",
    "UnavailableError",
    "UsageError",
    "Vault",
    "View",
    "open",
]
_HEAVY = {"Vault": "vault.api", "View": "vault.views.view"}  # imported where they are asked for, by help() or a program


def __dir__() -> list[str]:
    return sorted({*globals(), *_HEAVY})


def __getattr__(name: str) -> type:
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: type = getattr(importlib.import_module(_HEAVY[name]), name)
    return found


def open(  # noqa: A001 - the name that programs rely on (docs/python-api.md)
    path: str | os.PathLike[str],
    *,
    principal: str | None = None,
    passphrase: str | None = None,
    key_file: str | os.PathLike[str] | None = None,
) -> Vault:
    """Unlock the vault in a folder and finish or undo what a killed process left there.

    Args:
        path: the vault's folder.
        principal: name whose slot is opened; default: the only one.
        passphrase: passphrase of the slot, or
        key_file: path of the slot's key file. Exactly one of the two.

    Raises:
        UsageError: ``factor_needed``. UnavailableError: ``no_vault``, ``cannot_unlock``, a database or anchor does not answer.
        IntegrityError: stored data was altered, or an anchor has seen a newer log.
    """
    from vault.api import open_vault  # noqa: PLC0415 - importing the package must stay light

    return open_vault(path, principal=principal, passphrase=passphrase, key_file=key_file)
