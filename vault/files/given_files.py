"""Files that people name, and files that others may have put where ours belong: regular files only, read to a limit.

A pipe without a writer would block for ever, a device has no end, and a sparse file of 40 GB takes no room on the disk: so a file is
opened without waiting, looked at through its descriptor, and never read further than its limit.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from io import BufferedReader
from pathlib import Path

from vault.errors import InputError

PIPE_SECONDS = 60.0  # for whoever writes into a pipe that was named


class ExposedError(PermissionError):
    """A secret's file that is not this user's alone; ``strerror`` says why, for a person."""


def open_regular(path: Path) -> BufferedReader:
    """The regular file, open for reading. Raises as ``regular_handle``."""
    return os.fdopen(regular_handle(path), "rb")


def regular_handle(path: Path) -> int:
    """A descriptor of the regular file, for reading. A symbolic link is followed.

    Raises:
        OSError: it is no regular file, or the system refuses; ``strerror`` says which, without the path.
    """
    handle = _handle(path)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _no_regular_file()
    return handle


def read_given(
    path: Path, *, limit: int, name: str | None = None, unreadable: str = "file_unreadable", too_large: str = "file_too_large"
) -> bytes:
    """The content of a regular file of at most ``limit`` bytes. ``name`` stands for it in messages (default: the path).

    Raises:
        InputError: with the code ``unreadable`` or ``too_large``.
    """
    title = name or path
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size <= limit:
                data = file.read(limit + 1)
                if len(data) <= limit:
                    return data
    except OSError as error:
        raise InputError(unreadable, f"{title}: {error.strerror or 'cannot be read'}", hint="check the path") from None
    raise InputError(too_large, f"{title} is larger than {limit:,} bytes")


def read_secret(path: Path, *, limit: int, pipes: bool = False) -> bytes:
    """The first ``limit`` + 1 bytes of a file that holds a secret: this user's or root's, and nobody else's to read or write.

    ``pipes``: a pipe will do too (``--passphrase-file <(…)``); its writer has ``PIPE_SECONDS``.

    Raises:
        ExposedError: others may read or write the file. OSError: as ``open_regular``.
    """
    handle = _handle(path)
    try:
        found = os.fstat(handle)
        if pipes and stat.S_ISFIFO(found.st_mode):
            return _from_pipe(handle, limit + 1)
        if not stat.S_ISREG(found.st_mode):
            raise _no_regular_file()
        if found.st_uid not in {os.geteuid(), 0}:
            raise ExposedError(errno.EACCES, "belongs to another user")
        if found.st_mode & 0o077 and not _is_credential(path, found):
            raise ExposedError(errno.EACCES, "can be read or written by other users")
        return os.read(handle, limit + 1)
    finally:
        os.close(handle)


def _is_credential(path: Path, found: os.stat_result) -> bool:
    """True for what systemd gives to one unit (LoadCredential): root's, and by an access list, which shows as a group's right to read, its user's."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    is_there = folder is not None and path.absolute().parent == Path(folder)
    return is_there and found.st_uid == 0 and found.st_mode & 0o077 == stat.S_IRGRP


def _handle(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)


def _no_regular_file() -> OSError:
    return OSError(errno.EINVAL, "is not a regular file")


def _from_pipe(handle: int, size: int) -> bytes:
    """At most ``size`` bytes, to the writer's end or the first line's."""
    data, until = b"", time.monotonic() + PIPE_SECONDS
    while len(data) < size and b"\n" not in data:
        if not select.select([handle], [], [], max(0.0, until - time.monotonic()))[0]:
            raise TimeoutError(errno.ETIMEDOUT, "is a pipe into which nobody writes")
        piece = os.read(handle, size - len(data))
        if not piece:
            break
        data += piece
    return data
