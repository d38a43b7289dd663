"""A ledger that was touched is not read: every byte of every batch, their order and their number."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.columns import VAULT, batches_of, columns_of, subject
from tests.support.consenting import accept, day, withdraw
from tests.support.histories import event, history
from vault.consent.ledger_columns import EVENT, EventBatch, StatementTable, batch_head, empty, extended
from vault.errors import IntegrityError
from vault.ids import SubjectId

EVENTS = [
    (subject(1), accept(1, valid_to=day(9))),
    (subject(2), accept(2, "HMB")),
    (subject(1), withdraw(3)),
    (subject(3), accept(4, valid_to=day(30))),
    (subject(2), withdraw(5, "policy:research_use")),
]
BATCHES, TEXTS = batches_of(EVENTS, size=2)


def refused(batches: list[EventBatch], texts: StatementTable = TEXTS) -> bool:
    try:
        extended(empty(VAULT), batches, texts)
    except IntegrityError as error:
        return error.code == "consent_ledger_altered"
    return False


def test_what_was_recorded_is_read_back():
    columns = extended(empty(VAULT), BATCHES, TEXTS)
    assert len(columns) == 5
    assert columns.head == BATCHES[-1].head
    assert [columns.event(at) for at in range(5)] == [item for _, item in EVENTS]


def test_a_ledger_read_in_two_goes_is_the_same():
    whole = extended(empty(VAULT), BATCHES, TEXTS)
    later = extended(extended(empty(VAULT), BATCHES[:1], TEXTS), BATCHES[1:], TEXTS)
    assert (later.head, later.fixed.tobytes(), later.subject.tolist()) == (
        whole.head,
        whole.fixed.tobytes(),
        whole.subject.tolist(),
    )


@pytest.mark.parametrize("number", range(3))
def test_an_edited_byte_is_noticed(number):
    batch = BATCHES[number]
    for at in range(len(batch.events)):
        events = bytearray(batch.events)
        events[at] ^= 1
        assert refused([*BATCHES[:number], replace(batch, events=bytes(events)), *BATCHES[number + 1 :]]), at
    for at in range(len(batch.times)):
        times = bytearray(batch.times)
        times[at] ^= 1
        assert refused([*BATCHES[:number], replace(batch, times=bytes(times)), *BATCHES[number + 1 :]]), at


def test_deleted_moved_doubled_and_split_batches_are_noticed():
    first, second, third = BATCHES
    for altered in (
        [second, third],
        [first, third],
        [second, first, third],
        [first, first, second, third],
        [first, third, second],
    ):
        assert refused(altered)
    shorter = replace(second, events=second.events[: EVENT.itemsize], last_seq=3)
    assert refused([first, shorter, third])
    assert refused([replace(first, last_seq=1), second, third])
    assert refused([first, second, replace(third, head=bytes(32))])
    assert refused([EventBatch(0, b"", b"", empty(VAULT).head)])


def test_a_missing_end_is_left_to_the_log():
    assert extended(empty(VAULT), BATCHES[:2], TEXTS).head == BATCHES[1].head


def test_a_text_that_is_missing_or_another_is_noticed():
    lacking = StatementTable({1: TEXTS.bodies[1]}, {1: TEXTS.digests[1]})
    assert refused(BATCHES, lacking)
    swapped = StatementTable(dict(TEXTS.bodies), {**TEXTS.digests, 1: TEXTS.digests[2], 2: TEXTS.digests[1]})
    assert refused(BATCHES, swapped)
    with pytest.raises(IntegrityError) as caught:
        StatementTable().add(1, TEXTS.digests[1], TEXTS.bodies[2])
    assert caught.value.code == "consent_ledger_altered"


def test_an_unknown_text_is_never_passed_over():
    body = '{"qc":"valid","signer":"self","status":"vanished"}'
    texts = StatementTable({1: body}, {1: TEXTS.digests[1]})
    with pytest.raises(IntegrityError) as caught:
        texts.pattern(1)
    assert caught.value.code == "consent_event_unknown"


def test_the_chain_begins_with_the_vault():
    other = batch_head(bytes(32), 1, BATCHES[0].events, BATCHES[0].times)
    assert refused([replace(BATCHES[0], head=other)])


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**40))
def test_events_survive_the_columns(seed):
    random = Random(seed)
    columns, numbered = columns_of([history(random) for _ in range(4)])
    back = [columns.event(at) for at in range(len(columns))]
    assert sorted(back, key=lambda item: item.seq) == sorted(
        (e for events in numbered for e in events), key=lambda item: item.seq
    )


def test_subjects_are_found_by_both_halves_of_their_ids():
    columns, _ = columns_of([[event(Random(n), 1)] for n in range(30)])
    everybody = [subject(n) for n in range(30)]
    found = columns.numbers([*everybody, subject(99), SubjectId(bytes(16)), SubjectId(b"\xff" * 16)])
    assert sorted(found[:30].tolist()) == list(range(30))
    assert [columns.subject_id(int(number)) for number in found[:30]] == everybody
    assert found[30:].tolist() == [-1, 0, -1]  # subject(0) is the id of zeros
