"""A release's folder in the making: a hidden sibling of the output, renamed into place whole or not at all.

    open      the output is absent or an empty folder; the sibling is made with mode 0700
    create    each file is written with mode 0600 and synced when closed
    retain    the release is committed: from here on a failure leaves the sibling for recovery, no longer removes it
    publish   the folder is synced, renamed, and its parent synced

Left without ``retain`` or ``publish``, the sibling is removed. After a kill it stays, invisible under its random name, until recovery
calls ``publish_staged`` or ``discard_staged`` with the path that the release's record holds. Only de-identified bytes may be written.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from vault.errors import InputError, RefusedError, UnavailableError, UsageError
from vault.extracts.manifest import FILE_NAME, FileEntry
from vault.files import durable
from vault.ids import RandomBytes

PREFIX = ".genovault-"  # of a folder in the making


class Staging:
    """Use as a context manager; ``path`` is the folder in the making, ``output`` where it will be."""

    def __init__(self, output: Path, *, random: RandomBytes, leftover: Path | None = None) -> None:
        """Make the sibling; or take up a ``leftover``, which stays whatever happens until it is discarded.

        Raises:
            InputError: ``output_not_empty``, ``output_parent_missing``.
            UnavailableError: ``output_unwritable``.
        """
        self.output = output.resolve()
        _check_free(self.output)
        self.path = leftover or self.output.parent / f"{PREFIX}{random(8).hex()}"
        self._retained, self._published = leftover is not None, False
        if leftover is not None:
            return
        try:
            self.path.mkdir(mode=0o700)
        except FileNotFoundError:
            raise InputError("output_parent_missing", "the folder that should hold the output does not exist") from None
        except OSError as error:
            raise unwritable(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not (self._retained or self._published):
            discard_staged(self.path)

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        """A new file of the folder, synced when the block ends well.

        Raises:
            UsageError: ``staging_name`` if the name is not one plain component, or is taken.
            UnavailableError: ``output_unwritable`` (also: disk full).
        """
        if not re.fullmatch(FILE_NAME, name):
            raise UsageError("staging_name", "a file of a release has a plain name")
        try:
            with durable.creating(self.path / name) as file:
                yield file
        except FileExistsError:
            raise UsageError("staging_name", "a file of that name is there already") from None
        except OSError as error:
            raise unwritable(error) from None

    def retain(self) -> None:
        """The release is committed: keep the folder whatever happens next."""
        self._retained = True

    def publish(self) -> None:
        """Make the folder appear as ``output``.

        Raises:
            InputError: ``output_not_empty`` if something has appeared there meanwhile.
            UnavailableError: ``output_unwritable``.
        """
        publish_staged(self.path, self.output)
        self._published = True


def clear_leftover(staged: Path, files: Iterable[FileEntry]) -> None:
    """Look that these files of a folder which a stopped process left are as they were finished, and remove everything else.

    Raises:
        RefusedError: ``leftover_altered``. UnavailableError: ``output_unwritable``.
    """
    wanted = {file.name: file for file in files}
    try:
        _require_own(staged.lstat(), stat.S_ISDIR)
        for path in staged.iterdir():
            if path.name not in wanted:
                path.unlink()
        for file in wanted.values():
            _require_finished(staged / file.name, file)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise _altered() from None
    except OSError as error:
        raise (_altered() if error.errno == errno.ELOOP else unwritable(error)) from None


def _require_finished(path: Path, file: FileEntry) -> None:
    """Raises RefusedError ``leftover_altered`` unless a file is the one that was finished; OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as opened:
        found = os.fstat(handle)
        _require_own(found, stat.S_ISREG)
        same = found.st_nlink == 1 and found.st_size == file.bytes
        if not same or hashlib.file_digest(opened, "sha256").hexdigest() != file.sha256:
            raise _altered()


def _require_own(found: os.stat_result, kind: Callable[[int], bool]) -> None:
    """Raises RefusedError ``leftover_altered`` unless it is of the kind, this user's, and nobody else may use it."""
    if not kind(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise _altered()


def _altered() -> RefusedError:
    return RefusedError("leftover_altered", "what is left of the extract is not as it was written")


def publish_staged(staged: Path, output: Path) -> None:
    """Rename a complete staged folder to ``output``. Done already is done: safe to repeat.

    Raises:
        InputError: ``output_not_empty``.
        UnavailableError: ``output_unwritable``, ``staged_missing``.
    """
    if not staged.is_dir():
        if output.is_dir() and any(output.iterdir()):
            return
        raise UnavailableError("staged_missing", "the folder of a release in the making is gone")
    try:
        durable.sync(staged)
        durable.rename(staged, output)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise _not_empty() from None
        raise unwritable(error) from None


def discard_staged(staged: Path) -> None:
    """Remove a staged folder, complete or not; absent is fine.

    Raises:
        UsageError: ``staging_name``: not a folder in the making; nothing else is ever removed.
        UnavailableError: ``output_unwritable``.
    """
    if not staged.name.startswith(PREFIX):
        raise UsageError("staging_name", "only a folder in the making is removed")
    try:
        shutil.rmtree(staged)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unwritable(error) from None


def _check_free(output: Path) -> None:
    try:
        if output.exists() and (not output.is_dir() or any(output.iterdir())):
            raise _not_empty()
    except OSError as error:
        raise unwritable(error) from None


def _not_empty() -> InputError:
    return InputError(
        "output_not_empty", "the output exists and is not an empty folder", hint="name a folder that does not exist"
    )


def unwritable(error: OSError) -> UnavailableError:
    """Map an operating system's error about the output to ``output_unwritable``."""
    return UnavailableError("output_unwritable", f"the output cannot be written: {os.strerror(error.errno or errno.EIO)}")
