"""Listening: where and how the server takes connections. Plain HTTP stays on this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import resource
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from vault.errors import InputError, UnavailableError, UsageError
from vault.server.app import application
from vault.server.seal import Seal

HEAD_SECONDS = 10.0  # to send a request's line and headers in
CONNECTIONS = 512  # answered at a time; more are told 503
DRAIN_SECONDS = 30
FEWEST_FILES = 4 * CONNECTIONS  # descriptors: connections, and what each opens of databases and objects


@dataclass(frozen=True)
class Listening:
    """Address: ``unix``, a socket's path, or ``host`` and ``port``; certificate and key for TLS; ``client_ca``: whose certificates clients show."""

    host: str = "127.0.0.1"
    port: int = 8420
    unix: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None

    def require_private(self) -> None:
        """Refuse to put genotypes on a network in clear.

        Raises:
            UsageError: ``tls_needed``; ``tls_incomplete``: a certificate without its key, or a CA for clients without TLS.
        """
        if (self.tls_cert is None) != (self.tls_key is None) or (self.client_ca is not None and self.tls_cert is None):
            raise UsageError("tls_incomplete", "TLS needs a certificate and its key; a CA for clients needs both")
        if self.unix is None and self.tls_cert is None and not _is_loopback(self.host):
            raise UsageError(
                "tls_needed",
                f"{self.host} is reached from other machines: clear text stays on this one",
                hint="--tls-cert, --tls-key",
            )


def parse(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT, with [::1]:8420 for IPv6. Raises UsageError ``address_malformed``."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) < 1 << 16:
        raise UsageError("address_malformed", "an address is HOST:PORT, as 127.0.0.1:8420")
    return host.strip("[]"), int(port)


def serve(seal: Seal, listening: Listening) -> None:
    """Serve until the process is told to end; answers that were begun are finished, for half a minute at most.

    Raises:
        UsageError: as ``require_private``. UnavailableError: ``files_limited``; ``address_taken``. InputError: ``certificate_unreadable``.
    """
    listening.require_private()
    _require_files()
    config = uvicorn.Config(
        application(seal),
        http=_Timed,
        ws="none",
        lifespan="on",
        loop="asyncio",
        host=listening.host,
        port=listening.port,
        access_log=False,  # the vault's log says who had what; addresses with names in them are kept nowhere
        log_level="warning",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        h11_max_incomplete_event_size=16_384,
        ssl_certfile=None if listening.tls_cert is None else str(listening.tls_cert),
        ssl_keyfile=None if listening.tls_key is None else str(listening.tls_key),
        ssl_ca_certs=None if listening.client_ca is None else str(listening.client_ca),
        ssl_cert_reqs=ssl.CERT_NONE if listening.client_ca is None else ssl.CERT_REQUIRED,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError):
        raise InputError("certificate_unreadable", "the certificate, its key or the CA cannot be read as PEM") from None
    try:
        uvicorn.Server(config).run(None if listening.unix is None else [_own_socket(listening.unix)])
    except (OSError, SystemExit):
        raise UnavailableError("address_taken", "the address cannot be listened on", hint="another process may hold it") from None
    finally:
        if listening.unix is not None:
            listening.unix.unlink(missing_ok=True)


class _Timed(H11Protocol):
    """HTTP/1.1 that ends a connection whose request line and headers do not come in time: uvicorn waits for ever."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's own signature
        """Begin to count."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Count anew for each request: one that has begun is the routes' to bound."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def on_response_complete(self) -> None:
        """The next request of this connection has as long."""
        super().on_response_complete()
        if not self.transport.is_closing():
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)


def _own_socket(path: Path) -> socket.socket:
    """A Unix socket that its owner alone may reach from the first moment on; uvicorn's own is everybody's. Raises OSError."""
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                raise OSError
        path.unlink()  # of a server that was killed
    own = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        own.bind(str(path))
    finally:
        os.umask(before)
    return own


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _require_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FEWEST_FILES:
        if hard != resource.RLIM_INFINITY and hard < FEWEST_FILES:
            raise UnavailableError(
                "files_limited",
                f"this process may open {hard} files, and a server needs {FEWEST_FILES}",
                hint="ulimit -n, LimitNOFILE",
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (FEWEST_FILES, hard))
