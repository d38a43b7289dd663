"""Listening: where and how the server takes connections. Plain HTTP stays on this machine."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from vault.errors import InputError, UnavailableError, UsageError
from vault.files.loopback import is_loopback
from vault.server import connections
from vault.server.admission import RATE, REQUESTS, Admission
from vault.server.app import application
from vault.server.connections import Connection, Crowd
from vault.server.htsget.origins import Origins
from vault.server.oidc.oidc_login import OidcLogin
from vault.server.proxies import Forwarding, TrustedProxies
from vault.server.seal import Seal

HANDSHAKE_SECONDS = 10.0  # of TLS
IDLE_SECONDS = 60  # that a connection waits for its next request
DRAIN_SECONDS = 30
BACKLOG = 2_048
COLLECTED = (50_000, 20, 50)  # new objects before each look for cycles, and looks of each kind before the next wider one
FEWEST_FILES = 4 * REQUESTS  # descriptors: connections, and what each opens of databases and objects


@dataclass(frozen=True)
class Listening:
    """Address: ``unix``, a socket's path, or ``host`` and ``port``; certificate and key for TLS; ``client_ca``: whose certificates clients show.

    ``rate``: requests a second of one token. ``origins`` and ``address`` as of ``application``. ``proxies``: whose word about addresses is taken.
    """

    host: str = "127.0.0.1"
    port: int = 8420
    unix: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    client_ca: Path | None = None
    rate: float = RATE
    origins: tuple[str, ...] = ()
    address: str | None = None
    proxies: TrustedProxies = TrustedProxies()  # noqa: RUF009 - frozen

    def require_private(self) -> None:
        """Refuse to put genotypes on a network in clear.

        Raises:
            UsageError: ``tls_needed``; ``tls_incomplete``: a certificate without its key, or a CA for clients without TLS.
        """
        if (self.tls_cert is None) != (self.tls_key is None) or (self.client_ca is not None and self.tls_cert is None):
            raise UsageError(
                "tls_incomplete", "TLS needs a certificate and its key; a CA for clients needs both", hint="--tls-cert, --tls-key"
            )
        if self.unix is None and self.tls_cert is None and not is_loopback(self.host):
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


def serve(
    seal: Seal,
    listening: Listening,
    *,
    spool: Path | None = None,
    oidc: OidcLogin | None = None,
    tell: Callable[[BaseException], None] = lambda _: None,
    begun: Callable[[], None] = lambda: None,
    renewed: Callable[[bool], None] = lambda _: None,
) -> None:
    """Serve until the process is told to end; answers that were begun are finished, for half a minute at most. ``spool`` and ``oidc`` as of
    ``application``.

    ``tell`` is told of bugs, ``begun`` is called once the address is the server's. SIGHUP reads the certificate and its key anew; where they cannot be read, those of before stay;
    ``renewed`` is told which.

    Raises:
        UsageError: as ``require_private``. UnavailableError: ``files_limited``; ``address_taken``; as ``spool.prepare``. InputError:
            ``certificate_unreadable``.
    """
    listening.require_private()
    _require_files()
    inner = application(seal, spool=spool, oidc=oidc, origins=listening.origins, address=listening.address)
    admitted = Admission(inner, inner.state.metrics, rate=listening.rate, tell=tell)
    placed = Forwarding(admitted, listening.proxies)
    config = configuration(Origins(placed, listening.origins), listening)  # outermost: pages read refusals too
    try:
        config.load()
    except (OSError, ssl.SSLError):
        raise InputError("certificate_unreadable", "the certificate, its key or the CA cannot be read as PEM") from None
    try:
        sockets = [_own_socket(listening.unix)] if listening.unix else connections.listeners(listening.host, listening.port)
        keep_what_stays()
        begun()
        with suppress(
            KeyboardInterrupt
        ):  # uvicorn raises the signal again by which the process was told to end, when everything has ended
            Server(config, tell=tell, ending=inner.state.watch.end, renewed=renewed).run(sockets)
    except (OSError, SystemExit):
        raise UnavailableError("address_taken", "the address cannot be listened on", hint="another process may hold it") from None
    finally:
        if listening.unix is not None:
            listening.unix.unlink(missing_ok=True)


def configuration(app: ASGIApp, listening: Listening) -> uvicorn.Config:
    """Configuration of uvicorn for an application; no library prints anything from here on: messages repeat what was sent, and addresses."""
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi", "uvicorn.access", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [logging.NullHandler()], False
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        loop="asyncio",
        access_log=False,  # the vault's log says who had what; addresses with names in them are kept nowhere
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        ssl_certfile=None if listening.tls_cert is None else str(listening.tls_cert),
        ssl_keyfile=None if listening.tls_key is None else str(listening.tls_key),
        ssl_ca_certs=None if listening.client_ca is None else str(listening.client_ca),
        ssl_cert_reqs=ssl.CERT_NONE if listening.client_ca is None else ssl.CERT_REQUIRED,
    )


def keep_what_stays() -> None:
    """Have the collector of cycles leave out what was made to serve, and look less often: a cohort's tokens and names are many objects and no cycles,
    and each look over all of them held up every request for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED)


class Server(uvicorn.Server):
    """uvicorn's server with connections of ours. ``ending`` is called before the drain."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        tell: Callable[[BaseException], None] = lambda _: None,
        ending: Callable[[], None] = lambda: None,
        renewed: Callable[[bool], None] = lambda _: None,
    ) -> None:
        super().__init__(config)
        self._tell, self._ending, self._renewed = tell, ending, renewed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let those go who wait for news, and finish the answers that were begun."""
        self._ending()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise SystemExit
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unseen)
        if self.config.ssl is not None and hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, self._renew, self.config.ssl)
        crowd = Crowd()

        def connection() -> Connection:
            return Connection(config=self.config, server_state=self.server_state, app_state=self.lifespan.state, crowd=crowd)

        shaking = None if self.config.ssl is None else HANDSHAKE_SECONDS
        self.servers = [
            await loop.create_server(connection, sock=one, ssl=self.config.ssl, ssl_handshake_timeout=shaking, backlog=BACKLOG)
            for one in sockets or []
        ]
        self.started = True

    def _renew(self, tls: ssl.SSLContext) -> None:
        try:
            tls.load_cert_chain(str(self.config.ssl_certfile), self.config.ssl_keyfile)
        except (OSError, ssl.SSLError):
            self._renewed(False)
        else:
            self._renewed(True)

    def _unseen(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Tell of what failed beside any request. A client that goes away is no fault."""
        error = context.get("exception")
        if isinstance(error, Exception) and not isinstance(error, OSError | TimeoutError):
            self._tell(error)


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
