"""The object store: immutable blobs under names that say nothing (random hex), in a folder or any S3 bucket, through obstore.

Guarantees that the rest relies on: ``put`` never overwrites and is durable when it returns; ``get_range`` returns exactly the
bytes asked for or raises; deleting what is gone is no error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import obstore
from obstore.store import LocalStore, from_url

from vault.errors import IntegrityError, UnavailableError


class ObjectReader(Protocol):
    """What a reader of sealed objects needs."""

    def get(self, name: str) -> bytes:
        """The whole object."""

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``."""


class ObjectStore:
    """Objects of one vault: a local folder path, or an obstore URL (``s3://bucket/prefix``)."""

    def __init__(self, location: str) -> None:
        self._folder: Path | None = None
        if "://" in location:
            self._store = from_url(location)
            return
        self._folder = Path(location)
        if not self._folder.is_dir():
            raise UnavailableError("no_objects", "the folder of genotype objects is missing", hint="restore it from a backup")
        self._store = LocalStore(str(self._folder))

    def put(self, name: str, data: bytes) -> None:
        """Store a new object durably."""
        with _Wrapped(name):
            obstore.put(self._store, name, data, mode="create")
        if self._folder is not None:
            self._sync(name)

    def get(self, name: str) -> bytes:
        """The whole object; IntegrityError("object_missing") when it is not there."""
        with _Wrapped(name):
            return bytes(obstore.get(self._store, name).bytes())

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``; IntegrityError("object_truncated") when there are fewer."""
        with _Wrapped(name):
            data = bytes(obstore.get_range(self._store, name, start=offset, length=length)) if length else b""
        if len(data) != length:
            raise IntegrityError("object_truncated", "a genotype object is shorter than recorded", hint="run genovault doctor")
        return data

    def delete(self, names: list[str]) -> None:
        """Remove objects; those already gone are fine."""
        for name in names:
            try:
                obstore.delete(self._store, name)
            except FileNotFoundError:
                continue
            except Exception as error:
                raise UnavailableError("objects_unavailable", "the object store did not answer") from error

    def list(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """(name, bytes) of every object under a prefix."""
        for batch in obstore.list(self._store, prefix or None):
            for item in batch:
                yield str(item["path"]), int(item["size"])

    def _sync(self, name: str) -> None:
        # obstore renames into place without fsync: without this a power cut could lose an object that SQL already names.
        path = Path(str(self._folder)) / name
        path.chmod(0o600)
        for target in (path, *path.parents):
            if target not in (path, self._folder):
                target.chmod(0o700)
            descriptor = os.open(target, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if target == self._folder:
                break


class _Wrapped:
    """Maps the store's exceptions to ours."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or not isinstance(error, Exception):
            return
        if isinstance(error, FileNotFoundError):
            raise IntegrityError("object_missing", "a genotype object is missing", hint="run genovault doctor") from error
        raise UnavailableError("objects_unavailable", "the object store did not answer") from error
