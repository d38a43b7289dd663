"""Entries as flat records, filters over them, and CSV without spreadsheet formulas."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TextIO

from vault.audit.actions import ActorKind
from vault.audit.log import AuditLog
from vault.audit.reader import LogEntry
from vault.errors import IntegrityError

COLUMNS = (
    "index", "time", "actor", "role", "for", "act", "outcome", "project", "request", "purpose", "object", "subjects", "subject_set",
    "reasons", "counts", "flags", "event", "refers", "leaf_hash",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # first characters that make a spreadsheet evaluate a cell (CWE-1236)


@dataclass(frozen=True)
class Record:
    """Flat entry. Absent fields are None, 0 or empty; an entry with a dropped payload has number, hash and event id only."""

    index: int
    leaf_hash: str  # hex
    event: str
    time: str = ""
    actor: str | None = None
    role: str | None = None
    asserted_for: str | None = None
    act: str | None = None
    outcome: str | None = None
    project: str | None = None
    request: str | None = None
    purpose: str | None = None
    object: str | None = None
    subjects: int = 0
    subject_set: str | None = None  # hex
    reasons: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    refers: str | None = None

    @property
    def receiver(self) -> str:
        """Whoever got what an access gave: the person a service acted for, else the actor."""
        return (self.asserted_for if self.role == ActorKind.SERVICE else self.actor) or ""

    def as_dict(self) -> dict[str, Any]:
        """Fields by the names of ``COLUMNS``."""
        named = {**vars(self), "for": self.asserted_for, "flags": list(self.flags)}
        return {name: named[name] for name in COLUMNS}


def record_of(entry: LogEntry) -> Record:
    """An entry as a record. Nothing is verified: that is the task of ``vault.audit.verify``.

    Raises:
        IntegrityError: ``entry_malformed``.
    """
    if entry.leaf is None:
        return Record(entry.index, entry.leaf_hash.hex(), entry.event_id)
    try:
        return _record(entry, json.loads(entry.leaf))
    except (ValueError, TypeError, LookupError, AttributeError):
        message = f"audit entry {entry.index} does not have the form of an entry"
        raise IntegrityError("entry_malformed", message, hint="genovault audit verify") from None


def _record(entry: LogEntry, leaf: dict[str, Any]) -> Record:
    actor, about, subjects = leaf["actor"], leaf.get("obj"), leaf.get("subj", {})
    return Record(
        entry.index,
        entry.leaf_hash.hex(),
        entry.event_id,
        time=leaf["t"],
        actor=actor["id"],
        role=actor["kind"],
        asserted_for=actor.get("for"),
        act=leaf["act"],
        outcome=leaf["outcome"],
        project=leaf.get("project"),
        request=leaf.get("req"),
        purpose=leaf.get("purpose"),
        object=f"{about['kind']}:{about['ref']}" if about else None,
        subjects=subjects.get("n", 0),
        subject_set=subjects.get("set"),
        reasons=leaf.get("reasons", {}),
        counts=leaf.get("counts", {}),
        flags=tuple(leaf.get("flags", ())),
        refers=leaf.get("refers"),
    )


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Conditions on records, joined by *and*; None matches anything."""

    who: str | None = None  # the actor, or the person that a steward claims to act for
    act: str | None = None  # an act ("extract.intent") or a kind of act ("extract")
    acts: frozenset[str] | None = None  # any of these acts
    outcome: str | None = None
    project: str | None = None
    purpose: str | None = None  # a DUO term of the entry, case-insensitive
    request: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None  # exclusive
    first: int = 0  # number of the first entry
    stop: int | None = None  # number behind the last one
    among: frozenset[int] | None = None  # entry numbers, such as those about one subject

    def holds(self, record: Record) -> bool:
        """True if a record meets all conditions."""
        return (
            record.index >= self.first
            and (self.stop is None or record.index < self.stop)
            and (self.among is None or record.index in self.among)
            and self.who in {None, record.actor, record.asserted_for}
            and (self.act is None or record.act == self.act or str(record.act).startswith(f"{self.act}."))
            and (self.acts is None or record.act in self.acts)
            and self.outcome in {None, record.outcome}
            and self.project in {None, record.project}
            and self.request in {None, record.request}
            and (self.purpose is None or self.purpose.lower() in (record.purpose or "").lower().split(","))
            and (self.reason is None or self.reason in record.reasons)
            and self._in_time(record.time)
        )

    def _in_time(self, time: str) -> bool:
        if self.since is None and self.until is None:
            return True
        if not time:
            return False
        at = datetime.fromisoformat(time)
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


def records(log: AuditLog, wanted: Filter = Filter()) -> Iterator[Record]:
    """Records of the entries that a filter holds for, ascending. Raises IntegrityError as ``record_of``."""
    entries = log.entries(wanted.first, wanted.stop) if wanted.among is None else iter(log.entries_at(sorted(wanted.among)))
    return (record for record in map(record_of, entries) if wanted.holds(record))


def first_since(log: AuditLog, time: datetime) -> int:
    """Number of the first entry at or after a time; that of the next one to be written if there is none.

    What stands behind it counts as later, whatever a clock that was set back says.
    """
    found = next(records(log, Filter(since=time)), None)
    return log.size() if found is None else found.index


def export_csv(log: AuditLog, out: TextIO, *, start: int = 0, stop: int | None = None) -> int:
    """Write one row per entry under a header of ``COLUMNS``; returns the number of rows.

    ``start``, ``stop``: range of entry numbers. Lists and counts (``name=n``) are joined by ``;``. Raises IntegrityError as ``record_of``.
    """
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    written = 0
    for record in records(log, Filter(first=start, stop=stop)):
        writer.writerow([cell(value) for value in record.as_dict().values()])
        written += 1
    return written


def cell(value: object) -> str:
    """A value as a CSV cell. Text that a spreadsheet would evaluate as a formula gets an apostrophe in front."""
    if isinstance(value, Mapping):
        text = ";".join(f"{name}={n}" for name, n in value.items())
    elif isinstance(value, list):
        text = ";".join(map(str, value))
    else:
        text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
