"""A panel that is on its way when something it rests on is taken away: what was not sent yet is not sent."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support import served
from tests.support.vaults import opened
from vault.access import access_tokens
from vault.consent import recording
from vault.crypto.keystore import PassphraseFactor
from vault.server import arrow_answers
from vault.server.app import application
from vault.server.seal import Seal
from vault.session import principals

PATH = "/v1/projects/served/panels/pgx/genotypes"
TAKEN = {
    "a person": lambda s, _: recording.withdraw(s, "S03"),
    "the token": lambda s, token: access_tokens.revoke(s, token.split("_")[1]),
    "the bearer": lambda s, _: principals.disable(s, "rita"),
    "the service": lambda s, _: principals.disable(s, "service"),
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

    asked = [{"type": "http.request", "body": json.dumps({"dataset": "cohort"}).encode(), "more_body": False}]

    async def receive():
        if asked:
            return asked.pop()
        return await asyncio.Event().wait()

    headers = {"content-type": "application/json", "authorization": f"Bearer {token}", "accept": arrow_answers.MEDIA_TYPE}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    try:
        asyncio.run(app(scope, receive, send))
    finally:
        app.state.console.pool.shutdown()
        app.state.health.close()
        app.state.extracts.close()
        app.state.downloads.close()
        seal.close()
    body = b"".join(one.get("body", b"") for one in pieces)
    assert body.endswith(arrow_answers.END) == (what is None)
    assert (len(pieces) > 5) == (what is None)
    assert pieces[-1].get("more_body", False) == (what is not None)
