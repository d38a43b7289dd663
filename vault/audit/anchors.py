"""Anchors: append-only folders, outside the vault's reach (another mount), that remember how far the log had come.

    <folder>/<hex SHA-256 of the origin>/000/000/000/015     the checkpoint at 15 entries, as it was signed
    <folder>/<hex SHA-256 of the origin>/continued           the log goes on under another origin: receipt of that one's leaf 0

Files are only ever created, so that a folder on which nothing else is permitted (``chattr +a``, an object lock) is enough. Whoever
restores an old copy of a vault, or edits its log, is behind this folder or at odds with it. A checkpoint counts here by what it
says: a file with nonsense in it is passed over, one that claims more entries than the log has stops the vault, whoever wrote it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from vault.audit.note import Checkpoint, Note
from vault.errors import IntegrityError, UnavailableError
from vault.files import durable
from vault.limits import MAX_NOTE_BYTES

DIGITS = 12  # of a size in a path: four folders of at most a thousand names
MAX_SPOILT = 9  # files of one size that a full disk may have spoilt before somebody has to look
CONTINUED = "continued"


class Anchor:
    """One anchor folder. Every method raises UnavailableError("anchor_unreachable") when the folder cannot be used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def publish(self, note: str) -> None:
        """Keep a signed checkpoint; again the same one changes nothing.

        Raises:
            IntegrityError: ``anchor_differs``: the anchor has another tree of this size.
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
        """The note with the most entries of a log; None when the anchor has none, as when the mount is not there."""
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
        """Keep that a log has ended and another goes on; the first such statement stands."""
        self._require()
        self._create(self._log(origin) / CONTINUED, receipt)

    def continued(self, origin: str) -> bool:
        """Whether the log of this origin has ended."""
        self._require()
        return os.path.lexists(self._log(origin) / CONTINUED)

    def without(self, origin: str) -> UnavailableError:
        """The error of an anchor that ought to know a log and does not."""
        return self._unreachable(f"it holds no checkpoint of {origin}")

    def _log(self, origin: str) -> Path:
        return self.folder / hashlib.sha256(origin.encode()).hexdigest()

    def _require(self) -> None:
        if not self.folder.is_dir():
            raise self._unreachable("it is not there")

    def _create(self, path: Path, text: str) -> bool:
        """Write a new file, durable when this returns; False when there is one already."""
        try:
            _make_folders(path.parent, self.folder)
            durable.create(path, text.encode(), mode=0o644)
        except FileExistsError:
            return False
        except OSError as error:
            raise self._unreachable(error.strerror) from None
        return True

    def _read(self, path: Path) -> str:
        """A file's text; nothing of what is no file, such as a pipe, at which a reader would wait for ever."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
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
    try:
        return Checkpoint.from_text(Note.from_text(note).text)
    except IntegrityError:
        return None


def _path(size: int) -> str:
    digits = f"{size:0{DIGITS}}"
    return "/".join(digits[i : i + 3] for i in range(0, len(digits) - 3, 3)) + f"/{digits[-3:]}"


def _descending(folder: Path, depth: int) -> Iterator[Path]:
    """Files below ``folder``, the largest size first."""
    if not folder.is_dir():
        return
    for path in sorted((path for path in folder.iterdir() if path.name[:3].isdecimal()), reverse=True):
        if depth > 1:
            yield from _descending(path, depth - 1)
        else:
            yield path


def _make_folders(folder: Path, root: Path) -> None:
    """Missing folders below ``root``, each durable in its parent."""
    if folder == root or folder.is_dir():
        return
    _make_folders(folder.parent, root)
    folder.mkdir(exist_ok=True)
    durable.sync(folder.parent)
