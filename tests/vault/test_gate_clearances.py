"""Clearances: kept between reads, and outlived by nothing that decides, whichever session changes it."""

from __future__ import annotations

import gc
import weakref
from datetime import timedelta
from functools import partial

import pytest

from policies.consent import Level
from tests.support import vaults
from tests.support.consent_work import Clock
from tests.support.vaults import FACTOR, opened, verified
from vault import gate
from vault.access import holdings, projects
from vault.access.disclosure import released_sites
from vault.audit.entry import decode_leaf
from vault.consent import recording
from vault.crypto.keystore import Role
from vault.errors import GenovaultError, IntegrityError, RefusedError, UnavailableError
from vault.gate import blocks, clearances
from vault.genotypes.store.part_reader import PartReader
from vault.operations import key_rotation
from vault.operations.corrections import merging, moving, removal
from vault.operations.erasure import process as erasure
from vault.operations.recovery import open_recovered
from vault.session import principals

PANEL = {"project": "demo", "dataset": "cohort", "panel": "pgx"}


@pytest.fixture
def folder(tmp_path):
    return vaults.copy(tmp_path, whole=False)


@pytest.fixture
def s(folder):
    with opened(folder) as it:
        yield it


def leaves(s, since=0):
    return [decode_leaf(entry.leaf) for entry in s.trail.log.entries(since)]


def calls(view):
    return {name: view.calls_of(name) for name in view.pseudonyms}, [(v.pos, v.ref, v.alts) for v in view.variants()]


def decided_afresh(s):
    """What a view says that is decided by itself; or the code of its refusal."""
    try:
        return calls(gate.view(s, **PANEL))
    except GenovaultError as error:
        return error.code


def read(s, **asked):
    try:
        return calls(gate.read_panel(s, **PANEL, **asked).view)
    except GenovaultError as error:
        return error.code


def test_a_read_is_one_entry_and_what_is_settled_another_two(s):
    size = s.trail.log.size()
    gate.read_panel(s, **PANEL)
    gate.read_panel(s, **PANEL)
    said = [(leaf["act"], leaf["outcome"]) for leaf in leaves(s, size)]
    assert said == [("panel.settle", "intent"), ("panel.settle", "done"), ("view.read", "done"), ("view.read", "done")]
    assert verified(s).open_intents == ()


def test_a_read_of_one_opens_one_and_names_one(s, monkeypatch):
    name = gate.read_panel(s, **PANEL).view.pseudonyms[3]
    opening, own = [], PartReader._open_blocks

    def counting(self, ordinal, chunk, access):
        opening.append(access.size)
        return own(self, ordinal, chunk, access)

    monkeypatch.setattr(PartReader, "_open_blocks", counting)
    size = s.trail.log.size()
    gate.read_panel(s, **PANEL, pseudonyms=[name])
    (leaf,) = leaves(s, size)
    assert (opening, leaf["subj"]["n"]) == ([1], 1)


def test_the_entry_is_durable_before_a_block_is_opened(s, monkeypatch):
    gate.read_panel(s, **PANEL)
    size, own, found = s.trail.log.size(), blocks.OpenPanel.view, []

    def opening(self, columns=None):
        found.append([leaf["act"] for leaf in leaves(s, size)])
        return own(self, columns)

    monkeypatch.setattr(blocks.OpenPanel, "view", opening)
    gate.read_panel(s, **PANEL)
    assert found == [["view.read"]]


def test_a_read_that_fails_behind_its_entry_says_so(s, monkeypatch):
    gate.read_panel(s, **PANEL)

    def broken(*_):
        raise IntegrityError("block_broken", "no")

    monkeypatch.setattr(blocks.OpenPanel, "view", broken)
    size = s.trail.log.size()
    assert read(s) == "block_broken"
    done, failed = leaves(s, size)
    assert (done["outcome"], failed["outcome"], failed["refers"]) == ("done", "failed", done["id"])


def moved(s):
    moving.move(s, "cohort", "S03", "S11", swap=True, reason="tubes mixed up")


def amended(s, **changes):
    from vault.access import project_versions  # noqa: PLC0415 - of this case alone

    document = projects.canonical.loads(projects.load(s, "demo").declaration_text)
    project_versions.amend(s, {**document, **changes}, reason="x")
    projects.change(s, "demo", "approve", version=2)


CHANGES = {
    "withdrawal": lambda s: recording.withdraw(s, "S03"),
    "withdrawal with deletion": lambda s: recording.withdraw(s, "S03", level=Level.ERASE),
    "restriction": lambda s: recording.restrict(s, "S04"),
    "erasure": lambda s: erasure.erase(s, "S05"),
    "merge": lambda s: merging.merge(s, "S06", "S07", reason="one person", accept=True),
    "calls moved": moved,
    "project suspended": lambda s: projects.change(s, "demo", "suspend"),
    "project closed": lambda s: projects.change(s, "demo", "close"),
    "smallest group raised": lambda s: amended(s, disclosure={"min_group": 1000}),
    "purpose amended": lambda s: amended(s, title="other"),
    "new panel version": lambda s: vaults.panel(s, loci=b"22\t999\t1050\n"),
    "dataset removed": lambda s: removal.remove(s, "cohort", reason="x", accept=True),
    "names renewed": lambda s: key_rotation.renew_project(s, "demo"),
    "tokens renewed": key_rotation.renew_tokens,
    "keys renewed": key_rotation.rotate,
}


@pytest.mark.parametrize("change", CHANGES)
def test_no_clearance_outlives_a_change_by_another_session(folder, s, change):
    whole = gate.read_panel(s, **PANEL).view
    with opened(folder) as other:
        CHANGES[change](other)
    afresh = decided_afresh(s)
    assert read(s) == afresh
    some = read(s, pseudonyms=whole.pseudonyms[:4])
    expected = afresh if isinstance(afresh, str) else {n: c for n, c in afresh[0].items() if n in whole.pseudonyms[:4]}
    assert (some if isinstance(some, str) else some[0]) == expected


def test_who_was_erased_leaves_the_kept_keys_at_the_next_read_of_anything(folder, s):
    gate.read_panel(s, **PANEL)
    vaults.panel(s, "second", loci=b"22\t999\t1050\n")
    gate.read_panel(s, **{**PANEL, "panel": "second"})
    (_, first), (_, second) = s.caches.get(clearances._PANELS).values()
    gone = weakref.ref(first.source), weakref.ref(second.source)
    del first, second
    with opened(folder) as other:
        erasure.erase(other, "S05")
    gate.read_panel(s, **PANEL)
    gc.collect()
    assert [one() for one in gone] == [None, None]


def test_a_disabled_principal_reads_nothing_more(folder):
    factor = vaults.add_role(folder, Role.ENGINE)
    engine = open_recovered(folder, factor=factor, principal="engine")
    gate.read_panel(engine, **PANEL)
    with opened(folder) as other:
        principals.disable(other, "engine")
    with pytest.raises((RefusedError, UnavailableError)):
        gate.read_panel(engine, **PANEL)
    engine.abandon()


def at(folder, clock):
    return open_recovered(folder, factor=FACTOR, principal="ann", clock=clock)


def test_a_project_ends_at_its_time_under_a_kept_clearance(folder):
    clock = Clock()
    with opened(folder) as s:
        clock.now = s.clock()
        vaults.approve(s, "ending", "cohort", expires=(clock.now + timedelta(seconds=30)).isoformat())
    s = at(folder, clock)
    asked = {**PANEL, "project": "ending"}
    gate.read_panel(s, **asked)
    clock.now += timedelta(seconds=31)
    with pytest.raises(RefusedError) as caught:
        gate.read_panel(s, **asked)
    assert caught.value.code == "project_expired"
    s.abandon()


def test_who_consents_is_there_within_a_minute_and_who_withdraws_at_once(folder):
    clock = Clock()
    with opened(folder) as s:
        clock.now = s.clock()
    s = at(folder, clock)
    before = set(gate.read_panel(s, **PANEL).view.pseudonyms)
    recording.record(s, "S11", "broad-research", {"research_use": "yes", "recontact": "yes"})
    clock.now += timedelta(seconds=61)
    more = set(gate.read_panel(s, **PANEL).view.pseudonyms)
    assert len(more - before) == 1
    recording.withdraw(s, "S11")
    assert set(gate.read_panel(s, **PANEL).view.pseudonyms) == before
    s.abandon()


def test_a_withdrawal_of_somebody_else_leaves_a_clearance_standing(folder, s):
    gate.read_panel(s, **PANEL)
    kept = clearances.cached(s, **PANEL)
    with opened(folder) as other:
        recording.withdraw(other, "S11")
    size = s.trail.log.size()
    gate.read_panel(s, **PANEL)
    assert clearances.cached(s, **PANEL) is kept
    assert [leaf["act"] for leaf in leaves(s, size)] == ["view.read"]


def test_what_a_read_tells_is_charged_once_and_a_limit_refuses(folder, s):
    vaults.approve(s, "limited", "cohort", disclosure={"max_bits": 1})
    with pytest.raises(RefusedError) as caught:
        gate.read_panel(s, **{**PANEL, "project": "limited"})
    assert caught.value.code == "too_many_bits"
    gate.read_panel(s, **PANEL)
    with s.books.read() as tx:
        known = released_sites.known(s, tx, projects.load(s, "demo"))
    gate.read_panel(s, **PANEL, pseudonyms=["demo-nobody"])
    gate.read_panel(s, **PANEL)
    with s.books.read() as tx:
        assert released_sites.known(s, tx, projects.load(s, "demo")).rows == known.rows == 1


def test_somebody_who_withdraws_between_clearance_and_commit_is_not_read(folder, s):
    whole = gate.read_panel(s, **PANEL)
    ready = gate.cleared_read(s, **PANEL)
    with opened(folder) as other:
        recording.withdraw(other, "S03")
    size = s.trail.log.size()
    with pytest.raises(UnavailableError) as caught:
        s.trail.record_guarded(ready.entry, guards=ready.guards, then=ready.then)
    assert (caught.value.code, s.trail.log.size()) == ("clearance_stale", size)
    assert gate.cleared_read(s, **PANEL) is None
    assert len(gate.read_panel(s, **PANEL).view.pseudonyms) == len(whole.view.pseudonyms) - 1


@pytest.mark.parametrize(("view_comes", "sets"), [(0, 2), (1, 2), (2, 3)])
def test_who_is_in_a_view_is_brought_by_no_read(s, view_comes, sets):
    """Whichever comes first, the holding is as the log tells. The first read of terms adds a set always."""
    gate.read_panel(s, **PANEL, pseudonyms=["demo-nobody"])
    first, second = clearances.cached(s, **PANEL).panel.names[:2]
    accesses = [partial(gate.read_panel, s, **PANEL, pseudonyms=[name]) for name in (first, second)]
    accesses.insert(view_comes, partial(gate.view, s, **PANEL))
    for access in accesses:
        if (known := clearances.cached(s, **PANEL)) is not None:
            known.guard.dropped = True  # made anew, a clearance knows whom the holding has
        access()
    (held,) = holdings.list_all(s)
    assert len(held.sets) == sets
    assert holdings.faults(s) == []


def test_people_who_are_read_one_by_one_are_each_in_the_holding_once(s):
    names = gate.read_panel(s, **PANEL, pseudonyms=["demo-nobody"])
    assert holdings.list_all(s) == []
    clearance = clearances.cached(s, **PANEL)
    for name in clearance.panel.names * 2:
        gate.read_panel(s, **PANEL, pseudonyms=[name])
    (held,) = holdings.list_all(s)
    assert len(held.sets) == len(clearance.panel.names)
    assert holdings.people_in(s, held) == set(clearance.tokens)
    clearance.guard.dropped = True
    gate.read_panel(s, **PANEL)
    assert holdings.list_all(s) == [held]  # whom another clearance finds there already brings nothing new
    assert holdings.faults(s) == []
    assert names.view.pseudonyms == ()
