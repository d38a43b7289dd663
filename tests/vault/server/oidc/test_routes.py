"""The whole login in a server's process, by providers that are programs of their own: away, back, into the console, and out where the identity ends."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support import issuers, served
from tests.support.vaults import opened
from vault.access import outside_identities


@pytest.fixture(scope="module")
def issuer():
    with issuers.issuing() as it:
        yield it


@pytest.fixture(scope="module")
def server(tmp_path_factory, issuer):
    folder = tmp_path_factory.mktemp("oidc")
    token = served.staffed(folder)
    with opened(folder / "v") as s:
        outside_identities.name(s, "rita", issuer.url, "0815")
    (folder / "secret").write_text(issuers.SECRET)
    settings = f"issuer: {issuer.url}\nclient_id: {issuers.CLIENT}\naddress: http://127.0.0.1\nclient_secret_file: secret\n"
    (folder / "oidc.yaml").write_text(settings)
    with served.serving(folder / "v", "--oidc", str(folder / "oidc.yaml"), token=token) as it:
        yield it


@pytest.fixture
def browser(server):
    with httpx.Client(base_url=server.url, timeout=60) as it:
        yield it


def away(browser):
    answer = browser.get("/oidc/login")
    assert answer.status_code == 303, answer.text
    return answer


def test_there_and_back_is_a_session_of_the_console(server, issuer, browser):
    assert 'href="/oidc/login"' in browser.get("/console/login").text
    sent = away(browser)
    assert "samesite=lax" in sent.headers["set-cookie"].lower()
    assert "httponly" in sent.headers["set-cookie"].lower()
    answer = browser.get("/oidc/callback", params=issuer.authorise(sent.headers["location"]))
    assert (answer.status_code, answer.headers["refresh"]) == (200, "0; url=/console/")
    cookies = [one.lower() for one in answer.headers.get_list("set-cookie")]
    assert any("samesite=strict" in one for one in cookies), cookies
    home = browser.get("/console/", follow_redirects=True)
    assert "/console/login" not in str(home.url)
    with opened(server.folder) as s:
        outside_identities.forget(s, issuer.url, "0815")
    ended = browser.get("/console/", follow_redirects=True)
    assert "/console/login" in str(ended.url), "the identity is looked up at every page"
    with opened(server.folder) as s:
        outside_identities.name(s, "rita", issuer.url, "0815")


def test_what_does_not_hold_is_told_alike_at_a_step_of_a_second(issuer, browser):
    sent = away(browser)
    query = issuer.authorise(sent.headers["location"])
    cases = [
        {**query, "state": "another"},
        {},
        {"error": "access_denied", "state": query["state"]},
        {**query, "iss": "https://evil.example.org"},
    ]
    for case in cases:
        begun = time.monotonic()
        answer = browser.get("/oidc/callback", params=case)
        assert time.monotonic() - begun > 0.9
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/login?said=login_refused")
        assert "genovault-loopback" not in answer.cookies
    assert "login was not accepted" in browser.get("/console/login?said=login_refused").text


def test_another_browser_s_answer_begins_no_session(server, issuer, browser):
    query = issuer.authorise(away(browser).headers["location"])
    with httpx.Client(base_url=server.url, timeout=60) as other:
        answer = other.get("/oidc/callback", params=query)
    assert answer.headers["location"].endswith("said=login_refused")


def test_an_identity_of_nobody_is_refused(issuer, browser):
    issuer.subject = "4711"
    answer = browser.get("/oidc/callback", params=issuer.authorise(away(browser).headers["location"]))
    issuer.subject = "0815"
    assert answer.headers["location"].endswith("said=login_refused")


def test_without_a_provider_there_is_no_such_door(tmp_path):
    token = served.staffed(tmp_path)
    with served.serving(tmp_path / "v", token=token) as it:
        assert it.client.get("/oidc/login").status_code == 404
        assert "/oidc/login" not in it.client.get("/console/login").text


@pytest.mark.long
def test_another_project_s_provider_lets_a_researcher_in(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    try:
        line = next(one for one in process.stderr if "http://" in one)
        url = re.search(r"http://[0-9a-z.]+:[0-9]+", line)[0].replace("localhost", "127.0.0.1")
        said = httpx.get(f"{url}/.well-known/openid-configuration", timeout=30).json()
        issuer = said["issuer"]
        token = served.staffed(tmp_path)
        with opened(tmp_path / "v") as s:
            outside_identities.name(s, "rita", issuer, "rita@hospital.example")
        (tmp_path / "secret").write_text("x")
        text = f"issuer: {issuer}\nclient_id: genovault\naddress: http://127.0.0.1\nclient_secret_file: secret\n"
        (tmp_path / "oidc.yaml").write_text(text)
        with (
            served.serving(tmp_path / "v", "--oidc", str(tmp_path / "oidc.yaml"), token=token) as it,
            httpx.Client(base_url=it.url, timeout=60) as browser,
        ):
            sent = away(browser)
            back = httpx.post(sent.headers["location"], data={"sub": "rita@hospital.example"}, timeout=30)
            assert back.status_code in (302, 303), back.text
            answer = browser.get(f"/oidc/callback?{urlsplit(back.headers['location']).query}")
            assert answer.status_code == 200, (answer.headers, answer.text)
            assert "/console/login" not in str(browser.get("/console/", follow_redirects=True).url)
    finally:
        process.terminate()
        process.communicate(timeout=30)
