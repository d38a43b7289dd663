"""BCF → the VCF text that htslib makes of it, so that one kernel with one strictness reads both.

Text is made record by record in htslib's own code. A leading phase mark ``/`` is taken off: in BCF it says nothing, since htslib before
1.22 never set the first allele's phase bit, so that ``0|1`` of a VCF 4.4 comes back as ``/0|1`` (BCF 2.2 §6.3.3; VCF 4.4 §1.6.2).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from vault.errors import InputError, UnavailableError
from vault.genotypes.ingest.streams import open_stream

_PIECE = 1 << 20  # bytes of text made at a time
_MARK = b"\t/"
_FIXED_COLUMNS = 9
_DAMAGE = (OSError, ValueError, NotImplementedError, KeyError, MemoryError)  # what pysam raises on malformed records


class BcfStream:
    """A ``ByteStream`` of the VCF text of a BCF file. Needs pysam (the ``bcf`` extra).

    Raises UnavailableError ``bcf_support_missing``, InputError ``bad_bcf``, ``bad_compression``, ``file_truncated``.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pysam  # noqa: PLC0415 - an extra
        except ImportError:
            raise UnavailableError(
                "bcf_support_missing", f"{path.name}: reading BCF needs pysam", hint="pip install 'genovault[bcf]'"
            ) from None
        self._pysam = pysam
        self._name = path.name
        _require_sound(path)
        self._quiet()
        try:
            self._file = pysam.VariantFile(str(path), "rb")
            self._pieces = self._texts()
        except _DAMAGE:
            raise InputError("bad_bcf", f"{path.name}: not a BCF file that htslib can read") from None
        self._rest = memoryview(b"")
        self._place = "the header"

    def readinto(self, buffer: memoryview) -> int:
        """As ``ByteStream``.

        Raises:
            InputError: ``bad_bcf``: the data is damaged or ends early. ``bad_utf8``.
        """
        if not self._rest:
            self._quiet()
            try:
                self._rest = memoryview(next(self._pieces, b""))
            except UnicodeDecodeError:
                raise InputError(
                    "bad_utf8",
                    f"{self._name}: {self._place}: not valid UTF-8",
                    hint=f"make it UTF-8: bcftools view {self._name} | iconv -f LATIN1 -t UTF-8",
                ) from None
            except _DAMAGE:
                raise InputError("bad_bcf", f"{self._name}: the BCF data is damaged or ends early") from None
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def position(self) -> int:
        """As ``ByteStream``."""
        return int(self._file.tell()) >> 16  # BGZF virtual offset: the block's place in the file is in the upper bits

    def close(self) -> None:
        """As ``ByteStream``."""
        with contextlib.suppress(OSError):  # closing repeats an error that reading has reported
            self._file.close()

    def _quiet(self) -> None:
        self._pysam.set_verbosity(0)  # htslib would write warnings, with names in them, to stderr

    def _texts(self) -> Iterator[bytes]:
        yield str(self._file.header).encode()
        parts: list[bytes] = []
        size = 0
        for number, record in enumerate(self._file, 1):
            self._place = f"record {number}"
            part = _unmarked(str(record).encode())
            parts.append(part)
            size += len(part)
            if size >= _PIECE:
                yield b"".join(parts)
                parts, size = [], 0
        yield b"".join(parts)


def _unmarked(line: bytes) -> bytes:
    if _MARK not in line:
        return line
    *fixed, samples = line.split(b"\t", _FIXED_COLUMNS)
    return b"\t".join([*fixed, samples.removeprefix(b"/").replace(_MARK, b"\t")])


def _require_sound(path: Path) -> None:
    """Check the whole file's compression first: htslib forgives some damage to block headers."""
    stream = open_stream(path)
    piece = memoryview(bytearray(_PIECE))
    try:
        while stream.readinto(piece):
            pass
    finally:
        stream.close()
