"""Origins around the limits: a page that asks too often can read so, whether or not it asked before it sent."""

from __future__ import annotations

import asyncio

import pytest

from vault.server.admission import Admission
from vault.server.htsget.origins import Origins, Preflights
from vault.server.metrics import Metrics

ORIGIN, OTHER = b"https://pages.example.org", b"https://evil.example.org"


def told(error):
    raise error


async def nothing_here(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def server(**limits):
    allowed = [ORIGIN.decode()]
    return Origins(Admission(Preflights(nothing_here, allowed), Metrics(), tell=told, **limits), allowed)


def ask(app, origin=ORIGIN, *, method="GET", path="/variants/served/cohort", extra=()):
    """Status and headers of an answer, as a list."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"x"), (b"authorization", b"Bearer gvt_1"), (b"origin", origin), *extra],
        "state": {},
        "client": ("192.0.2.1", 1),
        "scheme": "https",
        "server": ("x", 443),
    }
    asyncio.run(app(scope, None, send))
    return sent[0]["status"], [pair for pair in sent[0]["headers"] if pair[0].startswith(b"access-control") or pair[0] == b"vary"]


@pytest.mark.parametrize("origin", [ORIGIN, OTHER, b"null"])
def test_what_the_limits_say_is_read_by_pages_of_these_origins_alone(origin):
    app = server(rate=1e-9)
    status, said = ask(app, origin)
    assert status == 429
    assert said == [(b"vary", b"Origin"), *([(b"access-control-allow-origin", ORIGIN)] if origin == ORIGIN else [])]


def test_other_addresses_say_nothing_to_pages():
    assert ask(server(rate=1e-9), path="/v1/projects") == (429, [])


def test_a_question_before_the_request_counts_as_one():
    asked = {"method": "OPTIONS", "extra": [(b"access-control-request-method", b"GET")]}
    status, said = ask(server(), **asked)
    assert (status, [value for name, value in said if name == b"access-control-allow-origin"]) == (204, [ORIGIN])
    assert [status for status, _ in (ask(server(), OTHER, **asked), ask(server(rate=1e-9), **asked))] == [404, 429]
