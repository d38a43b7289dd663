"""Views that are held while they are sent: a bounded number of bytes of memory, in all and for one asker, however slowly readers read."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from vault.errors import GenovaultError
from vault.server.problems import HttpProblem

IN_ALL = 1 << 30  # bytes of call codes
OF_ONE = 1 << 29
PIECE = 1 << 20  # bytes of a body


class HeldViews:
    """Counts what is held. Safe among threads."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    def require_room(self, asker: str) -> None:
        """Refuse to make another view while so much is held. Raises HttpProblem 503 ``busy``."""
        with self._lock:
            if self._held.total() >= IN_ALL or self._held[asker] >= OF_ONE:
                raise HttpProblem(503, "busy", "earlier answers are still being read", {"Retry-After": "2"})

    def hold(self, asker: str, size: int) -> Callable[[], None]:
        """Count a view of so many bytes, until what is returned is called."""
        with self._lock:
            self._held[asker] += size

        def release() -> None:
            with self._lock:
                self._held[asker] -= size
                if not self._held[asker]:
                    del self._held[asker]

        return release

    @property
    def size(self) -> int:
        """Bytes that are held."""
        with self._lock:
            return self._held.total()


class HeldStream(StreamingResponse):
    """A streamed answer that lets go of what it holds at its end, whether it was read or not. One that may not go on stays unfinished, which closes
    the connection: no client takes it for whole.
    """

    def __init__(
        self, pieces: AsyncIterator[bytes], release: Callable[[], None], *, media_type: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__(pieces, media_type=media_type, headers=headers)
        self._release = release

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        try:
            with suppress(GenovaultError, HttpProblem):  # logged by whoever refused
                await super().__call__(scope, receive, send)
        finally:
            self._release()


def held_body(held: HeldViews, asker: str, body: bytes, *, media_type: str, headers: Mapping[str, str]) -> Response:
    """A whole body as an answer. A large one is sent in pieces, and counted until a slow reader has taken all but the last."""
    if len(body) <= PIECE:
        return Response(body, media_type=media_type, headers=dict(headers))

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), PIECE):
            yield body[at : at + PIECE]

    length = {"Content-Length": str(len(body))}
    return HeldStream(pieces(), held.hold(asker, len(body)), media_type=media_type, headers={**headers, **length})


def held_of(request: Request) -> HeldViews:
    """Held views of the application that a request came to."""
    held: HeldViews = request.app.state.held
    return held
