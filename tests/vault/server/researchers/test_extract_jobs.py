"""Extracts as jobs: of a person and a request, whichever of their tokens began it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import update

from tests.support import delivered, projects_amended, served
from tests.support.vaults import opened
from vault import gate
from vault.access import access_tokens, extract_orders, releases, requests, spool
from vault.crypto.keystore import PassphraseFactor
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.extracts.genotype_files import FileChoice
from vault.operations.spooling import HandedOut
from vault.server.researchers.extract_jobs import MOST_TRIES, ExtractJobs
from vault.server.seal import Seal
from vault.session import principals
from vault.storage.service_tables import ExtractOrderRow


def revoke(*which):
    return lambda s, tokens: [access_tokens.revoke(s, tokens[at].split("_")[1]) for at in which]


TAKEN = {
    "nothing": (lambda *_: None, releases.RELEASED),
    "the first token": (revoke(0), releases.RELEASED),
    "the second token": (revoke(1), releases.RELEASED),
    "both tokens": (revoke(0, 1), extract_orders.REFUSED),
    "the person": (lambda s, _: principals.disable(s, "rita"), extract_orders.REFUSED),
    "the project's word": (lambda s, _: projects_amended.name(s, "parcels", "rob"), extract_orders.REFUSED),
}


@pytest.mark.parametrize("what", TAKEN)
def test_a_job_goes_on_while_one_token_of_its_person_stands(tmp_path, what):
    delivered.staffed(tmp_path)
    take, state = TAKEN[what]
    with opened(tmp_path / "v") as s:
        tokens = [served.issue(s, "rita", *delivered.FETCH, project="parcels") for _ in range(2)]
        spec = requests.Spec(submitted_for="rita", regions=("22:1000-3000",))
        request = requests.submit(s, "parcels", "cohort", kind=requests.RequestKind.RECORDS, spec=spec).request_id
    seal = Seal(tmp_path / "v", "service")
    seal.unseal(PassphraseFactor.from_text(served.PASSPHRASE))
    jobs, turn = ExtractJobs(seal, spool.prepare(tmp_path / "spool")), threading.Event()
    try:
        jobs._pool.submit(turn.wait)
        vault = seal.standing()
        made = {
            jobs.start(vault, access_tokens.authenticate(vault, token), request, FileChoice("vcf"), []).release_id
            for token in tokens
        }
        (release,) = made
        with opened(tmp_path / "v") as s:
            take(s, tokens)
        turn.set()
        jobs._pool.shutdown(wait=True)
        assert not jobs.live
        with opened(tmp_path / "v") as s:
            assert state_of(s, jobs, release) == state
    finally:
        turn.set()
        jobs.close()
        seal.close()


def state_of(s, jobs, release):
    try:
        return releases.load(s, release).state
    except InputError:
        order = order_of(s, release)
        return None if order is None else order.state


def order_of(s, release):
    with s.books.read() as tx:
        return extract_orders.find(s, tx, release)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A served vault, its request, and rita's token."""
    folder = tmp_path_factory.mktemp("orders")
    delivered.staffed(folder)
    with opened(folder / "v") as s:
        token = served.issue(s, "rita", *delivered.FETCH, project="parcels")
        spec = requests.Spec(submitted_for="rita", regions=("22:1000-3000",))
        request = requests.submit(s, "parcels", "cohort", kind=requests.RequestKind.RECORDS, spec=spec).request_id
    return folder, request, token


@contextmanager
def process(asked, spool_name, *, busy=False):
    """One process of a server: its jobs, its vault, and what starts the test's extract. ``busy``: nothing is made in it."""
    folder, request, token = asked
    seal, turn = Seal(folder / "v", "service"), threading.Event()
    seal.unseal(PassphraseFactor.from_text(served.PASSPHRASE))
    jobs = ExtractJobs(seal, spool.prepare(folder / spool_name))
    if busy:
        jobs._pool.submit(turn.wait)
    try:
        yield (
            jobs,
            lambda: jobs.start(
                seal.standing(), access_tokens.authenticate(seal.standing(), token), request, FileChoice("vcf"), []
            ),
        )
    finally:
        jobs._ending.set()
        turn.set()
        jobs.close()
        seal.close()


def made(jobs):
    """Wait for all that is queued."""
    jobs._pool.submit(lambda: None).result(60)


def test_what_waited_in_a_process_that_ended_is_made_by_the_next_and_asked_again_is_the_same(asked):
    with process(asked, "next", busy=True) as (_, start):
        first = start().release_id
    with process(asked, "next", busy=True) as (_, start):
        assert start().release_id == first
        assert start().release_id == first
    with process(asked, "elsewhere") as (jobs, _):
        jobs.sweep()
        assert not jobs.live, "another spool's are not this server's"
    with process(asked, "next") as (jobs, _):
        jobs.sweep()
        made(jobs)
        assert not jobs.live
    with opened(asked[0] / "v") as s:
        assert releases.load(s, first).state == releases.RELEASED
        assert order_of(s, first).state == extract_orders.DONE
        assert len([one for one in orders(s, "next") if one.state == extract_orders.DONE]) == 1


def orders(s, spool_name):
    with s.books.read() as tx:
        return extract_orders.of_spool(s, tx, str(s.folder.parent / spool_name))


def killed(*_, **__):
    """An extract whose process is gone in the middle: nothing is told to anybody."""
    raise KeyboardInterrupt


def test_one_that_was_cut_short_goes_on_under_a_new_id(asked, monkeypatch):
    whole = gate.extract

    def stopped(*args, **how):
        def ended(_done, _of):
            raise UnavailableError("server_ending", "a test")

        return whole(*args, **{**how, "progress": ended})

    with process(asked, "cut") as (jobs, start):
        monkeypatch.setattr(gate, "extract", stopped)
        with monkeypatch.context() as patch:
            patch.setattr(jobs, "_ending", Ended())  # as at SIGTERM, in the middle of the extract
            first = start().release_id
            made(jobs)
    monkeypatch.setattr(gate, "extract", whole)
    with opened(asked[0] / "v") as s:
        assert releases.load(s, first).state == releases.ABORTED
        assert (order_of(s, first).state, order_of(s, first).tries) == (extract_orders.WAITING, 0)
    with process(asked, "cut") as (jobs, _):
        jobs.sweep()
        made(jobs)
    with opened(asked[0] / "v") as s:
        before = order_of(s, first)
        assert before.state == extract_orders.AGAIN
        assert releases.load(s, before.then).state == releases.RELEASED
        assert order_of(s, before.then).state == extract_orders.DONE


class Ended(threading.Event):
    """A process that was told to end."""

    def is_set(self):
        return True


def test_an_extract_that_ends_its_process_each_time_is_given_up(asked, monkeypatch):
    with process(asked, "deadly", busy=True) as (_, start):
        first = start().release_id
    with opened(asked[0] / "v") as s, s.books.write() as tx:
        extract_orders.keep(s, tx, replace(extract_orders.find(s, tx, first), tries=MOST_TRIES))
    monkeypatch.setattr(gate, "extract", killed)
    with process(asked, "deadly") as (jobs, _):
        jobs.sweep()
        made(jobs)
    with opened(asked[0] / "v") as s:
        assert order_of(s, first).state == extract_orders.FAILED


def test_a_sealed_server_goes_on_once_it_is_unsealed(asked):
    with process(asked, "sealed", busy=True) as (jobs, start):
        first = start().release_id
        jobs._seal.seal()
        jobs.sweep()
        assert jobs.live == {first}
    with process(asked, "sealed") as (jobs, _):
        jobs.resume(jobs._seal.standing())
        made(jobs)
        with opened(asked[0] / "v") as s:
            assert releases.load(s, first).state == releases.RELEASED


def test_two_servers_make_one_order_once(asked):
    with process(asked, "shared", busy=True) as (_, start):
        first = start().release_id
    with process(asked, "shared") as (one, _), process(asked, "shared") as (other, _):
        for jobs in (one, other):
            jobs.sweep()
        for jobs in (one, other):
            made(jobs)
    with opened(asked[0] / "v") as s:
        assert [(order.release_id, order.state) for order in orders(s, "shared")] == [(first, extract_orders.DONE)]


@pytest.mark.parametrize("what", ["its person", "its time"])
def test_an_edited_order_is_not_made(asked, what):
    with process(asked, f"edited {what}", busy=True) as (_, start):
        first = start().release_id
    with opened(asked[0] / "v") as s:
        with s.books.write() as tx:
            row = tx.get(ExtractOrderRow, first)
            sealed, created = row.sealed, row.created
            edit = {"sealed": sealed[:-1] + bytes([sealed[-1] ^ 1])} if what == "its person" else {"created": created + 1}
            tx.execute(update(ExtractOrderRow).where(ExtractOrderRow.release_id == first).values(**edit))
        with pytest.raises(IntegrityError):
            order_of(s, first)
        assert len(extract_orders.faults(s)) == 1
    with process(asked, f"edited {what}") as (jobs, _):
        jobs.sweep()
        made(jobs)
        assert not jobs.live
    with opened(asked[0] / "v") as s:
        assert releases.find(s, first) is None
        with s.books.write() as tx:
            tx.delete(tx.get(ExtractOrderRow, first))


def test_orders_of_a_week_ago_are_forgotten(asked):
    with process(asked, "old", busy=True) as (_, start):
        first = start().release_id
    with opened(asked[0] / "v") as s:
        now = s.clock()
        s.clock = lambda: now + spool.KEPT - spool.KEPT / 100
        HandedOut().sweep(s, asked[0] / "old")
        assert order_of(s, first) is not None
        s.clock = lambda: now + spool.KEPT * 1.01
        HandedOut().sweep(s, asked[0] / "old")
        assert order_of(s, first) is None
