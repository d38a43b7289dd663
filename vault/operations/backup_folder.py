"""Backups as folders: what belongs in one, and reading it where a stranger may have made it.

    data                            keys
      backup.json   description       backup.json        description, with expiry
      books.db      one snapshot      keystore.a         one copy of the keystore
      objects/…     objects named     keys.db            one snapshot

Nothing is believed of a folder that is handed in: names, kinds and sizes are looked at before anything is written, no link is followed,
and what is copied is digested while it is copied.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from vault.errors import InputError, IntegrityError, UnavailableError
from vault.genotypes.catalog.object_inventory import Stored
from vault.ids import ID_BYTES
from vault.storage.object_store import NAME

DATA_FORMAT, KEYS_FORMAT = "genovault/backup/1", "genovault/key-backup/1"
ABOUT, BOOKS, KEYS, OBJECTS, KEYSTORE = "backup.json", "books.db", "keys.db", "objects", "keystore.a"
FILES: Mapping[str, tuple[str, ...]] = {DATA_FORMAT: (BOOKS,), KEYS_FORMAT: (KEYSTORE, KEYS)}
FIELDS = {
    DATA_FORMAT: {"format", "vault", "created", "files", "checkpoint"},
    KEYS_FORMAT: {"format", "vault", "created", "files", "backup", "expires", "destroyed", "keystore_seq"},
}
TAIL = "tail"  # of a key backup's description: the entries that the backup itself made in the log; older ones lack it
MAX_TAIL = 16
MAX_ABOUT_BYTES = 1 << 20
MAX_DEPTH = 8  # of folders below objects/
_PIECE = 1 << 20


@dataclass(frozen=True)
class Tail:
    """Entries of the log behind its first ``size``: leaves, in order."""

    size: int
    leaves: tuple[bytes, ...]

    def as_dict(self) -> dict[str, Any]:
        """As the description holds it."""
        return {"size": self.size, "leaves": [leaf.hex() for leaf in self.leaves]}


@dataclass(frozen=True)
class About:
    """A backup whose folder holds the files of its format and nothing else. Their contents were not read yet."""

    folder: Path
    vault: bytes  # id, 16 bytes
    files: Mapping[str, tuple[int, str]]  # size in bytes and SHA-256 (hex) of each file but the objects
    created: str = ""  # RFC 3339
    tail: Tail | None = None


def read_about(folder: Path, wanted: str) -> About:
    """Read the description of a backup of the wanted format, and look at every name in its folder.

    Raises:
        InputError: ``no_backup``: the folder holds none of this format. IntegrityError: ``backup_altered``: its description is not
            what was written, or a file has another size; ``backup_foreign``: it holds what no backup has.
    """
    document = _description(folder)
    kind = document.get("format")
    if kind not in FIELDS:
        raise _no_backup(folder)
    if kind != wanted:
        raise InputError("no_backup", f"{folder} holds a {kind}, not a {wanted}")
    if set(document) - ({TAIL} if kind == KEYS_FORMAT else set()) != FIELDS[kind]:
        raise _altered(ABOUT)
    try:
        files = {name: (item["bytes"], item["sha256"]) for name, item in document["files"].items()}
        vault = bytes.fromhex(document["vault"])
        held = set(files) == set(FILES[kind]) and len(vault) == ID_BYTES
        created, tail = str(document["created"]), _tail(document.get(TAIL))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _altered(ABOUT) from None
    if not held:
        raise _altered(ABOUT)
    _require_only(folder, files, objects=kind == DATA_FORMAT)
    return About(folder, vault, files, created, tail)


def _tail(document: Any) -> Tail | None:
    """Raises ValueError, KeyError, TypeError for what is none."""
    if document is None:
        return None
    leaves = tuple(bytes.fromhex(leaf) for leaf in document["leaves"])
    if not 0 < len(leaves) <= MAX_TAIL or not isinstance(document["size"], int):
        raise ValueError
    return Tail(document["size"], leaves)


def copy_file(about: About, name: str, target: Path) -> None:
    """Copy one file of a backup and digest what is copied. Raises IntegrityError ``backup_altered``."""
    size, digest = about.files[name]
    _require_space(size, target.parent)
    try:
        found = _copy(about.folder / name, target, size)
    except FileNotFoundError:
        raise _altered(name) from None
    if found != digest:
        raise _altered(name)


def copy_objects(about: About, named: Sequence[Stored], folder: Path) -> None:
    """Copy the objects that the books of a backup name, and digest each.

    Raises:
        IntegrityError: ``object_missing``; ``object_altered``; ``backup_foreign``: there are others. UnavailableError: ``disk_full``.
    """
    source = about.folder / OBJECTS
    wanted = {stored.name: stored for stored in named}
    for name in _walk(source):
        if name not in wanted:
            raise _foreign(f"{OBJECTS}/{name}")
    _require_space(sum(stored.size for stored in wanted.values()), folder)
    for stored in wanted.values():
        if not NAME.fullmatch(stored.name):
            raise IntegrityError("object_name", "the books name an object that no vault writes")
        target = folder / stored.name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            found = _copy(source / stored.name, target, stored.size)
        except FileNotFoundError:
            raise IntegrityError(
                "object_missing", "a genotype object is missing from the backup", hint="restore another backup"
            ) from None
        if found != stored.sha256.hex():
            raise IntegrityError("object_altered", "a genotype object is not what the books say", hint="restore another backup")


def _description(folder: Path) -> dict[str, Any]:
    try:
        with _regular(folder / ABOUT) as file:
            document = json.loads(file.read(MAX_ABOUT_BYTES), object_pairs_hook=_no_duplicates)
    except (OSError, ValueError, RecursionError):
        raise _no_backup(folder) from None
    except IntegrityError:
        raise _altered(ABOUT) from None
    if not isinstance(document, dict):
        raise _no_backup(folder)
    return document


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _altered(ABOUT)
    return dict(pairs)


def _require_only(folder: Path, files: Mapping[str, tuple[int, str]], *, objects: bool) -> None:
    """Look at every name in a backup's folder. Raises as ``read_about``."""
    missing = {ABOUT, *files, *([OBJECTS] if objects else [])}
    for entry in _entries(folder):
        if entry.name == OBJECTS and objects:
            _require_objects(folder / OBJECTS)
        elif entry.name not in missing or not entry.is_file(follow_symlinks=False):
            raise _foreign(entry.name)
        elif entry.name in files and entry.stat(follow_symlinks=False).st_size != files[entry.name][0]:
            raise _altered(entry.name)
        missing.discard(entry.name)
    if missing:
        raise _altered(min(missing))


def _require_objects(folder: Path) -> None:
    for name in _walk(folder):
        if not NAME.fullmatch(name):
            raise _foreign(f"{OBJECTS}/{name}")


def _walk(folder: Path, prefix: str = "", depth: int = 0) -> Iterator[str]:
    """Names of the regular files below a folder, relative to it. Raises IntegrityError ``backup_foreign`` for anything else there."""
    if folder.is_symlink() or depth > MAX_DEPTH:
        raise _foreign(f"{OBJECTS}/{prefix}".rstrip("/"))
    for entry in _entries(folder):
        name = prefix + entry.name
        if entry.is_file(follow_symlinks=False):
            yield name
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(folder / entry.name, f"{name}/", depth + 1)
        else:
            raise _foreign(f"{OBJECTS}/{name}")


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        raise _altered(folder.name) from None


def _copy(source: Path, target: Path, size: int) -> str:
    """Copy exactly ``size`` bytes of a regular file to a new one of mode 0600; their SHA-256, or nothing if there are more or fewer."""
    digest = hashlib.sha256()
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as copy, _regular(source) as file:
        if os.fstat(file.fileno()).st_size != size:
            return ""
        left = size
        while left and (piece := file.read(min(left, _PIECE))):
            digest.update(piece)
            copy.write(piece)
            left -= len(piece)
    return digest.hexdigest() if not left else ""


def _regular(path: Path) -> BinaryIO:
    """Open a regular file; a link is not followed, and a pipe or a device is not waited for. Raises OSError; IntegrityError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError:
        raise _foreign(path.name) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _foreign(path.name)
    return os.fdopen(handle, "rb")


def _require_space(size: int, folder: Path) -> None:
    if size > shutil.disk_usage(folder).free:
        raise UnavailableError(
            "disk_full", f"the backup needs {size} bytes, more than are free here", hint="make room, or restore elsewhere"
        )


def _no_backup(folder: Path) -> InputError:
    return InputError("no_backup", f"{folder} holds no backup", hint="genovault backup DEST makes one")


def _altered(name: str) -> IntegrityError:
    return IntegrityError("backup_altered", f"{name!a} in the backup is not what was written")


def _foreign(name: str) -> IntegrityError:
    return IntegrityError(
        "backup_foreign", f"the backup holds {name!a}, which no backup of genovault has", hint="take it away, or use another copy"
    )
