"""The folder of compiled kernels: named by a digest of everything that they are made from, and writable by one user only.

numba keeps compiled code in pickles and checks the one source file that a kernel stands in. The folder's name covers the rest: all sources
with kernels, those that their constants come from, and the compilers' versions. Opening a pickle runs it, so a folder in which
another user could place a file is not used; kernels are then compiled in memory, by each process anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from vault.files.private_files import make_folder

KERNEL_SOURCES = (
    "limits.py",
    "genotypes/codec/call_codes.py",
    "genotypes/codec/format_constants.py",
    "genotypes/codec/packed_calls.py",
    "genotypes/codec/kernels/*.py",
    "genotypes/compute/jit.py",
    "genotypes/ingest/*kernel*.py",
    "genotypes/site_kernels.py",
    "risk/kernels.py",
    "views/*kernels.py",
    "extracts/*_kernels.py",
)
"""Patterns below the package ``vault``: modules with kernels, and those that define what kernels use."""

UNUSED_SECONDS = 30 * 86_400  # folders of other versions are removed after so long without use

_PACKAGE = Path(__file__).resolve().parents[2]


def kernel_sources(package: Path = _PACKAGE) -> list[Path]:
    """The files that compiled kernels depend on, in a fixed order."""
    return sorted(path for pattern in KERNEL_SOURCES for path in package.glob(pattern))


def cache_folder(versions: str, *, package: Path = _PACKAGE) -> Path | None:
    """The folder for compiled kernels, created if missing; None if none can be had that only this user can write in.

    It lies below ``NUMBA_CACHE_DIR``, ``XDG_CACHE_HOME`` or ``~/.cache``, whichever is set first to an absolute path; a user without a
    home folder, as services are, has one of its own in the system's folder for temporary files. ``versions``: of the compilers.
    """
    try:
        base = _base()
        make_folder(base, may_exist=True)
        parent = _own(
            base.resolve(strict=True) / "genovault", others_may=stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH
        )
        if not all(_is_trusted(above) for above in parent.parents):
            return None
        folder = parent / f"kernels-{_digest(versions, package)}"
        fresh = not folder.exists()
        _own(folder)
        if not all(found.lstat().st_uid == os.geteuid() and not found.is_symlink() for found in folder.rglob("*")):
            return None  # somebody could write here before its mode was mended
        os.utime(folder)
    except (OSError, RuntimeError):  # no home folder, no room, read-only, or not this user's
        return None
    if fresh:
        _remove_unused(folder)
    return folder


def notice() -> str:
    """Notice for a person who waits for kernels to be compiled; empty where they are in the cache."""
    folder = cache_folder(versions())
    if folder is None:
        return (
            "no folder can be had for a cache of compiled code, so that every command compiles it anew, which takes a while: "
            "set NUMBA_CACHE_DIR to a folder that this user alone can write in"
        )
    if not any(folder.iterdir()):
        return "compiling code for this machine into a cache; this first time takes a while"
    return ""


def versions() -> str:
    """The compilers' versions: another one makes other code."""
    return " ".join(f"{name} {metadata.version(name)}" for name in ("numba", "llvmlite"))


def _base() -> Path:
    named = (Path(os.environ.get(name, "")) for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"))
    given = next((path for path in named if path.is_absolute()), None)
    if given is not None:
        return given
    with suppress(RuntimeError):  # no home folder is known
        if Path.home().is_dir():
            return Path.home() / ".cache"
    return _own(Path(tempfile.gettempdir()).resolve() / f"genovault-{os.geteuid()}")


def _digest(versions: str, package: Path) -> str:
    digest = hashlib.sha256(versions.encode())
    for path in kernel_sources(package):
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(package)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:24]


def _own(folder: Path, *, others_may: int = 0) -> Path:
    """The folder, created if missing.

    Raises:
        OSError: a symlink, no folder, of another user, or others may do more with it than ``others_may``.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()  # a symlink is not followed
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077 & ~others_may:
        raise PermissionError(folder)
    return folder


def _is_trusted(folder: Path) -> bool:
    """No other user than root can replace what lies in the folder and belongs to this one."""
    found = folder.stat()
    return found.st_uid in {0, os.geteuid()} and (not found.st_mode & 0o022 or bool(found.st_mode & stat.S_ISVTX))


def _remove_unused(folder: Path) -> None:
    for other in folder.parent.glob("kernels-*"):
        with suppress(OSError):
            if other != folder and time.time() - other.lstat().st_mtime > UNUSED_SECONDS:
                shutil.rmtree(other)
