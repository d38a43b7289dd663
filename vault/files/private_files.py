"""Files and folders for one person: mode 0600 and 0700 whatever the umask, never over something that is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from vault.errors import InputError, UnavailableError, UsageError


@contextmanager
def new_text_file(path: Path) -> Iterator[TextIO]:
    """A new UTF-8 file; taken away again if the block fails.

    Raises:
        UsageError: ``stdout_taken``: "-", which elsewhere is standard output. InputError: ``output_exists``.
        UnavailableError: ``output_unwritable``.
    """
    if str(path) == "-":
        raise UsageError("stdout_taken", "standard output does not take this file", hint="name a file that does not exist yet")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise InputError("output_exists", f"{path} is already there", hint="name a file that does not exist yet") from None
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            yield file
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(path, error) from None
        raise


class ReservedFile:
    """A new file that is there, empty, before an act that it is to tell of."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self._path, self._handle = path, stream.fileno()

    def write(self, text: str) -> str:
        """Write the text. Returns why it could not be written, empty where it was: the act is done and must not look as if it were not."""
        left = memoryview(text.encode())
        try:
            while left:
                left = left[os.write(self._handle, left) :]
            os.fsync(self._handle)
        except OSError as error:
            self._path.unlink(missing_ok=True)  # half of a certificate is none
            return f"{self._path}: {error.strerror or 'cannot be written'}"
        return ""


@contextmanager
def reserved_file(path: Path) -> Iterator[ReservedFile]:
    """A new UTF-8 file, made before the block acts; taken away again if the block fails. Raises as ``new_text_file``."""
    with new_text_file(path) as stream:
        yield ReservedFile(path, stream)


def write_new(path: Path, text: str) -> None:
    """Write a new UTF-8 file. Raises as ``new_text_file``."""
    with new_text_file(path) as file:
        file.write(text)


def write_new_bytes(path: Path, data: bytes) -> None:
    """Write a new file. Raises OSError; FileExistsError among them."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def make_folder(path: Path, *, may_exist: bool = False) -> None:
    """Make a folder and those above it that are missing, each with mode 0700. Raises OSError."""
    if not path.parent.is_dir():
        make_folder(path.parent, may_exist=True)
    path.mkdir(mode=0o700, exist_ok=may_exist)


def _unwritable(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError("output_unwritable", f"{path}: {error.strerror or 'cannot be written'}")
