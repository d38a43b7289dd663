"""Consent ledger as columns: a million events are a few arrays, and each distinct statement is stored once.

    head(0)  = SHA-256(context("genovault/consent-chain/v1", vault id))
    head(b)  = SHA-256(context("genovault/consent-batch/v2", head(b-1), first seq, number of events, SHA-256(events ‖ times)))

for each batch of events that were recorded together. ``events`` are their fixed parts (``EVENT``) in order, ``times`` the times
that the marks of their statements stand for. A deleted, edited, moved or inserted event changes the value of its batch. Batches of
format 1 (``v1``, ``EVENT_1``) are from before rule set 2 and say of no time how exact it is. Format: docs/formats/books.md §4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from policies import records
from policies.consent import ConsentEvent, Precision
from policies.errors import PolicyInputError
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.ids import SubjectId, VaultId
from vault.storage.timestamps import from_micros

_FIELDS = [
    ("event_id", "S36"),  # ASCII
    ("subject", ">u8", 2),  # the 16 bytes of its id
    ("legal_time", ">i8"),  # µs since 1970 UTC, as all times
    ("recorded_at", ">i8"),
    ("statement_id", ">u4"),
    ("statement", ">u8", 4),  # SHA-256 of the statement
    ("n_times", ">u2"),
    ("sealed", "V32"),  # SHA-256 of the sealed part
]
EVENT_1 = np.dtype(_FIELDS)
"""Fixed part of one event of format 1, 138 bytes without padding."""

EVENT = np.dtype([*_FIELDS, ("flags", "u1")])
"""Fixed part of one event, 139 bytes without padding; ``flags``: ``DAY``, ``CLOCK_BEHIND``."""

FORMAT = 2  # of new batches; their events are of rule set 2
LAYOUTS = {1: EVENT_1, FORMAT: EVENT}
DAY = 1  # flag: the legal time is a whole day, of which it is the first instant
CLOCK_BEHIND = 2  # flag: the clock was behind the ledger, so the event took the time of the one before
IN_FORMAT_1 = 128  # flag in memory only: rule set and precision, if any, are in the statement

Ints = npt.NDArray[np.int64]
Ids = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class EventBatch:
    """Events recorded together, as the books hold them."""

    last_seq: int
    events: bytes
    times: bytes
    head: bytes
    format: int = FORMAT


@dataclass(frozen=True)
class StatementTable:
    """Distinct statements: text, SHA-256 and parsed pattern by id."""

    bodies: dict[int, str] = field(default_factory=dict)
    digests: dict[int, bytes] = field(default_factory=dict)
    patterns: dict[int, ConsentEvent] = field(default_factory=dict)

    def add(self, statement_id: int, digest: bytes, body: str) -> None:
        """Add a statement. Raises IntegrityError ``consent_ledger_altered`` if its digest does not match."""
        if sha256(body.encode()) != digest:
            raise IntegrityError(
                "consent_ledger_altered",
                f"statement {statement_id} of the consent ledger is not what was recorded",
                hint="run genovault doctor",
            )
        self.bodies[statement_id], self.digests[statement_id] = body, digest

    def pattern(self, statement_id: int) -> ConsentEvent:
        """Parsed pattern of a statement, cached. Raises IntegrityError ``consent_event_unknown``."""
        if statement_id not in self.patterns:
            try:
                self.patterns[statement_id] = records.parse_statement(self.bodies[statement_id])
            except PolicyInputError:
                raise _unknown() from None
        return self.patterns[statement_id]


@dataclass(frozen=True)
class Columns:
    """Events 1 … n of a ledger, one array element each; ``starts[i]:starts[i + 1]`` are event i's elements of ``times``.

    Subjects are numbered from 0 in the order of their ids: ``subject[i]`` is that of event i, ``ids[number]`` its id as two big-endian
    halves, and ``order`` lists the events by subject, each subject's in ledger order. ``head`` is the chain's value after the last event.
    """

    fixed: npt.NDArray[np.void]  # EVENT
    legal_time: Ints
    recorded_at: Ints
    statement_ids: Ints
    flags: npt.NDArray[np.uint8]  # [n]
    starts: Ints
    times: Ints
    subject: Ints
    order: Ints
    ids: Ids  # [n, 2]
    statements: StatementTable
    head: bytes

    def __len__(self) -> int:
        return len(self.fixed)

    def event(self, at: int) -> ConsentEvent:
        """Event ``at`` (from 0). Raises IntegrityError ``consent_event_unknown``."""
        pattern = self.statements.pattern(int(self.statement_ids[at]))
        times = [from_micros(int(value)) for value in self.times[self.starts[at] : self.starts[at + 1]]]
        flags = int(self.flags[at])
        old, dated = flags & IN_FORMAT_1, flags & DAY
        try:
            return records.join(
                pattern,
                event_id=self.fixed["event_id"][at].decode(),
                seq=at + 1,
                legal_time=from_micros(int(self.legal_time[at])),
                recorded_at=from_micros(int(self.recorded_at[at])),
                times=times,
                rules=None if old else FORMAT,
                precision=None if old else Precision.DAY if dated else Precision.INSTANT,
                clock_behind=bool(flags & CLOCK_BEHIND),
            )
        except PolicyInputError:
            raise _unknown() from None

    def numbers(self, subjects: Sequence[SubjectId]) -> Ints:
        """Subject numbers in these columns, int64[n]; -1 for subjects without an event."""
        wanted = np.frombuffer(b"".join(subjects), ">u8").astype(np.uint64).reshape(-1, 2)
        found = np.full(len(wanted), -1)
        if len(self.ids):
            at = np.searchsorted(self.ids[:, 0], wanted[:, 0])
            same = np.zeros(len(wanted), bool)
            while not same.all():  # once, unless two ids begin with the same 8 bytes
                within = np.minimum(at, len(self.ids) - 1)
                same = (at >= len(self.ids)) | (self.ids[within, 0] != wanted[:, 0]) | (self.ids[within, 1] == wanted[:, 1])
                at += ~same
            hit = (at < len(self.ids)) & (self.ids[np.minimum(at, len(self.ids) - 1)] == wanted).all(axis=1)
            found[hit] = at[hit]
        return found

    def subject_id(self, number: int) -> SubjectId:
        """Id of a numbered subject."""
        return SubjectId(self.ids[number].astype(">u8").tobytes())


def empty(vault_id: VaultId) -> Columns:
    """Columns of a ledger without events."""
    none = np.zeros(0, np.int64)
    return Columns(
        np.zeros(0, EVENT),
        none,
        none,
        none,
        np.zeros(0, np.uint8),
        np.zeros(1, np.int64),
        none,
        none,
        none,
        np.zeros((0, 2), np.uint64),
        StatementTable(),
        start(vault_id),
    )


def start(vault_id: VaultId) -> bytes:
    """Value of the hash chain before the first event."""
    return sha256(encode_context("genovault/consent-chain/v1", vault_id))


def batch_head(previous: bytes, first_seq: int, events: bytes, times: bytes, *, version: int = FORMAT) -> bytes:
    """Value of the hash chain after a batch of ``events`` (whole ones, in the layout of the format) with their times."""
    count = len(events) // LAYOUTS[version].itemsize
    return sha256(encode_context(f"genovault/consent-batch/v{version}", previous, first_seq, count, sha256(events + times)))


def extended(known: Columns, batches: Sequence[EventBatch], statements: StatementTable) -> Columns:
    """Append batches to a ledger, each verified against the chain.

    Raises:
        IntegrityError: ``consent_ledger_altered``.
    """
    if not batches:
        return known
    head, first, formats = known.head, len(known) + 1, known_format(known)
    for batch in batches:
        if batch.format not in LAYOUTS or batch.format < formats:  # once there is a batch of format 2, all further ones are
            raise altered(first)
        formats = batch.format
        count, rest = divmod(len(batch.events), LAYOUTS[batch.format].itemsize)
        head = batch_head(head, first, batch.events, batch.times, version=batch.format)
        if rest or not count or batch.last_seq != first + count - 1 or batch.head != head:
            raise altered(first)
        first = batch.last_seq + 1
    fresh = np.concatenate([_unpacked(batches, version) for version in LAYOUTS])
    moments = np.frombuffer(b"".join(batch.times for batch in batches), ">i8").astype(np.int64)
    if fresh["n_times"].sum(dtype=np.int64) != len(moments) or not _statements_match(fresh, statements):
        raise altered(len(known) + 1)
    return _columns(np.concatenate((known.fixed, fresh)), np.concatenate((known.times, moments)), statements, head)


def known_format(known: Columns) -> int:
    """Format of the last batch in these columns; 1 where there is none."""
    return FORMAT if len(known) and not known.flags[-1] & IN_FORMAT_1 else 1


def _unpacked(batches: Sequence[EventBatch], version: int) -> npt.NDArray[np.void]:
    """Events of the batches of one format, in the newest layout."""
    packed = np.frombuffer(b"".join(batch.events for batch in batches if batch.format == version), LAYOUTS[version])
    if version == FORMAT:
        return packed
    found = np.zeros(len(packed), EVENT)
    for name in EVENT_1.names or ():
        found[name] = packed[name]
    found["flags"] = IN_FORMAT_1
    return found


def altered(seq: int) -> IntegrityError:
    """Error of an altered ledger, at or after event ``seq``."""
    message = f"the consent ledger is not whole in the batch from its event {seq}"
    return IntegrityError("consent_ledger_altered", message, hint="run genovault doctor")


def _columns(fixed: npt.NDArray[np.void], times: Ints, statements: StatementTable, head: bytes) -> Columns:
    ids = fixed["subject"].astype(np.uint64)
    order = np.argsort(ids[:, 0], kind="stable")
    sorted_ids = ids[order]
    same = (sorted_ids[1:, 0] == sorted_ids[:-1, 0]) & (sorted_ids[1:, 1] != sorted_ids[:-1, 1])
    if same.any():
        order = np.lexsort((ids[:, 1], ids[:, 0]))
        sorted_ids = ids[order]
    first = np.concatenate((np.ones(1, bool), (sorted_ids[1:] != sorted_ids[:-1]).any(axis=1)))
    subject = np.empty(len(fixed), np.int64)
    subject[order] = np.cumsum(first) - 1
    return Columns(
        fixed=fixed,
        legal_time=fixed["legal_time"].astype(np.int64),
        recorded_at=fixed["recorded_at"].astype(np.int64),
        statement_ids=fixed["statement_id"].astype(np.int64),
        flags=fixed["flags"].copy(),
        starts=np.concatenate((np.zeros(1, np.int64), np.cumsum(fixed["n_times"], dtype=np.int64))),
        times=times,
        subject=subject,
        order=order,
        ids=sorted_ids[first],
        statements=statements,
        head=head,
    )


def _statements_match(events: npt.NDArray[np.void], statements: StatementTable) -> bool:
    """True if the statement of every event is held and has the recorded digest."""
    used = np.unique(events["statement_id"]).tolist()
    if not set(used) <= set(statements.digests):
        return False
    digests = np.zeros((max(used) + 1, 4), np.uint64)
    digests[used] = _halves(statements.digests[statement_id] for statement_id in used)
    return bool((digests[events["statement_id"]] == events["statement"]).all())


def _halves(digests: Iterable[bytes]) -> Ids:
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64).reshape(-1, 4)


def _unknown() -> IntegrityError:
    return IntegrityError("consent_event_unknown", "a consent event is of an unknown form", hint="upgrade genovault")
