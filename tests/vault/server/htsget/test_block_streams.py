"""A block on its way to readers who are slow, gone, or cut off: the access ends, its place is free again, and nobody takes a part for the whole."""

from __future__ import annotations

import asyncio

import pytest

from vault.errors import RefusedError
from vault.server.htsget import block_streams
from vault.server.htsget.block_streams import PIECE, StreamedBlock


class Stream:
    """Runs, then an error if there is one."""

    def __init__(self, *runs, error=None):
        self.runs, self.error, self.closed = iter(runs), error, False

    def __next__(self):
        try:
            return next(self.runs)
        except StopIteration:
            if self.error is None:
                raise
            raise self.error from None

    def close(self):
        self.closed = True


class Seal:
    async def run(self, work):
        return work(None)


def sent(stream, *, send=None, gone=False):
    """What was sent of a stream, and the room that it had."""
    messages, room = [], asyncio.Semaphore(1)

    async def keep(message):
        messages.append(message)
        if send is not None:
            await send(message)

    async def receive():
        if not gone:
            await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def run():
        await room.acquire()
        await StreamedBlock(Seal(), stream, room)({"type": "http"}, receive, keep)

    asyncio.run(run())
    assert stream.closed
    assert not room.locked()
    return messages


def test_a_whole_stream_is_sent_in_pieces_and_ended():
    messages = sent(Stream(b"x" * (PIECE + 1), b"y"))
    assert [len(one["body"]) for one in messages[1:]] == [PIECE, 1, 1, 0]
    assert [one["more_body"] for one in messages[1:]] == [True, True, True, False]
    assert not [name for name, _ in messages[0]["headers"] if name == b"content-length"]


def test_a_stream_that_is_cut_off_is_not_ended():
    messages = sent(Stream(b"x", error=RefusedError("consent_changed", "somebody left")))
    assert [one["more_body"] for one in messages[1:]] == [True]


def test_a_reader_who_is_gone_is_sent_no_more():
    async def noticed(_):
        await asyncio.sleep(0)

    stream = Stream(*[b"x"] * 1_000)
    messages = sent(stream, send=noticed, gone=True)
    assert len(messages) < 1_000
    assert messages[-1].get("more_body", True)


def test_a_reader_who_takes_nothing_is_cut_off(monkeypatch):
    monkeypatch.setattr(block_streams, "STALL_SECONDS", 0.05)

    async def stall(message):
        if message["type"] == "http.response.body":
            await asyncio.sleep(60)

    assert len(sent(Stream(b"x", b"y"), send=stall)) == 2


def test_a_bug_ends_the_access_as_well():
    stream = Stream(error=ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        sent(stream)
    assert stream.closed
