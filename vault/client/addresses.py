"""Addresses of servers: clear text is spoken on this machine alone."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from vault.errors import InputError, UsageError
from vault.files.loopback import is_loopback


@dataclass(frozen=True)
class ServerAddress:
    """Server to ask. ``url``: its origin, without a path; ``unix``: path of its socket, in place of a network address; ``tls``: None for clear text."""

    url: str
    unix: str | None = None
    tls: ssl.SSLContext | None = field(default=None, repr=False)


def address_of(
    url: str,
    *,
    unix: str | os.PathLike[str] | None = None,
    certificate: str | os.PathLike[str] | None = None,
    client_certificate: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None,
) -> ServerAddress:
    """Address from what a program gives.

    Raises:
        UsageError: ``insecure_url``: clear text to another machine; ``url_malformed``: it is no origin, or names a user.
        InputError: ``certificate_unreadable``.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _malformed() from None
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or not host or parts.username is not None or parts.password is not None:
        raise _malformed()
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise _malformed()
    if parts.scheme == "http" and unix is None and not is_loopback(host):
        raise UsageError(
            "insecure_url", "a token is sent in the clear to this machine alone", hint="https://, or unix= for a server's socket"
        )
    named = f"[{host}]" if ":" in host else host
    origin = f"{parts.scheme}://{named}" + ("" if port is None else f":{port}")
    tls = _context(certificate, client_certificate) if parts.scheme == "https" else None
    return ServerAddress(origin, None if unix is None else os.fspath(unix), tls)


def _context(
    certificate: str | os.PathLike[str] | None, own: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None
) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=None if certificate is None else str(Path(certificate)))
        if own is not None:
            context.load_cert_chain(*(str(Path(one)) for one in own))
    except (OSError, ssl.SSLError):
        raise InputError("certificate_unreadable", "a certificate or its key cannot be read as PEM") from None
    return context


def _malformed() -> UsageError:
    return UsageError(
        "url_malformed", "a server's address is https://HOST:PORT, without a path", hint="https://vault.example:8420"
    )
