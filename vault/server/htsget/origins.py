"""Origins: pages of other sites that may read htsget's answers in a browser, named one by one; none without. Pure ASGI."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vault.errors import UsageError
from vault.server.htsget.answers import is_here

_FORM = re.compile(r"https?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|https?://\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
_MONTH = 30 * 24 * 3600  # seconds


def parse(text: str) -> str:
    """An origin as browsers spell it: scheme, host and port, in lower case. Raises UsageError ``origin_malformed``."""
    origin = text.rstrip("/").lower()
    if not _FORM.fullmatch(origin):
        raise UsageError("origin_malformed", "an origin is http:// or https://, a host, and a port where it is not the usual one")
    return origin


class Origins:
    """Says to browsers that pages of these origins may read an answer, also one that says why there is none: the outermost layer. No cookie is ever
    taken: a token is a header.
    """

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self._app, self._allowed = app, _encoded(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not is_here(scope["path"]):
            await self._app(scope, receive, send)
            return
        origin = _origin(scope)
        own = [(b"vary", b"Origin")]
        if origin in self._allowed:
            own.append((b"access-control-allow-origin", origin))

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *own]
            await send(message)

        await self._app(scope, receive, answer)


class Preflights:
    """Answers what browsers ask before a page's request is sent: whether pages of these origins may send it. Within ``Origins`` and the limits."""

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self._app, self._allowed = app, _encoded(allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        asks = scope["type"] == "http" and scope["method"] == "OPTIONS" and is_here(scope["path"])
        if not asks or _origin(scope) not in self._allowed or b"access-control-request-method" not in dict(scope["headers"]):
            await self._app(scope, receive, send)
            return
        own = [
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", b"Authorization, Content-Type"),
            (b"access-control-max-age", str(_MONTH).encode()),
        ]
        await send({"type": "http.response.start", "status": 204, "headers": own})
        await send({"type": "http.response.body", "body": b""})


def _encoded(origins: Sequence[str]) -> frozenset[bytes]:
    return frozenset(one.encode() for one in origins)


def _origin(scope: Scope) -> bytes:
    return bytes(dict(scope["headers"]).get(b"origin", b""))
