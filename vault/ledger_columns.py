"""The consent ledger as columns: a million events are a few arrays, and what was said is kept once.

    head(0)  = SHA-256(context("genovault/consent-chain/v1", vault id))
    head(b)  = SHA-256(context("genovault/consent-batch/v1", head(b-1), first seq, number of events, SHA-256(rows ‖ times)))

for each batch of events that were recorded together. ``rows`` are their fixed parts (``ROW``) in order, ``times`` what the marks of
their texts stand for. An event that was deleted, edited, moved or put between others changes the value of its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from policies import records
from policies.consent import ConsentEvent
from policies.errors import PolicyInputError
from vault.crypto.context import encode_context
from vault.crypto.primitives import sha256
from vault.errors import IntegrityError
from vault.ids import SubjectId, VaultId
from vault.times import from_micros

ROW = np.dtype(
    [
        ("event_id", "S36"),  # ASCII
        ("subject", "V16"),
        ("legal_time", ">i8"),  # µs since 1970 UTC, as all times
        ("recorded_at", ">i8"),
        ("said", "V32"),  # SHA-256 of the text
        ("n_times", ">u2"),
        ("sealed", "V32"),  # SHA-256 of the sealed part
    ]
)
"""The fixed part of one event, 134 bytes without padding."""

Ints = npt.NDArray[np.int64]
Row = tuple[int, str, bytes, int, int, int, bytes, bytes]
"""seq, event id, subject id, legal time, recorded at, said id, times, SHA-256 of the sealed part: as the books hold an event."""


@dataclass(frozen=True)
class Said:
    """The distinct things that were said: text, SHA-256 and parsed pattern by id."""

    bodies: dict[int, str] = field(default_factory=dict)
    digests: dict[int, bytes] = field(default_factory=dict)
    patterns: dict[int, ConsentEvent] = field(default_factory=dict)

    def add(self, said_id: int, digest: bytes, body: str) -> None:
        """Take in one text. Raises IntegrityError ``consent_ledger_altered``: it is not what its digest says."""
        if sha256(body.encode()) != digest:
            raise altered(0)
        self.bodies[said_id], self.digests[said_id] = body, digest

    def pattern(self, said_id: int) -> ConsentEvent:
        """The text parsed, once. Raises IntegrityError ``consent_event_unknown``."""
        if said_id not in self.patterns:
            try:
                self.patterns[said_id] = records.parse_said(self.bodies[said_id])
            except PolicyInputError:
                raise _unknown() from None
        return self.patterns[said_id]


@dataclass(frozen=True)
class Columns:
    """Events 1 … n of a ledger, one array element each; ``starts[i]:starts[i + 1]`` are event i's elements of ``times``.

    ``subjects`` are the subjects in order of first appearance, and ``subject[i]`` that of event i. ``head`` is the chain's value.
    """

    event_ids: npt.NDArray[np.bytes_]  # S36
    subject: npt.NDArray[np.int32]
    legal_time: Ints
    recorded_at: Ints
    said: npt.NDArray[np.int32]
    starts: Ints
    times: Ints
    sealed: npt.NDArray[np.void]  # V32
    subjects: dict[SubjectId, int]
    texts: Said
    head: bytes

    def __len__(self) -> int:
        return len(self.subject)

    def event(self, at: int) -> ConsentEvent:
        """Event ``at`` (from 0). Raises IntegrityError ``consent_event_unknown``."""
        pattern = self.texts.pattern(int(self.said[at]))
        times = [from_micros(int(value)) for value in self.times[self.starts[at] : self.starts[at + 1]]]
        try:
            return records.join(
                pattern,
                event_id=self.event_ids[at].decode(),
                seq=at + 1,
                legal_time=from_micros(int(self.legal_time[at])),
                recorded_at=from_micros(int(self.recorded_at[at])),
                times=times,
            )
        except PolicyInputError:
            raise _unknown() from None


def empty(vault_id: VaultId) -> Columns:
    """A ledger without events."""
    none, counts = np.zeros(0, np.int64), np.zeros(1, np.int64)
    ids, nobody, sealed = np.zeros(0, "S36"), np.zeros(0, np.int32), np.zeros(0, "V32")
    return Columns(ids, nobody, none, none, nobody, counts, none, sealed, {}, Said(), start(vault_id))


def start(vault_id: VaultId) -> bytes:
    """The chain's value before the first event."""
    return sha256(encode_context("genovault/consent-chain/v1", vault_id))


def batch_head(previous: bytes, first_seq: int, rows: bytes | memoryview, times: bytes | memoryview) -> bytes:
    """The chain's value after a batch of ``rows`` (a multiple of ``ROW.itemsize`` bytes) with their times."""
    content = sha256(b"".join((rows, times)))
    count = len(rows) // ROW.itemsize
    return sha256(encode_context("genovault/consent-batch/v1", previous, first_seq, count, content))


def extended(known: Columns, rows: Sequence[Row], batches: Sequence[tuple[int, bytes]], texts: Said) -> Columns:
    """The ledger with further rows, each batch of them checked against the chain.

    Raises:
        IntegrityError: ``consent_ledger_altered``.
    """
    if not rows and not batches:
        return known
    first = len(known) + 1
    columns = list(zip(*rows, strict=True)) if rows else [()] * 8
    seqs, ids, owners, legal, recorded, saids, times, sealed = columns
    count = len(rows)
    if not np.array_equal(np.fromiter(seqs, np.int64, count), np.arange(first, first + count)):
        raise altered(first)
    fixed = np.zeros(count, ROW)
    sizes = np.fromiter(map(len, times), np.int64, count)
    fixed["event_id"] = _exactly(_joined(ids, first).encode("ascii", "replace"), "S36", count, first)
    fixed["subject"] = _exactly(b"".join(owners), "V16", count, first)
    fixed["legal_time"], fixed["recorded_at"] = np.fromiter(legal, np.int64, count), np.fromiter(recorded, np.int64, count)
    said = np.fromiter(saids, np.int64, count)
    if np.any(sizes % 8) or not set(np.unique(said).tolist()) <= set(texts.digests):
        raise altered(first)
    fixed["said"] = _by_id(texts)[said] if count else fixed["said"]
    fixed["n_times"] = sizes // 8
    fixed["sealed"] = _exactly(b"".join(sealed), "V32", count, first)
    moments = b"".join(times)
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
    _require_chain(known, fixed, (moments, offsets), batches)
    subjects = dict(known.subjects)
    owner = np.fromiter((subjects.setdefault(SubjectId(s), len(subjects)) for s in owners), np.int32, count)
    return Columns(
        event_ids=np.concatenate((known.event_ids, fixed["event_id"])),
        subject=np.concatenate((known.subject, owner)),
        legal_time=np.concatenate((known.legal_time, fixed["legal_time"].astype(np.int64))),
        recorded_at=np.concatenate((known.recorded_at, fixed["recorded_at"].astype(np.int64))),
        said=np.concatenate((known.said, said.astype(np.int32))),
        starts=np.concatenate((known.starts, offsets[1:] // 8 + known.starts[-1])),
        times=np.concatenate((known.times, np.frombuffer(moments, ">i8").astype(np.int64))),
        sealed=np.concatenate((known.sealed, fixed["sealed"])),
        subjects=subjects,
        texts=texts,
        head=batches[-1][1],
    )


def altered(seq: int) -> IntegrityError:
    """The error of a ledger that is not what was recorded, at or after event ``seq`` (0: in what was said)."""
    place = f" in the batch from its event {seq}" if seq else ""
    message = f"the consent ledger is not whole{place}"
    return IntegrityError("consent_ledger_altered", message, hint="run genovault doctor")


def _require_chain(
    known: Columns, fixed: npt.NDArray[np.void], times: tuple[bytes, Ints], batches: Sequence[tuple[int, bytes]]
) -> None:
    """Compare each batch of rows with the chain; every row lies in a batch."""
    head, first, at = known.head, len(known) + 1, 0
    rows, (moments, offsets) = memoryview(fixed.tobytes()), times
    held = memoryview(moments)
    for last_seq, stated in batches:
        stop = last_seq - first + 1
        if not at < stop <= len(fixed):
            raise altered(first + at)
        part = rows[at * ROW.itemsize : stop * ROW.itemsize]
        head = batch_head(head, first + at, part, held[offsets[at] : offsets[stop]])
        if head != stated:
            raise altered(first + at)
        at = stop
    if at != len(fixed):
        raise altered(first + at)


def _by_id(texts: Said) -> npt.NDArray[np.void]:
    digests = np.zeros(max(texts.digests) + 1, "V32")
    for said_id, digest in texts.digests.items():
        digests[said_id] = np.void(digest)
    return digests


def _joined(ids: Sequence[str], first: int) -> str:
    text = "".join(ids)
    if not text.isascii():
        raise altered(first)
    return text


def _exactly(data: bytes, dtype: str, count: int, first: int) -> npt.NDArray[np.void]:
    if len(data) != count * np.dtype(dtype).itemsize:
        raise altered(first)
    return np.frombuffer(data, dtype)


def _unknown() -> IntegrityError:
    return IntegrityError("consent_event_unknown", "a consent event is of an unknown form", hint="upgrade genovault")
