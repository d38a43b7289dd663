"""Writes that survive a crash: content is fsynced before a name says that it is there, and then the folder that holds the name.

``rename`` is atomic but not durable, and a file's fsync does not cover its name (POSIX; fsync(2), "NOTES").
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def creating(path: Path, *, mode: int = 0o600, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Open a new file; its content is durable when the block ends well, its name only after ``sync`` of the folder.

    ``overwrite``: take the place of a file that is there; otherwise a file or symbolic link is refused.

    Raises:
        OSError: the disk refuses; FileExistsError among them.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if overwrite else os.O_EXCL), mode)
    with os.fdopen(handle, "wb") as file:
        if overwrite:  # what was there may have been wider
            os.fchmod(handle, mode)
        yield file
        file.flush()
        os.fsync(handle)


def create(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Create a file, content and name durable on return. Raises as ``creating``."""
    with creating(path, mode=mode) as file:
        file.write(data)
    sync(path.parent)


def replace(path: Path, data: bytes, *, temporary: Path) -> None:
    """Replace a file (mode 0600), durable on return; at every instant a reader finds the old content or the new, whole.

    ``temporary``: name in the same folder, for one writer at a time. Raises as ``creating``.
    """
    temporary.unlink(missing_ok=True)  # left by a process that died
    with creating(temporary) as file:
        file.write(data)
    rename(temporary, path)


def rename(source: Path, target: Path) -> None:
    """Rename within one file system; the new name is durable on return.

    Raises:
        OSError: the disk refuses, or the target is a folder that is not empty.
    """
    source.rename(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Flush every file and name below a folder to the disk. Raises OSError."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)
