"""The boundary of a server: what comes in too large, too slow, malformed or sealed gets a small correct answer, and nothing private."""

from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time

import httpx
import pytest

from tests.support import served
from tests.support.vaults import opened, verified
from vault.server.htsget.answers import is_here
from vault.session import principals

GENOTYPES = "/v1/projects/served/panels/pgx/genotypes"
CANARY = "patient-0815"
SECURE = ("content-security-policy", "cache-control", "x-content-type-options", "referrer-policy", "strict-transport-security")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{" * 2_000_000, {}, 413),
        (b"{}", {"content-length": "9" * 30}, 413),
        (b"{not json", {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'{"dataset": 5}', {}, 400),
        (json.dumps({"dataset": "cohort", "patient": CANARY}).encode(), {}, 400),
        (json.dumps({"dataset": CANARY * 50}).encode(), {}, 400),
        (b'{"dataset": "cohort", "pseudonyms": ["' + CANARY.encode() * 9 + b'"]}', {}, 400),
        (b'{"dataset": "cohort"}', {"content-type": "text/xml"}, 415),
        (b'{"dataset": "cohort"}', {"content-type": "multipart/form-data; boundary=x"}, 415),
    ],
)
def test_what_is_no_question_gets_a_small_answer_that_repeats_nothing(server, body, headers, status):
    sent = {"content-type": "application/json", **headers}
    if "content-length" in headers:
        answer = raw(
            server,
            b"POST "
            + GENOTYPES.encode()
            + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
            + headers["content-length"].encode()
            + b"\r\n\r\n{}",
        )
        assert answer.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))
        return
    answer = server.client.post(GENOTYPES, content=body, headers=sent)
    assert answer.status_code == status, answer.text
    assert CANARY not in answer.text
    assert len(answer.content) < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(SECURE) <= set(answer.headers)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/docs",
        "/v1",
        "/v1/../v1/projects",
        "//v1//projects",
        "/v1/projects/%2e%2e/panels",
        "/v1/projects/" + "x" * 65 + "/panels",
    ],
)
def test_no_path_leads_elsewhere(server, path):
    answer = raw(
        server, f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token}\r\nConnection: close\r\n\r\n".encode()
    )
    assert int(answer.split(b" ", 2)[1]) in (400, 403, 404, 405)


def test_every_route_sets_the_headers_and_none_names_its_program(server):
    for path in ("/livez", "/readyz", "/v1/sys/seal-status", "/v1/projects", "/nosuch", "/v1/openapi.json"):
        answer = server.client.get(path)
        assert set(SECURE) <= set(answer.headers), path
        assert "server" not in answer.headers, path


def test_the_interface_describes_its_answers(server):
    described = server.client.get("/v1/openapi.json").json()
    assert server.client.get("/v1/openapi.json").json() == described, "it is completed at each question"
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            refused = "404" if is_here(path) else "403"
            assert {"401", refused, "400", "503"} <= set(operation["responses"]), (method, path)
            assert not is_here(path) or "403" not in operation["responses"], (method, path)
            assert "422" not in operation["responses"], (method, path)


def test_refusals_take_as_long_whatever_the_reason(server):
    def seconds(path, body, **headers):
        took = []
        for _ in range(12):
            begun = time.perf_counter()
            server.post(path, body, **headers)
            took.append(time.perf_counter() - begun)
        return took

    cases = [
        seconds(GENOTYPES.replace("served", "demo"), {"dataset": "cohort"}),
        seconds(GENOTYPES.replace("served", "nosuch"), {"dataset": "cohort"}),
        seconds(GENOTYPES, {"dataset": "cohort"}, Authorization="Bearer gvt_x"),
    ]
    assert all(min(took) >= 0.045 for took in cases), "each waits for a boundary"
    assert statistics.median(cases[0]) >= 0.045


def test_who_sends_slowly_is_cut_off(server):
    with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=40) as slow:
        slow.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        begun = time.monotonic()
        assert slow.recv(100) == b""
        assert time.monotonic() - begun < 35


def test_a_server_without_keys_says_so_and_takes_none_in_clear(tmp_path):
    token = served.staffed(tmp_path)
    with served.serving(tmp_path / "v", token=token, sealed=True) as it:
        assert it.client.get("/v1/sys/seal-status").json() == {"sealed": True}
        assert (it.client.get("/livez").status_code, it.client.get("/readyz").status_code) == (204, 503)
        assert it.post(GENOTYPES, {"dataset": "cohort"}).json()["code"] == "sealed"
        answer = it.post("/v1/sys/unseal", {"passphrase": served.PASSPHRASE})
        assert (answer.status_code, answer.json()["code"]) == (403, "channel_not_private")


def test_over_the_socket_it_is_unsealed_and_sealed_by_the_slot_s_factor(tmp_path):
    token = served.staffed(tmp_path)
    place = tmp_path / "s.sock"
    with served.serving(tmp_path / "v", "--unix", str(place), token=token, sealed=True, socket_of=place) as it:
        wrong = it.post("/v1/sys/unseal", {"passphrase": "wrong"})
        assert (wrong.status_code, wrong.json()["code"]) == (403, "cannot_unlock")
        assert it.post("/v1/sys/unseal", {"passphrase": served.PASSPHRASE}).status_code == 204
        assert it.post(GENOTYPES, {"dataset": "cohort"}).status_code == 200
        assert it.client.get("/readyz").status_code == 204
        assert it.post("/v1/sys/seal", {"passphrase": "wrong"}).status_code == 403
        assert it.post("/v1/sys/seal", {"passphrase": served.PASSPHRASE}).status_code == 204
        assert it.post(GENOTYPES, {"dataset": "cohort"}).json()["code"] == "sealed"
        assert place.stat().st_mode & 0o077 == 0


def test_a_server_whose_slot_is_removed_seals_itself(tmp_path):
    token = served.staffed(tmp_path)
    with served.serving(tmp_path / "v", token=token) as it:
        assert it.post(GENOTYPES, {"dataset": "cohort"}).status_code == 200
        with opened(tmp_path / "v") as s:
            principals.disable(s, "service")
        it.post(GENOTYPES, {"dataset": "cohort"})
        assert it.client.get("/v1/sys/seal-status").json() == {"sealed": True}


def test_a_person_s_slot_does_not_serve(tmp_path):
    served.staffed(tmp_path)
    command = [sys.executable, "-c", "import genovault_start; genovault_start.command()"]
    line = [*command, "--vault", str(tmp_path / "v"), "--as", "ann", "serve", "--listen", "127.0.0.1:0"]
    ran = subprocess.run(
        line, env={**os.environ, "GENOVAULT_PASSPHRASE": "correct horse canary staple"}, capture_output=True, check=False
    )
    assert ran.returncode == 3
    assert b"unlocks a slot of its own" in ran.stderr


def test_clear_text_stays_on_this_machine(tmp_path):
    served.staffed(tmp_path)
    command = [sys.executable, "-c", "import genovault_start; genovault_start.command()"]
    line = [*command, "--vault", str(tmp_path / "v"), "--as", "service", "serve", "--listen", "0.0.0.0:0"]
    ran = subprocess.run(line, env={**os.environ, "GENOVAULT_PASSPHRASE": served.PASSPHRASE}, capture_output=True, check=False)
    assert ran.returncode == 2
    assert b"--tls-cert" in ran.stderr


def test_killed_under_load_every_answer_given_has_its_entry(tmp_path):
    token = served.staffed(tmp_path)
    with served.serving(tmp_path / "v", token=token) as it:
        given = [it.post(GENOTYPES, {"dataset": "cohort"}).json()["entry"] for _ in range(6)]
        it.process.send_signal(signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            it.post(GENOTYPES, {"dataset": "cohort"})
    with opened(tmp_path / "v") as s:
        leaves = {entry.index: json.loads(entry.leaf) for entry in s.trail.log.entries(0)}
        assert {(leaves[at]["act"], leaves[at]["outcome"]) for at in given} == {("view.read", "done")}
        assert not verified(s).findings


def raw(server, data):
    with socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=20) as connection:
        connection.sendall(data)
        return connection.recv(4_000)
