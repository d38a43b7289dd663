"""Panels for exact tables in the console: what a table would tell is shown, and the two stewards approve what was shown."""

from __future__ import annotations

import json

import pytest

from tests.support import console_work, consoles, pages, tabled, vaults
from tests.support.vaults import opened
from vault.access.disclosure import table_approvals
from vault.crypto.keystore import Role
from vault.crypto.primitives import Argon2Profile
from vault.session import principals

WHY = {"reason": "common alleles alone"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    tabled.make(folder).vault.close()
    vault = folder / "v"
    for role in (Role.AUDITOR, Role.SERVICE):
        vaults.add_role(vault, role)
    with opened(vault) as s:
        principals.add(s, "bob", Role.STEWARD, console_work.BOB, profile=Argon2Profile.TEST_ONLY)
    with pytest.MonkeyPatch.context() as patch:
        consoles.impatient(patch)
        with consoles.running(vault) as it:
            yield it


def leaves(desk):
    with opened(desk.folder) as s:
        return [json.loads(e.leaf) for e in s.trail.log.entries(0)]


def looked(who, panel):
    """The page of what a table of a panel of the project ``one`` would tell."""
    asked = who.read("/console/projects/one/tables").form("Work out what it would tell")
    assert panel in who.client.get("/console/projects/one/tables").text
    answer = who.send(asked, {"panel": panel})
    assert answer.status_code == 200, answer.text
    return answer.text


def approving(text, panel):
    return pages.ReadPage(text).form(f"Approve {panel}, version 1")


def refused(answer):
    return 400 <= answer.status_code < 500 and 'role="alert"' in answer.text


def test_two_stewards_approve_what_they_were_shown(desk):
    with pages.visitor(desk, "ann") as ann:
        text = looked(ann, tabled.PANEL)
        assert "of the members are found" in text
        assert tuple(leaves(desk)[-2][name] for name in ("act", "outcome")) == ("table.assess", "done")
        sent = approving(text, tabled.PANEL)
        assert refused(ann.send(sent, WHY | {"alleles": "1"})), "another table than the one that was shown"
        assert refused(ann.send(sent, WHY | {"price": ""}))
        assert ann.send(sent, WHY, **{"sec-fetch-site": "cross-site"}).status_code == 403
        with pages.visitor(desk, "auditor") as other:
            assert other.client.get("/console/projects/one/tables").status_code == 403
            assert other.send(sent, WHY | {"token": other.token}).status_code == 403
        assert ann.send(sent, WHY).headers["location"] == "/console/projects/one/tables?said=proposed"
        assert refused(ann.send(sent, WHY)), "the same form again is none"
        assert "common alleles alone" in ann.client.get("/console/waiting").text
    with pages.visitor(desk, "bob") as bob:
        waits = bob.read("/console/projects/one/tables").form(f"Work out what {tabled.PANEL} would tell")
        sent = approving(bob.send(waits).text, tabled.PANEL)
        assert bob.send(sent, WHY).headers["location"].endswith("said=approved")
        assert refused(bob.send(sent, WHY)), "the same form again is none"
        assert "ann" in bob.client.get("/console/projects/one/tables").text
    leaf = next(one for one in reversed(leaves(desk)) if one["act"] == "table.approve" and one["outcome"] == "done")
    assert (leaf["actor"]["id"], leaf.get("flags", [])) == ("bob", [])
    with opened(desk.folder) as s:
        (found,) = table_approvals.list_of(s, "one")
        assert (found.approved_by, found.proposed_by) == ("bob", "ann")
        assert table_approvals.waiting(s) == []


def test_another_version_of_the_panel_is_not_what_was_shown(desk):
    with pages.visitor(desk, "ann") as ann:
        sent = approving(looked(ann, tabled.SMALL), tabled.SMALL)
        with opened(desk.folder) as s:
            vaults.panel(s, tabled.SMALL, loci=tabled.loci(*tuple(tabled.FREQUENCIES)[7:]))
        answer = ann.send(sent, WHY)
        assert refused(answer)
        assert "assessment_outdated" in answer.text
    with opened(desk.folder) as s:
        assert [one for one in table_approvals.waiting(s) if one.panel == tabled.SMALL] == []


def test_what_gives_somebody_away_is_said_and_not_approved(desk):
    with pages.visitor(desk, "ann") as ann:
        asked = ann.read("/console/projects/two/tables").form("Work out what it would tell")
        text = ann.send(asked, {"panel": tabled.WIDE}).text
        assert refused(ann.send(pages.ReadPage(text).form(f"Approve {tabled.WIDE}, version 1"), WHY))
