"""Connections: each deadline ends one, none keeps others out, and what is no HTTP gets the answer that everything malformed gets."""

from __future__ import annotations

import json
import re
import resource
import socket
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

from vault.server import connections, listening
from vault.server.admission import Admission
from vault.server.boundary import HEADERS, Boundary
from vault.server.connections import MOST_HEAD
from vault.server.metrics import Metrics

LARGE = 40_000_000  # bytes of the answer at /large: more than the system takes from a program at once


@pytest.fixture(scope="module")
def server():
    with running() as port:
        yield port


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
        (b"GET /a HTTP/1.0\r\n\r\n", 200),
        (b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n", 200),
        (b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n", 200),
        (b"GET http://elsewhere/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
        (b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET //a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
        (b"GET /%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
        (b"GET /a/%2e%2e/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\nConnection: close\r\n\r\n", 400),
        (b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n{} ", 400),
        (b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n{} ", 400),
        (b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /b", 400),
        (b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /a HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"CONNECT elsewhere:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET /a HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 2 * MOST_HEAD, 431),
        (b"GET /" + b"y" * 2 * MOST_HEAD, 431),
    ],
)  # fmt: skip
def test_each_head_is_answered_once_and_in_one_form(server, sent, status):
    answer = exchange(server, sent)
    assert answer.startswith(b"HTTP/1.1 %d" % status), answer[:200]
    assert len(re.findall(rb"HTTP/1\.1 \d", answer)) == 1
    assert b"Upgrade" not in answer
    for name, _ in HEADERS:
        assert name in answer.lower()
    if status != 200:
        body = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert (body["status"], set(body)) == (status, {"type", "title", "status", "code"})


def test_requests_behind_each_other_are_answered_in_order(server):
    one = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /9 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = exchange(server, b"".join(one % number for number in range(9)) + last)
    assert [json.loads(part)["path"] for part in answer.split(b"\r\n\r\n")[1:] for part in [part.partition(b"HTTP")[0]]] == [
        f"/{number}" for number in range(10)
    ]


def test_who_reads_nothing_is_cut_off(monkeypatch):
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.3)
    with running() as port, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.connect(("127.0.0.1", port))
        slow.settimeout(60)
        slow.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        assert slow.recv(10).startswith(b"HTTP/1.1")
        wait_until(lambda: not Stub.server.server_state.connections)
        assert len(drain(slow, at_most=LARGE)) < LARGE - 1_000_000


def test_who_reads_slowly_gets_everything(monkeypatch):
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.5)
    with running() as port, socket.create_connection(("127.0.0.1", port), timeout=60) as slow:
        slow.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = 0
        while part := slow.recv(1_000_000):
            found += len(part)
            time.sleep(0.02)
        assert found > LARGE


@pytest.mark.parametrize("begun", [b"", b"GET /a HTT", b"POST /a HTTP/1.1\r\nHost: x\r\n"])
def test_who_sends_no_head_is_cut_off(monkeypatch, begun):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with running() as port, socket.create_connection(("127.0.0.1", port), timeout=60) as slow:
        slow.sendall(begun)
        assert drain(slow) == b""


def test_who_drips_the_rest_of_what_was_answered_is_cut_off(monkeypatch):
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with running() as port, socket.create_connection(("127.0.0.1", port), timeout=60) as slow:
        slow.sendall(b"POST /%00 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        assert slow.recv(1_000).startswith(b"HTTP/1.1 400")
        wait_until(lambda: not sent(slow, b"x"))


def test_thousands_of_connections_keep_nobody_out():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = 3_000 if before[1] == resource.RLIM_INFINITY else min(3_000, before[1] // 3)
    assert many > connections.OPEN, "this system lets a process open too few files to try it"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 3 * many), before[1]))
    try:
        with running() as port, ExitStack() as stack:
            for _ in range(many):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            for _ in range(20):
                answer = exchange(port, b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 200")
            assert Stub.most <= connections.OPEN
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_one_address_has_so_many_connections(monkeypatch):
    monkeypatch.setattr(connections, "source_of", lambda _peer: "192.0.2.1")
    with running() as port, ExitStack() as stack:
        held = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60)) for _ in range(connections.OPEN_OF_ONE)
        ]
        for one in held:
            one.sendall(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
            assert one.recv(10).startswith(b"HTTP/1.1")
        assert exchange(port, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n") == b""
        held[0].close()
        wait_until(lambda: exchange(port, b"GET /a HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200"))


class Stub:
    """An application that repeats the path, in a server on a thread."""

    server: listening.Server
    most = 0

    async def __call__(self, scope, _receive, send):
        Stub.most = max(Stub.most, len(Stub.server.server_state.connections))
        body = bytes(LARGE) if scope["path"] == "/large" else json.dumps({"path": scope["path"]}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


@contextmanager
def running():
    """A server with our connections over a stub, in a thread; its port."""
    [own] = connections.listeners("127.0.0.1", 0)
    config = listening.configuration(Admission(Boundary(Stub()), Metrics(), rate=1e9), listening.Listening())
    config.lifespan = "off"
    config.load()
    server = Stub.server = listening.Server(config)
    Stub.most = 0
    thread = threading.Thread(target=server.run, args=([own],))
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield own.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        thread.join(60)


def sent(connection, data):
    try:
        connection.sendall(data)
    except OSError:
        return False
    return True


def wait_until(held):
    for _ in range(600):
        if held():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that")


def exchange(port, data):
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            connection.sendall(data)
            return drain(connection)
        except ConnectionError:
            return b""


def drain(connection, at_most=10_000_000):
    found = b""
    while len(found) < at_most and (part := connection.recv(65_536)):
        found += part
    return found
