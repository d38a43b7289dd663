"""Anchors: append-only folders on another mount that keep the signed checkpoints (``docs/formats/audit.md`` §7).

    <folder>/<hex SHA-256 of the origin>/000/000/000/015     the checkpoint at 15 entries, as it was signed
    <folder>/<hex SHA-256 of the origin>/continued           receipt of leaf 0 of the log that continues this one

Files are only created, so a folder that permits nothing else (``chattr +a``, an object lock) is enough. A restored old copy of a vault
has fewer entries than its anchor, an edited log another root (``docs/design/audit-log.md`` §9.4). Checkpoints count here without their
signatures, because an old copy may not know a newer key: a malformed file is passed over, and a checkpoint of more entries than the
log has stops the vault.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from vault.audit.note import Checkpoint, checkpoint_in
from vault.errors import IntegrityError, UnavailableError
from vault.files import durable
from vault.limits import MAX_NOTE_BYTES

DIGITS = 12  # of a size in a path: three levels of folders, at most 1,000 names in each
MAX_SPOILT = 9  # tries for one size: a full disk leaves truncated files that cannot be replaced
CONTINUED = "continued"


class Anchor:
    """One anchor folder. Every method raises UnavailableError (``anchor_unreachable``) if the folder cannot be used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def publish(self, note: str) -> None:
        """Store a signed checkpoint; idempotent.

        Raises:
            IntegrityError: ``anchor_differs``: the anchor has another tree of this size; ``checkpoint_malformed``.
        """
        checkpoint = _parse(note)
        if checkpoint is None:
            raise IntegrityError("checkpoint_malformed", "only a signed checkpoint can be anchored")
        self._require()
        place = self._log(checkpoint.origin) / _path(checkpoint.size)
        for attempt in range(MAX_SPOILT):
            path = place if not attempt else place.with_name(f"{place.name}-{attempt}")
            if self._create(path, note):
                return
            kept = _parse(self._read(path))
            if kept == checkpoint:
                return
            if kept is not None:
                raise IntegrityError("anchor_differs", f"the anchor {self.folder} has another log of {checkpoint.size} entries")
        raise self._unreachable("its files are spoilt")

    def newest(self, origin: str) -> str | None:
        """The checkpoint of a log with the most entries; None if the anchor has none of it, as an empty mount point has."""
        self._require()
        try:
            for path in _descending(self._log(origin), DIGITS // 3):
                note = self._read(path)
                checkpoint = _parse(note)
                if checkpoint is not None and checkpoint.origin == origin:
                    return note
        except OSError as error:
            raise self._unreachable(error.strerror) from None
        return None

    def continue_log(self, origin: str, receipt: str) -> None:
        """Store that the log ``origin`` ended: the receipt of its successor's leaf 0. The first one stored stands."""
        self._require()
        self._create(self._log(origin) / CONTINUED, receipt)

    def continued(self, origin: str) -> bool:
        """True if the log of this origin ended and another continues it."""
        self._require()
        return os.path.lexists(self._log(origin) / CONTINUED)

    def without(self, origin: str) -> UnavailableError:
        """The error for an anchor without any checkpoint of a log that it should have."""
        return self._unreachable(f"it holds no checkpoint of {origin}")

    def _log(self, origin: str) -> Path:
        """Folder of one log: hashed, because an origin may hold characters that a path may not."""
        return self.folder / hashlib.sha256(origin.encode()).hexdigest()

    def _require(self) -> None:
        """Raises UnavailableError (``anchor_unreachable``) if the folder is not there."""
        if not self.folder.is_dir():
            raise self._unreachable("it is not there")

    def _create(self, path: Path, text: str) -> bool:
        """Write a new file durably; False if it exists. Raises UnavailableError (``anchor_unreachable``)."""
        try:
            _make_folders(path.parent, self.folder)
            durable.create(path, text.encode(), mode=0o644)
        except FileExistsError:
            return False
        except OSError as error:
            raise self._unreachable(error.strerror) from None
        return True

    def _read(self, path: Path) -> str:
        """Text of a regular file; empty otherwise. Raises UnavailableError (``anchor_unreachable``)."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe without a writer would block for ever
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                os.close(handle)
                return ""
            with os.fdopen(handle, "rb") as file:
                return file.read(MAX_NOTE_BYTES + 1).decode("utf-8", "replace")
        except OSError as error:
            raise self._unreachable(error.strerror) from None

    def _unreachable(self, why: str | None) -> UnavailableError:
        return UnavailableError(
            "anchor_unreachable",
            f"the anchor {self.folder} cannot be used: {why or 'input/output error'}",
            hint="mount it again; genovault audit anchor --remove gives it up",
        )


def _parse(note: str) -> Checkpoint | None:
    """The checkpoint of a note, unverified; None if it is malformed."""
    try:
        return checkpoint_in(note)
    except IntegrityError:
        return None


def _path(size: int) -> str:
    """Relative path of the checkpoint at ``size`` entries: 15 → ``000/000/000/015``."""
    digits = f"{size:0{DIGITS}}"
    return "/".join(digits[i : i + 3] for i in range(0, len(digits) - 3, 3)) + f"/{digits[-3:]}"


def _descending(folder: Path, depth: int) -> Iterator[Path]:
    """Files ``depth`` levels below a log's folder, the largest size first."""
    if not folder.is_dir():
        return
    for path in sorted((path for path in folder.iterdir() if path.name[:3].isdecimal()), reverse=True):
        if depth > 1:
            yield from _descending(path, depth - 1)
        else:
            yield path


def _make_folders(folder: Path, root: Path) -> None:
    """Create the missing folders below ``root``, each synced into its parent."""
    if folder == root or folder.is_dir():
        return
    _make_folders(folder.parent, root)
    folder.mkdir(mode=0o755, exist_ok=True)  # for whoever checks the vault from outside
    durable.sync(folder.parent)
