"""Statistics and the page: numbers by hand, nothing loaded, nothing run, everything escaped."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import pytest

from tests.support.accesses import ENGINE, access, grow
from tests.support.audit_log import ORIGIN, SIGNER, VKEY, event, tamper
from tests.support.outside import tool
from vault.audit.actions import Action, Outcome
from vault.audit.live_source import LogSource
from vault.audit.reports.approvals import approvals
from vault.audit.reports.records import Record, records
from vault.audit.reports.report_page import ReportContent, page
from vault.audit.reports.report_tables import MOST_ROWS
from vault.audit.reports.statistics import count
from vault.audit.subject_sets import NamedAlike
from vault.audit.verify import verify

KEY = VKEY.to_text()
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)  # a Monday


def record(n, time, **fields):
    made = {"act": "view.intent", "outcome": "intent", "actor": "ann", "project": "demo", "purpose": "HMB", **fields}
    return Record(n, "00", f"event-{n}", time=time.isoformat().replace("+00:00", ".000000Z"), **made)


def write(books, now=NOON, key=KEY):
    counted = count(records(books.log))
    result = verify(LogSource(books.log, KEY), key)
    return page(ReportContent(ORIGIN, now, [(ORIGIN, result)], counted, books.log.most_named(counted.access_indices, MOST_ROWS)))


class TestStatistics:
    def test_an_empty_log(self):
        found = count([])
        assert (found.entries, found.accesses, found.over_time, found.volumes) == (0, 0, (), ())

    def test_the_time_spanned_is_that_of_all_entries_though_a_clock_was_put_back(self):
        found = count([record(n, NOON + timedelta(days=day)) for n, day in enumerate((0, 400, -400, 1))])
        assert (found.first[:10], found.last[:10]) == ("2024-12-01", "2027-02-09")

    def test_outcomes_decide_what_was_disclosed(self):
        intents = [record(n, NOON) for n in range(4)]
        ends = [
            record(4 + n, NOON, act="view.outcome", outcome=outcome, refers=f"event-{n}")
            for n, outcome in enumerate(["done", "failed", "refused"])
        ]
        found = count([*intents, *ends])
        assert (found.entries, found.accesses, found.disclosed) == (7, 4, 2)
        assert [r.index for r in found.open_intents] == [3]

    def test_purposes_count_each_term(self):
        found = count([record(0, NOON, purpose="DS,HMB"), record(1, NOON), record(2, NOON, purpose=None)])
        assert found.by_purpose == (("HMB", 2), ("(none)", 1), ("DS", 1))

    def test_refusals_by_reason(self):
        refused = [record(n, NOON, outcome="refused", reasons=r) for n, r in enumerate([{"a": 5, "b": 1}, {"a": 1}, {}])]
        assert count(refused).refusals == (("a", 2), ("(none given)", 1), ("b", 1))
        assert count(refused).accesses == 0

    @pytest.mark.parametrize(("days", "period", "bars"), [(1, "day", 1), (60, "day", 60), (61, "week", 9), (500, "month", 17)])
    def test_the_period_fits_the_span(self, days, period, bars):
        found = count([record(0, NOON), record(1, NOON + timedelta(days=days - 1))])
        assert (found.period, len(found.over_time)) == (period, bars)
        assert sum(n for _, n in found.over_time) == 2

    def test_nights_and_weekends_are_off_hours(self):
        times = [NOON, NOON.replace(hour=6), NOON.replace(hour=7), NOON.replace(hour=20), NOON + timedelta(days=5)]
        found = count([record(n, time) for n, time in enumerate(times)])
        assert found.off_hours == (("ann", 3),)
        assert found.hours[0][12] == 1
        assert found.hours[5][12] == 1

    def test_a_day_with_far_too_many_is_unusual(self):
        usual = [record(n, NOON + timedelta(days=n // 2)) for n in range(40)]
        burst = [record(100 + n, NOON + timedelta(days=30, seconds=n)) for n in range(30)]
        few = [record(200 + n, NOON + timedelta(days=31), actor="bob") for n in range(9)]
        (volume,) = count([*usual, *burst, *few]).volumes
        assert (volume.day, volume.actor, volume.accesses, volume.usual) == (date(2026, 2, 4), "ann", 30, 2)

    def test_a_person_acted_for_is_named(self):
        assert count([record(0, NOON, asserted_for="eve")]).by_actor == (("ann for eve", 1),)


class _Page(HTMLParser):
    """Collects loads, scripts and unclosed tags of a page."""

    def __init__(self):
        super().__init__()
        self.open, self.loading = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta", "rect", "line", "br"}:
            self.open.append(tag)
        self.loading += [name for name, value in attrs if name in {"src", "href", "xlink:href", "data", "srcset"}]
        self.loading += [name for name, _ in attrs if name.startswith("on")]
        if tag in {"script", "link", "iframe", "object", "img", "base", "form"}:
            self.loading.append(tag)

    def handle_endtag(self, tag):
        if tag not in {"meta", "rect", "line", "br"}:
            assert self.open.pop() == tag


class TestPage:
    def test_it_is_whole_and_loads_nothing(self, books):
        clock = grow(books)
        text = write(books, clock())
        parsed = _Page()
        parsed.feed(text)
        assert parsed.loading == []
        assert parsed.open == []
        assert "url(" not in text
        assert "@import" not in text
        assert "default-src 'none'" in text
        assert not re.search(r"https?://", text)
        assert text.index("Every entry is in its place") < text.index("Accesses over time")
        assert text.count("<svg") == 6

    def test_a_log_that_does_not_hold_says_so_on_top(self, books):
        grow(books, days=5)
        tamper(books.path, ("UPDATE audit_leaf SET leaf_hash = ? WHERE idx = 3", (bytes(32),)))
        text = write(books)
        assert 'class="verdict bad"' in text
        assert "entry 3 does not have the hash stored with it" in text

    def test_the_verdict_says_what_the_key_is_worth(self, books):
        books.log.record(event())
        assert "proves nothing against somebody" in write(books, key=None)
        assert "key given from outside" in write(books)

    def test_an_empty_log_has_a_page(self, books):
        assert "Nothing to show." in write(books)

    def test_text_is_escaped(self):
        hostile = "<script>alert(1)</script>&\"'"
        rows = [record(n, NOON, project=hostile, purpose=hostile, actor=hostile) for n in range(12)]
        refused = record(20, NOON, outcome="refused", reasons={hostile: 1}, actor=hostile, project=hostile)
        tried = record(21, NOON, act="vault.unlock.failed", outcome="refused", object=f"principal:{hostile}")
        looked = record(22, NOON, act="subject.show", outcome="done", actor=hostile)
        every = [*rows, refused, tried, looked]
        projects = approvals((one, {"recipients": [hostile]}) for one in every)
        most = [NamedAlike(3, 1, (hostile,))]
        text = page(ReportContent(hostile, NOON, [], count(every), most, projects))
        assert "<script" not in text
        assert "&lt;script&gt;" in text

    def test_a_browser_shows_it(self, books, tmp_path):
        browser = tool("chromium")
        grow(books, days=3)
        place = tmp_path / "report.html"
        place.write_text(write(books))
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", place.as_uri()]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
        assert shown.count("<svg") == 6
        assert "Every entry is in its place" in shown


class TestConduct:
    def test_who_was_refused_what(self):
        made = [
            record(n, NOON + timedelta(minutes=n), act="extract.intent", outcome="refused", reasons={why: 1}, asserted_for="rita")
            for n, why in enumerate(["project_not_approved", "project_not_approved", "smallest_group"])
        ]
        (found,) = count([*made, record(9, NOON, outcome="done", act="audit.read")]).conduct.refused
        assert (found.actor, found.asserted_for, found.act, found.project, found.times) == (
            "ann",
            "rita",
            "extract.intent",
            "demo",
            3,
        )
        assert found.reasons == ("project_not_approved", "smallest_group")

    def test_who_was_looked_up(self):
        made = [record(n, NOON, act="subject.show", outcome="done", subjects=people) for n, people in enumerate((1, 1, 5))]
        failed = record(9, NOON, act="subject.show", outcome="failed", subjects=1)
        (found,) = count([*made, failed]).conduct.look_ups
        assert (found.actor, found.act, found.times, found.people) == ("ann", "subject.show", 3, 7)

    def test_whose_slot_was_tried(self):
        tried = [{"object": "principal:ann"}, {"object": "principal:ann"}, {}]
        made = [record(n, NOON, act="vault.unlock.failed", outcome="refused", **named) for n, named in enumerate(tried)]
        found = count(made).conduct
        assert [(one.tried, one.times) for one in found.failed_unlocks] == [("ann", 2), ("(not known)", 1)]
        assert found.refused == ()

    def test_the_page_names_them_all(self):
        rows = [
            record(0, NOON, act="vault.unlock.failed", outcome="refused", object="principal:ann", actor="unknown"),
            record(1, NOON, act="subject.show", outcome="done", actor="sue", subjects=2),
            record(2, NOON, act="view.intent", outcome="refused", actor="eve", reasons={"no_consent": 1}),
            record(3, NOON, actor="robot"),
            record(4, NOON, act="dataset.check", actor="tim", subjects=2),
        ]
        text = page(ReportContent(ORIGIN, NOON, [], count(rows), [NamedAlike(1, 5_000, ())], approvals((r, None) for r in rows)))
        for shown in (
            "<td>ann</td>",
            "<td>sue</td>",
            "<td>eve</td>",
            "no entry declares the project",
            "too many to list",
            "5,000",
        ):
            assert shown in text, shown
        assert text.count("assume fully disclosed") == 1
        assert text.count("nothing was released") == 1


def test_an_unsigned_tail_is_on_top(books):
    books.log.record(event())
    books.log.checkpoint(SIGNER)
    assert "Every entry is in its place and unaltered." in write(books)
    books.log.record_many([event(), event()])
    text = write(books)
    assert "Every entry" not in text
    assert "The 1 signed entries are in their place and unaltered; 2 after them are not signed yet." in text


def test_accesses_are_those_of_the_gate():
    assert {Action.VIEW_INTENT, Action.MATCH_INTENT, Action.EXTRACT_INTENT} == {
        act for act in Action if act.value.endswith(".intent")
    }
    assert access(ENGINE, "demo", "HMB", "rel-1", [1]).outcome is Outcome.INTENT
