"""Entries without an outcome: writer's reports and verifier follow docs/formats/audit.md §2 apart, and say the same of every log."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.audit_log import ORIGIN, SIGNER, event, make_books, tamper, token
from vault.audit.actions import Action, Outcome
from vault.audit.entry import ObjectRef
from vault.audit.live_source import check_live
from vault.audit.note import ED25519, VerifierKey
from vault.audit.reports.outcomes import LeftOpen, left_open
from vault.audit.reports.records import records
from vault.audit.reports.statistics import count
from vault.audit.verify import lines_of

ACTS = (Action.VIEW_INTENT, Action.MATCH_INTENT, Action.EXTRACT_INTENT, Action.DATASET_CHECK, Action.BACKUP_CREATE)
STEPS = st.tuples(
    st.sampled_from(ACTS),
    st.booleans(),  # it names people
    st.sampled_from(Outcome),
    st.none() | st.integers(0, 30),  # the entry that it refers to, of those before it
    st.integers(0, 5),  # 0: the log goes on as another before it
)


def written(books, steps):
    """The log of these steps, of which retention dropped a payload here and there."""
    parts = 1
    for act, people, outcome, back, another in steps:
        ids = [entry.event_id for entry in books.log.entries()]
        if not another and ids:
            parts += 1
            origin = f"{ORIGIN}{parts}"
            begun = event(Action.LOG_CONTINUE, obj=ObjectRef("log", ORIGIN), previous=books.log.checkpoint(SIGNER))
            with books.database.write() as tx:
                books.log.continue_as(tx, origin, begun)
        refers = ids[back % len(ids)] if back is not None and ids else None
        named = {"subjects": [token(1)]} if people else {}
        books.log.record(event(act, outcome, refers=refers, **named))
    books.log.checkpoint(SIGNER)


def verifiers(log):
    """The verifier's reports on every log, newest first, and the number of each one's first entry."""
    found = []
    for part in reversed(log.parts()):
        key = VerifierKey(part.origin, ED25519, SIGNER.public).to_text()
        older = part if part.origin != log.origins()[-1] else None
        found.append((part.base, check_live(log, key, key, part=older, later=[report for _, report in found])))
    return found


def reported(log):
    """What the report says: entries without an outcome, by what is to be assumed of them."""
    still = count(records(log)).open_intents
    return {kind: {record.index for record in still if left_open(record) is kind} for kind in LeftOpen}


@settings(max_examples=40)
@given(st.lists(STEPS, max_size=14), st.sets(st.integers(0, 13), max_size=2))
def test_report_and_verifier_say_the_same_of_every_log(steps, dropped):
    with tempfile.TemporaryDirectory() as folder:
        books = make_books(Path(folder))
        try:
            written(books, steps)
            tamper(books.path, *(f"UPDATE audit_leaf SET leaf = NULL WHERE idx = {index}" for index in dropped))
            found = verifiers(books.log)
            assumed = {base + index for base, report in found for index in report.assumed}
            opened = {base + index for base, report in found for index in report.opened}
            every = {base + index for base, report in found for index in report.open_intents}
            expected = {LeftOpen.ASSUMED: assumed, LeftOpen.OPENED: opened, LeftOpen.CUT_OFF: every - assumed - opened}
            assert reported(books.log) == expected
        finally:
            books.database.close()


@pytest.mark.parametrize(
    ("act", "people", "kind", "words"),
    [
        (Action.VIEW_INTENT, True, LeftOpen.ASSUMED, "assume fully disclosed"),
        (Action.DATASET_CHECK, True, LeftOpen.OPENED, "nothing was released"),
        (Action.BACKUP_CREATE, False, LeftOpen.CUT_OFF, "opened nobody's data"),
    ],
)
def test_each_kind_is_told_as_what_it_is(books, act, people, kind, words):
    books.log.record(event(act, Outcome.INTENT, **({"subjects": [token(1)]} if people else {})))
    books.log.checkpoint(SIGNER)
    (_, report), *_ = verifiers(books.log)
    assert reported(books.log)[kind] == {0}
    assert [words in line for line in lines_of(report) if "entry 0" in line] == [True]


def test_neither_an_earlier_entry_nor_another_intent_closes_one(books):
    intent = books.log.record(event(Action.VIEW_INTENT, Outcome.INTENT))
    books.log.record(event(Action.EXTRACT_INTENT, Outcome.INTENT, refers=intent.event_id))
    books.log.checkpoint(SIGNER)
    (_, report), *_ = verifiers(books.log)
    assert report.assumed == (0, 1)
    assert reported(books.log)[LeftOpen.ASSUMED] == {0, 1}


def test_done_stands_whatever_comes_after_it(books):
    intent = books.log.record(event(Action.VIEW_INTENT, Outcome.INTENT))
    for outcome in (Outcome.DONE, Outcome.ABORTED):
        books.log.record(event(Action.VIEW_OUTCOME, outcome, refers=intent.event_id))
    assert count(records(books.log)).disclosed == 1


def test_of_entries_that_nobody_signed_nothing_is_claimed(books):
    books.log.record(event())
    books.log.checkpoint(SIGNER)
    (_, whole), *_ = verifiers(books.log)
    assert lines_of(whole)[-1] == "everything holds"
    books.log.record_many([event(), event()])
    (_, tail), *_ = verifiers(books.log)
    assert tail.ok
    assert lines_of(tail)[-1] == "the 1 signed entries hold; 2 after them are not signed yet"
