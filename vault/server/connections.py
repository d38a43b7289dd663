"""Connections: what one may cost before, between and after its requests. uvicorn waits for ever, and shows no client certificate.

A connection is always in one of these, each with an end: its head comes (``HEAD_SECONDS``), its request is answered (the routes bound that, and the
body), its answer is taken (a reader who takes nothing for ``WRITE_SECONDS`` is cut off), or it is idle, and then it makes room for a newcomer.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import socket
from collections import Counter, OrderedDict
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from vault.server.admission import SOURCE
from vault.server.boundary import HEADERS
from vault.server.problems import MEDIA_TYPE, HttpProblem

HEAD_SECONDS = 10.0  # to send a request's line and headers in
WRITE_SECONDS = 30.0  # in which a reader takes something of what waits for it
MOST_HEAD = 16_384  # bytes of a request's line and headers
OPEN = 1_024  # connections at a time
OPEN_OF_ONE = 128  # of them from one address of another machine
ADDRESS = "address"  # of a request's state: address that it comes from; empty where nobody can tell
CERTIFICATE = "certificate"  # of a request's state: SHA-256 of the certificate that the client showed, hex; empty without


class Crowd:
    """All connections of a server, and which of them could go."""

    def __init__(self) -> None:
        self._by_source: Counter[str] = Counter()
        self._idle: OrderedDict[Connection, None] = OrderedDict()  # the longest idle first
        self._open = 0

    def enter(self, one: Connection) -> bool:
        """Count a connection in; False if there is no room for it."""
        if one.source and self._by_source[one.source] >= OPEN_OF_ONE:
            return False
        if self._open >= OPEN:
            if not self._idle:
                return False
            oldest, _ = self._idle.popitem(last=False)
            oldest.leave()
            oldest.transport.abort()
        self._open += 1
        self._by_source[one.source] += 1
        return True

    def leave(self, one: Connection) -> None:
        """Count a connection out."""
        self._open -= 1
        self._by_source[one.source] -= 1
        if not self._by_source[one.source]:
            del self._by_source[one.source]
        self._idle.pop(one, None)

    def idle(self, one: Connection) -> None:
        """Note that a connection waits for its client, since now."""
        self._idle[one] = None
        self._idle.move_to_end(one)

    def busy(self, one: Connection) -> None:
        """Note that a connection's request is being answered."""
        self._idle.pop(one, None)


class Connection(HttpToolsProtocol):
    """HTTP/1.1 with deadlines, bounds, and one form of answer for what is no HTTP."""

    def __init__(self, *, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any], crowd: Crowd) -> None:
        super().__init__(config=config, server_state=server_state, app_state=app_state)
        self._crowd, self._counted = crowd, False
        self._deadline: asyncio.TimerHandle | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._unsent = 0  # bytes that waited to be taken at the last look
        self._head = 0  # bytes of a head that has not ended
        self.source = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's own signature
        """Begin to count; a connection for which there is no room is closed without a word."""
        super().connection_made(transport)
        self.source = source_of(transport.get_extra_info("peername"))
        self.app_state = {
            **self.app_state,
            SOURCE: self.source,
            ADDRESS: _address(transport.get_extra_info("peername")),
            CERTIFICATE: _certificate(transport),
        }
        self._counted = self._crowd.enter(self)
        if not self._counted:
            transport.abort()
            return
        self._crowd.idle(self)
        self._arm()
        self._watch = self.loop.call_later(WRITE_SECONDS, self._look)

    def data_received(self, data: bytes) -> None:
        """Count a head's bytes and seconds; an answer that has begun is the routes' to bound."""
        if self._answering():
            super().data_received(data)
            return
        self._head += len(data)
        super().data_received(data)
        if self._answering():
            self._crowd.busy(self)
            self._disarm()
        elif self.transport.is_closing():
            return
        elif self._head > MOST_HEAD:
            self._refuse(HttpProblem(431, "head_too_large", f"a request's head has at most {MOST_HEAD} bytes"))
        elif self._deadline is None:
            self._arm()

    def on_message_complete(self) -> None:
        """The rest of a request that was answered before it was whole has come."""
        super().on_message_complete()
        self._head = 0
        if not self._answering():
            self._disarm()

    def on_response_complete(self) -> None:
        """The next request of this connection has as long."""
        super().on_response_complete()
        self._head = 0
        if self._counted and not self._answering():
            self._crowd.idle(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._disarm()
        if self._watch is not None:
            self._watch.cancel()
        self.leave()
        super().connection_lost(exc)

    def leave(self) -> None:
        """Count this connection out, once."""
        if self._counted:
            self._counted = False
            self._crowd.leave(self)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature; its text is not ours
        """Answer what is no HTTP as everything else that is no question."""
        self._refuse(HttpProblem(400, "not_http", "this is no request of HTTP/1.1"))

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, problem: HttpProblem) -> None:
        body = json.dumps(problem.body()).encode()
        own = (
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        )
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in (*own, *HEADERS))
        self.transport.write(b"HTTP/1.1 %d %s\r\n%s\r\n%s" % (problem.status, problem.code.encode(), lines, body))
        self.transport.close()

    def _arm(self) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _look(self) -> None:
        """Cut off a reader who has taken nothing since the last look."""
        waiting = self.transport.get_write_buffer_size()
        if waiting and waiting >= self._unsent > 0:
            self.transport.abort()
            return
        self._unsent = waiting
        self._watch = self.loop.call_later(WRITE_SECONDS, self._look)


def _address(peer: object) -> str:
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""


def source_of(peer: object) -> str:
    """Source of a connection: an address, or the /64 of IPv6, which is one customer; "" for this machine and its Unix sockets."""
    if not isinstance(peer, tuple) or not peer:
        return ""
    try:
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return "" if address.is_loopback else str(ipaddress.ip_network((address, 64), strict=False))
        address = address.ipv4_mapped
    return "" if address.is_loopback else str(address)


def _certificate(transport: asyncio.Transport) -> str:
    tls = transport.get_extra_info("ssl_object")
    shown = tls.getpeercert(binary_form=True) if tls is not None else None
    return hashlib.sha256(shown).hexdigest() if shown else ""


def listeners(host: str, port: int) -> list[socket.socket]:
    """Sockets bound to every address of a host's name. Raises OSError."""
    found = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            one = socket.socket(family, kind, protocol)
            found.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
    except OSError:
        for one in found:
            one.close()
        raise
    return found
