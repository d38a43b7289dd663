"""genovault: a privacy-preserving genetic data vault. The Python API for programs beside the vault and for notebooks.

    import vault
    with vault.open("v", key_file="engine.key") as v:
        view = v.view(project="demo", dataset="cohort", panel="pgx")
    with vault.connect("https://vault.example:8420", token=token) as c:  # behind a server: no key of the vault's is at hand
        rows = c.panel("demo", dataset="cohort", name="pgx").genotypes()

Importing this package loads nothing heavy: opening a vault does.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from vault.errors import GenovaultError, InputError, IntegrityError, RefusedError, UnavailableError, UsageError

if TYPE_CHECKING:
    from vault.api import Vault
    from vault.client.served_vault import ServedVault
    from vault.views.view import View

__all__ = [
    "GenovaultError",
    "InputError",
    "IntegrityError",
    "RefusedError",
    "ServedVault",
    "UnavailableError",
    "UsageError",
    "Vault",
    "View",
    "connect",
    "open",
]
_HEAVY = {
    "ServedVault": "vault.client.served_vault",
    "Vault": "vault.api",
    "View": "vault.views.view",
}  # imported where they are asked for, by help() or a program


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


def connect(
    url: str,
    *,
    token: str,
    unix: str | os.PathLike[str] | None = None,
    certificate: str | os.PathLike[str] | None = None,
    client_certificate: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None,
    timeout: float = 60.0,
) -> ServedVault:
    """Reach a vault behind a server (``genovault serve``); nothing is asked yet. Needs the extra ``client``.

    Args:
        url: the server's origin, ``https://HOST:PORT``; ``http://`` for this machine alone.
        token: access token, as ``genovault principal token`` prints it.
        unix: path of the server's Unix socket, in place of the network; ``url`` is then ``http://localhost``.
        certificate: PEM file with what the server's certificate is signed by; default: what this machine trusts.
        client_certificate: PEM files of a certificate and its key, for a server that asks for one.
        timeout: seconds that an answer may take.

    Raises:
        UsageError: ``insecure_url``, ``url_malformed``. InputError: ``token_malformed``, ``certificate_unreadable``.
        UnavailableError: ``extra_missing``.
    """
    from vault.client.served_vault import connect as reach  # noqa: PLC0415 - importing the package must stay light

    return reach(url, token=token, unix=unix, certificate=certificate, client_certificate=client_certificate, timeout=timeout)
