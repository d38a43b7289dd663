"""The console behind a proxy, over the server's Unix socket, as the command serves it: a cookie that only TLS carries."""

from __future__ import annotations

import re

from tests.support import consoles, served

SAME = {"sec-fetch-site": "same-origin"}


def test_over_the_socket_the_cookie_is_secure_and_of_this_host_alone(tmp_path):
    vault, token = consoles.staffed(tmp_path)
    place = tmp_path / "s.sock"
    with served.serving(vault, "--unix", str(place), token=token, sealed=True, socket_of=place) as it:
        form = {"name": "auditor", "passphrase": consoles.WHO["auditor"]}
        answer = it.client.post("/console/login", data=form, headers=SAME)
        assert answer.status_code == 303, answer.text
        cookie = answer.headers["set-cookie"]
        assert re.fullmatch(r"__Host-genovault=[\w-]{43}; HttpOnly; Path=/; SameSite=strict; Secure", cookie)
        named = {"cookie": cookie.partition(";")[0]}
        assert it.client.get("/console/log", headers=named).status_code == 200
        loopback = {"cookie": named["cookie"].replace("__Host-genovault", "genovault-loopback")}
        assert it.client.get("/console/log", headers=loopback).status_code == 303, "another cookie is none here"
        assert it.client.get("/console/log", headers=named).headers["content-security-policy"].startswith("default-src 'none'")
