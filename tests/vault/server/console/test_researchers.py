"""Researchers in the console: by their token, their project and their requests, and nothing else."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.support import consoles
from tests.support.vaults import opened
from vault.access import access_tokens, requests


def leaves(desk):
    with opened(desk.folder) as s:
        return [json.loads(e.leaf) for e in s.trail.log.entries(0)]


def test_a_token_shows_its_project_and_own_requests(desk, chromium):
    with consoles.visiting(chromium, desk, "rita") as page:
        names = [one.inner_text() for one in page.get_by_role("navigation", name="Sections").get_by_role("link").all()]
        assert names == ["Requests", "Projects"]
        page.get_by_role("link", name="Projects").click()
        assert [one.inner_text() for one in page.locator("tbody td:first-child").all()] == ["served"]
        page.get_by_role("link", name="served").click()
        page.get_by_role("link", name="Budgets").click()
        assert page.get_by_role("table").count() == 1
        page.get_by_role("link", name="Requests").click()
        assert [one.inner_text() for one in page.locator("tbody td:first-child").all()] == [desk.names["own"]]
        page.get_by_role("link", name=desk.names["own"]).click()
        assert "22:1-1200" in page.content()
        assert page.get_by_text("Take it back").count() == 0, "the token only reads"
    leaf = leaves(desk)[-1]
    assert (leaf["act"], leaf["actor"]) == ("request.show", {"kind": "service", "id": "service", "for": "rita"})
    assert {"role:researcher", "authn:token"} <= set(leaf["flags"])


def test_what_is_another_s_and_what_is_not_there_look_alike(desk, chromium):
    with consoles.visiting(chromium, desk, "rita") as page:
        said = set()
        for path in (f"/requests/{desk.names['request']}", "/requests/r-0000000000", "/log", "/overview", "/waiting"):
            answer = page.goto(f"/console{path}")
            said.add((answer.status, page.get_by_role("alert").inner_text()))
        assert len(said) == 1
        texts = {page.goto(f"/console/projects/{code}").status for code in ("each", "nosuch")}
        assert texts == {400}


def test_a_request_is_taken_back_by_who_asked_where_the_token_may(desk, chromium):
    asked = {
        "format": "request/1",
        "project": "served",
        "dataset": "cohort",
        "loci": {"regions": ["22:1000-1200"]},
        "reason": "x",
    }
    answer = httpx.post(
        f"{desk.url}/v1/requests", json=asked, headers={"Authorization": f"Bearer {desk.names['asks']}"}, timeout=60
    )
    request = answer.json()["request"]
    with consoles.visiting(chromium, desk, "rita") as page:
        token = page.locator("input[name=token]").first.get_attribute("value")
        path = f"/console/requests/{request}/withdraw"
        sent = page.request.post(path, form={"token": token, "reason": "x"}, headers={"sec-fetch-site": "same-origin"})
        assert sent.status == 403
    with consoles.visiting(chromium, desk, "rita who asks") as page:
        page.goto(f"/console/requests/{desk.names['own']}")
        assert page.get_by_text("Take it back").count() == 0, "a steward submitted it"
        page.goto(f"/console/requests/{request}")
        page.get_by_text("Take it back").click()
        page.get_by_label("Why; auditors read it").fill("asked too much")
        page.get_by_role("button", name="Withdraw").click()
        assert "Taken back." in page.get_by_role("status").inner_text()
    with opened(desk.folder) as s:
        assert requests.load(s, request).state == "withdrawn"


@pytest.mark.parametrize("who", ["gvt_x", "rita's engine"])
def test_what_is_no_reader_s_token_does_not_log_in(desk, chromium, who):
    with consoles.visiting(chromium, desk) as page:
        page.goto("/console/login")
        page.get_by_label("Access token").fill(desk.tokens.get(who, who))
        page.get_by_role("button", name="Log in").click()
        assert page.get_by_role("alert").count() == 1
        assert page.context.cookies() == []


def test_a_revoked_token_ends_the_session_at_the_next_page(desk, chromium):
    with consoles.visiting(chromium, desk, "rita who asks") as page:
        assert page.goto("/console/requests").status == 200
        with opened(desk.folder) as s:
            access_tokens.revoke(s, desk.names["asks"].split("_")[1])
        page.goto("/console/requests")
        assert page.url.startswith(f"{desk.url}/console/login")
