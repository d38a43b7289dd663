"""Entries as records, filters, and CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from tests.support.accesses import ENGINE, FOR_EVE, access, grow
from tests.support.audit_log import event, tamper, token
from vault.audit.actions import Action, Outcome
from vault.audit.entry import Event, ObjectRef
from vault.audit.reports.records import COLUMNS, Filter, cell, export_csv, record_of, records
from vault.audit.subject_sets import NamedAlike


@pytest.fixture
def some(books):
    books.log.record(event(Action.SUBJECT_LIST))
    intent = books.log.record(access(ENGINE, "demo", "DS,HMB", "rel-1", [1, 2], request="req-1"))
    books.log.record(event(Action.VIEW_OUTCOME, refers=intent.event_id, project="demo"))
    books.log.record(access(FOR_EVE, "onco", "GRU", "rel-2", [2]))
    refused = event(
        Action.EXTRACT_INTENT, Outcome.REFUSED, reasons={"no_consent": 4}, flags=["b", "a"], obj=ObjectRef("release", "rel-3")
    )
    books.log.record(refused)
    return books


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), [0, 1, 2, 3, 4]),
        (Filter(who="matcher"), [1]),
        (Filter(who="eve"), [3]),
        (Filter(act="view"), [1, 2, 3]),
        (Filter(act="view.intent"), [1, 3]),
        (Filter(act="vie"), []),
        (Filter(outcome="refused"), [4]),
        (Filter(project="demo"), [1, 2]),
        (Filter(purpose="HMB"), [1]),
        (Filter(purpose="HM"), []),
        (Filter(request="req-1"), [1]),
        (Filter(reason="no_consent"), [4]),
        (Filter(first=3), [3, 4]),
        (Filter(among=frozenset({4, 1, 99})), [1, 4]),
        (Filter(among=frozenset({1, 4}), who="ann"), [4]),
        (Filter(since=datetime(2030, 1, 1, tzinfo=UTC)), []),
        (Filter(until=datetime(2030, 1, 1, tzinfo=UTC)), [0, 1, 2, 3, 4]),
    ],
)
def test_filters(some, wanted, found):
    assert [record.index for record in records(some.log, wanted)] == found


def test_times_include_their_start_and_not_their_end(some):
    times = [datetime.fromisoformat(record.time) for record in records(some.log)]
    assert [r.index for r in records(some.log, Filter(since=times[1], until=times[3]))] == [1, 2]


def test_a_dropped_payload_leaves_a_record_with_its_hash(some):
    tamper(some.path, "UPDATE audit_leaf SET leaf = NULL WHERE idx = 1")
    record = record_of(some.log.entry(1))
    assert (record.act, record.subjects, len(record.leaf_hash)) == (None, 0, 64)
    assert [r.index for r in records(some.log, Filter(since=datetime(2000, 1, 1, tzinfo=UTC)))] == [0, 2, 3, 4]


def test_csv_has_a_row_for_each_entry(some):
    out = io.StringIO()
    assert export_csv(some.log, out) == 5
    header, *rows = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert tuple(header) == COLUMNS
    by_name = [dict(zip(header, row, strict=True)) for row in rows]
    assert by_name[4]["reasons"] == "no_consent=4"
    assert by_name[4]["flags"] == "a;b"
    assert by_name[3]["for"] == "eve"
    assert by_name[1]["subjects"] == "2"
    assert out.getvalue().count("\r\n") == 6


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("x")'])
def test_no_cell_is_a_formula(text):
    assert cell(text) == f"'{text}"
    assert cell([text, "b"]).startswith("'")


def test_other_cells_are_as_they_are():
    assert [cell(v) for v in (None, 0, "a=b", {"x": 1, "y": 2}, ["a", "b"])] == ["", "0", "a=b", "x=1;y=2", "a;b"]


def test_disclosures_of_one_person_are_found_without_reading_the_log(books):
    grow(books, days=10)
    found = books.log.entries_of(token(1))
    assert found == [r.index for r in records(books.log, Filter(act="view.intent", outcome="intent"))]
    assert all(isinstance(entry.leaf, bytes) for entry in books.log.entries_at(found))


def test_most_named(books):
    for people in ([1, 2], [2], [2, 3], [3]):
        books.log.record(Event(act=Action.VIEW_INTENT, actor=ENGINE, outcome=Outcome.INTENT, subjects=[token(i) for i in people]))
    alike = NamedAlike
    assert books.log.most_named([0, 1, 2, 3], 2) == [alike(3, 1, (token(2),)), alike(2, 1, (token(3),)), alike(1, 1, ())]
    assert books.log.most_named([0], 5) == [alike(1, 2, tuple(sorted([token(1), token(2)])))]
    assert books.log.most_named([0], 1) == [alike(1, 2, ())]  # of people who tie, all or none
    assert books.log.most_named([], 5) == []
