"""A panel, or a file, that is on its way when something it rests on is taken away: what was not sent yet is not sent."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support import delivered, projects_amended, served
from tests.support.vaults import opened
from vault.access import access_tokens, own_requests, projects, requests
from vault.consent import recording
from vault.crypto.keystore import PassphraseFactor
from vault.extracts.genotype_files import FileChoice
from vault.server.app import application
from vault.server.panels import arrow_answers
from vault.server.researchers import spooled_files
from vault.server.seal import Seal
from vault.session import principals

PATH = "/v1/projects/served/panels/pgx/genotypes"
TAKEN = {
    "a person": lambda s, _: recording.withdraw(s, "S03"),
    "the token": lambda s, token: access_tokens.revoke(s, token.split("_")[1]),
    "the bearer": lambda s, _: principals.disable(s, "rita"),
    "the service": lambda s, _: principals.disable(s, "service"),
    "the bearer's place in the project": lambda s, _: projects_amended.name(s, "served", "rob"),
}


@pytest.mark.parametrize("what", [None, *TAKEN])
def test_an_arrow_stream_ends_unfinished_where_something_is_taken_away(tmp_path, monkeypatch, what):
    monkeypatch.setattr(arrow_answers, "BATCH_BYTES", 1)
    token = served.staffed(tmp_path)
    seal = Seal(tmp_path / "v", "service")
    seal.unseal(PassphraseFactor.from_text(served.PASSPHRASE))
    app, pieces = application(seal), []

    def take_away():
        with opened(tmp_path / "v") as s:
            TAKEN[what](s, token)

    async def send(message):
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            return
        pieces.append(message)
        if len(pieces) == 2 and what is not None:
            await asyncio.to_thread(take_away)

    headers = {"content-type": "application/json", "authorization": f"Bearer {token}", "accept": arrow_answers.MEDIA_TYPE}
    try:
        asyncio.run(app(*asked("POST", PATH, headers, json.dumps({"dataset": "cohort"}).encode()), send))
    finally:
        end(app, seal)
    body = b"".join(one.get("body", b"") for one in pieces)
    assert body.endswith(arrow_answers.END) == (what is None)
    assert (len(pieces) > 5) == (what is None)
    assert pieces[-1].get("more_body", False) == (what is not None)


LEFT = {
    "a person": lambda s, *_: recording.withdraw(s, "S03"),
    "the token": lambda s, token, _: access_tokens.revoke(s, token.split("_")[1]),
    "the bearer": lambda s, *_: principals.disable(s, "rita"),
    "the project": lambda s, *_: projects.change(s, "parcels", "suspend", reason="x"),
    "the bearer's place in the project": lambda s, *_: projects_amended.name(s, "parcels", "rob"),
    "the request": lambda s, _, request: requests.withdraw(s, request, "x"),
}


@pytest.mark.parametrize("what", [None, *LEFT])
def test_a_download_ends_unfinished_where_something_is_taken_away(tmp_path, monkeypatch, what):
    monkeypatch.setattr(spooled_files, "PIECE", 64)
    monkeypatch.setattr(spooled_files, "LOOKED_AT_AGAIN", 128)
    token = delivered.staffed(tmp_path)
    seal = Seal(tmp_path / "v", "service")
    seal.unseal(PassphraseFactor.from_text(served.PASSPHRASE))
    app, pieces = application(seal), []

    def take_away():
        with opened(tmp_path / "v") as s:
            LEFT[what](s, token, request)

    async def send(message):
        if message["type"] == "http.response.start":
            assert message["status"] == 200
            return
        pieces.append(message)
        if len(pieces) == 2 and what is not None:
            await asyncio.to_thread(take_away)

    try:
        vault = seal.standing()
        who = access_tokens.authenticate(vault, token)
        request = own_requests.ask(vault.acting(who.person), "parcels", delivered.ASKED)[0].request_id
        release = app.state.extracts.start(vault, who, request, FileChoice("vcf"), []).release_id
        app.state.extracts._pool.shutdown(wait=True)
        path = f"/v1/releases/{release}/files/README.txt"
        asyncio.run(app(*asked("GET", path, {"authorization": f"Bearer {token}"}), send))
    finally:
        end(app, seal)
    assert (len(pieces) > 4) == (what is None)
    assert pieces[-1].get("more_body", False) == (what is not None)


def asked(method, path, headers, body=b""):
    """Scope of a request, and what gives its body."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        if parts:
            return parts.pop()
        return await asyncio.Event().wait()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    return scope, receive


def end(app, seal):
    app.state.console.pool.shutdown()
    app.state.health.close()
    app.state.extracts.close()
    app.state.downloads.close()
    seal.close()
