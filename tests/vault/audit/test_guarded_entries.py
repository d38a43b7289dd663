"""Guards: asked once for a group, in the transaction that appends; each refuses its own entries and lets the others through."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.audit_log import event
from vault.audit.committer import GroupCommitter
from vault.audit.guarded_entries import GuardedEntry, record_guarded
from vault.errors import RefusedError
from vault.storage.audit_tables import AuditLeafRow


class Held:
    """A guard that holds or not, and counts how often it was asked."""

    def __init__(self, *, holds: bool = True) -> None:
        self.holds, self.asked = holds, 0

    def check(self, tx, head) -> None:
        self.asked += 1
        assert head.end == tx.query(AuditLeafRow).count()
        if not self.holds:
            raise RefusedError("consent_changed", "no")


@pytest.fixture
def committer(books):
    made = GroupCommitter(books.log.record_many, lambda group: record_guarded(books.log, group))
    yield made
    made.close()


def guarded(books, *guards, then=None):
    return GuardedEntry(books.log.prepare(event()), guards, then)


def test_a_failed_guard_refuses_its_own_entries_alone(books):
    good, bad = Held(), Held(holds=False)
    group = [guarded(books, good), guarded(books, bad), guarded(books), guarded(books, good, bad), guarded(books, good)]
    found = record_guarded(books.log, group)
    assert [getattr(one, "index", getattr(one, "code", None)) for one in found] == [0, "consent_changed", 1, "consent_changed", 2]
    assert (good.asked, bad.asked, books.log.size()) == (1, 1, 3)


def test_a_group_of_which_nothing_holds_writes_nothing(books):
    (answer,) = record_guarded(books.log, [guarded(books, Held(holds=False))])
    assert (answer.code, books.log.size()) == ("consent_changed", 0)


def test_what_belongs_to_an_entry_is_written_with_it_and_fails_it_alone(books, committer):
    seen = []

    def broken(_tx, _appended):
        raise RefusedError("release_ended", "no")

    async def post():
        some = [committer.post(books.log.prepare(event()), then=lambda _tx, one: seen.append(one.index)) for _ in range(3)]
        some.append(committer.post(books.log.prepare(event()), then=broken))
        return await asyncio.gather(*some, return_exceptions=True)

    *good, bad = asyncio.run(post())
    assert sorted(set(seen)) == sorted(one.index for one in good)
    assert (bad.code, books.log.size()) == ("release_ended", 3)


def test_posted_entries_are_durable_when_they_are_answered(books, committer):
    async def many():
        return await asyncio.gather(*(committer.post(books.log.prepare(event()), guards=[Held()]) for _ in range(300)))

    found = asyncio.run(many())
    assert sorted(one.index for one in found) == list(range(300))
    assert all(books.log.entry(one.index).event_id == one.event_id for one in found)


def test_a_refusal_reaches_who_waits_and_who_posted(books, committer):
    with pytest.raises(RefusedError):
        committer.record(books.log.prepare(event()), guards=[Held(holds=False)])

    async def posted():
        await committer.post(books.log.prepare(event()), guards=[Held(holds=False)])

    with pytest.raises(RefusedError):
        asyncio.run(posted())
    assert books.log.size() == 0
