"""Login: one's own slot and nobody else's, a session that ends, and forms that no other site can send. In a browser without scripts."""

from __future__ import annotations

import base64
import json
import re
from contextlib import ExitStack

import httpx
import pytest

from tests.support import consoles, vaults
from tests.support.vaults import FACTOR, opened
from vault.crypto.keystore import KeyFileFactor, Role
from vault.crypto.secret import Secret
from vault.server.console import login, sessions
from vault.session import principals

SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def client(desk):
    """Clients without a browser, which say that their forms are the console's own."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(httpx.Client(base_url=desk.url, headers=SAME, timeout=60))


def logged_in(it, who="auditor"):
    """A client with a session, and the token of its forms."""
    answer = it.post("/console/login", data={"name": who, "passphrase": consoles.WHO[who]})
    assert answer.status_code == 303, answer.text
    return it, re.search(r'name="token" value="([^"]+)"', it.get("/console/log").text)[1]


def test_without_a_session_every_page_leads_to_the_login(desk, chromium):
    with consoles.visiting(chromium, desk) as page:
        for path in ("/console", "/console/", "/console/log", "/console/log/3", "/console/log/3/proof"):
            page.goto(path)
            assert page.url == f"{desk.url}/console/login"


def test_who_unlocks_their_slot_sees_the_console_in_their_own_name(desk, chromium):
    with consoles.visiting(chromium, desk, "auditor") as page:
        banner = page.get_by_role("banner").inner_text()
        assert "auditor" in banner
        assert (
            page.context.cookies()[0] | {"httpOnly": True, "sameSite": "Strict", "name": "genovault-loopback"}
            == page.context.cookies()[0]
        )


def test_a_wrong_passphrase_and_an_unknown_name_are_one_answer_and_entries_of_the_log(desk, chromium):
    said = []
    for who, passphrase in (
        ("auditor", "wrong"),
        ("nobody", "wrong"),
        ("", "x"),
        ("service", "passphrase of the service"),
        ("rita", "x"),
    ):
        with consoles.visiting(chromium, desk) as page:
            page.goto("/console/login")
            page.get_by_label("Name").fill(who or " ")
            page.get_by_label("Passphrase").fill(passphrase)
            page.get_by_role("button", name="Unlock").click()
            said.append(page.get_by_role("alert").inner_text())
            assert page.context.cookies() == []
    assert len(set(said)) == 1
    with opened(desk.folder, factor=FACTOR) as s:
        tried = [json.loads(e.leaf) for e in s.trail.log.entries(0)]
    assert any(leaf["act"] == "vault.unlock.failed" and leaf.get("obj", {}).get("ref") == "auditor" for leaf in tried)


def test_a_key_file_opens_its_slot(desk, chromium):
    key = bytes(range(32))
    with opened(desk.folder) as s:
        principals.add(s, "kay", Role.AUDITOR, KeyFileFactor(Secret(key)))
    with consoles.visiting(chromium, desk) as page:
        page.goto("/console/login")
        page.get_by_label("Name").fill("kay")
        page.get_by_text("I have a key file").click()
        page.get_by_label("Its 32 bytes as base64").fill(base64.b64encode(key).decode())
        page.get_by_role("button", name="Unlock").click()
        assert "kay" in page.get_by_role("banner").inner_text()


def test_a_name_is_tried_once_a_second():
    now = [0.0]
    keeper = login.Doorkeeper(lambda: now[0])
    assert [keeper.admits("ann"), keeper.admits("ann"), keeper.admits("bob")] == [True, False, True]
    now[0] += login.APART * 1.01
    assert keeper.admits("ann")


def test_logging_out_ends_the_session_on_the_server(desk, chromium):
    with consoles.visiting(chromium, desk, "auditor") as page:
        kept = page.context.cookies()
        page.get_by_role("button", name="Log out").click()
        assert "logged out" in page.get_by_role("status").inner_text()
        assert page.context.cookies() == []
        page.context.add_cookies(kept)
        page.goto("/console/log")
        assert page.url.startswith(f"{desk.url}/console/login")


@pytest.mark.parametrize("passed", [sessions.IDLE, sessions.LONGEST])
def test_a_session_that_was_left_alone_or_is_old_is_over(desk, chromium, passed):
    with consoles.visiting(chromium, desk, "auditor") as page:
        step = sessions.IDLE if passed == sessions.IDLE else sessions.IDLE - 60
        gone = 0.0
        while gone < passed:
            desk.clock.now += step
            gone += step
            page.goto("/console/log")
        assert page.url.startswith(f"{desk.url}/console/login")
        assert "session is over" in page.get_by_role("status").inner_text()


def test_keys_of_a_session_that_is_over_go_without_another_request(desk, client):
    logged_in(client())
    desk.clock.now += sessions.LONGEST
    desk.sessions.sweep()
    assert desk.sessions._open == {}


def test_who_is_disabled_is_out_at_the_next_request(desk, client):
    with opened(desk.folder) as s:
        factor = vaults.PassphraseFactor.from_text("passphrase of eve")
        principals.add(s, "eve", Role.AUDITOR, factor, profile=vaults.Argon2Profile.TEST_ONLY)
    it = client()
    assert it.post("/console/login", data={"name": "eve", "passphrase": "passphrase of eve"}).status_code == 303
    assert it.get("/console/log").status_code == 200
    with opened(desk.folder) as s:
        principals.disable(s, "eve")
    assert it.get("/console/log").headers["location"] == "/console/login?said=ended"


def test_a_form_of_another_site_or_of_another_session_changes_nothing(desk, client):
    it, token = logged_in(client())
    other, theirs = logged_in(client(), "ann")
    for headers, sent in (
        ({"sec-fetch-site": "cross-site"}, token),
        ({"sec-fetch-site": "same-site"}, token),
        ({"sec-fetch-site": "none"}, token),
        ({"origin": "https://elsewhere.example"}, token),
        ({"origin": "null", "sec-fetch-site": ""}, token),
        ({}, theirs),
        ({}, ""),
    ):
        assert it.post("/console/logout", data={"token": sent}, headers=headers).status_code == 403
        assert it.get("/console/log").status_code == 200
    assert (
        it.post(
            "/console/login", data={"name": "ann", "passphrase": consoles.WHO["ann"]}, headers={"sec-fetch-site": "cross-site"}
        ).status_code
        == 403
    )
    assert httpx.post(f"{desk.url}/console/login", data={"name": "ann"}).status_code == 403, (
        "neither header says where it is from"
    )
    assert it.post("/console/logout", data={"token": token}, headers={"origin": desk.url}).status_code == 303
    assert other.get("/console/log").status_code == 200


def test_two_who_share_a_browser_never_see_one_another_s_pages(desk, chromium):
    with consoles.visiting(chromium, desk, "auditor") as page:
        stale = page.get_by_role("button", name="Log out").locator("xpath=..").locator("input").get_attribute("value")
        first = page.context.cookies()[0]["value"]
        consoles.log_in(page, "ann", desk)
        assert "ann" in page.get_by_role("banner").inner_text()
        assert desk.sessions.find(first) is None, "the session of before ended"
        answer = page.request.post("/console/logout", form={"token": stale}, headers=SAME)
        assert answer.status == 403
        page.go_back()
        page.go_back()
        assert page.get_by_role("banner").filter(has_text="auditor").count() == 0


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"name=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"{}", "application/json", 415),
        (b"--x", "multipart/form-data; boundary=x", 415),
        (b"name=%ff", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a=1" for _ in range(50)), "application/x-www-form-urlencoded", 400),
    ],
)
def test_bodies_are_small_forms(desk, body, kind, status):
    answer = httpx.post(f"{desk.url}/console/login", content=body, headers={"content-type": kind, **SAME})
    assert answer.status_code == status


def test_a_form_is_for_the_console_alone(desk):
    answer = httpx.post(f"{desk.url}/v1/sys/seal", data={"passphrase": "x"}, headers=SAME)
    assert answer.status_code == 415


def test_a_sealed_server_lets_those_in_who_hold_keys_of_their_own(tmp_path, monkeypatch):
    consoles.impatient(monkeypatch)
    vault, token = consoles.staffed(tmp_path)
    with consoles.running(vault, sealed=True) as desk, httpx.Client(base_url=desk.url, headers=SAME, timeout=60) as it:
        logged_in(it)
        assert it.get("/console/log").status_code == 200
        assert it.post("/console/login", data={"access_token": token}).status_code == 503


def test_at_most_so_many_sessions_and_so_many_of_one(desk, client):
    clients = [logged_in(client())[0] for _ in range(sessions.MOST_OF_ONE + 1)]
    assert [one.get("/console/log").status_code for one in clients] == [303] + [200] * sessions.MOST_OF_ONE
