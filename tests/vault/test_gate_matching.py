"""Matching in place: whom approved criteria hold for, under a view's names, charged in bits; nothing else leaves."""

from __future__ import annotations

import json

import pytest

from policies.criteria.bits import worst
from tests.support import criteria, matched
from tests.support.held import Held
from tests.support.matched import LOCI, PACK, ask, numbers
from tests.support.refused import code_of
from tests.support.vcf_text import vcf
from vault import gate
from vault.access import criteria_packs, projects, releases
from vault.access.disclosure import released_sites
from vault.audit.actions import Action
from vault.audit.receipt import Receipt
from vault.consent import recording
from vault.operations import doctor, release_recovery
from vault.operations.erasure import process as erasure


@pytest.fixture
def held(tmp_path):
    found = matched.make(tmp_path)
    yield found
    found.vault.abandon()


@pytest.fixture
def engine(held):
    with matched.engine_of(held) as opened:
        yield opened


def named(found, name):
    return next(one.matched for one in found.criteria if one.id == name)


def test_who_matches_is_told_by_the_names_of_the_project(held):
    found = ask(held)
    assert numbers(found) == {"common": 60, "rare": 5, "without": 70, "both": 5, "nobody": 0}
    matched.declare(held, "views", kinds=["records", "matching"])
    view = gate.view(held.vault, project="views", dataset="cohort", panel="exact")
    carriers = {str(name) for name, calls in zip(view.pseudonyms, view.genotypes[0], strict=True) if 1 in calls}
    assert set(named(ask(held, code="views"), "common")) == carriers
    assert set(named(found, "both")) == set(named(found, "rare")) < set(named(found, "common"))
    assert set(named(found, "common")).isdisjoint(named(found, "without"))


def test_the_order_of_a_list_tells_nothing(held):
    first, second = (named(ask(held), "common") for _ in range(2))
    assert sorted(first) == sorted(second)
    assert first != second
    assert first != tuple(sorted(first))


def test_an_answer_is_json_with_a_receipt_of_this_access(held):
    found = json.loads(json.dumps(ask(held).as_dict()))
    assert set(found) == {"criteria", "bits", "receipt"}
    assert set(found["criteria"][0]) == {"id", "matched", "unknown_band"}
    leaf = json.loads(Receipt.from_text(found["receipt"]).extra)
    assert (leaf["act"], leaf["outcome"], "subj" in leaf) == ("view.match.outcome", "done", False)
    intent = next(entry for entry in held.entries() if entry["act"] == Action.MATCH_INTENT)
    assert intent["subj"]["n"] == 130


def test_what_leaves_is_in_the_books_of_releases_as_a_view_is(held):
    ask(held)
    (release,) = releases.list_all(held.vault)
    assert (release.state, release.n_subjects, release.content.asked["criteria"]) == ("released", 130, "small@1")
    assert doctor.examine(held.vault).ok


def test_the_same_question_tells_nothing_new_and_another_cohort_is_charged(held):
    bits = [ask(held).bits for _ in range(2)]
    assert bits[0] == bits[1]
    each = [worst(matching, 130) for matching in (60, 5, 70, 5)]
    assert bits[0]["cumulative"] == pytest.approx(sum(each), abs=0.01)
    assert bits[0]["view"] < bits[0]["cumulative"]
    recording.withdraw(held.vault, "P129")
    assert ask(held).bits["cumulative"] > 2 * bits[0]["cumulative"] - 0.5


def test_packs_that_ask_the_same_tell_it_once(held):
    before = ask(held).bits["cumulative"]
    criteria.approved(held.vault, PACK | {"name": "other", "source": "another source"})
    assert ask(held, "other@1").bits["cumulative"] == before


def test_more_bits_than_a_project_may_have_are_refused(held):
    matched.declare(held, "few", disclosure={"max_bits": 5})
    assert code_of(lambda: ask(held, code="few")) == "too_many_bits"
    assert held.entries()[-1]["reasons"] == {"too_many_bits": 1}
    criteria.approved(held.vault, criteria.document(LOCI, ("common", {"carries": "at100"}), name="one"))
    assert numbers(ask(held, "one@1", code="few")) == {"common": 60}
    criteria.approved(held.vault, criteria.document(LOCI, ("rare", {"carries": "at200"}), name="two"))
    assert code_of(lambda: ask(held, "two@1", code="few")) == "too_many_bits"  # 1.1 have left, and this is 4.7 more
    assert code_of(lambda: gate.view(held.vault, project="few", dataset="cohort", panel="exact")) == "outside_project"


def test_views_and_matches_of_an_organisation_are_one_account(held):
    matched.declare(held, "views", kinds=["records"])
    gate.view(held.vault, project="views", dataset="cohort", panel="exact")
    with held.vault.books.read() as tx:
        before = released_sites.known(held.vault, tx, projects.load(held.vault, "matching")).total / 1000
    assert before > 1
    assert ask(held).bits["cumulative"] == pytest.approx(before + 11.634, abs=0.01)


def test_an_erasure_forgets_what_was_asked_and_keeps_the_sum(held):
    before = ask(held).bits["cumulative"]
    erasure.erase(held.vault, "P001")
    assert ask(held).bits["cumulative"] > 2 * before - 0.5
    assert doctor.examine(held.vault).ok


@pytest.mark.parametrize(
    ("label", "where", "code"),
    [
        ("small@2", {}, "criteria_unknown"),
        ("small@1", {"panel": "other"}, "criteria_not_approved"),
        ("waiting@1", {}, "criteria_not_approved"),
        ("small@1", {"project": "research"}, "outside_project"),
        ("small@1", {"panel": "none"}, "panel_unknown"),
    ],
)
def test_what_was_not_approved_is_not_asked(held, engine, label, where, code):
    criteria.exact_panel(held.vault, *LOCI.values(), name="other")
    criteria_packs.add(held.vault, PACK | {"name": "waiting"})
    matched.declare(held, "research", kinds=["records"])
    assert code_of(lambda: ask(held, label, **where)) == code
    told = code_of(lambda: ask(held, label, vault=engine, **where))
    assert told == (
        "refused"
        if code in {"criteria_not_approved", "outside_project"} and label == "small@1"
        else "criteria_unknown"
        if "criteria" in code
        else code
    )
    assert [one.state for one in releases.list_all(held.vault)] == []


@pytest.mark.parametrize("label", ["small", "Small@1", "", "small@1;", "{carries: at100}"])
def test_a_malformed_question_says_so_to_everybody(held, engine, label):
    assert code_of(lambda: ask(held, label, vault=engine)) == "criteria_label"


def test_an_engine_of_the_project_is_answered(engine, held):
    assert numbers(ask(held, vault=engine))["common"] == 60


def test_who_did_not_consent_never_appears(held):
    names = {str(name) for one in ask(held).criteria for name in one.matched}
    recording.withdraw(held.vault, "P000")  # a carrier of everything
    found = ask(held)
    assert numbers(found) == {"common": 59, "rare": 4, "without": 70, "both": 4, "nobody": 0}
    assert len(names - {str(name) for one in found.criteria for name in one.matched}) == 1


def test_a_withdrawal_while_it_is_answered_stops_it(held, monkeypatch):
    commit = gate.accesses.commit

    def committing(*arguments, **keywords):
        recording.withdraw(held.vault, "P000")
        return commit(*arguments, **keywords)

    monkeypatch.setattr(gate.accesses, "commit", committing)
    assert code_of(lambda: ask(held)) == "consent_changed"
    assert [one.state for one in releases.list_all(held.vault)] == ["aborted"]
    with held.vault.books.read() as tx:
        assert released_sites.known(held.vault, tx, projects.load(held.vault, "matching")).total == 0


def test_a_retirement_while_it_is_answered_stops_it(held, monkeypatch):
    commit = gate.accesses.commit

    def committing(*arguments, **keywords):
        criteria_packs.retire(held.vault, "small@1", reason="a wrong allele")
        return commit(*arguments, **keywords)

    monkeypatch.setattr(gate.accesses, "commit", committing)
    assert code_of(lambda: ask(held)) == "criteria_not_approved"


def test_what_a_killed_process_left_is_closed(held, monkeypatch):
    monkeypatch.setattr(gate.blocks, "open_view", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ask(held)
    monkeypatch.undo()
    assert release_recovery.recover(held.vault) == 1
    last = held.entries()[-1]
    assert (last["act"], last["outcome"], last["reasons"]) == ("view.match.outcome", "aborted", {"interrupted": 1})
    assert doctor.examine(held.vault).ok


def excluding(folder, *, excluded):
    """Six people with a locus in APOE and one elsewhere; ``excluded``: who does not allow APOE."""
    held = Held.make(folder)
    rows = "19 44908684 T C 0/1 0/0 1/1 0/0 0/0 0/1", "22 1000 A G 0/1 0/1 0/0 0/0 ./. 0/0"
    held.load(held.write("c.vcf", vcf("A B C D E F", *rows).data), assayed="all")
    matched.accept(held)
    if excluded:
        recording.record(held.vault, excluded, matched.FORM, {"matching": "yes", "neurodegenerative": "no"})
    criteria.exact_panel(held.vault, "19:44908684:T:C", "22:1000:A:G")
    loci = {"apoe": "19:44908684:T:C", "x": "22:1000:A:G"}
    asked = ("apoe", {"carries": "apoe"}), ("not", {"not": {"carries": "apoe"}}), ("x", {"carries": "x"})
    criteria.approved(held.vault, criteria.document(loci, *asked, ("or", {"or": [{"carries": "apoe"}, {"carries": "x"}]})))
    matched.declare(held, "matching")
    return held


def test_an_excluded_place_is_unknown_of_everybody_alike(tmp_path):
    found = {}
    for excluded in ("", "A", "D"):
        (tmp_path / f"of {excluded}").mkdir()
        held = excluding(tmp_path / f"of {excluded}", excluded=excluded)
        found[excluded] = numbers(ask(held))
        held.vault.abandon()
    assert found[""] == {"apoe": 3, "not": 3, "x": 2, "or": 4}
    assert found["A"] == found["D"] == {"apoe": 0, "not": 0, "x": 2, "or": 2}  # a carrier's exclusion and another's look alike
