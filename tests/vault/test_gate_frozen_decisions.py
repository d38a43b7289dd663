"""Kept decisions: made once, and let go of by whatever they rest on."""

from __future__ import annotations

import pytest

from policies.purposes import RequestKind
from tests.support import asked_histories, criteria, matched
from tests.support.asked_histories import QUESTIONS, Side
from vault import counting, gate
from vault.access import projects, requests
from vault.consent import recording
from vault.gate import blocks, decision, frozen_decisions
from vault.operations import key_rotation
from vault.operations.erasure import process as erasure
from vault.subjects import sheet_import
from vault.subjects.subject_sheet import read_subject_sheet


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    found = tmp_path_factory.mktemp("asked")
    asked_histories.template(found)
    return found


@pytest.fixture
def side(place):
    with asked_histories.sides(place) as (kept, _, _):
        yield kept


@pytest.fixture
def decided(monkeypatch):
    """Each decision that is made."""
    made, decide = [], decision.decide

    def deciding(*given):
        made.append(given)
        return decide(*given)

    monkeypatch.setattr(decision, "decide", deciding)
    return made


def kept(side: Side):
    """Decisions that the service keeps."""
    return [frozen for _, frozen in side.service.caches.get(frozen_decisions.KEPT).values()]


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_asked_twice_is_decided_once(side, decided, question):
    side.ask(question, 0)
    first = len(decided)
    side.ask(question, 1)
    assert (first, len(decided)) == (1, 1)


def test_regions_of_one_dataset_share_a_decision_and_kinds_do_not(side, decided):
    for number in range(3):
        side.ask("view", number)
        side.ask("stream", number)
    assert len(decided) == 1
    side.ask("counts", 0)
    side.ask("presence", 0)
    assert len(decided) == 3


def test_an_event_of_nobody_of_the_dataset_changes_the_head_alone(side, decided):
    sheet = read_subject_sheet(b"sample_id,mrn\nX1,M901\n", today=side.steward.clock().date())
    sheet_import.import_sheet(side.steward, sheet)
    ledger = side.ask("match", 0)[1][-1][0]["ledger"]
    recording.record(side.steward, "X1", matched.FORM, asked_histories.ANSWERS)
    for question in ("match", "match_counts"):
        assert side.ask(question, 0)[1][-1][0]["ledger"] == ledger + 1
    assert len(decided) == 2  # one of each


def test_an_event_of_anybody_of_the_dataset_ends_it(side, decided):
    recording.withdraw(side.steward, "P001")
    side.ask("match", 0)
    recording.record(side.steward, "P001", matched.FORM, asked_histories.ANSWERS)  # of somebody whom it does not permit
    side.ask("match", 0)
    assert len(decided) == 2


def test_a_refusal_is_not_kept(side, decided):
    projects.change(side.steward, "asked", "suspend")
    assert isinstance(side.ask("match", 0)[0], str)
    assert (len(decided), kept(side)) == (0, [])
    projects.change(side.steward, "asked", "approve")
    assert not isinstance(side.ask("match", 0)[0], str)


def test_what_changed_between_the_scope_and_its_decision_keeps_nothing(side, monkeypatch):
    ready = decision.ready_decision_classes

    def late(vault):
        criteria.exact_panel(side.steward, *list(matched.LOCI.values())[:2])
        ready(vault)

    monkeypatch.setattr(decision, "ready_decision_classes", late)
    side.ask("view", 0)
    assert kept(side) == []


def test_keys_of_somebody_who_is_erased_leave_the_memory(side):
    side.ask("view", 0)
    side.ask("counts", 0)
    assert len(kept(side)) == 2
    erasure.erase(side.steward, "P129")
    gate.tidy(side.service)
    assert kept(side) == []


def test_an_access_that_fails_lets_go_of_what_was_opened(side, monkeypatch):
    side.ask("view", 0)
    with monkeypatch.context() as patch:
        patch.setattr(blocks.dataset_reader.GenotypeReader, "choose", None)
        with pytest.raises(TypeError):
            side.ask("view", 0)
    assert all(one.guard.dropped for one in kept(side))
    assert not isinstance(side.ask("view", 0)[0], str)


def test_no_more_people_s_keys_are_kept_than_so_many(side, monkeypatch):
    monkeypatch.setattr(frozen_decisions, "MOST_PEOPLE", 150)
    side.ask("view", 0)
    side.ask("counts", 0)
    assert len(kept(side)) == 1


def test_a_stored_request_is_decided_each_time(side, decided, monkeypatch):
    monkeypatch.setattr(counting, "discrete_laplace", lambda *_: 0)
    spec = requests.Spec(alleles=("22:100:A:G",))
    asked = requests.submit(side.steward, "asked", "cohort", kind=RequestKind.COUNTS, spec=spec)
    first = gate.result(side.steward, asked.request_id)
    assert gate.result(side.steward, asked.request_id).answers == first.answers
    assert len(decided) == 3  # once more behind the opening


@pytest.mark.parametrize("question", ["match", "stream", "view"])
def test_renewed_names_are_the_new_ones(side, question):
    before = side.ask(question, 0)[0]
    key_rotation.renew_project(side.steward, "asked")
    after = side.ask(question, 0)[0]
    side.keeps = False
    assert before != after == side.ask(question, 0)[0]
