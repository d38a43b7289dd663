"""The doorkeeper of the login: few unlocks at a time, a short queue before them, and a share of it for each address."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest
from starlette.requests import Request

from vault.server.admission import SOURCE
from vault.server.console import login
from vault.server.limits import WaitingLine
from vault.server.oidc import routes as oidc_routes
from vault.server.problems import HttpProblem

LINES = {
    "unlocks": lambda: (login.Doorkeeper().line, login.AT_ONCE, login.QUEUE, login.OF_ONE),
    "providers": lambda: (
        WaitingLine(oidc_routes.AT_ONCE, oidc_routes.QUEUE, share=oidc_routes.OF_ONE),
        oidc_routes.AT_ONCE,
        oidc_routes.QUEUE,
        oidc_routes.OF_ONE,
    ),
}


async def filled(line, turns, sources):
    """Attempts from these sources, each with a place in the line."""
    made = [asyncio.create_task(turns.enter_async_context(line.turn(source))) for source in sources]
    await asyncio.sleep(0)
    return made


async def told(line, source):
    with pytest.raises(HttpProblem) as refused:
        async with line.turn(source):
            pass
    return refused.value.status


@pytest.mark.parametrize("which", LINES)
def test_who_waits_in_a_long_queue_is_told_at_once(which):
    async def main():
        line, at_once, places, _ = LINES[which]()
        async with AsyncExitStack() as turns:
            waiting = (await filled(line, turns, [f"192.0.2.{number}" for number in range(places)]))[at_once:]
            status = await told(line, "198.51.100.1")
            for one in waiting:
                one.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        return status, line

    status, line = asyncio.run(main())
    assert status == 503
    assert not line._taken, "whoever left has no place any more"


@pytest.mark.parametrize("which", LINES)
def test_one_address_leaves_room_for_others(which):
    async def main():
        line, at_once, places, share = LINES[which]()
        async with AsyncExitStack() as turns:
            one = await filled(line, turns, ["192.0.2.1"] * share)
            assert await told(line, "192.0.2.1") == 429
            here = await filled(line, turns, [""] * (places - share - 1))  # a proxy on this machine is everybody
            other = await filled(line, turns, ["192.0.2.2"])
            waiting = [*one, *here, *other][at_once:]
            assert not any(task.done() for task in waiting), "they have a place"
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(main())


def asked(app, source, number):
    """A login by a name that nobody else gives, from an address."""
    parts = [{"type": "http.request", "body": f"name=sam{number}&passphrase=x".encode(), "more_body": False}]

    async def receive():
        return parts.pop()

    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "https",
        "path": "/console/login",
        "query_string": b"",
        "headers": [(b"sec-fetch-site", b"same-origin"), (b"content-type", b"application/x-www-form-urlencoded")],
        "client": (source, 1),
        "server": ("vault.example.org", 443),
        "state": {SOURCE: source},
        "app": app,
    }
    return Request(scope, receive)


@pytest.mark.parametrize(("page", "slow"), [(login.log_in, (login, "_holder")), (oidc_routes._begin, None)])
def test_the_page_takes_its_place_by_the_address_that_asks(monkeypatch, page, slow):
    open_again = threading.Event()

    def wait(*_):
        open_again.wait()
        raise HttpProblem(403, "cannot_unlock", "x")

    monkeypatch.setattr(login, "APART", 0.01)
    if slow is not None:
        monkeypatch.setattr(*slow, wait)
    door = oidc_routes.OidcDoor(SimpleNamespace(begin=wait), LINES["providers"]()[0])
    state = SimpleNamespace(console=SimpleNamespace(seal=None), doorkeeper=login.Doorkeeper(), oidc=door)
    app = SimpleNamespace(state=state)

    async def main():
        much = [asyncio.create_task(page(asked(app, "192.0.2.1", number))) for number in range(login.OF_ONE)]
        for _ in range(10):
            await asyncio.sleep(0)
        with pytest.raises(HttpProblem) as refused:
            async with asyncio.timeout(30):
                await page(asked(app, "192.0.2.1", login.OF_ONE))
        other = asyncio.create_task(page(asked(app, "192.0.2.2", 0)))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not other.done(), "it has a place"
        open_again.set()
        await asyncio.gather(*much, other, return_exceptions=True)
        return refused.value

    try:
        told_what = asyncio.run(main())
    finally:
        open_again.set()
    assert (told_what.status, told_what.code) == (429, "logins_busy")


def test_attempts_from_elsewhere_keep_nobody_out():
    keeper = login.Doorkeeper(clock=lambda: 0.0)
    assert keeper.admits("sam", "192.0.2.1")
    assert not keeper.admits("sam", "192.0.2.1")
    assert keeper.admits("sam", "192.0.2.2")
