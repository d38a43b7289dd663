"""An export in C2SP tlog-tiles layout as a source of entries (``docs/formats/audit.md`` §8)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from vault.audit.verify.hashing import TILE_WIDTH
from vault.audit.verify.model import Chunk

MAX_NOTE_BYTES = 1 << 20  # a checkpoint with its signatures; a file of keys
GROUP = 1_000  # bundles in one folder
MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + 65_535)  # entries of the greatest length


class FolderSource:
    """The exported folder: ``checkpoint``, ``log.vkey``, ``tile/…``.

    A lost file reads as absent; so does what is no regular file or longer than it can be: the folder is somebody else's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def vkey(self) -> str | None:
        """Content of ``log.vkey``; None if the file is lost."""
        data = read_bounded(self._folder / "log.vkey", MAX_NOTE_BYTES)
        return None if data is None else data.decode("utf-8", "replace").removesuffix("\n")

    def checkpoints(self) -> Sequence[str]:
        """The one checkpoint of an export; none if the file is lost."""
        data = read_bounded(self._folder / "checkpoint", MAX_NOTE_BYTES)
        return [] if data is None else [data.decode("utf-8", "replace")]

    def head(self) -> tuple[int, bytes] | None:
        """None: an export has no head besides its checkpoint."""
        return None

    def chunks(self) -> Iterator[Chunk]:
        """One chunk per entry bundle, up to the first partial or lost one."""
        n = 0
        while True:
            full = self._folder / _tile_path("entries", n, TILE_WIDTH)
            if n % GROUP == 0 and not self._holds(full.parent):
                return
            bundles = [full] if _is_file(full) else _partials(full)
            if not bundles:
                return
            yield Chunk(n * TILE_WIDTH, (), bundle=str(bundles[0]))
            if bundles[0] != full:
                return
            n += 1

    def tile(self, level: int, n: int, width: int) -> bytes | None:
        """The first ``width`` hashes of a tile; empty if its file is lost or longer than a tile."""
        full, exact = self._folder / _tile_path(str(level), n, TILE_WIDTH), self._folder / _tile_path(str(level), n, width)
        found, held = (exact, width) if _is_file(exact) else (full, TILE_WIDTH)
        return (read_bounded(found, held * 32) or b"")[: width * 32]

    def _holds(self, folder: Path) -> bool:
        """True if a folder of the export is in it without a link on the way: links to folders above would lead on for ever."""
        between = [folder, *folder.parents][: len(folder.parts) - len(self._folder.parts)]
        return not any(path.is_symlink() for path in between)


def read_bounded(path: Path, limit: int) -> bytes | None:
    """The content of a regular file of at most ``limit`` bytes; None for anything else. Waits for no pipe."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as file:
        data = file.read(limit + 1)
    return data if len(data) <= limit else None


def read_bundle(path: Path) -> tuple[list[bytes], bool]:
    """Read an entry bundle: its whole entries, and True if bytes follow although it has all its entries."""
    entries, used, total = _unbundle(read_bounded(path, MAX_BUNDLE_BYTES) or b"")
    width = int(path.name) if path.parent.suffix == ".p" else TILE_WIDTH
    return entries, used < total and len(entries) == width


def _unbundle(data: bytes) -> tuple[list[bytes], int, int]:
    """Split u16 length ‖ entry, repeated: the whole entries, bytes that they use, bytes in all."""
    entries, start, total = [], 2, len(data)
    while start <= total:
        end = start + (data[start - 2] << 8 | data[start - 1])
        if end > total:
            break
        entries.append(data[start:end])
        start = end + 2
    return entries, start - 2, total


def _tile_path(level: str, n: int, width: int) -> str:
    """Path of a tile or bundle: n in groups of three digits, all but the last with x in front (C2SP tlog-tiles)."""
    digits = f"{n:03}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    name = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return f"tile/{level}/{name}" + ("" if width == TILE_WIDTH else f".p/{width}")


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def _partials(full: Path) -> list[Path]:
    """Partial bundles with the number of the full one at this path, the widest first."""
    folder = full.with_name(full.name + ".p")
    try:
        found = [path for path in folder.iterdir() if path.name.isdecimal() and _is_file(path)]
    except OSError:  # there is none, or it may not be read
        return []
    return sorted(found, key=lambda path: -int(path.name))
