"""Statistics of a report: accesses over time, by project and purpose, refusals, unusual hours and volumes. Pure.

An access is an intent to release genotypes (``view.intent``, ``view.match.intent``, ``extract.intent``), whatever its outcome: from then on the data may have
been seen. A refusal is an entry with outcome ``refused``; a failed unlock, which is asserted, is none. What counts as without an outcome: ``vault.audit.reports.outcomes``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

from vault.audit.actions import Action, Outcome
from vault.audit.reports.conduct import LOOK_UPS, Conduct, conduct
from vault.audit.reports.outcomes import Outcomes, is_access
from vault.audit.reports.records import Record

WORKING_HOURS = range(7, 20)  # UTC; for a site in a distant time zone the grid of hours tells more
# A day is unusual if an actor's accesses exceed the actor's median by MANY_TIMES median absolute deviations and are AT_LEAST so many.
# Median and deviation are robust against the outliers that they have to find (docs/auditing.md).
MANY_TIMES = 5.0
AT_LEAST = 10
MAX_BARS = 60  # more days are shown as weeks, more weeks as months


@dataclass(frozen=True)
class Volume:
    """A day on which an actor made far more accesses than on other days."""

    day: date
    actor: str
    accesses: int
    usual: float  # median over the actor's days with any access


@dataclass(frozen=True)
class Statistics:
    """All counts of a report. Sequences of (name, count) are sorted, the largest first."""

    entries: int
    first: str
    last: str
    accesses: int
    disclosed: int  # accesses with outcome done or none
    open_intents: tuple[Record, ...]  # entries without an outcome
    over_time: tuple[tuple[str, int], ...]  # (label, accesses) of every period from the first to the last
    period: str  # day | week | month
    by_project: tuple[tuple[str, int], ...]
    by_purpose: tuple[tuple[str, int], ...]
    by_actor: tuple[tuple[str, int], ...]
    refusals: tuple[tuple[str, int], ...]  # (reason, entries refused for it)
    hours: tuple[tuple[int, ...], ...]  # 7 weekdays from Monday x 24 hours UTC
    off_hours: tuple[tuple[str, int], ...]  # (actor, accesses at night or on a weekend)
    volumes: tuple[Volume, ...]
    access_indices: tuple[int, ...]
    conduct: Conduct


def count(records: Iterable[Record]) -> Statistics:
    """Count over all entries, in order of their numbers."""
    accesses: list[Record] = []
    outcomes = Outcomes()
    refusals: Counter[str] = Counter()
    entries, first, last = 0, "", ""
    told: list[Record] = []
    for record in records:
        entries += 1
        if record.time:  # may go backwards: it is the machine's clock
            first, last = min(first or record.time, record.time), max(last, record.time)
        outcomes.take(record)
        if record.outcome == Outcome.REFUSED.value or record.act in LOOK_UPS:
            told.append(record)
        if record.outcome == Outcome.REFUSED.value and record.act != Action.VAULT_UNLOCK_FAILED:
            refusals.update(record.reasons.keys() or ["(none given)"])
        if is_access(record):
            accesses.append(record)
    times = [datetime.fromisoformat(record.time) for record in accesses]
    period, over_time = _over_time([time.date() for time in times])
    ends = [outcomes.end(record) for record in accesses]
    return Statistics(
        entries=entries,
        first=first,
        last=last,
        accesses=len(accesses),
        disclosed=sum(end is None or end.outcome == Outcome.DONE.value for end in ends),
        open_intents=tuple(outcomes.open()),
        over_time=over_time,
        period=period,
        by_project=_ranked(Counter(record.project or "(none)" for record in accesses)),
        by_purpose=_ranked(Counter(term for record in accesses for term in (record.purpose or "(none)").split(","))),
        by_actor=_ranked(Counter(_actor(record) for record in accesses)),
        refusals=_ranked(refusals),
        hours=_grid(times),
        off_hours=_ranked(Counter(_actor(r) for r, time in zip(accesses, times, strict=True) if _is_off(time))),
        volumes=_volumes(accesses, times),
        access_indices=tuple(record.index for record in accesses),
        conduct=conduct(told),
    )


def _actor(record: Record) -> str:
    return f"{record.actor} for {record.asserted_for}" if record.asserted_for else record.actor or "(unknown)"


def _ranked(counted: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _over_time(days: Sequence[date]) -> tuple[str, tuple[tuple[str, int], ...]]:
    """Period and accesses by day, week or month: the shortest period that gives at most ``MAX_BARS`` bars."""
    if not days:
        return "day", ()
    first, last = min(days), max(days)
    span = (last - first).days + 1
    if span <= MAX_BARS:
        counted = Counter(days)
        labels = [first + timedelta(n) for n in range(span)]
        return "day", tuple((day.isoformat(), counted[day]) for day in labels)
    if span <= MAX_BARS * 7:
        weeks = Counter(day - timedelta(day.weekday()) for day in days)
        monday = first - timedelta(first.weekday())
        return "week", tuple((week.isoformat(), weeks[week]) for week in _steps(monday, last, 7))
    months = Counter(f"{day:%Y-%m}" for day in days)
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return "month", tuple((label, months[label]) for label in (f"{n // 12}-{n % 12 + 1:02}" for n in numbers))


def _steps(first: date, last: date, days: int) -> list[date]:
    """Dates from ``first`` to ``last``, ``days`` apart."""
    return [first + timedelta(n) for n in range(0, (last - first).days + 1, days)]


def _grid(times: Sequence[datetime]) -> tuple[tuple[int, ...], ...]:
    """Counts by weekday and hour, 7 x 24."""
    counted = Counter((time.weekday(), time.hour) for time in times)
    return tuple(tuple(counted[weekday, hour] for hour in range(24)) for weekday in range(7))


def _is_off(time: datetime) -> bool:
    return time.weekday() >= 5 or time.hour not in WORKING_HOURS


def _volumes(accesses: Sequence[Record], times: Sequence[datetime]) -> tuple[Volume, ...]:
    """Unusual days of each actor, the most accesses first."""
    days = Counter((_actor(record), time.date()) for record, time in zip(accesses, times, strict=True))
    found = []
    for actor in {actor for actor, _ in days}:
        own = {day: n for (name, day), n in days.items() if name == actor}
        usual = median(own.values())
        # At least 1: the deviation of an actor with equal days is 0.
        spread = max(1.0, median(abs(n - usual) for n in own.values()))
        found += [Volume(day, actor, n, usual) for day, n in own.items() if n >= AT_LEAST and n > usual + MANY_TIMES * spread]
    return tuple(sorted(found, key=lambda volume: (-volume.accesses, volume.day, volume.actor)))
