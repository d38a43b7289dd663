"""Two copies of the keystore on disk (``docs/formats/keys.md`` §5.3).

The older copy is replaced first, each by temp file, fsync, rename and fsync of the folder, so that at every instant one whole
copy of the last or the new state exists. Both are always rewritten: an epoch that was destroyed must not live on in the other.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vault.crypto.keystore_format import Document, parse
from vault.errors import IntegrityError, UnavailableError
from vault.files import durable
from vault.files.given_files import open_regular
from vault.limits import MAX_KEYSTORE_BYTES

COPIES = ("keystore.a", "keystore.b")


def read(folder: Path) -> Document:
    """Read the newest whole copy.

    Raises:
        UnavailableError: ``no_vault``: neither copy exists.
        IntegrityError: ``keystore_damaged``: no whole copy; ``keystore_format_unknown``; ``keystore_conflict``: two whole copies
            of the same sequence number that differ, or of different vaults.
    """
    raws = [raw for raw in (_read_copy(folder / name) for name in COPIES) if raw is not None]
    if not raws:
        raise UnavailableError("no_vault", "there is no keystore here", hint="is this the folder of a vault?")
    documents: list[Document] = []
    for raw in raws:
        try:
            documents.append(parse(raw))
        except IntegrityError as error:
            if error.code == "keystore_format_unknown":  # a later version was here; falling back to its elder would undo it
                raise
            damage = error
    if not documents:
        raise damage
    best = max(documents, key=lambda document: document.seq)
    for other in documents:
        if other.vault_id != best.vault_id or (other.seq == best.seq and other != best):
            raise IntegrityError("keystore_conflict", "the two copies of the keystore contradict each other")
    return best


def copies_agree(folder: Path) -> bool:
    """True if both copies exist, whole and equal. The next ``write`` repairs them otherwise."""
    first, second = (folder / name for name in COPIES)
    return _copy_seq(first) >= 0 and _read_copy(first) == _read_copy(second)


def write(folder: Path, document: Document) -> None:
    """Replace both copies, durably when the call returns; the older or damaged one first. Call it within ``locked``.

    Raises:
        OSError: the disk refuses; at least one whole copy of the old or new state is left.
    """
    data = document.to_bytes()
    for name in sorted(COPIES, key=lambda name: _copy_seq(folder / name)):
        durable.replace(folder / name, data, temporary=folder / f"{name}.new")


def exists(folder: Path) -> bool:
    """True if any copy is there, whole or damaged."""
    return any((folder / name).exists() for name in COPIES)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold off other processes that change the keystore; released by the system if this one dies.

    Raises:
        UnavailableError: ``no_vault``: the folder does not exist.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        raise UnavailableError("no_vault", "the vault's folder cannot be opened") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read_copy(path: Path) -> bytes | None:
    try:
        with open_regular(path) as file:
            return file.read(MAX_KEYSTORE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError:
        raise UnavailableError("keystore_unreadable", f"{path.name} cannot be read") from None


def _copy_seq(path: Path) -> int:
    """Sequence number of a copy; -1 if it is missing or damaged, so that it is replaced first."""
    raw = _read_copy(path)
    if raw is None:
        return -1
    try:
        return parse(raw).seq
    except IntegrityError:
        return -1
