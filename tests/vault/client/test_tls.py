"""The client over TLS: whom it trusts, and what it shows of itself."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import vault
from tests.support.certificates import certificate

BODY = b'{"projects": []}'


@contextmanager
def server(paths, *, client_ca=None):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

        def log_message(self, *_):
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_):
            pass  # a client that does not trust us

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    it = Quiet(("127.0.0.1", 0), Handler)
    it.socket = context.wrap_socket(it.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=it.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"https://127.0.0.1:{it.server_port}"
    finally:
        it.shutdown()
        thread.join()
        it.server_close()


def projects(url, **named):
    with vault.connect(url, token="gvt_x", timeout=5, **named) as c:
        return c.projects()


def test_a_server_is_trusted_by_the_certificate_that_is_given(tmp_path):
    paths = certificate(tmp_path, "server")
    with server(paths) as url:
        assert projects(url, certificate=paths[0]) == ()


@pytest.mark.parametrize("whom", ["nobody", "another", "another host"])
def test_a_server_that_is_not_who_it_should_be_gets_no_token(tmp_path, whom):
    paths = certificate(tmp_path, "server", host="127.0.0.1" if whom != "another host" else "127.0.0.9")
    named = {
        "nobody": {},
        "another": {"certificate": certificate(tmp_path, "other")[0]},
        "another host": {"certificate": paths[0]},
    }
    with server(paths) as url, pytest.raises(vault.UnavailableError) as caught:
        projects(url, **named[whom])
    assert caught.value.code == "server_unreachable"


def test_a_server_that_asks_for_a_certificate_gets_the_one_that_is_given(tmp_path):
    paths, own = certificate(tmp_path, "server"), certificate(tmp_path, "client")
    with server(paths, client_ca=own[0]) as url:
        assert projects(url, certificate=paths[0], client_certificate=own) == ()
        with pytest.raises(vault.UnavailableError):
            projects(url, certificate=paths[0])
