"""Reads of a panel: some rows are rows of the whole, under its sites; and what changed since one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import vaults
from tests.support.vaults import opened
from vault import gate
from vault.consent import recording
from vault.errors import IntegrityError
from vault.gate import panel_reads
from vault.operations.erasure import process

PANEL = {"project": "demo", "dataset": "cohort", "panel": "pgx"}


@pytest.fixture
def s(tmp_path):
    with opened(vaults.copy(tmp_path)) as it:
        yield it


def test_some_rows_are_rows_of_the_whole(s):
    whole = gate.read_panel(s, **PANEL)
    two = sorted(whole.view.pseudonyms)[:2]
    some = gate.read_panel(s, **PANEL, pseudonyms=[*two, "demo-nobody"])
    assert set(some.view.pseudonyms) == set(two)
    assert (some.sites_id, some.people) == (whole.sites_id, whole.people)
    assert all(some.view.calls_of(name) == whole.view.calls_of(name) for name in two)
    assert some.view.not_assayed == whole.view.not_assayed


def test_nobody_is_a_view_without_rows(s):
    none = gate.read_panel(s, **PANEL, pseudonyms=["demo-nobody"])
    assert none.view.pseudonyms == ()
    assert none.view.genotypes.shape[:2] == (len(none.view.sites), 0)


def test_genotypes_are_those_of_the_view(s):
    read, view = gate.read_panel(s, **PANEL).view, gate.view(s, **PANEL)
    order = [read.pseudonyms.index(name) for name in view.pseudonyms]
    assert np.array_equal(read.genotypes[:, order], view.genotypes)


def test_who_withdrew_is_to_be_dropped_and_who_came_back_was_added(s):
    before = gate.read_panel(s, **PANEL)
    since = {"since_people": [before.people], "since_rows": before.rows}
    nothing = gate.changes(s, **PANEL, **since)
    assert (nothing.added, nothing.dropped, nothing.sites_changed) == ((), (), False)
    recording.withdraw(s, "S03")
    left = gate.changes(s, **PANEL, **since)
    after = gate.read_panel(s, **PANEL)
    assert left.dropped == tuple(set(before.view.pseudonyms) - set(after.view.pseudonyms))
    assert (left.added, left.sites_changed) == ((), True)
    for people in ([after.people], left.people):
        then = gate.changes(s, **PANEL, since_people=people, since_rows=after.rows)
        assert (then.added, then.dropped, then.sites_changed, then.people) == ((), (), False, tuple(people))


def test_changes_of_changes_go_on_from_what_was_told(s):
    read = gate.read_panel(s, **PANEL, pseudonyms=["demo-nobody"])
    before = set(gate.read_panel(s, **PANEL).view.pseudonyms)
    people, dropped = (read.people,), []
    for ref in ("S03", "S05"):
        recording.withdraw(s, ref)
        told = gate.changes(s, **PANEL, since_people=people, since_rows=read.rows)
        people, dropped = told.people, [*dropped, *told.dropped]
    assert set(dropped) == before - set(gate.read_panel(s, **PANEL).view.pseudonyms)
    assert len(dropped) == 2


def test_what_is_told_of_changes_is_logged_with_whom_it_named(s):
    before = gate.read_panel(s, **PANEL)
    recording.withdraw(s, "S03")
    size = s.trail.log.size()
    gate.changes(s, **PANEL, since_people=[before.people], since_rows=before.rows)
    (entry,) = s.trail.log.entries(size)
    assert b'"act":"view.changes"' in entry.leaf
    assert b'"subj":{"n":1,' in entry.leaf


def test_a_set_that_nobody_was_given_tells_nothing(s):
    with pytest.raises(IntegrityError) as caught:
        gate.changes(s, **PANEL, since_people=[bytes(32)], since_rows="")
    assert caught.value.code == "audit_set_altered"


def test_of_an_erased_person_it_is_told_that_all_rows_are_to_be_replaced(s):
    """Nothing can name an erased person any more: whoever holds the row is told to hold no row of before."""
    before = gate.read_panel(s, **PANEL)
    process.erase(s, "S03")
    told = gate.changes(s, **PANEL, since_people=[before.people], since_rows=before.rows)
    assert (told.added, told.sites_changed, told.unnamed) == ((), True, True)
    after = gate.read_panel(s, **PANEL)
    assert len(after.view.pseudonyms) == len(before.view.pseudonyms) - 1
    then = gate.changes(s, **PANEL, since_people=[after.people], since_rows=after.rows)
    assert (then.sites_changed, then.unnamed) == (False, False)


def test_where_nothing_changed_nobody_is_decided_on_again(s, monkeypatch):
    read = gate.read_panel(s, **PANEL)
    asked = {"since_people": [read.people], "since_rows": read.rows}
    first = gate.changes(s, **PANEL, **asked)
    monkeypatch.setattr(panel_reads.decision, "decide", lambda *_: pytest.fail("decided"))
    assert gate.changes(s, **PANEL, **asked) == first
    assert first.now == read.people


def test_what_changed_for_others_is_found_out_anew_and_is_nothing(s):
    read = gate.read_panel(s, **PANEL)
    asked = {"since_people": [read.people], "since_rows": read.rows}
    recording.withdraw(s, "S11")  # who had declined
    told = gate.changes(s, **PANEL, **asked)
    assert (told.added, told.dropped, told.sites_changed) == ((), (), False)
