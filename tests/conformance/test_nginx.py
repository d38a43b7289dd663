"""nginx in front of the server, by the lines of docs/operations.md: each client has its own share, streams pass at once, bodies have an end.

Clients of other machines are played by the PROXY protocol, in which whoever connects says who it is: nginx takes that for the client's address.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import served
from tests.support.certificates import certificate
from tests.support.outside import tool
from tests.support.vaults import opened
from vault.access.token_bindings import TokenBinding
from vault.server.boundary import MAX_BODY

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
ONE, OTHER = "192.0.2.1", "198.51.100.7"
AT_ONCE = 60  # refused tokens, each of which costs its source twenty requests


class FromAfar(http.client.HTTPConnection):
    """A connection of a client with an address of one's choice."""

    def __init__(self, port: int, address: str) -> None:
        super().__init__("127.0.0.1", port, timeout=60)
        self._address = address

    def connect(self) -> None:
        super().connect()
        self.sock.sendall(f"PROXY TCP4 {self._address} 127.0.0.1 4711 443\r\n".encode())


@contextmanager
def nginx(folder: Path, upstream: int):
    """nginx with the guide's lines before a server at a port of this machine; its own port."""
    (lines,) = re.findall(r"```nginx\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    assert "https://127.0.0.1:8420" in lines
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(f"""
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    {temporary}
    server {{
        listen 127.0.0.1:{port} proxy_protocol;
        set_real_ip_from 127.0.0.0/8;
        real_ip_header proxy_protocol;
        {lines.replace("127.0.0.1:8420", f"127.0.0.1:{upstream}")}
    }}
}}
""")
    process = subprocess.Popen([tool("nginx"), "-p", str(folder), "-c", "nginx.conf", "-e", f"{folder}/error.log"])
    try:
        while not _listens(port):
            assert process.poll() is None, (folder / "error.log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    folder = tmp_path_factory.mktemp("behind")
    cert, key = certificate(folder, "server")
    token = served.staffed(folder)
    with opened(folder / "v") as s:
        bound = served.issue(s, "rita", binding=TokenBinding(networks=(f"{OTHER}/32",)))
    trust = ssl.create_default_context(cafile=str(cert))
    options = ("--tls-cert", str(cert), "--tls-key", str(key), "--trusted-proxy", "127.0.0.1/32")
    with (
        served.serving(folder / "v", *options, token=token, trust=trust) as it,
        nginx(folder, int(it.url.rpartition(":")[2])) as port,
    ):
        yield port, token, bound


def ask(port, address, token, *headers, method="GET", path="/v1/projects", body=None):
    connection = FromAfar(port, address)
    try:
        given = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **dict(headers)}
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_each_client_behind_nginx_has_a_share_of_its_own(behind):
    port, token, _ = behind
    claims = ("X-Forwarded-For", OTHER), ("Forwarded", f"for={OTHER}")  # of the client: nobody's share but its own is used up
    for _ in range(20):
        guesses = [threading.Thread(target=ask, args=(port, ONE, f"guess{n}", *claims)) for n in range(AT_ONCE)]
        for guess in guesses:
            guess.start()
        for guess in guesses:
            guess.join()
        status, said = ask(port, ONE, token)
        if status == 429:
            break
    assert (status, json.loads(said)["code"]) == (429, "too_many_requests")
    assert ask(port, OTHER, token)[0] == 200


def test_a_token_of_a_network_is_good_for_its_clients_behind_nginx_alone(behind):
    port, _, bound = behind
    assert ask(port, OTHER, bound)[0] == 200
    assert ask(port, "203.0.113.5", bound, ("X-Forwarded-For", OTHER))[0] == 401
    assert ask(port, "203.0.113.5", bound, ("Forwarded", f"for={OTHER}"))[0] == 401


def test_bodies_have_an_end_and_what_is_inside_stays_inside(behind):
    port, token, _ = behind
    path = "/v1/projects/served/counts"
    assert ask(port, OTHER, token, method="POST", path=path, body=b"x" * (MAX_BODY + 1))[0] == 413
    assert ask(port, OTHER, token, method="POST", path=path, body=b" " * MAX_BODY)[0] == 400
    assert ask(port, OTHER, token, path="/v1/sys/health")[0] == 403


def test_what_is_streamed_passes_at_once(tmp_path):
    """A server that sends the second piece once the client has the first: a proxy that waits for more would wait for ever."""
    cert, key = certificate(tmp_path, "stub")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    had_it = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)

        def answer():
            with tls.wrap_socket(listening.accept()[0], server_side=True) as connection:
                while b"\r\n\r\n" not in connection.recv(65_536):
                    pass
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
                if had_it.wait(60):
                    connection.sendall(b"6\r\nsecond\r\n0\r\n\r\n")

        stub = threading.Thread(target=answer)
        stub.start()
        with nginx(tmp_path, listening.getsockname()[1]) as port:
            client = FromAfar(port, ONE)
            client.request("GET", "/blocks/1")
            response = client.getresponse()
            assert response.read(5) == b"first"
            had_it.set()
            assert response.read() == b"second"
            client.close()
        stub.join()
