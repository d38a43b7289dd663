"""Exports of the log: a C2SP tlog-tiles folder for any transparency-log client, and JSON lines (``docs/formats/audit.md`` §8).

Both hold leaf bytes and hashes only, which are public.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from vault.audit.log import AuditLog
from vault.audit.note import Checkpoint, checkpoint_in
from vault.audit.reader import LogPart
from vault.audit.tiles import TILE_WIDTH, StoredTree, tile_path, tile_widths
from vault.errors import InputError, IntegrityError, UnavailableError
from vault.files.private_files import make_folder, write_new_bytes


def export_tiles(log: AuditLog, folder: Path, *, vkey: str, part: LogPart | None = None) -> Checkpoint:
    """Write ``checkpoint``, ``log.vkey`` and ``tile/…`` up to the newest checkpoint into ``folder``, which must not exist.

    ``part``: an earlier log of this vault; default: the current one. The folder is built under another name and renamed, so it is
    whole or absent.

    Raises:
        InputError: ``output_exists``.
        UnavailableError: ``not_signed_yet``: there is no checkpoint; ``output_unwritable``.
        IntegrityError: ``log_incomplete``.
    """
    if folder.exists():
        raise InputError("output_exists", f"{folder} is already there", hint="choose another folder")
    part = part or log.parts()[-1]
    note = log.latest_checkpoint(part)
    if note is None:
        raise UnavailableError("not_signed_yet", "the audit log has no checkpoint yet", hint="sign one first")
    checkpoint = checkpoint_in(note)
    # In the same folder, so that the rename stays on one file system.
    staging = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        make_folder(staging)
        _write(staging / "checkpoint", note.encode())
        _write(staging / "log.vkey", vkey.encode() + b"\n")
        _write_tiles(log, part.base, checkpoint.size, staging)
        staging.rename(folder)
    except OSError as error:
        raise UnavailableError("output_unwritable", f"{folder}: {error.strerror or 'cannot be written'}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return checkpoint


def export_jsonl(log: AuditLog, out: TextIO, *, start: int = 0, stop: int | None = None) -> int:
    """Write one JSON document per line: ``index``, ``leaf_hash`` (hex), ``leaf`` (null if dropped); returns the number of lines.

    ``start``, ``stop``: range of entry numbers. Raises IntegrityError (``entry_malformed``).
    """
    written = 0
    for entry in log.entries(start, stop):
        try:
            leaf = None if entry.leaf is None else json.loads(entry.leaf)
        except ValueError:
            message = f"audit entry {entry.index} does not have the form of an entry"
            raise IntegrityError("entry_malformed", message, hint="genovault audit verify") from None
        document = {"index": entry.index, "leaf_hash": entry.leaf_hash.hex(), "leaf": leaf}
        out.write(json.dumps(document, ensure_ascii=False) + "\n")
        written += 1
    return written


def _write_tiles(log: AuditLog, base: int, size: int, folder: Path) -> None:
    """Write tiles and entry bundles of the first ``size`` entries of the log at ``base``."""
    with log.database.read() as tx:
        tree = StoredTree(tx, base)
        for level, n, width in tile_widths(size):
            _write(folder / tile_path(level, n, width), tree.tile(level, n, width))
    for n, bundle in enumerate(_bundles(log, base, size)):
        _write(folder / tile_path(None, n, min(TILE_WIDTH, size - n * TILE_WIDTH)), bundle)


def _bundles(log: AuditLog, base: int, size: int) -> Iterator[bytes]:
    """Entry bundles: u16 length ‖ leaf, 256 to a bundle; a dropped payload has length 0.

    Raises IntegrityError (``log_incomplete``).
    """
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
    make_folder(path.parent, may_exist=True)
    write_new_bytes(path, data)
