"""Locks between processes that use one vault: held by a live process, released by the system however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = "locks"  # in the vault's folder


@contextmanager
def process_lock(vault_folder: Path, name: str) -> Iterator[bool]:
    """Hold the lock ``name`` while the block runs; False if another process (or another block of this one) holds it.

    Raises:
        OSError: the vault's folder cannot be written.
    """
    folder = vault_folder / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / name
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = os.fstat(handle).st_nlink > 0  # its last holder may have removed it since it was opened
        except BlockingIOError:
            held = False
        if not held:
            yield False
            return
        try:
            yield True
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)
