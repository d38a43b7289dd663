"""The client against servers that are away, busy, slow, lying or somebody else's: a small typed error each time, and the token nowhere."""

from __future__ import annotations

import json
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import vault
from vault.client import addresses, channel
from vault.client.channel import ARROW, BearerToken, ServerChannel
from vault.client.server_answers import ServedProject

TOKEN = "gvt_0123456789_" + "s" * 43 + "_000000"
PROJECTS = b'{"projects": [{"code": "demo", "title": "t", "datasets": ["cohort"], "later": 1}]}'


@contextmanager
def server(answer):
    """A server whose every answer ``answer`` writes; the requests that it got."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            got.append((self.path, dict(self.headers)))
            self.close_connection = True
            with suppress(OSError):  # the client has gone
                answer(self)

        def log_message(self, *_):
            pass

    it = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=it.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{it.server_port}", got
    finally:
        it.shutdown()
        thread.join()
        it.server_close()


def saying(status, body=b"", **headers):
    def answer(handler):
        handler.send_response(status)
        for name, value in {"Content_Type": "application/json", "Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def problem(status, code="x", title="t", **headers):
    body = json.dumps({"code": code, "title": title, "status": status}).encode()
    return saying(status, body, Content_Type="application/problem+json", **headers)


def ask(url, *, timeout=5.0, sleep=lambda _: None, **named):
    with ServerChannel(addresses.address_of(url), BearerToken(TOKEN), timeout=timeout, sleep=sleep) as it:
        return it.ask("GET", "/v1/projects", **named)


def refused(url, **named):
    with pytest.raises(vault.GenovaultError) as caught:
        ask(url, **named)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert TOKEN not in shown
    return caught.value


def test_an_answer_is_typed_and_what_it_has_more_is_left_out():
    with server(saying(200, PROJECTS)) as (url, got), vault.connect(url, token=TOKEN) as c:
        assert c.projects() == (ServedProject("demo", "t", ("cohort",)),)
        assert got[0][1]["Authorization"] == f"Bearer {TOKEN}"
        assert got[0][1]["Accept-Encoding"] == "identity"
        assert TOKEN not in repr(c)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, vault.InputError, "panel_unknown"),
        (401, vault.RefusedError, "token_refused"),
        (403, vault.RefusedError, "refused"),
        (413, vault.InputError, "panel_unknown"),
        (408, vault.UnavailableError, "panel_unknown"),
        (500, vault.UnavailableError, "panel_unknown"),
        (404, vault.UnavailableError, "answer_malformed"),
        (302, vault.UnavailableError, "answer_malformed"),
        (418, vault.UnavailableError, "answer_malformed"),
    ],
)
def test_problems_are_the_errors_of_the_embedded_api_and_asked_once(status, kind, code):
    with server(problem(status, "panel_unknown", Location="http://127.0.0.1:1/")) as (url, got):
        error = refused(url)
    assert (type(error), error.code) == (kind, code)
    assert len(got) == 1


def test_what_a_server_says_of_an_error_is_one_plain_line_without_the_token():
    with server(problem(400, "Not A Code\n", f"a\x1b[31m\nb {TOKEN} " + "x" * 1000)) as (url, _):
        error = refused(url)
    assert error.code == "not_asked_so"
    assert "\n" not in error.message
    assert "\x1b" not in error.message
    assert len(error.message) <= 200


@pytest.mark.parametrize(("said", "tries"), [("2", 4), ("0", 4), ("-1", 4), ("soon", 4), ("", 4), ("11", 1), ("999999", 1)])
def test_a_busy_server_is_asked_again_a_few_times_within_bounds(said, tries):
    waits = []
    with server(problem(503, "sealed", Retry_After=said)) as (url, got):
        error = refused(url, sleep=waits.append)
    assert (type(error), error.code) == (vault.UnavailableError, "sealed")
    assert (len(got), len(waits)) == (tries, tries - 1)
    assert all(0 <= one <= channel.LONGEST_PAUSE for one in waits)
    if said == "2":
        assert waits == [2.0] * 3


def test_a_server_that_is_ready_by_the_second_time_answers():
    answers = iter([problem(503), saying(200, PROJECTS)])

    def turn(handler):
        next(answers)(handler)

    with server(turn) as (url, got):
        assert ask(url).body == PROJECTS
    assert len(got) == 2


def test_no_redirect_is_followed():
    with (
        server(saying(200, PROJECTS)) as (elsewhere, there),
        server(saying(307, Location=f"{elsewhere}/v1/projects")) as (url, _),
    ):
        assert refused(url).code == "answer_malformed"
    assert there == []


def endless(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * 65_536)


def dripping(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    while True:
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.02)


def slow_head(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.02)


def never_final(handler):
    while True:
        handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        time.sleep(0.02)


def silent(_):
    time.sleep(1.5)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (endless, "answer_too_large"),
        (dripping, "answer_too_slow"),
        (silent, "answer_too_slow"),
        (slow_head, "answer_too_slow"),
        (never_final, "answer_too_slow"),
        (saying(200, b"\x1f\x8b" + b"0" * 20, Content_Encoding="gzip"), "answer_malformed"),
        (saying(200, b"<html>", Content_Type="text/html"), "answer_malformed"),
        (saying(200, b"{}", Content_Length="200"), "server_unreachable"),
        (lambda handler: handler.wfile.write(b"SSH-2.0-x\r\n\r\n"), "server_unreachable"),
    ],
    ids=["endless", "dripping", "silent", "slow head", "never final", "gzip", "html", "cut", "another protocol"],
)
def test_what_is_too_large_slow_or_other_ends(answer, code, monkeypatch):
    monkeypatch.setattr(channel, "MOST_JSON", 1 << 20)
    with server(answer) as (url, _):
        assert refused(url, timeout=0.5).code == code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"projects": 1}',
        b'{"projects": [1]}',
        b'{"projects": [{}]}',
        b'{"projects": [{"code": 1, "title": "", "datasets": []}]}',
        b'{"projects": [{"code": "x", "title": "", "datasets": "ab"}]}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_json_of_another_form_is_no_answer(body):
    with (
        server(saying(200, body)) as (url, _),
        vault.connect(url, token=TOKEN) as c,
        pytest.raises(vault.UnavailableError) as caught,
    ):
        c.projects()
    assert caught.value.code == "answer_malformed"


def test_nobody_there_and_no_certificate_are_said():
    assert refused("http://127.0.0.1:1").code == "server_unreachable"
    with server(saying(200)) as (url, _):
        assert refused(url.replace("http", "https"), timeout=0.5).code in {"server_unreachable", "answer_too_slow"}


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1:8420", "http://vault.example", "http://localhost.example", "http://127.0.0.1.example"]
)
def test_a_token_goes_to_no_other_machine_in_the_clear(url):
    with pytest.raises(vault.UsageError) as caught:
        vault.connect(url, token=TOKEN)
    assert caught.value.code == "insecure_url"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "vault",
        "ftp://x",
        "https://",
        "https://u:p@x",
        "https://x/path",
        "https://x?y",
        "https://x#y",
        "https://x:99999",
        "https://[x",
    ],
)
def test_what_is_no_address_is_said(url):
    with pytest.raises(vault.UsageError) as caught:
        vault.connect(url, token=TOKEN)
    assert caught.value.code == "url_malformed"


@pytest.mark.parametrize("url", ["https://vault.example:8420", "http://localhost:1", "http://[::1]:1", "http://127.0.0.9/"])
def test_what_is_one_is_taken(url):
    vault.connect(url, token=f"{TOKEN}\n").close()


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "tökén"])
def test_what_is_no_token_is_said_before_anything_is_sent(token):
    with pytest.raises(vault.InputError) as caught:
        vault.connect("http://127.0.0.1:1", token=token)
    assert caught.value.code == "token_malformed"


def test_neither_a_proxy_nor_a_password_file_of_the_machine_is_used(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with server(saying(200, PROJECTS)) as (url, got):
        ask(url)
    assert got[0][1]["Authorization"] == f"Bearer {TOKEN}"


def test_a_certificate_that_is_none_is_said(tmp_path):
    (tmp_path / "x.pem").write_text("no")
    for named in ({"certificate": tmp_path / "x.pem"}, {"client_certificate": (tmp_path / "x.pem", tmp_path / "none")}):
        with pytest.raises(vault.InputError) as caught:
            vault.connect("https://vault.example", token=TOKEN, **named)
        assert caught.value.code == "certificate_unreadable"


def test_an_arrow_answer_in_json_is_none():
    with server(saying(200, PROJECTS)) as (url, _):
        assert refused(url, accept=ARROW).code == "answer_malformed"
