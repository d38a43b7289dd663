"""The object store: immutable blobs under names that say nothing (random hex), in a folder or any S3 bucket, through obstore.

Guarantees that the rest relies on: ``put`` never overwrites and is durable when it returns; ``get_range`` returns exactly the
bytes asked for or raises; deleting what is gone is no error. A name that could lead anywhere else is refused before it is used.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import obstore
from obstore.store import LocalStore, from_url
from obstore.store import ObjectStore as ObjectStoreClient

from vault.errors import InputError, IntegrityError, UnavailableError
from vault.files import durable

if TYPE_CHECKING:
    from obstore.store import RetryConfig

NAME = re.compile(r"\w+(\.\w+)*(/\w+(\.\w+)*)*", re.ASCII)  # no part that begins with a dot or is empty: it cannot lead away


_RETRIES: RetryConfig = {
    "max_retries": 4,
    "retry_timeout": timedelta(seconds=20),
}  # else a store that is away holds its asker for 3 minutes
_NOBODYS = "genovault.asks"  # imports name their objects by 32 hex digits


class ObjectReader(Protocol):
    """Interface for reading sealed objects."""

    def get(self, name: str) -> bytes:
        """Read a whole object."""

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Read ``length`` bytes from ``offset``."""


class ObjectStore:
    """Objects of one vault: a local folder path, or an obstore URL (``s3://bucket/prefix``)."""

    def __init__(self, location: str) -> None:
        self._folder: Path | None = None
        if "://" in location:
            self._store = _remote(location)
            return
        self._folder = Path(location)
        if not self._folder.is_dir():
            raise UnavailableError(
                "no_objects",
                "the folder of genotype objects is missing",
                hint="put it, or the vault.json of before, back; if it was moved, genovault relocate --objects; if lost, restore it from a backup",
            )
        self._store = LocalStore(str(self._folder))

    def put(self, name: str, data: bytes) -> None:
        """Store a new object durably."""
        with _Wrapped(name):
            obstore.put(self._store, name, data, mode="create")
        if self._folder is not None:
            self._sync(name)

    def get(self, name: str) -> bytes:
        """Read a whole object. Raises IntegrityError ``object_missing``, ``object_not_a_file``."""
        with _Wrapped(name):
            if self._folder is not None and (path := self._folder / name).exists() and not path.is_file():
                raise _no_file()
            return bytes(obstore.get(self._store, name).bytes())

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Read exactly ``length`` bytes from ``offset``. Raises IntegrityError ``object_truncated`` if there are fewer."""
        try:
            with _Wrapped(name):
                data = b""
                if (
                    self._folder is not None
                ):  # a read of a file takes 20 µs, a round through the store's own threads fifty times that
                    data = _read(f"{self._folder}/{name}", offset, length)
                elif length:
                    data = bytes(obstore.get_range(self._store, name, start=offset, length=length))
        except UnavailableError:
            # Stores say "invalid range" in ways of their own when an object ends before the offset.
            if self._size(name) >= offset + length:
                raise
            data = b""
        if len(data) != length:
            raise IntegrityError("object_truncated", "a genotype object is shorter than recorded", hint="run genovault doctor")
        return data

    def require_answer(self) -> None:
        """Ask the store for an object that nobody has. Raises UnavailableError ``objects_unavailable``, ``no_objects``."""
        if self._folder is not None:
            if not self._folder.is_dir() or not os.access(self._folder, os.R_OK | os.X_OK):
                raise UnavailableError("no_objects", "the folder of genotype objects is missing")
            return
        try:
            obstore.head(self._store, _NOBODYS)
        except FileNotFoundError:
            return
        except Exception as error:
            raise _unanswered(error) from error

    def delete(self, names: list[str]) -> None:
        """Remove objects; those already gone are fine.

        Raises:
            UnavailableError: ``objects_unavailable``.
        """
        for name in names:
            _require_name(name)
            try:
                obstore.delete(self._store, name)
            except FileNotFoundError:
                continue
            except Exception as error:
                raise _unanswered(error) from error

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """(name, bytes) of every object under a prefix. Raises UnavailableError ``objects_unavailable``."""
        batches = iter(obstore.list(self._store, prefix or None))
        while True:
            try:
                batch = next(batches, None)
            except Exception as error:
                raise _unanswered(error) from error
            if batch is None:
                return
            for item in batch:
                yield str(item["path"]), int(item["size"])

    def _size(self, name: str) -> int:
        with _Wrapped(name):
            return int(obstore.head(self._store, name)["size"])

    def _sync(self, name: str) -> None:
        # obstore renames into place without fsync: without this a power cut could lose an object that SQL already names.
        path = Path(str(self._folder)) / name
        path.chmod(0o600)
        for target in (path, *path.parents):
            if target not in (path, self._folder):
                target.chmod(0o700)
            durable.sync(target)
            if target == self._folder:
                break


def _read(path: str, offset: int, length: int) -> bytes:
    """Up to ``length`` bytes of a file from ``offset``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe in the place of a file would wait for ever
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _no_file()
        data = os.pread(descriptor, length, offset)
        while len(data) < length and (more := os.pread(descriptor, length - len(data), offset + len(data))):
            data += more  # Linux reads at most 2 GiB at a time
    finally:
        os.close(descriptor)
    return data


def _no_file() -> IntegrityError:
    return IntegrityError(
        "object_not_a_file", "something else stands in the place of a genotype object", hint="run genovault doctor"
    )


def _remote(location: str) -> ObjectStoreClient:
    try:
        return from_url(location, retry_config=_RETRIES)
    except Exception:  # noqa: BLE001 - obstore's errors have no common root, and its text repeats the URL
        raise InputError("bad_url", "the URL of the objects cannot be used", hint="a folder, or s3://BUCKET/PREFIX") from None


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise IntegrityError("object_name", "the books name an object that no vault writes", hint="run genovault doctor")


class _Wrapped:
    """Context of one call about the object ``name``: refuses a bad name, maps the store's exceptions to the vault's."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        _require_name(self._name)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or not isinstance(error, Exception) or isinstance(error, IntegrityError):
            return
        if isinstance(error, FileNotFoundError):
            raise IntegrityError("object_missing", "a genotype object is missing", hint="run genovault doctor") from error
        raise _unanswered(error) from error


def _unanswered(error: Exception) -> UnavailableError:
    if "os error 28" in str(error).lower() or "no space left" in str(error).lower():  # ENOSPC, as the library writes it
        return UnavailableError(
            "objects_unavailable", "the disk is full: an object cannot be written", hint="make room, then repeat the command"
        )
    return UnavailableError("objects_unavailable", "the object store did not answer")
