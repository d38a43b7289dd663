"""A bucket that speaks as much of S3 as the vault's object store asks, in memory, and can be away for a while."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

NAME = "bucket"


class Bucket:
    """Objects by key, and the server that gives them. ``location``: for ``Places``; ``environment``: of the processes that use it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.location = f"s3://{NAME}/vault"
        self._port = 0
        self.come()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ALLOW_HTTP": "true",
        }

    def come(self) -> None:
        """Listen, on the port of before."""
        ThreadingHTTPServer.allow_reuse_address = True
        handler = type("Handler", (_Handler,), {"bucket": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def go(self) -> None:
        """Answer nobody."""
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    bucket: Bucket

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("If-None-Match") == "*" and self._key in self.bucket.objects:
            self._say(412)
            return
        self.bucket.objects[self._key] = data
        self._say(200)

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" in query:
            self._list(query.get("prefix", [""])[0])
            return
        found = self.bucket.objects.get(self._key)
        if found is None:
            self._say(404)
            return
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if wanted is None:
            self._say(200, found)
            return
        begin, end = int(wanted[1]), int(wanted[2]) + 1
        if begin >= len(found):
            self._say(416)
            return
        part = found[begin:end]
        self._say(206, part, f"bytes {begin}-{begin + len(part) - 1}/{len(found)}")

    def do_HEAD(self) -> None:
        found = self.bucket.objects.get(self._key)
        self._say(404 if found is None else 200, found or b"")

    def do_DELETE(self) -> None:
        self.bucket.objects.pop(self._key, None)
        self._say(204)

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    @property
    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(f"/{NAME}/")

    def _list(self, prefix: str) -> None:
        found = [(key, data) for key, data in sorted(self.bucket.objects.items()) if key.startswith(prefix)]
        date = "2026-01-01T00:00:00.000Z"
        listed = "".join(
            f'<Contents><Key>{key}</Key><Size>{len(data)}</Size><LastModified>{date}</LastModified><ETag>"x"</ETag></Contents>'
            for key, data in found
        )
        body = f"<ListBucketResult><Name>{NAME}</Name><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>"
        self._say(200, body.encode())

    def _say(self, status: int, body: bytes = b"", part: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("ETag", '"x"')
        if part:
            self.send_header("Content-Range", part)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def bucket() -> Iterator[Bucket]:
    """A bucket on this machine, empty."""
    one = Bucket()
    try:
        yield one
    finally:
        one.go()
