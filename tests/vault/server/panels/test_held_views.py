"""What is held of views that are being sent: counted, bounded, and let go of whether it was read or not."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from vault.server.panels import held_views
from vault.server.panels.held_views import HeldStream, HeldViews
from vault.server.problems import HttpProblem


def test_room_is_of_one_asker_and_of_all(monkeypatch):
    monkeypatch.setattr(held_views, "IN_ALL", 100)
    monkeypatch.setattr(held_views, "OF_ONE", 50)
    held = HeldViews()

    def refuses(asker):
        with pytest.raises(HttpProblem) as caught:
            held.require_room(asker)
        assert (caught.value.status, caught.value.code, caught.value.headers["Retry-After"]) == (503, "busy", "2")

    first = held.hold("a", 60)
    held.require_room("b")
    refuses("a")
    second = held.hold("b", 45)
    refuses("c")
    first()
    held.require_room("a")
    held.require_room("c")
    second()
    assert held.size == 0


def test_many_threads_count_right():
    held = HeldViews()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at: held.hold(f"{at % 3}", at)(), range(2_000)))
    assert held.size == 0


@pytest.mark.parametrize("reader", ["takes all", "goes away at once", "goes away later"])
def test_an_answer_lets_go_at_its_end_whoever_reads_it(reader):
    held = HeldViews()
    sent = []

    async def pieces():
        for _ in range(3):
            yield b"x"

    async def send(message):
        sent.append(message)
        if reader == "goes away at once" or (reader == "goes away later" and len(sent) == 3):
            raise OSError

    async def receive():
        await asyncio.sleep(60)

    async def play():
        answer = HeldStream(pieces(), held.hold("a", 10), media_type="text/plain", headers={})
        assert held.size == 10
        await answer({"type": "http", "asgi": {"spec_version": "2.4"}}, receive, send)

    if reader == "takes all":
        asyncio.run(play())
    else:
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the framework makes of a client that is gone
            asyncio.run(play())
    assert held.size == 0


@pytest.mark.parametrize("size", [10, held_views.PIECE + 1])
def test_a_body_is_whole_and_a_large_one_counted_until_it_is_taken(size):
    held, sent, counted = HeldViews(), [], []

    async def send(message):
        sent.append(message)
        counted.append(held.size)

    async def receive():
        await asyncio.sleep(60)

    answer = held_views.held_body(held, "a", b"x" * size, media_type="text/plain", headers={"X-Any": "1"})
    asyncio.run(answer({"type": "http", "asgi": {}}, receive, send))
    assert b"".join(one.get("body", b"") for one in sent) == b"x" * size
    assert {(b"content-length", str(size).encode()), (b"x-any", b"1")} <= set(sent[0]["headers"])
    assert max(counted) == (size if size > held_views.PIECE else 0)
    assert held.size == 0
