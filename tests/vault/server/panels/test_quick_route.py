"""The way in for reads of a few people: it answers what it can, and whatever else comes goes to the routes as it came."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.responses import Response

from vault.errors import UnavailableError
from vault.server.panels import genotypes
from vault.server.panels.quick_route import QuickRoute

PATH = "/v1/projects/served/panels/pgx/genotypes"
ASKED = {"dataset": "cohort", "pseudonyms": ["served-1"]}


class Routes:
    """The application behind, which notes what it was given."""

    def __init__(self):
        self.bodies = []

    async def __call__(self, scope, receive, send):
        self.bodies.append((await receive())["body"])
        await Response(status_code=299)(scope, receive, send)


def answered(body, path=PATH, method="POST"):
    """(status, scope, what the routes were given)."""
    routes, sent = Routes(), []
    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "state": {}}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def receive():
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(QuickRoute(routes)(scope, receive, send))
    return sent[0]["status"], scope, routes.bodies


@pytest.fixture
def quick(monkeypatch):
    """Has every question answered quickly, and notes them."""
    seen = []

    async def answer(_request, project, panel, asked):
        seen.append((project, panel, asked.dataset, asked.pseudonyms))
        return Response(b"{}")

    monkeypatch.setattr(genotypes, "quick_answer", answer)
    return seen


def test_a_question_for_some_people_by_name_is_answered_and_counted_as_its_route(quick):
    status, scope, given = answered(ASKED)
    assert (status, given, quick) == (200, [], [("served", "pgx", "cohort", ["served-1"])])
    assert scope["route"].path == "/v1/projects/{project}/panels/{panel}/genotypes"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        {"dataset": "cohort"},
        {**ASKED, "since": "x"},
        {**ASKED, "more": 1},
        {**ASKED, "dataset": 1},
        {**ASKED, "pseudonyms": ["A B"]},
        {**ASKED, "pseudonyms": ["a"] * 1_001},
    ],
)
def test_any_other_body_goes_to_the_routes_whole(quick, body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert answered(body)[::2] == (299, [raw])
    assert not quick


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (PATH, "GET"),
        (PATH + "/", "POST"),
        ("/v1/projects/.a/panels/pgx/genotypes", "POST"),
        ("/v1/projects/a\n/panels/pgx/genotypes", "POST"),
        ("/v1/projects/" + "a" * 65 + "/panels/pgx/genotypes", "POST"),
        ("/v1/projects/served/panels/pgx/sites", "POST"),
    ],
)
def test_any_other_address_goes_to_the_routes(quick, path, method):
    assert answered(ASKED, path, method)[0] == 299
    assert not quick


def test_what_cannot_be_answered_quickly_goes_to_the_routes(monkeypatch):
    async def answer(*_):
        return None

    monkeypatch.setattr(genotypes, "quick_answer", answer)
    assert answered(ASKED)[::2] == (299, [json.dumps(ASKED).encode()])


def test_a_log_that_does_not_answer_is_not_asked_again(monkeypatch):
    async def answer(*_):
        raise UnavailableError("log_unavailable", "the audit log did not answer in time")

    monkeypatch.setattr(genotypes, "quick_answer", answer)
    assert answered(ASKED)[::2] == (503, [])
