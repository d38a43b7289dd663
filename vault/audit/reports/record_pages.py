"""Pages of the log's records by keyset: from an entry's number downwards or upwards, without a count of all."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vault.audit.log import AuditLog
from vault.audit.reports.records import Filter, Record, records

BLOCK = 1_000  # entries read at a time
SCANNED = 20_000  # entries looked at for one page; a rare filter goes on from there


@dataclass(frozen=True)
class RecordPage:
    """Records, the newest first. ``older``, ``newer``: number from which the next page goes down, or up; None at an end of the log.

    ``exhausted``: False where the search stopped before it had found a page full.
    """

    records: tuple[Record, ...]
    older: int | None
    newer: int | None
    exhausted: bool = True


def older(log: AuditLog, wanted: Filter, *, start: int | None, most: int) -> RecordPage:
    """The newest records up to entry ``start`` (None: the last) that a filter holds for. Raises IntegrityError as ``records``."""
    size = log.size()
    high = size if start is None else min(start + 1, size)
    low, floor = high, max(wanted.first, high - SCANNED)
    found: list[Record] = []
    while low > floor and len(found) <= most:
        low = max(floor, low - BLOCK)
        block = list(records(log, replace(wanted, first=low, stop=min(high, low + BLOCK))))
        found += reversed(block)
        high = low
    more = len(found) > most
    kept = tuple(found[:most])
    begun = size - 1 if start is None else start
    further = kept[-1].index - 1 if more else low - 1
    return RecordPage(
        kept, further if further >= wanted.first else None, begun + 1 if begun + 1 < size else None, more or low <= wanted.first
    )


def newer(log: AuditLog, wanted: Filter, *, start: int, most: int) -> RecordPage:
    """The oldest records from entry ``start`` on that a filter holds for, shown the newest first. Raises IntegrityError as ``records``."""
    size = log.size()
    first = max(start, wanted.first)
    high, ceiling = first, min(size, first + SCANNED)
    found: list[Record] = []
    while high < ceiling and len(found) <= most:
        low, high = high, min(high + BLOCK, ceiling)
        found += records(log, replace(wanted, first=low, stop=high))
    more = len(found) > most
    kept = tuple(reversed(found[:most]))
    further = kept[0].index + 1 if more else high
    return RecordPage(
        kept, start - 1 if start > wanted.first else None, further if further < size else None, more or high >= size
    )
