"""A block on its way: run after run, made in the vault's threads, to a reader who may be slow or gone."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vault.errors import GenovaultError
from vault.gate.streams import BlockStream
from vault.server.problems import HttpProblem
from vault.server.seal import Seal

MEDIA_TYPE = "application/octet-stream"
STALL_SECONDS = 60.0  # in which a reader takes PIECE
PIECE = 1 << 18  # bytes


class StreamedBlock(Response):
    """A body of unknown length, chunked. Where it cannot be ended, the connection is: its last chunk never comes, so that no client takes it for whole."""

    def __init__(self, seal: Seal, stream: BlockStream, room: asyncio.Semaphore) -> None:
        super().__init__(media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._seal, self._stream, self._room = seal, stream, room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - of every response
        """Send it, and end its access whatever happens."""
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            with suppress(GenovaultError, HttpProblem, TimeoutError):  # logged by the access itself
                await self._send(send, gone)
        finally:
            gone.cancel()
            self._room.release()
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._stream.close))

    async def _send(self, send: Send, gone: asyncio.Future[None]) -> None:
        """Raises TimeoutError: the reader takes nothing any more; and what ends the stream."""
        while not gone.done():
            run = await self._seal.run(lambda _: next(self._stream, None))
            if run is None:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            for at in range(0, len(run), PIECE):
                async with asyncio.timeout(STALL_SECONDS):
                    await send({"type": "http.response.body", "body": run[at : at + PIECE], "more_body": True})


async def _gone(receive: Receive) -> None:
    """Return when the reader has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
