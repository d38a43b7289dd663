"""Folder in which a restored vault is made and checked before it takes its place."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vault.errors import UnavailableError
from vault.files import durable
from vault.files.private_files import make_folder
from vault.ids import RandomBytes
from vault.operations.backup_folder import BOOKS, OBJECTS


@contextmanager
def staged(folder: Path, random: RandomBytes) -> Iterator[Path]:
    """A new folder beside ``folder``, in which a vault is made; removed at the end unless it took its place."""
    target = folder.resolve()
    make_folder(target.parent, may_exist=True)
    staging = target.parent / f".{target.name}.{random(6).hex()}.restore"
    staging.mkdir(mode=0o700)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def take_place(staging: Path, folder: Path) -> None:
    """Move what was staged into the folder, which holds keys or nothing. Books come last: without them nothing opens.

    Raises:
        UnavailableError: ``restore_stopped``.
    """
    for name in ("-wal", "-shm"):
        (staging / f"{BOOKS}{name}").unlink(missing_ok=True)
    durable.sync_tree(staging)
    folder.mkdir(mode=0o700, exist_ok=True)
    names = sorted((path.name for path in staging.iterdir() if path.name != BOOKS), key=lambda name: name != OBJECTS)
    try:
        for name in [*names, BOOKS]:
            (staging / name).rename(folder / name)
    except OSError as error:
        raise UnavailableError("restore_stopped", "the restored files could not be moved", hint="see what is there") from error
    durable.sync(folder)
