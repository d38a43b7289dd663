"""Noisy numbers of people for whom criteria hold: a floor, a price, one draw for one question."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.support import criteria, matched
from tests.support.matched import LOCI
from tests.support.refused import code_of
from tests.support.shell import Shell
from vault import counting, gate
from vault.access.disclosure import stored_answers
from vault.audit.actions import Action
from vault.consent import recording
from vault.operations.erasure import process as erasure
from vault.views.hidden_places import HiddenPlaces


@pytest.fixture
def held(tmp_path):
    found = matched.make(tmp_path)
    matched.declare(found, "counted", kinds=["matching", "counts"])
    yield found
    found.vault.abandon()


@pytest.fixture
def exact(monkeypatch):
    """No noise: what is counted, not what is told."""
    monkeypatch.setattr(counting, "discrete_laplace", lambda *_: 0)


def count(held, label="small@1", *, code="counted", **how):
    return gate.match_counts(held.vault, project=code, dataset="cohort", panel="exact", criteria=label, **how)


@pytest.mark.usefixtures("exact")
def test_cells_of_a_pack(held):
    found = count(held)
    assert {one.id: one.people for one in found.criteria} == {
        "common": 60,
        "rare": None,
        "without": 70,
        "both": None,
        "nobody": None,
    }
    assert found.reasons == {"rare": "small", "both": "small", "nobody": "absent"}
    assert found.charged == 0.5


def test_the_same_question_gets_the_same_answer_for_nothing(held):
    first = count(held)
    criteria.approved(held.vault, matched.PACK | {"name": "other", "source": "elsewhere"})
    for again in (count(held), count(held, "other@1")):
        assert (again.criteria, again.charged, again.spent) == (first.criteria, 0, first.spent)
    recording.withdraw(held.vault, "P129")
    assert count(held).charged == first.charged  # another cohort, and a new draw


def test_a_masked_locus_is_as_one_that_nobody_carries(held, monkeypatch):
    monkeypatch.setattr(counting, "discrete_laplace", lambda *_: 0)
    monkeypatch.setattr(HiddenPlaces, "hides", lambda _, __, first, last: first <= 100 <= last)
    found = count(held)
    assert {one.people for one in found.criteria} == {None}
    assert found.reasons["common"] == "unknown"


def test_what_it_takes(held):
    assert code_of(lambda: count(held, code="matching")) == "outside_project"  # no counts
    assert code_of(lambda: count(held, "small@2")) == "criteria_unknown"
    assert code_of(lambda: count(held, epsilon="1")) == "budget_spent"
    for at in range(31):
        recording.withdraw(held.vault, f"P{at:03}")
    assert code_of(lambda: count(held)) == "cohort_too_small"


def test_the_epsilon_of_the_project_binds_criteria_as_it_does_alleles(held):
    matched.declare(held, "sparing", kinds=["matching", "counts"], disclosure={"epsilon": "0.05"})
    assert code_of(lambda: count(held, code="sparing", epsilon="0.06")) == "outside_project"
    found = count(held, code="sparing")
    assert {one.epsilon for one in found.criteria} == {found.epsilon} == {0.05}
    asked = {"project": "sparing", "dataset": "cohort", "panel": "exact", "criteria": "small@1"}
    assert gate.match_price(held.vault, **asked).as_dict()["nats"] == found.charged == 0.25
    assert code_of(lambda: gate.match_price(held.vault, **asked, epsilon="0.06")) == "outside_project"


def test_what_is_logged_and_forgotten(held):
    count(held)
    intent, done = [entry for entry in held.entries() if entry["act"] == Action.COUNTS_ANSWER]
    assert (intent["outcome"], intent["subj"]["n"], done["outcome"]) == ("intent", 130, "done")
    assert done["counts"]["criteria"] == 1  # a band
    erasure.erase(held.vault, "P100")
    assert stored_answers.faults(held.vault) == []
    assert count(held).charged == 0.5


def test_by_the_command_the_price_is_shown_before_it_is_paid(held, tmp_path, monkeypatch):
    held.vault.close()
    (tmp_path / "shell").mkdir()
    shutil.copytree(tmp_path / "v", tmp_path / "shell" / "v")
    shell = Shell(tmp_path / "shell", monkeypatch, documented=True)
    run = "match run --project counted --dataset cohort --panel exact --criteria small@1"
    assert shell.try_(f"{run} --count --json").error == "confirmation_needed"
    assert shell.run("budget show counted --json").json["budgets"][0]["spent"] == 0
    found = shell.run(f"{run} --count --yes --accuracy 40 --json").json
    assert [one["id"] for one in found["criteria"]] == [one["id"] for one in matched.PACK["criteria"]]
    assert "5 criteria at 0.1" in shell.run(f"{run} --count --yes").out
    assert shell.try_(f"{run} --yes --json").error == "count_missing"
    listed = shell.run(f"{run} --json").json
    assert json.dumps(listed)
    assert len(listed["criteria"][0]["matched"]) == 60
    assert "60 match" in shell.run(run).out


def test_every_locus_of_the_panel_can_be_counted(held):
    criteria.approved(held.vault, criteria.document(LOCI, *((name, {"carries": name}) for name in LOCI), name="each"))
    assert len(count(held, "each@1").criteria) == len(LOCI)
