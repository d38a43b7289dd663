"""Trusted proxies: where a request comes from, by the word of a proxy in front, and of no one else.

A proxy appends the address that it was reached from to ``X-Forwarded-For``, or to ``Forwarded`` (RFC 7239), and passes on what a client wrote before it. So
the list is read from its end: the first address that is no proxy's is the client, and what stands before it is a claim of the client's. Where both
headers are there, one of them may be the client's own: they have to name the same. From anybody else the headers mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

from vault.access.token_bindings import IpAddress, plain_address
from vault.errors import UsageError
from vault.server.admission import SOURCE
from vault.server.connections import ADDRESS, source_of

UNIX = "unix"
MOST_HOPS = 32
UNNAMED = "unnamed"
"""Source of whoever comes through a proxy whose headers name no address: all such share one, and have none of their own."""

_XFF, _FORWARDED = b"x-forwarded-for", b"forwarded"
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PAIR = re.compile(rf'[ \t]*(?:({_WORD})=({_WORD}|"(?:[^"\\]|\\.)*")[ \t]*)?([;,]|\Z)')  # or none, and what ends it
_NODE = re.compile(r'([0-9.]+)|"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{1,5})?"')


@dataclass(frozen=True)
class TrustedProxies:
    """Proxies whose word is taken: those of some networks, and (``unix``) whoever comes over the Unix socket."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    unix: bool = False

    def __bool__(self) -> bool:
        return bool(self.networks or self.unix)

    def holds(self, address: IpAddress) -> bool:
        """True for a proxy's address."""
        return any(address in network for network in self.networks)

    def client(self, hops: Sequence[str]) -> IpAddress | None:
        """Address of the client in a list whose last is the nearest; the farthest proxy, where there are proxies alone. None where it names nobody."""
        named: IpAddress | None = None
        for hop in reversed(hops[-MOST_HOPS:]):
            address = plain_address(hop) if "%" not in hop else None
            if address is None:
                return None
            named = address
            if not self.holds(address):
                break
        return named


def parse(texts: Sequence[str]) -> TrustedProxies:
    """Proxies as options name them: networks, addresses, or ``unix``. Raises UsageError ``proxy_malformed``."""
    try:
        networks = tuple(ip_network(text) for text in texts if text != UNIX)
    except ValueError:
        raise _malformed() from None
    if any(network.prefixlen == 0 for network in networks):  # everybody's word is nobody's
        raise _malformed()
    return TrustedProxies(networks, UNIX in texts)


class Forwarding:
    """Puts the client's address in the place of a trusted proxy's, before anything is held against it."""

    def __init__(self, app: ASGIApp, proxies: TrustedProxies) -> None:
        self._app, self._proxies = app, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and self._proxies and self._is_proxy(scope):
            lists = [found for found in (_x_forwarded_for(scope), _forwarded(scope)) if found is not None]
            if lists:
                named = {self._proxies.client(hops) for hops in lists}
                self._place(scope, named.pop() if len(named) == 1 else None)
        await self._app(scope, receive, send)

    def _is_proxy(self, scope: Scope) -> bool:
        peer = scope.get("state", {}).get(ADDRESS, "")
        if not peer:
            return self._proxies.unix
        address = plain_address(peer)
        return address is not None and self._proxies.holds(address)

    def _place(self, scope: Scope, client: IpAddress | None) -> None:
        state = scope["state"]
        state[ADDRESS] = "" if client is None else str(client)
        state[SOURCE] = UNNAMED if client is None else source_of((str(client), 0))


def _x_forwarded_for(scope: Scope) -> list[str] | None:
    """Hops of X-Forwarded-For, whose lines are one list; None without."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == _XFF]
    return [hop.strip(" \t") for line in lines for hop in line.split(",")] if lines else None


def _forwarded(scope: Scope) -> list[str] | None:
    """Addresses of Forwarded, "" for what names none; None without."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == _FORWARDED]
    return [node for line in lines for node in _nodes(line)] if lines else None


def _nodes(line: str) -> list[str]:
    """Address of each element of a line; "" alone of a line that is malformed, since nobody can tell which of its words a quoted string holds."""
    found: list[str] = []
    named: list[str] = []
    at = 0
    while (pair := _PAIR.match(line, at)) is not None:
        name, value, end = pair.groups()
        if name is not None and name.lower() == "for":
            named.append(value)
        if end != ";":
            found.append(_node(named))
            named = []
        if not end:
            return found
        at = pair.end()
    return [""]


def _node(named: Sequence[str]) -> str:
    node = _NODE.fullmatch(named[0]) if len(named) == 1 else None
    return "" if node is None else node[1] or node[2] or node[3]


def _malformed() -> UsageError:
    return UsageError("proxy_malformed", "a trusted proxy is a network like 127.0.0.1/32, or unix", hint="--trusted-proxy")
