"""Files of the spool as answers: whole or a single range, under a strong ETag, read in pieces by threads of their own.

Starlette's FileResponse takes any number of ranges and merges them, which is quadratic; here several ranges are none (416).
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vault.access.spool import KeptFile
from vault.server.problems import HttpProblem

PIECE = 256 << 10  # bytes read and sent at a time
LOOKED_AT_AGAIN = 8 << 20  # bytes sent before token, request and people are looked at again
STALLED_SECONDS = 60.0  # without a piece being taken: the connection is closed
AT_ONCE = 64  # downloads; more are told 503
OF_ONE = 16  # of them of one token
ONE_DOWNLOAD = 15 * 60.0  # seconds in which ranges behind the first continue a download that was logged

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_TYPES = {".json": "application/json", ".txt": "text/plain; charset=utf-8", ".tlog-proof": "text/plain; charset=utf-8"}


class Downloads:
    """Downloads of one server: threads that read, how many at a time, and which continue one that was logged."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(4, thread_name_prefix="spool")
        self._begun: dict[tuple[str, str, str], float] = {}
        self._running: Counter[str] = Counter()
        self._counting = threading.Lock()

    def continues(self, accessor: str, release_id: str, name: str, *, first: int) -> bool:
        """True for a range behind the first byte, of a file of which the same token has had something a while ago: no entry of its own."""
        now, key = time.monotonic(), (accessor, release_id, name)
        with self._counting:
            self._begun = {one: at for one, at in self._begun.items() if now - at < ONE_DOWNLOAD}
            known = first > 0 and key in self._begun
            if known:
                self._begun[key] = now
        return known

    def begun(self, accessor: str, release_id: str, name: str) -> None:
        """Remember a download whose entry is written; before, nothing continues it."""
        with self._counting:
            self._begun[(accessor, release_id, name)] = time.monotonic()

    def enter(self, accessor: str) -> None:
        """Count a download of a token. Raises HttpProblem 429, 503 ``downloads_busy``."""
        with self._counting:
            if self._running.total() >= AT_ONCE:
                raise HttpProblem(503, "downloads_busy", "too many downloads at a time", {"Retry-After": "5"})
            if self._running[accessor] >= OF_ONE:
                raise HttpProblem(429, "downloads_busy", f"one token has {OF_ONE} downloads at most", {"Retry-After": "5"})
            self._running[accessor] += 1

    def leave(self, accessor: str) -> None:
        """Count it no more."""
        with self._counting:
            self._running[accessor] -= 1
            if not self._running[accessor]:
                del self._running[accessor]

    def close(self) -> None:
        """End the threads."""
        self.pool.shutdown(wait=True)


def etag_of(file: KeptFile) -> str:
    """Strong ETag: the digest of the file's bytes, which never change under the release's id."""
    return f'"{file.sha256}"'


def asked_range(headers: Mapping[str, str], file: KeptFile) -> tuple[int, int] | None:
    """First and last byte that are asked for; None for the whole file: no range, another unit, or an If-Range that is not this file's.

    Raises:
        HttpProblem 416: several ranges, none that can be read, or outside the file.
    """
    text = headers.get("range")
    if text is None or not text.strip().lower().startswith("bytes"):
        return None
    if "if-range" in headers and headers["if-range"].strip() != etag_of(file):
        return None
    found = _RANGE.fullmatch(text.strip())
    if found is None or found.groups() == ("", ""):
        raise _unsatisfiable(file)
    first, last = found.groups()
    if not first:
        first, last = str(max(0, file.bytes - int(last))), str(file.bytes - 1) if int(last) else "-1"
    begin, end = int(first), min(int(last) if last else file.bytes - 1, file.bytes - 1)
    if begin > end or begin >= file.bytes:
        raise _unsatisfiable(file)
    return begin, end


def not_modified(headers: Mapping[str, str], file: KeptFile) -> bool:
    """True where If-None-Match names the file's ETag."""
    tags = [one.strip().removeprefix("W/") for one in headers.get("if-none-match", "").split(",")]
    return etag_of(file) in tags or tags == ["*"]


def head(file: KeptFile, asked: tuple[int, int] | None) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer."""
    begin, end = asked or (0, file.bytes - 1)
    end_of_name = next((kind for ending, kind in _TYPES.items() if file.name.endswith(ending)), "application/octet-stream")
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'attachment; filename="{file.name}"',
        "Content-Length": str(end - begin + 1),
        "Content-Type": end_of_name,
        "ETag": etag_of(file),
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(file.sha256)).decode()}:",
    }
    if asked is not None:
        headers["Content-Range"] = f"bytes {begin}-{end}/{file.bytes}"
    return 200 if asked is None else 206, headers


class SpooledFile(Response):
    """Bytes of an open file, which it closes, for a token that has entered ``downloads``. ``again``: raises where no more may be sent; called in a
    thread every ``LOOKED_AT_AGAIN`` bytes.
    """

    def __init__(
        self,
        handle: int,
        file: KeptFile,
        asked: tuple[int, int] | None,
        downloads: Downloads,
        again: Callable[[], Any],
        *,
        accessor: str,
    ) -> None:
        status, headers = head(file, asked)
        super().__init__(None, status, None)
        self.raw_headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        self._handle, self._downloads, self._again, self._accessor = handle, downloads, again, accessor
        self._begin, self._end = asked or (0, file.bytes - 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        """Send; a connection whose other end is gone, stalls, or may have no more is left unfinished, which closes it."""
        gone = asyncio.create_task(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._body(send, gone)
        finally:
            gone.cancel()
            os.close(self._handle)
            self._downloads.leave(self._accessor)

    async def _body(self, send: Send, gone: asyncio.Task[None]) -> None:
        loop, at, unseen = asyncio.get_running_loop(), self._begin, 0
        while at <= self._end and not gone.done():
            if unseen >= LOOKED_AT_AGAIN:
                unseen = 0
                try:
                    await loop.run_in_executor(self._downloads.pool, self._again)
                except Exception:  # noqa: BLE001 - whatever it is, nothing more is sent
                    return
            wanted = min(PIECE, self._end + 1 - at)
            data = await loop.run_in_executor(self._downloads.pool, os.pread, self._handle, wanted, at)
            if not data:
                return
            at, unseen = at + len(data), unseen + len(data)
            try:
                async with asyncio.timeout(STALLED_SECONDS):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            except TimeoutError:
                return
        if not gone.done():
            await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _unsatisfiable(file: KeptFile) -> HttpProblem:
    return HttpProblem(416, "range_not_satisfiable", "one range within the file", {"Content-Range": f"bytes */{file.bytes}"})
