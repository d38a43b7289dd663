"""Risk reports through the gate: who is counted, what the log says, and that nothing is released by them."""

from __future__ import annotations

import pytest

from policies.purposes import RequestKind
from tests.support import counted, vaults
from tests.support.counted import COMMON
from tests.support.vaults import opened
from vault import gate
from vault.access import releases, requests
from vault.audit.actions import Action
from vault.audit.reports.records import records
from vault.consent import recording
from vault.errors import InputError, RefusedError
from vault.operations.erasure import process as erasure
from vault.risk import stored_reports


@pytest.fixture
def s(tmp_path):
    with opened(vaults.copy(tmp_path, whole=False)) as vault:
        yield vault


def of_risk(s):
    return [record for record in records(s.trail.log) if record.act == Action.REQUEST_RISK]


def test_people_are_named_before_and_nothing_is_released(s):
    asked = vaults.ask(s, regions=())
    before = releases.list_all(s)
    found = gate.risk(s, asked)
    intent, done = of_risk(s)
    assert (intent.outcome, done.outcome, done.refers) == ("intent", "done", intent.event)
    assert found["n"] == len(vaults.PERMITTED) == 10
    assert {record.request for record in (intent, done)} == {asked}
    assert (intent.project, intent.counts, done.counts) == ("demo", {"asked": 1, "permitted": 1}, {"subjects": 1})
    assert releases.list_all(s) == before
    assert requests.load(s, asked).state == "approved"


def test_it_says_what_the_extract_then_tells(s, tmp_path):
    asked = vaults.ask(s)
    found = gate.risk(s, asked)
    made = gate.extract(s, asked, tmp_path / "out")
    assert (found["n"], found["sites"]) == (made.n_subjects, made.n_sites)
    told = {"mean": found["bits"]["mean"], "largest": found["bits"]["max_person"], "cumulative": found["bits"]["cumulative"]}
    assert told == {name: pytest.approx(value, abs=0.1) for name, value in made.content.bits.items()}
    # the same sites once more tell nothing new
    assert gate.risk(s, asked)["bits"]["cumulative"] == pytest.approx(found["bits"]["cumulative"], abs=0.1)


def test_the_last_one_is_kept_until_what_it_rests_on_is_another(s):
    asked = vaults.ask(s)
    with pytest.raises(InputError) as none:
        gate.last_risk(s, asked)
    assert none.value.code == "no_report"
    made = gate.risk(s, asked)
    assert gate.last_risk(s, asked) == made
    assert stored_reports.made(s, asked) == f"{made['made'][:10]} {made['made'][11:16]} by ann"
    assert [one.outcome for one in of_risk(s)] == ["failed", "intent", "done", "done"]
    recording.withdraw(s, "S03")
    assert gate.last_risk(s, asked) == made | {"stale": True}
    assert gate.risk(s, asked)["stale"] is False
    requests.deny(s, asked, "x")
    assert gate.last_risk(s, asked)["stale"] is True


def test_what_leaves_meanwhile_makes_it_stale(s, tmp_path):
    asked = vaults.ask(s)
    gate.risk(s, asked)
    gate.extract(s, asked, tmp_path / "out")
    assert gate.last_risk(s, asked)["stale"] is True


def test_an_erasure_deletes_it(s):
    asked = vaults.ask(s)
    gate.risk(s, asked)
    erasure.erase(s, "S03")
    assert stored_reports.made(s, asked) is None


def test_it_is_of_now(s):
    asked = vaults.ask(s)
    first = gate.risk(s, asked)
    assert gate.risk(s, asked) | {"made": ""} == first | {"made": ""}
    recording.withdraw(s, "S03")
    assert gate.risk(s, asked)["n"] == first["n"] - 1


def test_one_that_waits_is_reported_and_one_that_ended_is_not(s):
    vaults.approve(s, "each", "cohort", approval="each")
    waiting = vaults.ask(s, project="each")
    assert requests.load(s, waiting).state == "submitted"
    assert gate.risk(s, waiting)["n"] == 10
    requests.deny(s, waiting, "x")
    with pytest.raises(InputError) as refused:
        gate.risk(s, waiting)
    assert refused.value.code == "request_state"


def test_what_would_release_nothing_has_no_report(s):
    vaults.approve(s, "many", "cohort", disclosure={"min_group": 11})
    asked = vaults.ask(s, project="many")
    with pytest.raises(RefusedError) as refused:
        gate.risk(s, asked)
    assert refused.value.code == "group_too_small"
    assert [(one.outcome, one.reasons) for one in of_risk(s)] == [("refused", {"group_too_small": 1})]


def test_of_counts_it_says_the_price_and_opens_nothing(tmp_path):
    held = counted.make(tmp_path)
    spec = requests.Spec(alleles=(COMMON,), epsilon=100_000)
    asked = requests.submit(held.vault, "counting", "cohort", kind=RequestKind.COUNTS, spec=spec).request_id
    found = gate.risk(held.vault, asked)
    assert (found["n"], found["sites"], found["kin"]) == (130, None, None)
    assert found["price"]["nats"] == 0.1
    assert found["price"]["left"] == {"project": 2.3, "organisation": 3.0, "world": 4.61}
    assert [one.outcome for one in of_risk(held.vault)] == ["done"]
    held.vault.close()
