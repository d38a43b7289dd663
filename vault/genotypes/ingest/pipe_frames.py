"""Frames between a reader process and the process that began it, over a pipe each way.

Down to it: lines of JSON. First {"files": [path], "assembly": name, "fasta": path or null}; then, for one file after another, the columns wanted: a list of
column numbers, or null for all in their order; or of a gVCF the rule, {"rule": text of ``AssayRule``}. Up from it: frames, ``kind u8 ‖ length u64 ‖ body``.

    OPENED    JSON: [[bytes as stored, [sample], is a gVCF]] of all files, or FAILED instead
    PROGRESS  JSON: [bytes read, sites] of the present file
    CHUNK     ``SiteChunk`` as bytes
    CONTIG    of a gVCF, one contig's calls and track as bytes (``personal_frames``)
    COUNTS    JSON: the counts of a gVCF by name
    END       of the present file
    FAILED    JSON: [class, code, message, hint] of the error; nothing follows
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import BinaryIO

from vault.errors import GenovaultError, InputError, IntegrityError, RefusedError, UnavailableError, UsageError

MAX_FRAME = 1 << 34  # bytes that the other side can make this one allocate

_HEAD = struct.Struct("<BQ")


class FrameKind(IntEnum):
    """Kind of a frame, its first byte."""

    OPENED = 1
    PROGRESS = 2
    CHUNK = 3
    END = 4
    FAILED = 5
    CONTIG = 6
    COUNTS = 7


ERRORS = {kind.__name__: kind for kind in (InputError, IntegrityError, RefusedError, UnavailableError, UsageError)}


def write_frame(out: BinaryIO, kind: FrameKind, parts: Sequence[bytes | memoryview] = ()) -> None:
    """Write a frame whose body is the parts, one after another."""
    out.write(_HEAD.pack(kind, sum(map(len, parts))))
    out.writelines(parts)
    out.flush()


def read_frame(readinto: Callable[[memoryview], int]) -> tuple[FrameKind, bytearray]:
    """The next frame.

    Raises:
        EOFError: the other side ended. ValueError: the bytes are no frame.
    """
    kind, size = _HEAD.unpack(_exactly(readinto, _HEAD.size))
    if size > MAX_FRAME:
        raise ValueError("a frame is too long")
    return FrameKind(kind), _exactly(readinto, size)


def describe(error: GenovaultError) -> list[str]:
    """An error for a FAILED frame."""
    return [type(error).__name__, error.code, error.message, error.hint]


def described(fields: Sequence[str]) -> GenovaultError:
    """The error of a FAILED frame.

    Raises:
        ValueError, KeyError: the fields describe no error.
    """
    kind, code, message, hint = fields
    return ERRORS[kind](code, message, hint=hint)


def _exactly(readinto: Callable[[memoryview], int], size: int) -> bytearray:
    data = bytearray(size)
    left = memoryview(data)
    while left:
        count = readinto(left)
        if not count:
            raise EOFError
        left = left[count:]
    return data
