"""Decision classes: equivalence classes of subjects for which every purpose is decided alike, so that each is decided once.

For one subject, a decision depends on the statements in ledger order, on the order of their legal times and how many days lie
between them, and on which times have passed: legal times, ends and beginnings, months counted from a signature, and the start of an exclusion of new data. Subjects that
agree in all of these form a class, and one member represents it: the rules (``policies``) run once for each class, on scalars.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from policies.acts import SHORTEST_DAY, Acceptance
from policies.consent import ConsentEvent, Level
from policies.decisions import Basis
from policies.records import mark_number
from policies.states import ConsentState, fold
from policies.times import first_moment
from vault.consent.ledger_columns import DAY as DATED
from vault.consent.ledger_columns import IN_FORMAT_1, Columns, Ints
from vault.storage.timestamps import to_micros

Indices = npt.NDArray[np.int64]

NEVER = np.iinfo(np.int64).max  # µs: stands for an absent time
TABLE = 1 << 22  # keys below this are counted in a table, others are sorted
DAY = 86_400_000_000  # µs
_SHORTEST_DAY = SHORTEST_DAY // timedelta(microseconds=1)  # µs


@dataclass(frozen=True)
class Times:
    """One time of every subject of a group, int64[n] in µs (``NEVER``: none). ``cut``: compared with the time of the data."""

    values: Ints
    event: int
    slot: int = -1  # number of the mark in the statement; -1: not a mark
    months: int = 0  # counted from the legal time; 0: not counted
    cut: bool = False


@dataclass(frozen=True)
class Group:
    """Subjects with equally many events: ``events[i, j]`` is the position in the ledger of subject i's event j.

    ``kinds[i]``, from 0 to ``n_kinds`` - 1, numbers the statements together with the order of their legal times and the days between.
    """

    subjects: Indices
    events: Indices
    kinds: Indices
    n_kinds: int
    times: tuple[Times, ...]


@dataclass
class DecisionClasses:
    """All subjects of a ledger, grouped. Subjects are numbered as in ``Columns``."""

    columns: Columns
    groups: tuple[Group, ...]
    _folded: dict[int, ConsentState] = field(default_factory=dict)

    @classmethod
    def from_columns(cls, columns: Columns) -> DecisionClasses:
        """Group the subjects of a ledger."""
        sizes = np.bincount(columns.subject, minlength=len(columns.ids))
        firsts = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))[:-1]
        groups = []
        for size in np.unique(sizes).tolist():
            subjects = np.flatnonzero(sizes == size)
            events = columns.order[firsts[subjects][:, None] + np.arange(size)[None, :]]
            groups.append(_group(columns, subjects, events))
        return cls(columns, tuple(groups))

    def classes(
        self, wanted: npt.NDArray[np.bool_], *, at: int, data_at: Ints
    ) -> Iterator[tuple[Group, Indices, Indices, Indices]]:
        """Classes of the wanted subjects, group by group: (group, places of its wanted subjects int64[k], their classes int64[k], place of one
        subject of each class int64[classes]).

        ``wanted`` by subject number; ``at`` in µs; ``data_at`` by subject number, when that subject's data were gathered.
        """
        for group in self.groups:
            mine = np.flatnonzero(wanted[group.subjects])
            if not len(mine):
                continue
            key, size = group.kinds[mine], group.n_kinds
            for times in group.times:
                come = times.values[mine] <= (data_at[group.subjects[mine]] if times.cut else at)
                if not come.any():
                    continue
                key, size = key * 2 + come, size * 2
                if size > TABLE:
                    key, size = _renumbered(key)
            number, examples = _numbered(key, size)
            yield group, mine, number, mine[examples]

    def next_time(self, wanted: npt.NDArray[np.bool_], *, at: int) -> int:
        """First time after ``at`` (µs, as the result) from which any of the wanted subjects may be decided otherwise; ``NEVER`` without one."""
        found = int(NEVER)
        for group in self.groups:
            mine = wanted[group.subjects]
            for times in group.times:
                later = times.values[mine & (times.values > at)]
                if len(later) and not times.cut:
                    found = min(found, int(later.min()))
        return found

    def state(self, group: Group, at: int) -> ConsentState:
        """Consent state of the group's subject at place ``at``."""
        number = int(group.subjects[at])
        if number not in self._folded:
            events = [self.columns.event(int(one)) for one in group.events[at]]
            self._folded[number] = fold(events, head=len(self.columns))
        return self._folded[number]


def ending(known: DecisionClasses, group: Group, example: int, basis: Basis) -> tuple[list[Times], int]:
    """Times of the group that end an acceptance, and its earliest end that is the same for all subjects (µs, ``NEVER``: none).

    ``basis`` is of the group's subject at place ``example``.
    """
    acceptance = basis.acceptance
    event = (group.events[example] + 1).tolist().index(acceptance.seq)
    pattern = known.columns.statements.pattern(int(known.columns.statement_ids[acceptance.seq - 1]))
    marks = _end_marks(pattern, acceptance)
    values = [value for item in basis.modifiers if item.code == "TS" for value in item.params]
    months = {int(value) for value in values if value.isdigit()}
    days = [day for value in values if not value.isdigit() and (day := first_moment(value)) is not None]
    own = [one for one in group.times if one.event == event and (one.slot in marks or one.months in months)]
    return own, min((to_micros(day) for day in days), default=NEVER)


def add_months(values: Ints, months: int) -> Ints:
    """Instants moved by whole months, int64[n] in µs; a day that the month does not have becomes its last (``policies.times``)."""
    days, rest = np.divmod(values, DAY)
    dates = days.astype("datetime64[D]")
    month = dates.astype("datetime64[M]")
    target = month + months
    length = ((target + 1).astype("datetime64[D]") - target.astype("datetime64[D]")).astype(np.int64)
    day = np.minimum((dates - month.astype("datetime64[D]")).astype(np.int64), length - 1)
    moved = (target.astype("datetime64[D]").astype(np.int64) + day) * DAY + rest
    return np.where(target >= np.datetime64("10000-01"), _LAST, moved)


_LAST = 253_402_300_799_999_999  # µs: the last instant of year 9999


def _group(columns: Columns, subjects: Indices, events: Indices) -> Group:
    legal = columns.legal_time[events]
    kinds, size = np.zeros(len(subjects), np.int64), 1
    for j in range(events.shape[1]):
        kinds = kinds * (int(columns.statement_ids.max()) + 1) + columns.statement_ids[events[:, j]]
        kinds, size = _renumbered(kinds)
        meant = columns.flags[events[:, j]] & (DATED | IN_FORMAT_1)
        if (meant != meant[0]).any():
            kinds, size = _renumbered(kinds * 256 + meant)
    if events.shape[1] > 1:
        ranks = _ranks(legal)
        for j in range(events.shape[1]):
            kinds, size = _renumbered(kinds * events.shape[1] + ranks[:, j])
        if _under_rule_set_2(columns, events):
            kinds, size = _apart(legal, kinds, size)
    times = [one for j in range(events.shape[1]) for one in _times(columns, events[:, j], j)]
    return Group(subjects, events, kinds, size, tuple(times))


def _under_rule_set_2(columns: Columns, events: Indices) -> bool:
    """True if any of the events was recorded under rule set 2."""
    if not (columns.flags[events] & IN_FORMAT_1).all():
        return True
    return any(columns.statements.pattern(one).rules > 1 for one in np.unique(columns.statement_ids[events]).tolist())


def _apart(legal: Ints, kinds: Indices, size: int) -> tuple[Indices, int]:
    """``kinds`` divided by how far each event lies after those before it: by a day, by the shortest day (``states.outlives``)."""
    for j in range(1, legal.shape[1]):
        for i in range(j):
            later = legal[:, j] - legal[:, i]
            steps = (later >= _SHORTEST_DAY).astype(np.int64) + (later >= DAY)
            if steps.any():
                kinds, size = _renumbered(kinds * 3 + steps)
    return kinds, size


def _times(columns: Columns, events: Indices, j: int) -> Iterator[Times]:
    """Times of event ``j`` of each subject on which a decision may depend."""
    legal = columns.legal_time[events]
    yield Times(legal, j)
    counts = columns.starts[events + 1] - columns.starts[events]
    for slot in range(int(counts.max())):
        has = counts > slot
        values = np.full(len(events), NEVER)
        values[has] = columns.times[columns.starts[events[has]] + slot]
        yield Times(values, j, slot=slot)
    stated = columns.statement_ids[events]
    patterns = {one: columns.statements.pattern(one) for one in np.unique(stated).tolist()}
    counted = {one: _months(pattern) for one, pattern in patterns.items()}
    for months in sorted(set().union(*counted.values())):
        has = np.isin(stated, [one for one, found in counted.items() if months in found])
        yield Times(np.where(has, add_months(legal, months), NEVER), j, months=months)
    stops = [one for one, pattern in patterns.items() if _stops_new_data(pattern)]
    if stops:
        cuts = np.minimum(legal, columns.recorded_at[events])
        yield Times(np.where(np.isin(stated, stops), cuts, NEVER), j, cut=True)


def _months(pattern: ConsentEvent) -> set[int]:
    return {
        int(value)
        for answer in pattern.answers
        if answer.terms is not None
        for alternative in answer.terms.alternatives
        for modifier in alternative.modifiers
        if modifier.code == "TS"
        for value in modifier.params
        if value.isdigit()
    }


def _stops_new_data(pattern: ConsentEvent) -> bool:
    return pattern.withdrawal is not None and pattern.withdrawal.level is Level.NO_NEW_DATA


def _end_marks(pattern: ConsentEvent, acceptance: Acceptance) -> set[int]:
    """Numbers of the marks that end an acceptance: of the event, of the answer, and of a guardian's signature that lapses."""
    answer = next(item for item in pattern.answers if item.policy == acceptance.answer.policy)
    lapses = pattern.lapses_at if acceptance.lapse is not None else None
    return {mark_number(end) for end in (pattern.valid_to, answer.valid_to, lapses) if end is not None}


def _ranks(values: Ints) -> Ints:
    """Rank of each value in its row, int64[n, k]; equal values share a rank."""
    order = np.argsort(values, axis=1, kind="stable")
    ascending = np.take_along_axis(values, order, axis=1)
    steps = np.zeros_like(values)
    steps[:, 1:] = np.cumsum(ascending[:, 1:] > ascending[:, :-1], axis=1)
    ranks = np.empty_like(values)
    np.put_along_axis(ranks, order, steps, axis=1)
    return ranks


def _renumbered(key: Ints) -> tuple[Ints, int]:
    distinct, numbers = np.unique(key, return_inverse=True)
    return numbers.astype(np.int64), len(distinct)


def _numbered(key: Ints, size: int) -> tuple[Indices, Indices]:
    """Class of each key, int64[n] from 0, and the place of one member of each class, int64[classes]."""
    if size > TABLE:
        _, examples, numbers = np.unique(key, return_index=True, return_inverse=True)
        return numbers.astype(np.int64), examples
    present = np.bincount(key, minlength=size) > 0
    numbers = (np.cumsum(present) - 1)[key]
    examples = np.zeros(int(present.sum()), np.int64)
    examples[numbers] = np.arange(len(key))
    return numbers, examples
