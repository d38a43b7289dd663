"""Admission: which requests are answered at all, before anything is read."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vault.server.boundary import dressed
from vault.server.console.forms import session_id
from vault.server.heads import require_plain
from vault.server.htsget.answers import response_at
from vault.server.htsget.probes import is_probe
from vault.server.limits import ASKER, Buckets
from vault.server.metrics import Metrics
from vault.server.problems import HttpProblem

REQUESTS = 512  # answered at a time; more are told 503
OF_ONE = 128  # of them of one token
RATE = 1_000.0  # requests a second of one token
SOURCE_RATE = 200.0  # and of one source on another machine, whatever tokens it shows
HEALTH_RATE = 50.0  # requests a second for the server's own routes, from whomever
OWED = {401: 20.0, 403: 5.0, 404: 5.0}
"""Price of an answer beyond the one request, by status: guessing tokens and names is slower than asking what may be asked."""

CONSOLE = "/console"  # addresses at which a session counts, and no token
SOURCE = "source"  # of a request's state: where its connection comes from; empty: this machine
BUG = "this answer failed"


class Admission:
    """Holds each request against the limits of its token and source. ``tell``: is told of bugs, which nobody else is. ``clock``: seconds."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        *,
        rate: float = RATE,
        tell: Callable[[BaseException], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._metrics, self._tell, self._clock = app, metrics, tell, clock
        self._tokens = Buckets(rate, 2 * rate)
        self._sources = Buckets(SOURCE_RATE, 2 * SOURCE_RATE)
        self._begun: Counter[str] = Counter()  # requests that are being answered, by token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or say why not yet."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = self._clock(), 500
        token, source = token_key(scope), str(scope.get("state", {}).get(SOURCE, ""))

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        answer = dressed(watched)
        ASKER.set(token or source)
        self._begun[token] += 1
        try:
            require_plain(scope)
            self._admit(token, source, begun)
            await self._app(scope, receive, answer)
        except HttpProblem as problem:
            await response_at(scope["path"], problem)(scope, receive, answer)
        except Exception as error:  # noqa: BLE001 - the edge: the application has answered 500, and nobody prints the error's own words
            self._tell(error)
        finally:
            self._begun[token] -= 1
            if not self._begun[token]:
                del self._begun[token]
            if not is_probe(scope["path"], scope["query_string"].decode("latin-1")):
                self._settle(token, source, status)
            self._metrics.answered(scope, status, self._clock() - begun)

    def _admit(self, token: str, source: str, now: float) -> None:
        if self._begun.total() > REQUESTS:
            raise HttpProblem(503, "busy", "the server answers as many as it can", {"Retry-After": "1"})
        if token and self._begun[token] > OF_ONE:
            raise _too_many("one token has too many requests open", 1.0, OF_ONE, 0)
        if source:
            self._take(self._sources, source, now)
        if token:
            self._take(self._tokens, token, now)

    def _take(self, buckets: Buckets, key: str, now: float) -> None:
        wait = buckets.take(key, now)
        if wait:
            raise _too_many("too many requests: wait", wait, int(buckets.burst), buckets.left(key, now))

    def _settle(self, token: str, source: str, status: int) -> None:
        owed, now = OWED.get(status, 0.0), self._clock()
        if owed and source:
            self._sources.charge(source, now, owed)
        if owed and token:
            self._tokens.charge(token, now, owed)


def token_key(scope: Scope) -> str:
    """Digest of the token in the Authorization header, of the console's session, or "" without; one token or session has one, however it is spelled.

    Whoever does not know a token's secret cannot use up its bucket.
    """
    given = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    if scope["path"].startswith(CONSOLE):
        kind, shown = "session", session_id(Request(scope)) if b"cookie" in given else ""
    else:
        kind, _, shown = given.get(b"authorization", "").partition(" ")
    return hashlib.sha256(f"{kind.lower()} {shown.strip()}".encode()).hexdigest()[:32] if shown.strip() else ""


def _too_many(title: str, wait: float, limit: int, left: int) -> HttpProblem:
    seconds = str(max(1, math.ceil(wait)))
    headers = {
        "Retry-After": seconds,
        "RateLimit-Limit": str(limit),
        "RateLimit-Remaining": str(left),
        "RateLimit-Reset": seconds,
    }
    return HttpProblem(429, "too_many_requests", title, headers)
