"""Agreement of a second steward by each form: the act is done and logged as by command, and nobody else's form does it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.support import console_work, consoles, pages, parcels
from tests.support.vaults import opened
from vault.access import criteria_packs, recipients, resolutions, rulings
from vault.access.approved_accesses import examine
from vault.access.disclosure import budget_book, raises
from vault.consent import corrections, proposals, recording
from vault.crypto.crypt4gh_keys import fingerprint
from vault.operations.corrections import merge_proposals
from vault.session.unlocked_vault import UnlockedVault

WHY = {"reason": "seen, and right"}


@dataclass(frozen=True)
class Agreement:
    """A form and what comes of it.

    ``page``: where it stands; ``button``, ``mark``: its button, and how fields begin that name what it is of; ``twin``: the other one's; ``filled``: what a
    steward types; ``act``: of the entry; ``done``: true once it is in force; ``behind``: what ann and bob do elsewhere while the twin's form is open.
    """

    page: str
    button: str
    mark: dict[str, str]
    twin: dict[str, str]
    filled: dict[str, str]
    act: str
    done: Callable[[UnlockedVault, dict[str, str]], bool]
    behind: Callable[[UnlockedVault, UnlockedVault, dict[str, str]], object]


def _print(name: str) -> dict[str, str]:
    return {"fingerprint": fingerprint(parcels.pair(console_work.KEYS[name]).public)}


def _again(ann: UnlockedVault, bob: UnlockedVault, _: dict[str, str]) -> None:
    """Another raise of the same budget, given by both."""
    for one in (ann, bob):
        raises.raise_budget(one, "open", "0.1", reason="x")


FORMS = {
    "a ruling": Agreement(
        "/waiting",
        "Confirm",
        {"about": "ruled controls"},
        {"about": "other controls"},
        WHY,
        "project.rule",
        lambda s, _: any(one.project == "ruled" and one.confirmed_by == "bob" for one in rulings.list_all(s)),
        lambda ann, _bob, _: rulings.rule(ann, "other", "controls", reason="second thoughts", allows=False),
    ),
    "a recipient's key": Agreement(
        "/waiting",
        "Confirm",
        {"name": "lab"},
        {"name": "clinic"},
        _print("lab"),
        "recipient.confirm",
        lambda s, _: next(one.state for one in recipients.list_all(s) if one.name == "lab") == recipients.CONFIRMED,
        lambda ann, _bob, _: recipients.retire(ann, "clinic", reason="not theirs"),
    ),
    "a resolution": Agreement(
        "/waiting",
        "Approve",
        {"id": "resolution 1"},
        {"id": "resolution 2"},
        {},
        "pseudonym.resolve.approve",
        lambda s, names: resolutions.load(s, names["resolution 1"]).approved_by == "bob",
        lambda ann, _bob, names: resolutions.close(ann, names["resolution 2"], reason="opened wrongly"),
    ),
    "a correction": Agreement(
        "/waiting/corrections/{event of S12}",
        "Correct it",
        {},
        {"page": "/waiting/corrections/{event of S10}"},
        WHY,
        "consent.correct",
        lambda s, _: bool(recording.history(s, "S12").standing.grants),
        lambda _ann, bob, _: recording.withdraw(bob, "S10"),
    ),
    "a raise": Agreement(
        "/projects/served/budgets",
        "Raise it by 0.5 nats",
        {},
        {"page": "/projects/open/budgets", "button": "Raise it by 0.25 nats"},
        WHY,
        "budget.raise",
        lambda s, _: budget_book.show(s, "served")[0].budgets[0].cap != budget_book.show(s, "ruled")[0].budgets[0].cap,
        _again,
    ),
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("second")
    vault, token = consoles.staffed(folder)
    names = console_work.bring(vault)
    with pytest.MonkeyPatch.context() as patch:
        consoles.impatient(patch)
        with consoles.running(vault) as it:
            it.tokens["rita"] = token
            it.names.update(names)
            yield it


@pytest.fixture(scope="module")
def bob(desk):
    with pages.visitor(desk, "bob") as it:
        yield it


def leaves(desk):
    with opened(desk.folder) as s:
        return [json.loads(e.leaf) for e in s.trail.log.entries(0)]


def form(desk, who, page, button, mark):
    """The form of a page whose fields begin as the mark says; ids by their names."""
    wanted = {name: desk.names.get(value, value) for name, value in mark.items()}
    found = [
        one
        for one in who.read(f"/console{page.format(**desk.names)}").forms
        if button in one.buttons and all(one.fields.get(name, "").startswith(value) for name, value in wanted.items())
    ]
    assert len(found) == 1, (page, button, found)
    return found[0]


def refused(answer):
    return 400 <= answer.status_code < 500 and 'role="alert"' in answer.text


@pytest.mark.parametrize("what", FORMS)
def test_nobody_else_s_form_agrees(desk, bob, what):
    case = FORMS[what]
    sent = form(desk, bob, case.page, case.button, case.mark)
    size = len(leaves(desk))
    assert bob.send(sent, case.filled, **{"sec-fetch-site": "cross-site"}).status_code == 403
    assert bob.send(sent, case.filled | {"token": "x"}, **pages.SAME).status_code == 403
    assert len(leaves(desk)) == size, "a form of another site reaches nothing"
    for who in ("auditor", "rita"):
        with pages.visitor(desk, who) as other:
            answer = other.send(sent, case.filled | {"token": other.token})
            assert answer.status_code == 403, (who, answer.text)
    last = [leaf for leaf in leaves(desk)[size:] if leaf["act"] != "request.show"]
    assert {leaf["outcome"] for leaf in last} == {"refused"}
    assert {code for leaf in last for code in leaf["reasons"]} == {"not_authorised"}
    with pages.visitor(desk, "ann") as ann, opened(desk.folder) as s:
        assert refused(ann.send(sent, case.filled | {"token": ann.token})), "whoever proposed does not agree, too"
        assert not case.done(s, desk.names)


@pytest.mark.parametrize("what", FORMS)
def test_another_steward_agrees_once(desk, bob, what):
    case = FORMS[what]
    sent = form(desk, bob, case.page, case.button, case.mark)
    size = len(leaves(desk))
    answer = bob.send(sent, case.filled)
    assert answer.status_code == 303, answer.text
    said = pages.ReadPage(bob.client.get(answer.headers["location"]).text)
    assert said.heading
    (leaf,) = [one for one in leaves(desk)[size:] if one["act"] == case.act]
    assert (leaf["outcome"], leaf["actor"]) == ("done", {"kind": "steward", "id": "bob"})
    assert "self_approved" not in leaf.get("flags", [])
    with opened(desk.folder) as s:
        assert case.done(s, desk.names)
        assert not examine(s).unsigned
    again = bob.send(sent, case.filled)
    assert refused(again), "the same form again is none"
    assert len([one for one in leaves(desk)[size:] if one["act"] == case.act and one["outcome"] == "done"]) == 1


@pytest.mark.parametrize("what", FORMS)
def test_what_changed_since_it_was_shown_is_not_agreed_to(desk, bob, what):
    case = FORMS[what]
    twin = dict(case.twin)
    page, button = twin.pop("page", case.page), twin.pop("button", case.button)
    sent = form(desk, bob, page, button, twin)
    filled = case.filled if "fingerprint" not in case.filled else _print("clinic")
    with opened(desk.folder) as s, opened(desk.folder, factor=console_work.BOB, principal="bob") as other:
        case.behind(s, other, desk.names)
    size = len(leaves(desk))
    assert refused(bob.send(sent, filled))
    assert [one for one in leaves(desk)[size:] if one["act"] == case.act and one["outcome"] == "done"] == []


def test_a_merge_is_shown_and_agreed_to_as_it_was_shown(desk, bob):
    def look(stays):
        waits = form(desk, bob, "/waiting/merges", "See what it would do", {"stays": f"handle of {stays}"})
        answer = bob.send(waits)
        assert answer.status_code == 200, answer.text
        assert f"{desk.names[f'handle of {stays}']}</h2>" in answer.text, "what it would do is told"
        return pages.ReadPage(answer.text).form("Agree: make them one")

    sent, outdated = look("S08"), look("S06")
    assert refused(bob.send(sent, WHY | {"seen": "0" * 64}))
    assert bob.send(sent, WHY, **{"sec-fetch-site": "cross-site"}).status_code == 403
    with pages.visitor(desk, "auditor") as other:
        assert other.send(sent, WHY | {"token": other.token}).status_code == 403
    with opened(desk.folder) as s:
        merge_proposals.take_back(s, "S06", "S07", reason="they are two")
    assert refused(bob.send(outdated, WHY)), "nobody proposes it any more"
    size = len(leaves(desk))
    answer = bob.send(sent, WHY)
    assert answer.headers.get("location") == "/console/waiting/merges?said=merged", answer.text
    assert ("subject.merge", "done") in {(one["act"], one["outcome"]) for one in leaves(desk)[size:]}
    assert refused(bob.send(sent, WHY)), "the same form again is none"
    with opened(desk.folder) as s:
        waiting = {one.stays for one in merge_proposals.pending(s)}
        assert waiting.isdisjoint({desk.names["handle of S08"], desk.names["handle of S06"]})
        assert recording.history(s, "S08").who == recording.history(s, "S09").who


def test_a_merge_that_a_steward_asks_about_is_proposed_and_taken_back(desk, bob):
    asked = form(desk, bob, "/waiting/merges", "See what a merge would do", {})
    answer = bob.send(asked, {"stays": "mrn:MRN0001", "goes": "mrn:MRN0003"})
    assert "MRN0001" not in str(answer.url)
    sent = pages.ReadPage(answer.text).form("Propose to make them one")
    assert refused(bob.send(sent, WHY)), "they differ, and nobody said that somebody looked"
    assert bob.send(sent, WHY | {"accept": "yes"}).headers["location"].endswith("said=proposed")
    waits = form(desk, bob, "/waiting/merges", "See what it would do", {"stays": sent.fields["stays"]})
    back = pages.ReadPage(bob.send(waits).text).form("Take it back")
    assert bob.send(back, WHY).headers["location"].endswith("said=taken_back")
    left = [one.fields for one in bob.read("/console/waiting/merges").forms if "See what it would do" in one.buttons]
    assert sent.fields["stays"] not in [one["stays"] for one in left]


def test_a_pack_takes_both_and_shows_what_it_asks(desk, bob):
    with pages.visitor(desk, "ann") as ann:
        sent = form(desk, ann, "/waiting", "Approve pack-open@1", {})
        assert "carrier" in ann.client.get("/console/waiting").text.lower()
        assert ann.send(sent).headers["location"].endswith("said=proposed")
        assert refused(ann.send(sent)), "the same steward again is no second one"
    with opened(desk.folder) as s:
        assert criteria_packs.show(s, "pack-open").state != criteria_packs.APPROVED
    second, late = (form(desk, bob, "/waiting", f"Approve pack-{code}@1", {}) for code in ("open", "other"))
    assert bob.send(second).headers["location"].endswith("said=approved")
    assert refused(bob.send(second))
    with opened(desk.folder) as s:
        assert criteria_packs.show(s, "pack-open").state == criteria_packs.APPROVED
        criteria_packs.retire(s, "pack-other", reason="wrong")
    assert refused(bob.send(late))
    with pages.visitor(desk, "auditor") as other:
        assert other.send(late, {"token": other.token}).status_code == 403


def test_a_ruling_is_of_the_purpose_that_was_shown(desk, bob):
    sent = next(one for one in bob.read("/console/waiting").forms if one.action.endswith("/rule") and "Allow it" in one.buttons)
    about = sent.fields["about"]
    assert about.startswith("open controls ")
    assert refused(bob.send(sent, WHY | {"about": f"open controls {'0' * 32}"}))
    assert bob.send(sent, WHY).headers["location"].endswith("said=proposed")
    assert refused(bob.send(sent, WHY)), "the same form again is none"
    with opened(desk.folder) as s:
        assert [(one.project, one.ruled_by) for one in rulings.waiting(s) if one.project == "open"] == [("open", "bob")]


def test_a_raise_is_given_by_two(desk, bob):
    with pages.visitor(desk, "ann") as ann:
        sent = form(desk, ann, "/projects/ruled/budgets", "Raise it", {})
        filled = WHY | {"nats": "0.75", "scope": "organisation"}
        assert refused(ann.send(sent, filled | {"nats": "much"}))
        assert refused(ann.send(sent, filled | {"scope": "nobody"}))
        assert ann.send(sent, filled).headers["location"].endswith("said=proposed")
        assert refused(ann.send(sent, filled)), "the same form again is none"
        assert not any(one.action.endswith("/agree") for one in ann.read("/console/projects/ruled/budgets").forms)
    waits = form(desk, bob, "/projects/ruled/budgets", "Raise it by 0.75 nats", {})
    assert bob.send(waits, WHY).headers["location"].endswith("said=raised")
    with opened(desk.folder) as s:
        (of_all,) = budget_book.show(s, "ruled")
        assert [one.cap for one in of_all.budgets if one.scope.value == "organisation"] != []
        assert raises.waiting(s) == [one for one in raises.waiting(s) if one.project != "ruled"]


def test_a_form_that_raises_is_good_once(desk, bob):
    page = "/projects/other/budgets"
    filled = WHY | {"nats": "0.5", "scope": "project"}
    with pages.visitor(desk, "ann") as ann:
        sent = form(desk, ann, page, "Raise it", {})
        assert ann.send(sent, filled).headers["location"].endswith("said=proposed")
        assert bob.send(form(desk, bob, page, "Raise it by 0.5 nats", {}), WHY).headers["location"].endswith("said=raised")
        assert refused(ann.send(sent, filled)), "what it was shown above is another budget now"
        assert refused(ann.send(sent, filled | {"seen": ""}))
    with opened(desk.folder) as s:
        assert not [one for one in raises.waiting(s) if one.project == "other"]


def test_a_correction_is_taken_back_by_who_proposed_it(desk, bob):
    with opened(desk.folder) as s:
        recording.withdraw(s, "S05")
        event = recording.history(s, "S05").events[-1].event_id
        corrections.correct(s, event, reason="x", evidence=console_work.EVIDENCE)
    page = bob.client.get(f"/console/waiting/corrections/{event}").text
    assert "would be" in page
    assert console_work.EVIDENCE in page
    assert "research_use" in page, "what it allows again is told"
    with pages.visitor(desk, "ann") as ann:
        back = form(desk, ann, f"/waiting/corrections/{event}", "Take it back", {})
        assert ann.send(back, WHY).headers["location"].endswith("said=taken_back")
        assert refused(ann.send(back, WHY))
        assert ann.client.get(f"/console/waiting/corrections/{event}").status_code == 400
    with opened(desk.folder) as s:
        assert event not in [one.event_id for one in proposals.pending(s, proposals.people(s))]
