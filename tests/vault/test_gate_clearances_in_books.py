"""Clearances and books: none outlives a restored backup, a removed slot, renewed keys, an edited row, a ruling, an opt-out or a limit."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest

from tests.support import vaults
from tests.support.consent_work import Clock
from tests.support.vaults import FACTOR, opened
from vault import gate
from vault.access import holdings, project_versions, projects, reference_data, rulings
from vault.consent import recording
from vault.crypto.keystore import Role
from vault.errors import GenovaultError, UnavailableError
from vault.gate import clearances
from vault.operations import backup, doctor, key_rotation
from vault.operations.recovery import open_recovered
from vault.operations.restore import restore
from vault.session import principals

PANEL = {"project": "demo", "dataset": "cohort", "panel": "pgx"}


@pytest.fixture
def folder(tmp_path):
    return vaults.copy(tmp_path, whole=False)


@pytest.fixture
def s(folder):
    it = open_recovered(folder, factor=FACTOR, principal="ann")
    yield it
    it.abandon()


def names(s, **changes):
    return set(gate.read_panel(s, **PANEL | changes).view.pseudonyms)


def calls(s, **changes):
    view = gate.read_panel(s, **PANEL | changes).view
    return {name: view.calls_of(name) for name in view.pseudonyms}


def outcome(act, *args, **named):
    try:
        return act(*args, **named)
    except GenovaultError as error:
        return error.code


def guarded(s):
    """A read that is cleared now, to be logged later."""
    ready = gate.cleared_read(s, **PANEL)
    assert ready is not None
    return lambda: s.trail.record_guarded(ready.entry, guards=ready.guards, then=ready.then)


def at(folder, clock):
    return open_recovered(folder, factor=FACTOR, principal="ann", clock=clock)


def opened_anew(folder):
    with opened(folder) as it:
        return len(names(it))


def older(folder, to):
    """A copy of the vault, whole, as somebody who copies its folder has it."""
    shutil.copytree(folder, to)
    return to


def test_a_folder_put_back_over_an_open_vault_gives_nobody_back(folder, s, tmp_path):
    copied = older(folder, tmp_path / "old")
    whole = names(s)
    with opened(folder) as other:
        recording.withdraw(other, "S03")
    less = names(s)
    assert len(less) == len(whole) - 1
    folder.rename(tmp_path / "away")
    copied.rename(folder)
    assert outcome(names, s) == less  # the files that it has open are the newer ones, wherever they lie
    assert outcome(opened_anew, folder) == len(whole)  # all of it is older, with keys and keystore: see SECURITY.md, 7


def test_files_put_back_in_place_under_an_open_vault_give_nobody_back(folder, s, tmp_path):
    """The books' own file is overwritten, as PostgreSQL's tools would restore a database: the process sees the older rows."""
    s.books.checkpoint_wal()
    copied = older(folder, tmp_path / "old")
    assert len(names(s)) == len(vaults.PERMITTED)
    with opened(folder) as other:
        recording.withdraw(other, "S03")
    assert len(names(s)) == len(vaults.PERMITTED) - 1
    s.books.close()
    for path in folder.glob("books.db*"):
        path.unlink()
    for path in copied.glob("books.db*"):
        shutil.copy(path, folder / path.name)
    assert outcome(names, s) == "books_behind"
    assert outcome(lambda: set(gate.view(s, **PANEL).pseudonyms)) == "books_behind"
    assert outcome(opened_anew, folder) == "books_behind"


def test_a_restore_into_place_ends_what_was_kept(folder, s, tmp_path):
    with opened(folder) as other:
        backup.backup(other, tmp_path / "b")
    names(s)
    before = guarded(s)
    s.books.close()
    for path in folder.glob("books.db*"):
        path.unlink()
    shutil.rmtree(folder / "objects")
    restore(tmp_path / "b", folder, factor=FACTOR, principal="ann")
    assert outcome(before) in ("clearance_stale", "books_behind", "log_head_unauthentic")
    assert clearances.cached(s, **PANEL) is None
    with opened(folder) as after:
        assert len(names(after)) == len(vaults.PERMITTED)


def test_whose_slot_is_removed_reads_nothing_more(folder):
    factor = vaults.add_role(folder, Role.ENGINE)
    engine = open_recovered(folder, factor=factor, principal="engine")
    names(engine)
    before = guarded(engine)
    with opened(folder) as other:
        (slot,) = [one for one in principals.slots(other) if one.principal == "engine"]
        principals.remove_slot(other, slot.slot_id)
    with pytest.raises(UnavailableError):
        before()
    assert outcome(names, engine) in ("slot_outdated", "cannot_unlock", "refused")
    engine.abandon()


@pytest.mark.parametrize(
    "renew", [key_rotation.rotate, lambda s: key_rotation.renew_project(s, "demo"), key_rotation.renew_tokens]
)
def test_a_read_cleared_before_keys_were_renewed_is_not_logged(folder, s, renew):
    names(s)
    before = guarded(s)
    with opened(folder) as other:
        renew(other)
    assert outcome(before) == "clearance_stale"
    with opened(folder) as fresh:
        assert calls(s) == calls(fresh)


FOUND = ("collection_altered", "consent_ledger_altered", "log_head_unauthentic")

EDITS = {
    "a withdrawal taken out": "DELETE FROM consent_batch WHERE last_seq = (SELECT MAX(last_seq) FROM consent_batch)",
    "a batch's events": "UPDATE consent_batch SET events = zeroblob(length(events))",
    "a project's state": "UPDATE project SET state = 'suspended'",
    "a dataset's parts": "DELETE FROM part",
    "a head's digest": "UPDATE collection_head SET digest = zeroblob(32) WHERE name = 'consent_batch'",
    "a head's counter": "UPDATE collection_head SET counter = counter + 1 WHERE name = 'project'",
    "the log's head": "UPDATE audit_head SET state = zeroblob(32)",
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_row_lets_nobody_be_read_whom_the_decision_did_not_permit(folder, edit):
    """What was decided stays as it was decided, at most for a minute; then the edit is found."""
    with opened(folder) as made:
        clock = Clock()
        clock.now = made.clock()
        recording.withdraw(made, "S03")
    s = at(folder, clock)
    whole = names(s)
    vaults.sql(folder / "books.db", EDITS[edit])
    soon = outcome(names, s)
    assert soon == whole or soon in FOUND
    clock.forward(seconds=61)
    later = outcome(names, s)
    assert later in FOUND or (edit, later) == ("a batch's events", whole)  # which it had read and checked, and reads no more
    s.abandon()
    assert outcome(opened_anew, folder) in {*FOUND, "books_behind"}


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM holding",
        "DELETE FROM read_terms",
        "UPDATE holding SET holder = 'another'",
        "UPDATE holding SET sealed = zeroblob(length(sealed))",
        "UPDATE read_terms SET sealed = zeroblob(length(sealed))",
    ],
)
def test_an_edited_holding_is_found_and_hides_no_read(folder, s, edit):
    names(s)
    vaults.sql(folder / "books.db", edit)
    outcome(names, s)
    clearances.cached(s, **PANEL).guard.dropped = True
    outcome(names, s)
    assert holdings.faults(s) or not doctor.examine(s).ok or holdings.list_all(s)[0].holder == "ann"


def test_an_opt_out_of_a_locus_acts_at_the_next_read_and_changes_the_sites(folder, s):
    with opened(folder) as other:
        place = '{"version": "own", "source": "s", "date": "2026-01-01", "assemblies": {"GRCh38": {"genes": {}, "categories": {"HERE": ["22:1000-1010"]}}}}'
        reference_data.load(other, reference_data.LOCI, place, version="own")
    before = gate.read_panel(s, **PANEL)
    since = {"since_people": [before.people], "since_rows": before.rows}
    ready = guarded(s)
    with opened(folder) as other:
        recording.withdraw(other, "S03", scope="loci:HERE")
        fresh = gate.view(other, **PANEL)
    assert outcome(ready) == "clearance_stale"
    told = gate.changes(s, **PANEL, **since)
    after = gate.read_panel(s, **PANEL)
    assert told.sites_changed
    assert after.rows != before.rows
    assert {n: after.view.calls_of(n) for n in after.view.pseudonyms} == {n: fresh.calls_of(n) for n in fresh.pseudonyms}
    assert calls(s) != {n: before.view.calls_of(n) for n in before.view.pseudonyms}


def test_a_ruling_that_is_taken_back_ends_a_clearance(folder, s):
    vaults.approve(s, "lungs", "cohort", purpose={**purpose(s), "controls": True})
    rulings.rule(s, "lungs", "controls", reason="x")
    asked = {"project": "lungs"}
    before = names(s, **asked)
    with opened(folder) as other:
        rulings.rule(other, "lungs", "controls", reason="y", allows=False)
        afresh = outcome(lambda: set(gate.view(other, **PANEL | asked).pseudonyms))
    assert outcome(names, s, **asked) == afresh
    assert (len(before), afresh) == (10, "no_one_permitted")


def purpose(s):
    return projects.canonical.loads(projects.load(s, "demo").declaration_text)["purpose"]


def test_a_limit_reached_meanwhile_stops_what_is_new_and_not_what_was_told(folder, s):
    """What a kept view tells is charged, and costs nothing again; a wider panel meets the limit that another session has used up."""
    first = names(s)
    limit = max(1, int(clearances.cached(s, **PANEL).panel.bits.largest))
    with opened(folder) as other:
        document = projects.canonical.loads(projects.load(other, "demo").declaration_text)
        project_versions.amend(other, {**document, "disclosure": {"max_bits": limit}}, reason="x")
        projects.change(other, "demo", "approve", version=2)
        vaults.panel(other, "wide", loci=b"22\t999\t1200\n")
        afresh = outcome(lambda: set(gate.view(other, **PANEL).pseudonyms))
        wide = outcome(lambda: set(gate.view(other, **PANEL | {"panel": "wide"}).pseudonyms))
    assert (outcome(names, s), wide) == (afresh, "too_many_bits")
    assert outcome(names, s, panel="wide") == wide
    assert afresh == first


def test_two_reads_that_settle_at_once_do_not_pass_a_limit_together(folder, s):
    """The other session charges between this one's decision and its charge: the charge looks again, under the lock."""
    vaults.panel(s, "next", loci=b"22\t1030\t1060\n")
    largest = []
    for panel in ("pgx", "next"):
        names(s, panel=panel)
        largest.append(clearances.cached(s, **PANEL | {"panel": panel}).panel.bits.largest)
    vaults.approve(s, "limited", "cohort", disclosure={"max_bits": int(max(largest)) + 1})
    asked = {"project": "limited"}
    own, raced = clearances.settle, []

    def meanwhile(vault, scope):
        if not raced:
            raced.append(True)
            with opened(folder) as other:
                raced.append(outcome(names, other, project="limited", panel="next"))
        return own(vault, scope)

    clearances.settle = meanwhile
    try:
        found = outcome(names, s, **asked)
    finally:
        clearances.settle = own
    assert (found, len(raced[1])) == ("too_many_bits", len(vaults.PERMITTED))


def test_minutes_pass_and_a_kept_clearance_is_made_anew(folder):
    with opened(folder) as made:
        clock = Clock()
        clock.now = made.clock()
    s = at(folder, clock)
    names(s)
    kept = clearances.cached(s, **PANEL)
    clock.now += timedelta(seconds=61)
    assert clearances.cached(s, **PANEL) is None
    names(s)
    assert clearances.cached(s, **PANEL) is not kept
    s.abandon()
