"""Spool: folders of releases that a server keeps, to hand them out to those whom they are for.

    SPOOL/rel-0123456789abcdef/          a release's folder, sealed to its recipients (docs/formats/extract.md), for ``KEPT`` at most
    SPOOL/.genovault-…                   a folder in the making, or one that is being removed

Which folders are handed out is told by the sealed records of their releases, never by what lies here; what became of an extract that has no record,
by its order (``extract_orders``).
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from vault.access import releases
from vault.access.releases import Release
from vault.crypto.primitives import sha256
from vault.errors import InputError, UnavailableError
from vault.extracts.manifest import MANIFEST_NAME
from vault.extracts.release_folder import RECEIPT_NAME
from vault.extracts.staging import PREFIX, discard_staged, unwritable
from vault.ids import RandomBytes
from vault.session.unlocked_vault import UnlockedVault

FOLDER = "spool"  # in the vault's folder, unless the server is told another
KEPT = timedelta(days=7)  # from the beginning of the extract

_ID = re.compile(r"rel-[0-9a-f]{16}")
_NOTE = ".asked"  # of a server of before: what it knew of an extract


@dataclass(frozen=True)
class KeptFile:
    """A file of a release in the spool: its name, size in bytes and SHA-256 in hex. The receipt's are those of the file as it lies there."""

    name: str
    bytes: int
    sha256: str


def prepare(spool: Path) -> Path:
    """Make the folder, if need be; its absolute path.

    Raises:
        UnavailableError: ``output_unwritable``; ``spool_exposed``: others may look into it.
    """
    try:
        spool.mkdir(mode=0o700, exist_ok=True)
        found = spool.lstat()
    except OSError as error:
        raise unwritable(error) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise UnavailableError("spool_exposed", "the spool is not a folder of this user's alone", hint=f"chmod go= {spool}")
    return spool.resolve()


def is_id(text: str) -> bool:
    """True for what a release is named like."""
    return _ID.fullmatch(text) is not None


def until(release: Release) -> datetime:
    """Latest time at which a folder is removed."""
    return datetime.fromisoformat(release.created) + KEPT


def files_of(release: Release) -> list[KeptFile]:
    """Files that a release's manifest names, and the manifest; the receipt beside them is as large as it is."""
    document = release.content.manifest.encode()
    named = json.loads(document)["manifest"]["files"] if document else []
    found = [KeptFile(one["name"], one["bytes"], one["sha256"]) for one in named]
    return [*found, KeptFile(MANIFEST_NAME, len(document), sha256(document).hex())] if found else []


def opened(spool: Path, release: Release, name: str) -> tuple[int, KeptFile] | None:
    """Handle of a release's file, open for reading, and what it is; None where it is none of the release's, or not there as it was written."""
    known = {one.name: one for one in files_of(release)}
    if name not in known and not (name == RECEIPT_NAME and known):
        return None
    try:
        folder = os.open(spool / release.release_id, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError:
        return None
    found = os.fstat(handle)
    wanted = known.get(name)
    if wanted is None and stat.S_ISREG(found.st_mode) and found.st_size < 1 << 20:
        wanted = KeptFile(name, found.st_size, sha256(os.pread(handle, found.st_size, 0)).hex())
    if wanted is None or not stat.S_ISREG(found.st_mode) or found.st_size != wanted.bytes:
        os.close(handle)
        return None
    return handle, wanted


def is_there(spool: Path, release: Release) -> bool:
    """True if the release's folder is in the spool."""
    return (spool / release.release_id).is_dir()


def kept(spool: Path) -> list[str]:
    """Ids of the releases whose folders are here."""
    return sorted(path.name for path in _paths(spool) if is_id(path.name) and path.is_dir() and not path.is_symlink())


def discard(spool: Path, release_id: str, *, random: RandomBytes) -> None:
    """Remove a release's folder, from one moment to the next; absent is fine. Raises UnavailableError ``output_unwritable``."""
    leaving = spool / f"{PREFIX}{random(8).hex()}"
    try:
        (spool / release_id).rename(leaving)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unwritable(error) from None
    discard_staged(leaving)


def discard_with(vault: UnlockedVault, release_ids: Iterator[str]) -> None:
    """Remove the folders of those releases that a server keeps, wherever its spool is on this machine. Raises as ``discard``."""
    for release_id in release_ids:
        with suppress(InputError):  # of before there were records
            release = releases.load(vault, release_id)
            if release.content.spooled:
                for spool in {Path(release.content.output).parent, vault.folder / FOLDER}:
                    discard(spool, release_id, random=vault.random)


def forget_notes(spool: Path) -> None:
    """Remove what a server of before had noted here."""
    for path in _paths(spool):
        if path.name.endswith(_NOTE):
            path.unlink(missing_ok=True)


def in_the_making(spool: Path) -> list[Path]:
    """Folders in the making, and those whose removal was begun."""
    return [path for path in _paths(spool) if path.name.startswith(PREFIX) and path.is_dir() and not path.is_symlink()]


def _paths(spool: Path) -> list[Path]:
    try:
        return list(spool.iterdir())
    except OSError:
        return []
