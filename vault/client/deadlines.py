"""Connections of the client whose every read and write ends with the request's deadline.

httpx bounds each read, so that a server which sends a byte now and then, or interim answers without end, could hold a request for ever.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

UNTIL: ContextVar[float] = ContextVar("until")
"""Deadline of this thread's request, by the monotonic clock."""


class BoundStream(httpcore.NetworkStream):
    """A stream that waits no longer than the deadline."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read some bytes. Raises httpcore.ReadTimeout."""
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write bytes. Raises httpcore.WriteTimeout."""
        self._inner.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        """End the connection."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Go on over TLS. Raises httpcore.ConnectTimeout."""
        return BoundStream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout, httpcore.ConnectTimeout)))

    def get_extra_info(self, info: str) -> Any:
        """Facts that the stream tells of itself."""
        return self._inner.get_extra_info(info)


class BoundBackend(httpcore.NetworkBackend):
    """Makes connections that wait no longer than the deadline."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to a host. Raises httpcore.ConnectTimeout."""
        wait = _left(timeout, httpcore.ConnectTimeout)
        return BoundStream(self._inner.connect_tcp(host, port, wait, local_address, socket_options))

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.NetworkStream:
        """Connect to a socket. Raises httpcore.ConnectTimeout."""
        return BoundStream(self._inner.connect_unix_socket(path, _left(timeout, httpcore.ConnectTimeout), socket_options))

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._inner.sleep(seconds)


class BoundTransport(httpx.BaseTransport):
    """Transport over a pool of such connections, to a network address or a Unix socket."""

    def __init__(self, *, tls: ssl.SSLContext | None, unix: str | None) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls, uds=unix, network_backend=BoundBackend(), max_connections=100, max_keepalive_connections=20
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises errors of httpcore."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        answer = self._pool.handle_request(
            httpcore.Request(
                request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    def close(self) -> None:
        """End the connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        yield from self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


def _left(timeout: float | None, over: type[Exception]) -> float:
    left = UNTIL.get() - time.monotonic()
    if left <= 0:
        raise over
    return left if timeout is None else min(timeout, left)
