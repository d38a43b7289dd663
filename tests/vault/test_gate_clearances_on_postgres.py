"""Clearances where books and keys are on PostgreSQL: read, changed by another session, refused at the commit; and so behind a server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, make_url

import vault as api
from policies.disclosure import cells
from policies.purposes import RequestKind
from tests.support import served, vaults
from tests.support.clusters import cluster, new_postgres
from tests.support.vaults import FACTOR, opened, verified
from vault import counting, gate
from vault.consent import recording
from vault.errors import GenovaultError, UnavailableError
from vault.gate import clearances, decision
from vault.operations import key_rotation
from vault.operations.erasure import process as erasure
from vault.operations.recovery import open_recovered
from vault.session.settings import Places

pytestmark = pytest.mark.long

PANEL = {"project": "demo", "dataset": "cohort", "panel": "pgx"}


@pytest.fixture(scope="module")
def server():
    with cluster() as url:
        yield url


@pytest.fixture
def folder(tmp_path, server):
    vaults.make(tmp_path / "v", places=Places(books=new_postgres(server), keys=new_postgres(server)), whole=False)
    return tmp_path / "v"


def names(s):
    return set(gate.read_panel(s, **PANEL).view.pseudonyms)


def test_a_read_a_withdrawal_by_another_session_and_a_commit_that_refuses(folder):
    with opened(folder) as s, opened(folder) as other:
        before = gate.read_panel(s, **PANEL)
        size = s.trail.log.size()
        names(s)
        assert s.trail.log.size() == size + 1
        ready = gate.cleared_read(s, **PANEL)
        recording.withdraw(other, "S03")
        size = s.trail.log.size()
        with pytest.raises(UnavailableError) as caught:
            s.trail.record_guarded(ready.entry, guards=ready.guards, then=ready.then)
        assert (caught.value.code, s.trail.log.size()) == ("clearance_stale", size)
        assert len(gate.changes(s, **PANEL, since_people=[before.people], since_rows=before.rows).dropped) == 1
        assert len(names(s)) == len(before.view.pseudonyms) - 1
        kept = clearances.cached(s, **PANEL)
        recording.withdraw(other, "S11")  # of nobody permitted
        names(s)
        assert clearances.cached(s, **PANEL) is kept
        key_rotation.rotate(other)
        fresh = gate.view(other, **PANEL)
        assert {n: fresh.calls_of(n) for n in fresh.pseudonyms} == calls(s)
        assert not verified(s).findings


def calls(s):
    view = gate.read_panel(s, **PANEL).view
    return {name: view.calls_of(name) for name in view.pseudonyms}


def test_reads_by_threads_of_two_sessions_are_each_one_entry(folder):
    with opened(folder) as s, opened(folder) as other:
        assert names(s) == names(other)
        size = s.trail.log.size()
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(lambda at: names((s, other)[at % 2]), range(18)))
        assert all(one == found[0] for one in found)
        assert s.trail.log.size() == size + 18
        assert not verified(s).findings


@pytest.fixture
def decided(monkeypatch):
    """Each decision that is made."""
    made, decide = [], decision.decide

    def deciding(*given):
        made.append(given)
        return decide(*given)

    monkeypatch.setattr(decision, "decide", deciding)
    return made


def test_counts_and_views_keep_a_decision_that_any_event_of_the_dataset_ends(folder, decided, monkeypatch):
    monkeypatch.setattr(cells, "FLOOR", 5)
    monkeypatch.setattr(counting, "discrete_laplace", lambda *_: 0)

    def asked(s):
        found = gate.counts(s, project="counted", dataset="cohort", kind=RequestKind.COUNTS, alleles=["22:1000:A:G"])
        view = gate.view(s, project="counted", dataset="cohort", regions=("22:1-1200",))
        return found.cohort, found.answers, {name: view.calls_of(name) for name in view.pseudonyms}

    with opened(folder) as s, opened(folder) as other:
        vaults.approve(other, "counted", "cohort", kinds=["counts", "records"])
        asked(s)
        first = len(decided)
        asked(s)
        assert len(decided) == first
        for act in (
            lambda: recording.withdraw(other, "S03"),
            lambda: recording.record(other, "S11", "broad-research", {"research_use": "yes", "recontact": "yes"}),
            lambda: erasure.erase(other, "S05"),
        ):
            act()
            kept = asked(s)
            s.caches.clear()
            assert kept == asked(s)
        recording.withdraw(other, "S11")
        with ThreadPoolExecutor(4) as pool:
            assert len({found[0] for found in pool.map(lambda _: asked(s), range(8))}) == 1
    with opened(folder) as s:
        assert not verified(s).findings


def copied(server, url):
    """An older state of a database under a name of its own; no connection to it may be open."""
    older = new_postgres(server)
    execute(server, f"DROP DATABASE {name_of(older)}", f"CREATE DATABASE {name_of(older)} TEMPLATE {name_of(url)}")
    return older


def put_back(server, older, url):
    """The older state takes the place of the database, under programs that have it open."""
    away = f"{name_of(url)}_newest"
    execute(
        server,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_of(url)}'",
        f"ALTER DATABASE {name_of(url)} RENAME TO {away}",
        f"ALTER DATABASE {name_of(older)} RENAME TO {name_of(url)}",
    )


def name_of(url):
    return make_url(url).database


def execute(server, *statements):
    engine = create_engine(make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_older_books_put_back_under_a_program_and_under_a_server_give_nobody_back(tmp_path, server):
    books = new_postgres(server)
    folder = tmp_path / "v"
    vaults.make(folder, places=Places(books=books, keys=new_postgres(server)), whole=False)
    served.staff(folder)
    with opened(folder) as s:
        token = served.issue(s)
    older = copied(server, books)
    s = open_recovered(folder, factor=FACTOR, principal="ann")
    with served.serving(folder, token=token) as it, api.connect(it.url, token=token) as c:
        panel = c.panel("served", dataset="cohort", name="pgx")
        whole = panel.genotypes()
        assert len(names(s)) == len(whole.pseudonyms) == len(vaults.PERMITTED)
        with opened(folder) as other:
            recording.withdraw(other, "S03")
        assert len(panel.genotypes().pseudonyms) == len(names(s)) == len(vaults.PERMITTED) - 1
        put_back(server, older, books)
        for _ in range(3):  # the first finds its connection gone
            with pytest.raises(GenovaultError) as caught:
                names(s)
            with pytest.raises(GenovaultError):
                panel.genotypes()
            with pytest.raises(GenovaultError):
                panel.changes(whole.cursor)
        assert caught.value.code == "books_behind"
    s.abandon()
    with pytest.raises(GenovaultError) as caught:
        open_recovered(folder, factor=FACTOR, principal="ann")
    assert caught.value.code == "books_behind"


def test_a_server_over_it_gives_rows_tells_changes_and_keeps_to_a_withdrawal(folder):
    served.staff(folder)
    with opened(folder) as s:
        token = served.issue(s)
    with served.serving(folder, token=token) as it, api.connect(it.url, token=token) as c:
        panel = c.panel("served", dataset="cohort", name="pgx")
        whole = panel.genotypes()
        assert len(whole.pseudonyms) == len(vaults.PERMITTED)
        assert panel.genotypes(whole.pseudonyms[:2]).sites_id == whole.sites_id
        quiet = panel.changes(whole.cursor)
        assert (quiet.added, quiet.drop) == ((), ())
        with opened(folder) as s:
            recording.withdraw(s, "S03")
            fresh = gate.view(s, project="served", dataset="cohort", panel="pgx")
        told = panel.changes(whole.cursor, wait=5)
        assert len(told.drop) == 1
        less = panel.genotypes()
        assert {n: less.calls_of(n) for n in less.pseudonyms} == {n: fresh.calls_of(n) for n in fresh.pseudonyms}
        assert set(whole.pseudonyms) - set(less.pseudonyms) == set(told.drop)
        assert panel.genotypes(list(told.drop)).pseudonyms == ()
    with opened(folder) as s:
        assert not verified(s).findings
