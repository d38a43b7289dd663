"""The log in the console: what an auditor finds by filters and pages, and that each look is an entry."""

from __future__ import annotations

import html
import json

from tests.support import consoles
from tests.support.vaults import opened
from vault.audit.verify import check_receipt
from vault.server.console import log_pages


def shown(page):
    return [int(cell.inner_text().replace(",", "")) for cell in page.locator("tbody tr td:first-child a").all()]


def leaves(desk):
    with opened(desk.folder) as s:
        return [json.loads(e.leaf) for e in s.trail.log.entries(0)]


def test_filters_find_what_they_name_and_stay_filled(desk, chromium):
    with consoles.visiting(chromium, desk, "auditor") as page:
        page.goto("/console/log")
        page.get_by_text("Filters").click()
        page.get_by_label("Act, or kind of act").fill("project")
        page.get_by_label("Project").fill("served")
        page.get_by_label("Outcome").select_option("done")
        page.get_by_role("button", name="Show").click()
        numbers = shown(page)
        assert page.get_by_label("Project").input_value() == "served"
    every = leaves(desk)
    wanted = [i for i, leaf in enumerate(every) if leaf["act"].startswith("project.") and leaf.get("project") == "served"]
    assert numbers == sorted(wanted, reverse=True)
    assert numbers


def test_pages_by_number_show_every_entry_once(desk, chromium, monkeypatch):
    monkeypatch.setattr(log_pages, "ROWS", 7)
    with consoles.visiting(chromium, desk, "auditor") as page:
        page.goto("/console/log?from=20")
        seen = shown(page)
        while page.get_by_role("link", name="Older").count():
            page.get_by_role("link", name="Older").click()
            seen += shown(page)
        assert seen == list(range(20, -1, -1))
        page.get_by_role("link", name="Newer").click()
        assert shown(page) == list(range(13, 6, -1))
        assert "of " not in page.locator(".pager").inner_text(), "no totals"


def test_days_bound_the_list(desk, chromium):
    with consoles.visiting(chromium, desk, "auditor") as page:
        page.goto("/console/log?until=2020-01-01")
        assert page.get_by_text("No entry here matches.").count() == 1
        page.goto("/console/log?since=2020-01-01&until=2999-01-01")
        assert shown(page)


def test_what_no_entry_can_have_is_said(desk, chromium):
    with consoles.visiting(chromium, desk, "auditor") as page:
        for query, code in (("act=nosuch", "act_unknown"), ("since=yesterday", "bad_time"), ("outcome=x", "outcome_unknown")):
            assert page.goto(f"/console/log?{query}").status == 400
            assert code in page.get_by_role("alert").inner_text()


def test_an_entry_shows_its_detail_to_an_auditor_and_its_receipt_holds(desk, chromium):
    number = next(i for i, leaf in enumerate(leaves(desk)) if leaf["act"] == "project.create" and leaf["project"] == "served")
    with consoles.visiting(chromium, desk, "auditor") as page:
        page.goto(f"/console/log/{number}")
        assert "declaration" in page.locator("dl").nth(1).inner_text()
        page.get_by_role("link", name="Proof of this entry").click()
        text = page.get_by_label("Receipt, to be copied").input_value()
        file = page.request.get(f"/console/log/{number}/entry.tlog-proof")
        assert file.headers["content-disposition"] == f'attachment; filename="entry-{number}.tlog-proof"'
        downloaded = file.text()
    with opened(desk.folder) as s:
        key = s.trail.log_keys()[0].to_text()
    for receipt in (text, downloaded):
        found = check_receipt(receipt if receipt.endswith("\n") else receipt + "\n", key)
        assert found.ok, found.findings
        assert found.leaf["act"] == "project.create"


def test_every_look_is_an_entry_in_the_visitor_s_name(desk, chromium):
    before = len(leaves(desk))
    with consoles.visiting(chromium, desk, "auditor") as page:
        for path, act in (("/log", "audit.read"), ("/log/3", "audit.read"), ("/log/3/proof", "audit.prove")):
            page.goto(f"/console{path}")
            last = leaves(desk)[-1]
            assert (last["act"], last["outcome"], last["actor"]) == (act, "done", {"id": "auditor", "kind": "auditor"})
    assert len(leaves(desk)) == before + 4, "logging in leads to the first section"


def test_what_is_not_there_is_a_small_page(desk, chromium):
    with consoles.visiting(chromium, desk, "auditor") as page:
        for path, status in (
            ("/log/999999", 400),
            ("/log/x", 404),
            ("/log/-1", 404),
            ("/nosuch", 404),
            ("/log/" + "9" * 40, 404),
        ):
            answer = page.goto(f"/console{path}")
            assert answer.status == status, path
            assert answer.headers["content-type"].startswith("text/html")


def test_text_of_others_is_shown_as_text(desk, chromium):
    hostile = '<script>alert(1)</script><img src=x onerror="alert(2)">\u202e{{7*7}}'
    with opened(desk.folder) as s:
        from vault.access import requests  # noqa: PLC0415 - once

        requests.deny(s, requests.list_visible(s)[0].request_id, hostile)
    number = next(i for i, leaf in reversed(list(enumerate(leaves(desk)))) if leaf["act"] == "request.deny")
    with consoles.visiting(chromium, desk, "auditor", java_script_enabled=True, bypass_csp=True) as page:
        dialogs = []
        page.on("dialog", lambda one: (dialogs.append(one.message), one.dismiss()))
        page.goto(f"/console/log/{number}")
        assert "\u202e" not in page.content()
        assert html.escape(hostile.split("\u202e", maxsplit=1)[0], quote=False) in page.content()
        for name in ("who", "act", "project", "reason", "since"):
            page.goto(f"/console/log?{name}=%22%3E%3Cscript%3Ealert(3)%3C/script%3E")
        assert page.locator("script").count() == 0
        assert dialogs == []
