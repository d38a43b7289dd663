"""A steward's day in the console: what waits is decided there, with the report beside, by the steward's own signature."""

from __future__ import annotations

import json

import pytest

from tests.support import consoles
from tests.support.vaults import opened
from vault.access import notices, projects, requests
from vault.access.approved_accesses import examine


def state(desk, name):
    with opened(desk.folder) as s:
        return requests.load(s, desk.names[name]).state


def last(desk, act):
    with opened(desk.folder) as s:
        leaves = [json.loads(e.leaf) for e in s.trail.log.entries(0)]
    return next(leaf for leaf in reversed(leaves) if leaf["act"] == act)


def test_a_request_is_approved_with_its_risk_report_beside(desk, chromium):
    with consoles.visiting(chromium, desk, "ann") as page:
        assert page.url == f"{desk.url}/console/waiting"
        page.get_by_role("link", name=desk.names["request"]).click()
        assert page.get_by_text("Without a risk report.").count() == 1
        page.get_by_role("button", name="Work out the report").click()
        assert "The report is worked out." in page.get_by_role("status").inner_text()
        assert "How few sites single somebody out" in page.content()
        assert page.locator("section.report svg").count() > 0
        page.get_by_role("button", name="Approve this request").click()
        assert "signed with your key" in page.get_by_role("status").inner_text()
    assert state(desk, "request") == "approved"
    leaf = last(desk, "request.approve")
    assert (leaf["outcome"], leaf["actor"], leaf["req"]) == ("done", {"id": "ann", "kind": "steward"}, desk.names["request"])
    with opened(desk.folder) as s:
        assert not examine(s).unsigned


def test_nobody_approves_what_they_asked_and_a_denial_wants_a_reason(desk, chromium):
    address = f"/console/requests/{desk.names['second']}"
    with consoles.visiting(chromium, desk, "bob") as page:
        page.goto(address)
        page.get_by_role("button", name="Approve this request").click()
        assert "self_approval" in page.get_by_role("alert").inner_text()
        assert state(desk, "second") == "submitted"
    with consoles.visiting(chromium, desk, "ann") as page:
        page.goto(address)
        page.get_by_label("Why; auditors read it").first.fill("not needed")
        page.get_by_role("button", name="Deny for good").click()
        assert "Denied." in page.get_by_role("status").inner_text()
        assert page.get_by_role("button", name="Approve this request").count() == 0
    assert state(desk, "second") == "denied"


def test_a_project_is_approved_in_the_version_that_was_shown(desk, chromium):
    with consoles.visiting(chromium, desk, "ann") as page:
        page.goto("/console/waiting")
        page.get_by_role("link", name="draft", exact=True).click()
        assert "declared by bob" in page.content().lower()
        page.get_by_role("link", name="Who would be released under it").click()
        assert page.locator(".facts").count() == 1
        page.go_back()
        page.get_by_role("button", name="Approve version 1").click()
        assert "Approved" in page.get_by_role("status").inner_text()
    with opened(desk.folder) as s:
        assert projects.load(s, "draft").state == "approved"


def test_an_answer_to_a_notice_is_recorded(desk, chromium):
    with consoles.visiting(chromium, desk, "ann") as page:
        page.goto("/console/notices")
        page.get_by_label("Who said that it is done").fill("Dr. Roe, by mail")
        page.get_by_role("button", name="They did it").click()
        assert "recorded" in page.get_by_role("status").inner_text()
    with opened(desk.folder) as s:
        (first, *_) = [one for one in notices.list_all(s) if one.state == "acknowledged"]
    assert first.content.said == "Dr. Roe, by mail"


def test_coverage_and_ends_are_told_as_by_command(desk, chromium):
    with consoles.visiting(chromium, desk, "ann") as page:
        page.goto("/console/coverage")
        assert "of 12 people" in page.locator("main").inner_text()
        page.get_by_label("A project's people").fill("served")
        page.get_by_role("button", name="Show").click()
        assert page.get_by_label("A project's people").input_value() == "served"
        page.goto("/console/expiring")
        page.get_by_label("Within so many days").fill("9000")
        page.get_by_role("button", name="Show").click()
        assert page.url.endswith("days=9000")


@pytest.mark.parametrize("who", ["auditor", "rita"])
def test_who_is_no_steward_decides_nothing_whatever_they_send(desk, chromium, who):
    with consoles.visiting(chromium, desk, who) as page:
        token = page.locator("input[name=token]").first.get_attribute("value")
        headers = {"sec-fetch-site": "same-origin"}
        for path, form in (
            (f"/requests/{desk.names['second']}/approve", {}),
            (f"/requests/{desk.names['second']}/deny", {"reason": "x"}),
            (f"/requests/{desk.names['second']}/risk", {}),
            ("/projects/each/approve", {"version": "1"}),
            ("/notices", {"notice": desk.names["notice"], "reason": "x"}),
            ("/waiting/rule", {"about": "served x", "reason": "x"}),
            ("/waiting/pack", {"label": "x@1"}),
            ("/waiting/recipient", {"name": "x", "fingerprint": "x"}),
            ("/waiting/resolution", {"id": "x"}),
        ):
            answer = page.request.post(f"/console{path}", form={"token": token, **form}, headers=headers, max_redirects=0)
            assert answer.status == 403, (path, answer.status)


def test_a_form_of_another_site_decides_nothing(desk, chromium):
    with consoles.visiting(chromium, desk, "ann") as page:
        token = page.locator("input[name=token]").first.get_attribute("value")
        for headers, sent in (({"sec-fetch-site": "cross-site"}, token), ({"sec-fetch-site": "same-origin"}, "")):
            answer = page.request.post("/console/projects/each/approve", form={"token": sent, "version": "1"}, headers=headers)
            assert answer.status == 403


def test_a_hostile_title_is_text(desk, chromium):
    with consoles.visiting(chromium, desk, "ann", java_script_enabled=True, bypass_csp=True) as page:
        for path in ("/projects", "/projects/each", "/approvals/each"):
            page.goto(f"/console{path}")
            assert consoles.HOSTILE in page.locator("main").inner_text()
            assert page.locator("main script, main [onmouseover]").count() == 0
