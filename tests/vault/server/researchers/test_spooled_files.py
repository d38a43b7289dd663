"""Sending of a spooled file: stopped where nothing more may be sent, where nobody takes it, and where somebody else's share is full."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from vault.access.spool import KeptFile
from vault.errors import RefusedError
from vault.server.problems import HttpProblem
from vault.server.researchers import spooled_files
from vault.server.researchers.spooled_files import Downloads, SpooledFile


@pytest.fixture
def downloads():
    made = Downloads()
    yield made
    made.close()


@pytest.fixture
def big(tmp_path):
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(3 * spooled_files.LOOKED_AT_AGAIN)
    return path


def sent(path, downloads, *, again=lambda: None, asked=None, receive=None, take=None):
    """Messages of an answer, run to its end."""
    messages = []

    async def run():
        async def send(message):
            if take is not None and "body" in message:
                await take(len(messages))
            messages.append(message)

        async def nothing():
            await asyncio.Event().wait()

        downloads.enter("a")
        file = KeptFile("big", path.stat().st_size, "00" * 32)
        await SpooledFile(os.open(path, os.O_RDONLY), file, asked, downloads, again, accessor="a")({}, receive or nothing, send)

    before = open_files()
    asyncio.run(run())
    assert open_files() == before, "the file is closed"
    return messages


def test_all_of_it_is_sent_in_pieces(big, downloads):
    messages = sent(big, downloads)
    assert sum(len(one.get("body", b"")) for one in messages) == big.stat().st_size
    assert max(len(one.get("body", b"")) for one in messages) == spooled_files.PIECE
    assert messages[-1].get("more_body", False) is False


def test_it_stops_where_the_token_or_the_people_are_not_what_they_were(big, downloads):
    looks = []

    def again():
        looks.append(1)
        if len(looks) == 2:
            raise RefusedError("token_refused", "x")

    messages = sent(big, downloads, again=again)
    assert sum(len(one.get("body", b"")) for one in messages) == 2 * spooled_files.LOOKED_AT_AGAIN
    assert messages[-1]["more_body"] is True, "unfinished: the connection is closed"


def test_it_stops_where_the_other_end_is_gone(big, downloads):
    async def receive():
        return {"type": "http.disconnect"}

    messages = sent(big, downloads, receive=receive)
    assert sum(len(one.get("body", b"")) for one in messages) < big.stat().st_size


def test_who_takes_nothing_is_left(big, downloads, monkeypatch):
    monkeypatch.setattr(spooled_files, "STALLED_SECONDS", 0.01)

    async def take(number):
        if number > 3:
            await asyncio.Event().wait()

    messages = sent(big, downloads, take=take)
    assert len(messages) == 4


def test_a_file_that_was_cut_meanwhile_ends_unfinished(big, downloads):
    def again():
        os.truncate(big, spooled_files.PIECE)

    messages = sent(big, downloads, again=again)
    assert messages[-1]["more_body"] is True


def test_downloads_at_a_time_are_bounded_and_counted_out(big, downloads):
    def enter_all():
        for number in range(spooled_files.AT_ONCE):
            downloads.enter(f"{number // spooled_files.OF_ONE}")

    enter_all()
    with pytest.raises(HttpProblem) as refused:
        downloads.enter("another")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "5")
    for number in range(spooled_files.AT_ONCE):
        downloads.leave(f"{number // spooled_files.OF_ONE}")
    sent(big, downloads)
    enter_all()


def test_one_token_does_not_take_all_downloads(downloads):
    for _ in range(spooled_files.OF_ONE):
        downloads.enter("a")
    with pytest.raises(HttpProblem) as refused:
        downloads.enter("a")
    assert refused.value.status == 429
    downloads.enter("b")


def test_a_range_continues_what_the_same_token_began(downloads, monkeypatch):
    def at(seconds):
        monkeypatch.setattr(spooled_files.time, "monotonic", lambda: seconds)

    at(0.0)
    assert not downloads.continues("a", "rel", "f", first=10)
    assert not downloads.continues("a", "rel", "f", first=10), "no entry was written: nothing was begun"
    downloads.begun("a", "rel", "f")
    assert downloads.continues("a", "rel", "f", first=20)
    assert not downloads.continues("b", "rel", "f", first=20)
    assert not downloads.continues("a", "rel", "g", first=20)
    assert not downloads.continues("a", "rel", "f", first=0)
    at(spooled_files.ONE_DOWNLOAD - 1)
    assert downloads.continues("a", "rel", "f", first=30)
    at(2 * spooled_files.ONE_DOWNLOAD)
    assert not downloads.continues("a", "rel", "f", first=40)


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))
