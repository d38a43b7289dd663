"""What auditors see of what happened beside what was allowed: the same as by commands, and logged as they are."""

from __future__ import annotations

import json

from tests.support import consoles
from tests.support.vaults import opened
from vault.access.accounting import account_for
from vault.access.approved_accesses import examine
from vault.audit.reports.records import records
from vault.audit.reports.statistics import count


def last(desk):
    with opened(desk.folder) as s:
        return json.loads(list(s.trail.log.entries(0))[-1].leaf)


def cells(page, caption):
    table = page.get_by_role("table", name=caption)
    return [[cell.inner_text() for cell in row.get_by_role("cell").all()] for row in table.locator("tbody tr").all()]


def test_the_overview_counts_what_the_report_counts(desk, chromium):
    with opened(desk.folder) as s:
        counted = count(records(s.trail.log))
    with consoles.visiting(chromium, desk, "auditor") as page:
        page.goto("/console/overview")
        facts = [one.inner_text().split("\n") for one in page.locator(".facts li").all()]
        assert facts[0][0] == f"{counted.accesses:,}"
        assert facts[1][0] == f"{counted.disclosed:,}"
        assert page.get_by_role("img", name="Accesses per day").count() == 1
        for one in page.get_by_text("These numbers as a table").all():
            one.click()
        assert cells(page, "Refusals by code") == [[code, f"{n:,}"] for code, n in counted.refusals]
        assert cells(page, "Releases by project") == [["demo", "2"]]
    assert (last(desk)["act"], last(desk)["outcome"]) == ("audit.report", "done")


def test_approvals_stand_beside_accesses(desk, chromium):
    with opened(desk.folder) as s:
        found = {one.code: one for one in examine(s).projects}
    with consoles.visiting(chromium, desk, "auditor") as page:
        page.goto("/console/approvals")
        rows = {row[0]: row for row in cells(page, "Projects")}
        assert set(rows) == {code or "(none)" for code in found}
        assert rows["demo"][1:] == ["approved", rows["demo"][2], "1", "0", "2", "0"]
        page.get_by_role("link", name="demo", exact=True).click()
        acts = cells(page, "Declarations, approvals and rulings")
        assert [(row[2], row[3], row[4]) for row in acts] == [("declared", "ann", "signed"), ("approved", "ann", "signed")]
        assert [row[2] for row in cells(page, "Accesses")] == ["view", "extract"]
        assert page.goto("/console/approvals/nosuch").status == 400
    assert (last(desk)["act"], last(desk)["outcome"]) == ("audit.approvals", "failed")


def test_an_access_outside_an_approval_is_told(desk, chromium, monkeypatch):
    monkeypatch.setattr("vault.audit.reports.approvals._outside", lambda *_: ("not_approved",))
    with consoles.visiting(chromium, desk, "auditor") as page:
        page.goto("/console/approvals")
        assert "2 of 2 accesses are outside an approval" in page.locator(".verdict.bad").inner_text()
        page.goto("/console/approvals/demo")
        assert "the project was not approved then" in cells(page, "Accesses")[0][-1]


def test_disclosures_of_a_person_are_asked_by_token_in_a_form_and_logged_as_about_them(desk, chromium):
    token = desk.names["token"]
    with opened(desk.folder) as s:
        every = account_for(s, token).disclosures
    with consoles.visiting(chromium, desk, "auditor") as page:
        page.goto("/console/disclosures")
        page.get_by_label("Audit token", exact=True).fill(token)
        page.get_by_role("button", name="Show").click()
        rows = cells(page, "Accesses to this person's genotypes, and numbers that they are among")
        assert [int(row[0]) for row in rows] == [one.index for one in every]
        assert [row[-1] for row in rows] == ["done", "done"]
        assert "token" not in page.url
        assert "hmac" not in page.url
    leaf = last(desk)
    assert (leaf["act"], leaf["outcome"], leaf["actor"]["id"], leaf["subj"]["n"]) == ("audit.disclosures", "done", "auditor", 1)


def test_an_auditor_names_nobody_by_record_number_and_a_steward_does(desk, chromium):
    for who, status in (("auditor", 503), ("ann", 200)):
        with consoles.visiting(chromium, desk, who) as page:
            page.goto("/console/disclosures")
            page.locator("#who").fill("MRN0003")
            page.get_by_role("button", name="Show").click()
            assert (page.get_by_role("alert").count() == 0) == (status == 200)
            assert "MRN0003" not in page.content()


def test_what_left_and_the_steps_of_notices_are_told_from_the_log(desk, chromium):
    with consoles.visiting(chromium, desk, "auditor") as page:
        page.goto("/console/left")
        assert [row[2] for row in cells(page, "What left the vault")] == ["extract", "view"]
        assert cells(page, "What left the vault")[0][6] == desk.names["release"]
        page.get_by_role("link", name="Notices").click()
        steps = cells(page, "What recipients were told to drop, and what they answered")
        assert ["opened", desk.names["notice"]] in [row[2:4] for row in steps]


def test_signed_heads_keys_and_anchors_are_shown(desk, chromium, tmp_path):
    with opened(desk.folder) as s:
        key, note = s.trail.log_keys()[0].to_text(), s.trail.checkpoint()
        anchor = tmp_path / "anchor"
        anchor.mkdir()
        from vault.operations import log_anchors  # noqa: PLC0415 - once

        log_anchors.add(s, anchor)
    try:
        with consoles.visiting(chromium, desk, "auditor") as page:
            page.goto("/console/checkpoints")
            assert key in page.content()
            kept = page.get_by_label("Checkpoint, to be copied").input_value()
            assert kept.split("\n")[0] == note.split("\n")[0]
            assert cells(page, "Folders outside the vault that keep signed heads")[0][2] == "agrees"
    finally:
        with opened(desk.folder) as s:
            log_anchors.remove(s, anchor)
