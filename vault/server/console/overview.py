"""The overview: how often data was accessed, what was refused, what left, and how the log stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from vault.audit.actions import Action, Outcome
from vault.audit.note import checkpoint_in
from vault.audit.reports.outcomes import is_access
from vault.audit.reports.records import Filter, Record, records
from vault.audit.reports.statistics import Statistics, count
from vault.html import charts
from vault.server.console import cells
from vault.server.console.frame import Answer, Badge, ConsolePage, Fact, drawn
from vault.server.console.visits import Visit
from vault.session.caches import Cache

MOST_ENTRIES = 50_000  # the newest ones, which are counted
SOON = 500  # entries behind those that were counted: so many do not make a session count a long log anew
LEFT = frozenset(
    act.value
    for act in (Action.EXTRACT_OUTCOME, Action.VIEW_OUTCOME, Action.MATCH_OUTCOME, Action.COUNTS_ANSWER, Action.TABLE_ANSWER)
)
"""Acts whose outcome ``done`` says that something left the vault."""
_WIDTH = 420  # of a chart: half a page, or a phone
_MOST_ROWS = 8


@dataclass(frozen=True)
class CountedLog:
    """Counts of the entries from ``first`` to ``end``, exclusive, and of what left by project."""

    first: int
    end: int
    statistics: Statistics
    left: Counter[str]


_COUNTED: Cache[list[CountedLog]] = Cache(list)


@dataclass(frozen=True)
class Chart:
    """A chart, its numbers, and the words beside it."""

    heading: str
    text: str
    drawing: str
    rows: Sequence[tuple[str, str]]
    heads: tuple[str, str]


def overview(visit: Visit) -> Answer:
    """Accesses over time, refusals by code and releases by project, over the newest entries."""
    with visit.looking(Action.AUDIT_REPORT):
        log = visit.vault.trail.log
        size = log.size()
        found = _counted(visit, size)
        first, left, counted = found.first, found.left, found.statistics
        note = log.latest_checkpoint()
        parts = log.parts()
    signed = parts[-1].base + checkpoint_in(note).size if note else parts[-1].base
    shown = {
        "numbers": _facts(counted),
        "since": first,
        "end": found.end,
        "behind": size - found.end,
        "period": (counted.first, counted.last),
        "charts": _charts(counted, left),
        "unsigned": size - signed,
        "signed": signed,
        "open": [_open(record) for record in counted.open_intents[-_MOST_ROWS:][::-1]],
        "refused": [
            (one.actor, one.asserted_for, one.act, one.project, ", ".join(one.reasons), f"{one.times:,}")
            for one in counted.conduct.refused[:_MOST_ROWS]
        ],
        "unlocks": [(one.tried, cells.second(one.last), f"{one.times:,}") for one in counted.conduct.failed_unlocks[:_MOST_ROWS]],
        "looked_up": [(one.actor, one.act, f"{one.times:,}", f"{one.people:,}") for one in counted.conduct.look_ups[:_MOST_ROWS]],
        "volumes": [
            (one.day.isoformat(), one.actor, f"{one.accesses:,}", f"{one.usual:g}") for one in counted.volumes[:_MOST_ROWS]
        ],
    }
    return ConsolePage("overview.html", "Overview", shown)


def _counted(visit: Visit, size: int) -> CountedLog:
    """The newest entries, counted; of a long log as this session counted them a moment ago."""
    held = visit.vault.caches.get(_COUNTED)
    if held and held[-1].first and size - held[-1].end < SOON:
        return held[-1]
    first, left = max(0, size - MOST_ENTRIES), Counter[str]()
    statistics = count(_counting(records(visit.vault.trail.log, Filter(first=first, stop=size)), left))
    held[:] = [CountedLog(first, size, statistics, left)]
    return held[-1]


def _counting(every: Iterable[Record], left: Counter[str]) -> Iterator[Record]:
    """The records, while those that say something left are counted by project."""
    for record in every:
        if record.act in LEFT and record.outcome == Outcome.DONE:
            left[record.project or "(none)"] += 1
        yield record


def _facts(counted: Statistics) -> list[Fact]:
    unlocks = sum(one.times for one in counted.conduct.failed_unlocks)
    assumed = sum(map(is_access, counted.open_intents))
    return [
        Fact(f"{counted.accesses:,}", "accesses to genotypes"),
        Fact(f"{counted.disclosed:,}", "of them disclosed, or assumed so"),
        Fact(f"{sum(n for _, n in counted.refusals):,}", "refusals, by reason"),
        Fact(f"{unlocks:,}", "unlocks that failed"),
        Fact(f"{assumed:,}", "accesses without an end"),
    ]


def _charts(counted: Statistics, left: Counter[str]) -> list[Chart]:
    heads = (counted.period, "accesses")
    ranked_left = sorted(left.items(), key=lambda one: (-one[1], one[0]))
    return [
        Chart(
            f"Accesses per {counted.period}",
            "Intents to open genotypes, UTC.",
            drawn(charts.columns(counted.over_time, title=f"Accesses per {counted.period}", width=_WIDTH)),
            _rows(counted.over_time),
            heads,
        ),
        Chart(
            "Refusals by code",
            "Entries that ended refused, under each reason they give.",
            drawn(charts.ranked(counted.refusals, title="Refusals by code", width=_WIDTH)),
            _rows(counted.refusals),
            ("code", "refusals"),
        ),
        Chart(
            "Releases by project",
            "Extracts, views, matches and counts that were given out.",
            drawn(charts.ranked(ranked_left, title="Releases by project", width=_WIDTH)),
            _rows(ranked_left),
            ("project", "releases"),
        ),
        Chart(
            "Accesses by who acted",
            "",
            drawn(charts.ranked(counted.by_actor, title="Accesses by who acted", width=_WIDTH)),
            _rows(counted.by_actor),
            ("who", "accesses"),
        ),
    ]


def _rows(values: Iterable[tuple[str, int]]) -> list[tuple[str, str]]:
    return [(label, f"{n:,}") for label, n in values if n]


def _open(record: Record) -> tuple[object, ...]:
    what = Badge("assume disclosed", "bad") if is_access(record) else Badge("nothing released", "plain")
    return (
        cells.entry(record.index),
        cells.second(record.time),
        cells.by(record.actor, record.asserted_for),
        record.act,
        record.project,
        what,
    )
