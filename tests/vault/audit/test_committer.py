"""Group commit: no entry lost or written twice, bounded waits, no acknowledgement without a commit."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time

import pytest

from tests.support.audit_log import SIGNER, VKEY, event, open_log, token
from vault.audit.committer import GroupCommitter
from vault.audit.live_source import LogSource
from vault.audit.log import Appended
from vault.audit.verify import verify
from vault.errors import IntegrityError, UnavailableError
from vault.storage.database import Database


@pytest.fixture
def committer(books):
    made = GroupCommitter(books.log.record_many)
    yield made
    made.close()


def in_threads(count, work):
    """Run ``work(i)`` in ``count`` threads at once; the result or error of each."""
    found, barrier = [None] * count, threading.Barrier(count)

    def run(i):
        barrier.wait()
        try:
            found[i] = work(i)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            found[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def until(holds):
    """Wait for a condition, with a timeout."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Gate:
    """A commit that blocks until it is released, and counts its calls."""

    def __init__(self, answer=None):
        self.open = threading.Event()
        self.entered = threading.Event()
        self.batches = []
        self.answer = answer

    def __call__(self, batch):
        self.entered.set()
        assert self.open.wait(60)
        self.batches.append([entry.event_id for entry in batch])
        if self.answer is not None:
            raise self.answer
        return [Appended(i, entry.event_id, entry.leaf) for i, entry in enumerate(batch)]


def test_threads_share_commits_and_one_sequence(books, committer):
    def work(i):
        return [committer.record(books.log.prepare(event(subjects=[token(i)], detail={"i": i}))) for _ in range(10)]

    found = [appended for part in in_threads(16, work) for appended in part]
    assert sorted(appended.index for appended in found) == list(range(160))
    for appended in found:
        assert books.log.entry(appended.index).event_id == appended.event_id
    assert books.log.entries_of(token(3)) == sorted(a.index for a in found[30:40])


def test_what_gathers_during_a_commit_shares_the_next(books):
    gate = Gate()
    committer = GroupCommitter(gate)
    first = threading.Thread(target=lambda: committer.record(books.log.prepare(event())))
    first.start()
    assert gate.entered.wait(60)
    others = [threading.Thread(target=lambda: committer.record(books.log.prepare(event()))) for _ in range(20)]
    for thread in others:
        thread.start()
    until(lambda: committer._line._waiting == 20)
    gate.open.set()
    for thread in [first, *others]:
        thread.join()
    committer.close()
    assert [len(batch) for batch in gate.batches] == [1, 20]


@pytest.mark.parametrize(
    ("raised", "kind", "code"),
    [
        (UnavailableError("log_unavailable", "no"), UnavailableError, "log_unavailable"),
        (IntegrityError("log_head_altered", "no"), IntegrityError, "log_head_altered"),
        (ValueError("a bug"), UnavailableError, "log_unavailable"),
        (KeyboardInterrupt(), UnavailableError, "log_unavailable"),
    ],
)
def test_when_the_commit_fails_every_waiter_hears_of_it(books, raised, kind, code):
    gate = Gate(raised)
    gate.open.set()
    committer = GroupCommitter(gate)
    found = in_threads(8, lambda _i: committer.record(books.log.prepare(event())))
    assert {(type(error), error.code) for error in found} == {(kind, code)}
    assert len({id(error) for error in found}) == 8  # each thread its own, with its own trace
    gate.answer = None
    assert committer.record(books.log.prepare(event())).index == 0  # and the committer goes on
    committer.close()


def test_the_wait_is_bounded_and_what_was_not_taken_up_is_never_written(books):
    gate = Gate()
    committer = GroupCommitter(gate, wait=1)  # long enough for a thread to start on a busy machine
    taken, withdrawn = books.log.prepare(event()), books.log.prepare(event())
    started = time.monotonic()
    first = threading.Thread(target=in_threads, args=(1, lambda _i: committer.record(taken)))
    first.start()
    assert gate.entered.wait(60)
    with pytest.raises(UnavailableError) as caught:
        committer.record(withdrawn)
    assert caught.value.code == "log_unavailable"
    assert "withdrawn" in caught.value.message
    assert time.monotonic() - started < 30
    first.join()
    gate.open.set()
    committer.close()
    assert gate.batches == [[taken.event_id]]


def test_too_many_waiting_are_refused_at_once(books):
    gate = Gate()
    committer = GroupCommitter(gate, max_waiting=2)
    threads = [threading.Thread(target=lambda: committer.record(books.log.prepare(event()))) for _ in range(3)]
    threads[0].start()
    assert gate.entered.wait(60)  # alone in its batch, so that the next two wait
    for thread in threads[1:]:
        thread.start()
    until(lambda: committer._line._waiting == 2)
    with pytest.raises(UnavailableError) as caught:
        committer.record(books.log.prepare(event()))
    assert caught.value.code == "log_busy"
    gate.open.set()
    for thread in threads:
        thread.join()
    committer.close()


def test_an_entry_handed_in_twice_is_written_once_and_harms_no_neighbour(books, committer):
    again = books.log.prepare(event())
    committer.record(again)
    found = in_threads(6, lambda i: committer.record(again if i % 2 else books.log.prepare(event())))
    assert all(isinstance(appended, Appended) for appended in found)
    assert {appended.index for i, appended in enumerate(found) if i % 2} == {0}
    assert books.log.size() == 4


def test_a_closed_committer_refuses(books, committer):
    committer.record(books.log.prepare(event()))
    committer.close()
    with pytest.raises(UnavailableError) as caught:
        committer.record(books.log.prepare(event()))
    assert caught.value.code == "log_unavailable"
    committer.close()


def append_in_child(path, seed, queue):
    log = open_log(Database(f"sqlite:///{path}"), seed)
    committer = GroupCommitter(log.record_many)
    found = in_threads(6, lambda _i: [committer.record(log.prepare(event())).index for _ in range(10)])
    committer.close()
    queue.put([index for part in found for index in part])


def test_processes_with_threads_share_one_sequence(books):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    children = [context.Process(target=append_in_child, args=(str(books.path), seed, queue)) for seed in (21, 22)]
    for child in children:
        child.start()
    found = [index for _ in children for index in queue.get(timeout=60)]
    for child in children:
        child.join()
    assert sorted(found) == list(range(120))


def test_a_forked_child_gets_a_line_of_its_own(books, committer, monkeypatch):
    committer.record(books.log.prepare(event()))
    before = committer._line
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert committer.record(books.log.prepare(event())).index == 1
    assert committer._line is not before


def test_the_log_that_was_grouped_verifies(books, committer):
    in_threads(8, lambda _i: [committer.record(books.log.prepare(event(detail={"a": 1}))) for _ in range(40)])
    books.log.checkpoint(SIGNER)
    report = verify(LogSource(books.log, VKEY.to_text()), VKEY.to_text())
    assert report.ok
    assert report.entries == 320
