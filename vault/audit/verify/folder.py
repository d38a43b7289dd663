"""An export in tlog-tiles layout as a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from vault.audit.verify.hashing import TILE_WIDTH
from vault.audit.verify.model import Chunk


class FolderSource:
    """An export in tlog-tiles layout."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def vkey(self) -> str | None:
        """The key beside the checkpoint."""
        path = self._folder / "log.vkey"
        return path.read_text("utf-8", errors="replace").removesuffix("\n") if path.is_file() else None

    def checkpoints(self) -> Sequence[str]:
        """The one checkpoint of an export."""
        path = self._folder / "checkpoint"
        return [path.read_bytes().decode("utf-8", "replace")] if path.is_file() else []

    def head(self) -> tuple[int, bytes] | None:
        """An export has no head besides the checkpoint."""
        return None

    def chunks(self) -> Iterator[Chunk]:
        """A bundle is missing where no full or partial one exists; whatever follows it is not read."""
        n = 0
        while True:
            full = self._folder / _tile_path("entries", n, TILE_WIDTH)
            bundles = [full] if full.is_file() else _partials(full)
            if not bundles:
                return
            yield Chunk(n * TILE_WIDTH, (), bundle=str(bundles[0]))
            if bundles[0] != full:
                return
            n += 1

    def tile(self, level: int, n: int, width: int) -> bytes | None:
        """An export keeps every tile; one that is missing, or longer than a tile is, reads as empty."""
        full, exact = self._folder / _tile_path(str(level), n, TILE_WIDTH), self._folder / _tile_path(str(level), n, width)
        found, held = (exact, width) if exact.is_file() else (full, TILE_WIDTH)
        data = found.read_bytes() if found.is_file() else b""
        return data[: width * 32] if len(data) <= held * 32 else b""


def read_bundle(path: Path) -> tuple[list[bytes], bool]:
    """The entries of a bundle, of a cut one those that are whole; and whether more than them is in one that has them all."""
    entries, used, total = _unbundle(path.read_bytes())
    width = int(path.name) if path.parent.suffix == ".p" else TILE_WIDTH
    return entries, used < total and len(entries) == width


def _unbundle(data: bytes) -> tuple[list[bytes], int, int]:
    entries, start, total = [], 2, len(data)
    while start <= total:
        end = start + (data[start - 2] << 8 | data[start - 1])
        if end > total:
            break
        entries.append(data[start:end])
        start = end + 2
    return entries, start - 2, total


def _tile_path(level: str, n: int, width: int) -> str:
    digits = f"{n:03}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    name = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return f"tile/{level}/{name}" + ("" if width == TILE_WIDTH else f".p/{width}")


def _partials(full: Path) -> list[Path]:
    """Partial bundles beside a full one's place, the widest first."""
    folder = full.with_name(full.name + ".p")
    found = [path for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []
    return sorted(found, key=lambda path: -int(path.name))
