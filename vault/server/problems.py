"""Answers that are no data: RFC 9457 problems, which say nothing of what is stored.

What depends on data is one refusal, with one body, at the next boundary of 50 ms; what is wrong with a question's form is said to everybody. No
body repeats what was sent but names of projects, datasets and panels that have a name's form, and none holds the text of an exception that we did
not write.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from policies import reasons
from vault.errors import GenovaultError, InputError, IntegrityError, RefusedError, UnavailableError, UsageError

MEDIA_TYPE = "application/problem+json"
BOUNDARY = 0.05  # seconds: refusals leave at a multiple of it after their request came
BEGUN = "begun"  # of a request's state: when it came, by the monotonic clock


class HttpProblem(Exception):  # noqa: N818 - RFC 9457's word
    """An answer with a status of its own. ``title``: one sentence without private data; ``headers``: of the answer."""

    def __init__(self, status: int, code: str, title: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.title, self.headers = status, code, title, dict(headers or {})

    def body(self) -> dict[str, str | int]:
        """The problem's members."""
        return {"type": f"urn:genovault:problem:{self.code}", "title": self.title, "status": self.status, "code": self.code}

    def response(self) -> Response:
        """The problem as JSON."""
        return Response(json.dumps(self.body()), self.status, self.headers, MEDIA_TYPE)


def refused() -> HttpProblem:
    """The one answer to whatever depends on data."""
    return HttpProblem(403, "refused", reasons.UNIFORM)


def unauthenticated() -> HttpProblem:
    """The one answer to a token that does not hold, or is missing."""
    return HttpProblem(401, "token_refused", "a valid access token is needed", {"WWW-Authenticate": "Bearer"})


def sealed() -> HttpProblem:
    """The server holds no keys."""
    return HttpProblem(503, "sealed", "the server is sealed", {"Retry-After": "30"})


def busy() -> HttpProblem:
    """No thread was free in time; nothing was begun."""
    return HttpProblem(503, "busy", "the server has more to do than it can", {"Retry-After": "1"})


def problem_of(error: GenovaultError) -> HttpProblem:
    """Problem that an error of the vault is to whoever asked."""
    if error.code == "token_refused":
        return unauthenticated()
    if isinstance(error, InputError | UsageError):  # told only where it is of the question's form (``access.told``)
        return HttpProblem(400, error.code, error.message)
    if isinstance(error, UnavailableError):
        return HttpProblem(503, "unavailable", "the vault does not answer now; nothing was released", {"Retry-After": "2"})
    if isinstance(error, RefusedError | IntegrityError):
        return refused()
    return HttpProblem(500, "internal_error", "something went wrong here; nothing was released")


async def at_boundary(request: Request) -> None:
    """Wait until the next boundary, counted from when the request came, so that how long a refusal took tells nothing."""
    begun: float = request.scope.get("state", {}).get(BEGUN, time.monotonic())
    passed = time.monotonic() - begun
    await asyncio.sleep(math.ceil(passed / BOUNDARY + 1e-9) * BOUNDARY - passed)
