"""The live database as an entry source of the verifier.

Rows are read as they are, with values that no writer would store: the verifier, not SQLAlchemy, has to report them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import Any

from sqlalchemy import bindparam, select

from vault.audit.log import AuditLog
from vault.audit.log_head import newest_log
from vault.audit.merkle import CompactRange
from vault.audit.reader import LogPart
from vault.audit.tiles import TILE_WIDTH
from vault.audit.verify import MAX_FINDINGS, Chunk, LogFinding, VerificationReport, verify
from vault.errors import IntegrityError
from vault.storage.audit_tables import AuditCheckpointRow, AuditDetailRow, AuditHeadRow, AuditLeafRow, AuditTileRow
from vault.storage.compiled_statements import Statement
from vault.storage.stored_types import as_found

ROWS_AT_ONCE = 16 * TILE_WIDTH  # read in one transaction: a longer one would keep the write-ahead log from being truncated

_LEAVES = Statement(
    select(AuditLeafRow.idx, as_found(AuditLeafRow.leaf), as_found(AuditLeafRow.leaf_hash))
    .where(AuditLeafRow.idx >= bindparam("start"), AuditLeafRow.idx < bindparam("stop"))
    .order_by(AuditLeafRow.idx)
    .limit(ROWS_AT_ONCE)
)
_DETAILED = Statement(
    select(AuditDetailRow.idx).where(AuditDetailRow.idx >= bindparam("first"), AuditDetailRow.idx <= bindparam("last"))
)
_END = 2**62  # above any entry number


def check_live(
    log: AuditLog,
    own: str | None,
    given: str | None = None,
    *,
    anchors: Sequence[str] = (),
    part: LogPart | None = None,
    later: Sequence[VerificationReport] = (),
) -> VerificationReport:
    """Verify a log in its database, and the stored sets of subjects that its entries name (``people_altered``).

    ``own``: the vault's own vkey; ``given``: a vkey from a source other than the vault; ``later`` as of ``verify``. Other arguments as of ``LogSource``.
    """
    report = verify(LogSource(log, own, anchors=anchors, part=part), given, later=later)
    with suppress(IntegrityError):  # for missing entries or a missing head, which are findings already
        within = part or log.parts()[-1]
        lost = [index - within.base for index in log.entries_without_set() if 0 <= index - within.base < within.size]
        message = "the people whom entry {} names are not stored as they were"
        findings = [LogFinding("people_altered", index, message.format(index)) for index in lost[:MAX_FINDINGS]]
        return replace(report, findings=(*report.findings, *findings))
    return report


class LogSource:
    """Live database as an ``EntrySource``.

    ``vkey``: the log's own key, used if no other is given. ``anchors``: checkpoints kept outside the vault, checked like stored ones.
    ``part``: an earlier log of this vault; None: the current one.
    """

    def __init__(self, log: AuditLog, vkey: str | None, *, anchors: Sequence[str] = (), part: LogPart | None = None) -> None:
        self._log = log
        self._part = part
        self._vkey = vkey
        self._anchors = anchors

    def vkey(self) -> str | None:
        """The vault's own vkey."""
        return self._vkey

    def checkpoints(self) -> Sequence[str]:
        """Every stored checkpoint, oldest first, then the anchored ones."""
        notes = select(as_found(AuditCheckpointRow.note)).where(AuditCheckpointRow.base == self._base())
        with self._log.database.read() as tx:
            found = tx.scalars(notes.order_by(AuditCheckpointRow.size)).all()
        return [*map(_text, found), *self._anchors]

    def head(self) -> tuple[int, bytes] | None:
        """(size, root) of the stored head; (0, empty) if it is lost, None for an earlier log, which has no stored head."""
        if self._part is not None:
            return None
        with self._log.database.read() as tx:
            row = tx.execute(select(*map(as_found, (AuditHeadRow.base, AuditHeadRow.size, AuditHeadRow.stack)))).first()
        base, size, stack = row or (None, None, None)
        if base != self._newest_base or not isinstance(size, int):
            return 0, b""
        try:
            return size, CompactRange.from_bytes(size, _octets(stack)).root()
        except IntegrityError:
            return size, b""

    def chunks(self) -> Iterator[Chunk]:
        """All rows of the log, up to 256 to a chunk; a gap in the numbers ends a chunk."""
        start = base = self._base()
        stop = _END if self._part is None else base + self._part.size
        while True:
            with self._log.database.read() as tx:
                rows = _LEAVES.rows(tx, start=start, stop=stop)
                found = _DETAILED.rows(tx, first=rows[0][0], last=rows[-1][0]) if rows else []
            if not rows:
                return
            detailed = {index for (index,) in found}
            run: list[Any] = []
            for row in rows:
                if run and (row[0] != run[-1][0] + 1 or (row[0] - base) % TILE_WIDTH == 0):
                    yield _chunk(run, base, detailed)
                    run = []
                run.append(row)
            yield _chunk(run, base, detailed)
            start = rows[-1][0] + 1

    def tile(self, level: int, n: int, width: int) -> bytes | None:
        """Hashes of a full tile, empty if it is lost; None for a partial tile, which is not stored."""
        if width < TILE_WIDTH:
            return None
        place = (AuditTileRow.base == self._base(), AuditTileRow.level == level, AuditTileRow.n == n)
        with self._log.database.read() as tx:
            return _octets(tx.scalar(select(as_found(AuditTileRow.data)).where(*place)))

    def _base(self) -> int:
        return self._part.base if self._part is not None else self._newest_base

    @cached_property
    def _newest_base(self) -> int:
        with self._log.database.read() as tx:
            return newest_log(tx).base


def _chunk(run: Sequence[Any], base: int, detailed: set[int]) -> Chunk:
    """Consecutive rows (idx, leaf, leaf_hash) as a chunk, numbered from ``base``."""
    return Chunk(run[0][0] - base, [row[1] for row in run], [row[2] for row in run], [row[0] in detailed for row in run])


def _octets(value: object) -> bytes:
    """A stored value if it is bytes; empty otherwise, because SQLite stores values of any type in a column."""
    return value if isinstance(value, bytes) else b""


def _text(value: object) -> str:
    """A stored value if it is text; empty otherwise."""
    return value if isinstance(value, str) else ""
