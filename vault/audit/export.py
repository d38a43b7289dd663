"""Taking the log out: a tlog-tiles folder that any transparency-log client reads, JSON lines, and a live source to verify.

Leaf bytes are public by design, so neither form holds anything private.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TextIO

from sqlalchemy import select

from vault.audit.log import AuditLog
from vault.audit.merkle import CompactRange
from vault.audit.note import Checkpoint, Note
from vault.audit.reader import Entry, Part
from vault.audit.stored_head import newest_log
from vault.audit.tiles import TILE_WIDTH, StoredTree, tile_path, tile_widths
from vault.audit.verify import Chunk
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.storage.audit_tables import AuditDetailRow, AuditHeadRow, AuditTileRow


class LogSource:
    """The live database as the offline verifier wants it.

    ``vkey``: the log's own key, for a check without an outside one. ``anchors``: notes kept elsewhere, which must still hold.
    ``part``: an earlier log of this vault, None for the one that is written now.
    """

    def __init__(self, log: AuditLog, vkey: str | None, *, anchors: Sequence[str] = (), part: Part | None = None) -> None:
        self._log = log
        self._part = part
        self._vkey = vkey
        self._anchors = anchors

    def vkey(self) -> str | None:
        """The key that the vault itself names."""
        return self._vkey

    def checkpoints(self) -> Sequence[str]:
        """Every note that was signed, and those kept elsewhere."""
        return [*self._log.checkpoints(self._part), *self._anchors]

    def head(self) -> tuple[int, bytes] | None:
        """What appenders build on; of an earlier log, how far it went."""
        if self._part is not None:
            return None
        with self._log.database.read() as session:
            row = session.execute(select(AuditHeadRow.base, AuditHeadRow.size, AuditHeadRow.stack)).first()
        if row is None or row.base != self._newest_base:
            return 0, b""
        try:
            return row.size, CompactRange.from_bytes(row.size, row.stack).root()
        except IntegrityError:
            return row.size, b""

    def chunks(self) -> Iterator[Chunk]:
        """All rows of the log, with whether each has a sealed detail; a gap in the rows ends a chunk."""
        base, stop = self._base(), None if self._part is None else self._part.base + self._part.size
        run: list[Entry] = []
        for entry in self._log.entries(base, stop):
            if run and (entry.index != run[-1].index + 1 or (entry.index - base) % TILE_WIDTH == 0):
                yield self._chunk(run, base)
                run = []
            run.append(entry)
        if run:
            yield self._chunk(run, base)

    def _chunk(self, run: Sequence[Entry], base: int) -> Chunk:
        first, last = run[0].index, run[-1].index
        query = select(AuditDetailRow.idx).where(AuditDetailRow.idx >= first, AuditDetailRow.idx <= last)
        with self._log.database.read() as session:
            detailed = set(session.scalars(query))
        return Chunk(
            first - base,
            [entry.leaf for entry in run],
            [entry.leaf_hash for entry in run],
            [entry.index in detailed for entry in run],
        )

    def tile(self, level: int, n: int, width: int) -> bytes | None:
        """Full tiles only; partial ones are not stored. A full one that is gone reads as empty."""
        if width < TILE_WIDTH:
            return None
        place = (AuditTileRow.base == self._base(), AuditTileRow.level == level, AuditTileRow.n == n)
        with self._log.database.read() as session:
            return session.scalar(select(AuditTileRow.data).where(*place)) or b""

    def _base(self) -> int:
        return self._part.base if self._part is not None else self._newest_base

    @cached_property
    def _newest_base(self) -> int:
        with self._log.database.read() as session:
            return newest_log(session).base


def export_tiles(log: AuditLog, folder: Path, *, vkey: str, part: Part | None = None) -> Checkpoint:
    """Write ``checkpoint``, ``log.vkey`` and ``tile/…`` up to the newest checkpoint into ``folder``, which must not exist.

    ``part``: an earlier log of this vault; default: the one that is written now.

    The folder appears whole: it is built beside its place and renamed.

    Raises:
        InputError: ``output_exists``.
        UnavailableError: ``not_signed_yet``: there is no checkpoint.
        IntegrityError: ``log_incomplete``.
    """
    if folder.exists():
        raise InputError("output_exists", f"{folder} is already there", hint="choose another folder")
    part = part or log.parts()[-1]
    note = log.latest_checkpoint(part)
    if note is None:
        raise UnavailableError("not_signed_yet", "the audit log has no checkpoint yet", hint="sign one first")
    checkpoint = Checkpoint.from_text(Note.from_text(note).text)
    staging = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    _write(staging / "checkpoint", note.encode())
    _write(staging / "log.vkey", vkey.encode() + b"\n")
    with log.database.read() as session:
        tree = StoredTree(session, part.base)
        for level, n, width in tile_widths(checkpoint.size):
            _write(staging / tile_path(level, n, width), tree.tile(level, n, width))
    for n, bundle in enumerate(_bundles(log, part.base, checkpoint.size)):
        width = min(TILE_WIDTH, checkpoint.size - n * TILE_WIDTH)
        _write(staging / tile_path(None, n, width), bundle)
    staging.rename(folder)
    return checkpoint


def export_jsonl(log: AuditLog, out: TextIO, *, start: int = 0, stop: int | None = None) -> int:
    """One JSON document per line: ``index``, ``leaf_hash`` (hex) and ``leaf`` (null when dropped). Returns how many."""
    written = 0
    for entry in log.entries(start, stop):
        leaf = None if entry.leaf is None else json.loads(entry.leaf)
        document = {"index": entry.index, "leaf_hash": entry.leaf_hash.hex(), "leaf": leaf}
        out.write(json.dumps(document, ensure_ascii=False) + "\n")
        written += 1
    return written


def _bundles(log: AuditLog, base: int, size: int) -> Iterator[bytes]:
    """Entry bundles: u16 length ‖ entry, 256 to a bundle; a dropped payload is an entry of length 0."""
    bundle = bytearray()
    expected = 0
    for entry in log.entries(base, base + size):
        if entry.index != base + expected:
            break
        leaf = entry.leaf or b""
        bundle += len(leaf).to_bytes(2, "big") + leaf
        expected += 1
        if expected % TILE_WIDTH == 0:
            yield bytes(bundle)
            bundle.clear()
    if expected != size:
        raise IntegrityError("log_incomplete", f"audit entry {base + expected} is missing")
    if bundle:
        yield bytes(bundle)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
