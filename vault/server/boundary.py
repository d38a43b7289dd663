"""Boundary of the server: what every request passes before a route sees it, and every answer on its way out. Pure ASGI."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vault.server.htsget.answers import response_at
from vault.server.problems import BEGUN, HttpProblem

MAX_BODY = 1 << 20  # bytes of a JSON body
MAX_FORM = 1 << 16  # bytes of a form of the console
FORMS = "/console/"  # addresses that take forms, and nothing else
BODY_SECONDS = 10.0  # to send it in

HEADERS: Sequence[tuple[bytes, bytes]] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b""),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""Of every answer. No answer of the interface is kept by a cache, framed, or read by another site."""


class Boundary:
    """Bounds bodies in size and time, takes JSON alone (the console: forms), and sets the headers of every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})[BEGUN] = time.monotonic()
        answer = dressed(send)
        try:
            body = await self._body(scope, receive)
        except HttpProblem as problem:
            await response_at(scope["path"], problem)(scope, receive, answer)
            return
        parts = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replay() -> Message:
            return next(parts, None) or await receive()

        await self._app(scope, replay, answer)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body, read before any route runs. Raises HttpProblem."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        declared = headers.get(b"content-length", b"0")
        takes_forms = scope["path"].startswith(FORMS)
        most, taken = (MAX_FORM, b"application/x-www-form-urlencoded") if takes_forms else (MAX_BODY, b"application/json")
        if not declared.isdigit() or int(declared) > most:
            raise _too_large(most)
        read = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise HttpProblem(400, "body_incomplete", "the connection was closed before the body ended")
                    read += message.get("body", b"")
                    if len(read) > most:
                        raise _too_large(most)
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise HttpProblem(
                408, "body_too_slow", f"a body is sent within {BODY_SECONDS:g} seconds", {"Connection": "close"}
            ) from None
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if read and kind != taken:
            raise HttpProblem(415, "media_type", f"a body is {taken.decode()}")
        return bytes(read)


def dressed(send: Send) -> Send:
    """The way out with the headers of every answer, where the answer has none of its own of that name."""

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in given)]
        await send(message)

    return answer


def _too_large(most: int) -> HttpProblem:
    return HttpProblem(413, "body_too_large", f"a body has at most {most} bytes", {"Connection": "close"})
