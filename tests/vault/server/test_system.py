"""Attempts to unseal: one at a time, and one of each address, so that who guesses does not keep the owner out."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from vault.server import system
from vault.server.admission import SOURCE
from vault.server.problems import HttpProblem


def test_an_address_has_one_attempt_and_another_s_comes_next(monkeypatch):
    monkeypatch.setattr(system, "_ATTEMPTS_APART", 0.0)
    state = SimpleNamespace(unsealing=set(), attempts=asyncio.Lock())
    order = []

    def request(source):
        return SimpleNamespace(app=SimpleNamespace(state=state), scope={"state": {SOURCE: source}})

    async def attempt(source, until=None):
        async with system._attempt(request(source)):
            order.append(source)
            if until is not None:
                await until.wait()

    async def main():
        until = asyncio.Event()
        first = asyncio.create_task(attempt("192.0.2.1", until))
        while not order:  # noqa: ASYNC110 - the first has its turn within a step of the loop
            await asyncio.sleep(0)
        with pytest.raises(HttpProblem) as refused:
            await attempt("192.0.2.1")
        assert (refused.value.status, refused.value.headers) == (429, {"Retry-After": "2"})
        own = asyncio.create_task(attempt(""))
        await asyncio.sleep(0)
        assert order == ["192.0.2.1"], "one at a time"
        until.set()
        await asyncio.gather(first, own)
        await attempt("192.0.2.1")

    asyncio.run(main())
    assert order == ["192.0.2.1", "", "192.0.2.1"]
    assert state.unsealing == set()
