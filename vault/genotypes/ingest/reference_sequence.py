"""A reference sequence in FASTA with its index beside it (``samtools faidx``), read by htslib in windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vault.errors import InputError, UnavailableError
from vault.genotypes.contigs import normal_contig
from vault.genotypes.ingest.streams import open_file

if TYPE_CHECKING:
    import pysam

_SHIFT = 20  # windows of 2^20 bases
_CACHED = 8  # of them


class ReferenceSequence:
    """Bases by contig, whatever prefix the FASTA gives its names. Needs pysam (the ``bcf`` extra).

    Raises:
        UnavailableError: ``fasta_support_missing``. InputError: ``no_such_file``, ``file_unreadable``, ``fasta_not_indexed``, ``bad_fasta``.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        open_file(path).close()
        if not path.with_name(f"{path.name}.fai").is_file():
            raise InputError("fasta_not_indexed", f"{path.name} has no index beside it", hint=f"samtools faidx {path.name}")
        try:
            import pysam  # noqa: PLC0415 - an extra
        except ImportError:
            raise UnavailableError(
                "fasta_support_missing", f"{path.name}: reading FASTA needs pysam", hint="pip install 'genovault[bcf]'"
            ) from None
        try:
            self._file: pysam.FastaFile = pysam.FastaFile(str(path))
        except (OSError, ValueError):
            raise self._bad() from None
        self._names = {normal_contig(name): name for name in reversed(self._file.references)}
        self._windows: dict[tuple[str, int], bytes] = {}

    def require(self, contig: str) -> None:
        """Refuse a contig that the FASTA has not. Raises InputError ``fasta_lacks_contig``."""
        if normal_contig(contig) not in self._names:
            raise InputError(
                "fasta_lacks_contig",
                f"{self.name} has no sequence for contig {contig}",
                hint="give the FASTA that the file was made with",
            )

    def bases(self, contig: str, first: int, last: int) -> bytes:
        """Upper-case bases, 1-based and inclusive; fewer where the contig ends. Raises InputError ``bad_fasta``."""
        windows = range((first - 1) >> _SHIFT, ((last - 1) >> _SHIFT) + 1)
        text = b"".join(self._window(contig, at) for at in windows)
        start = first - 1 - (windows[0] << _SHIFT)
        return text[start : start + last - first + 1]

    def at(self, contig: str, pos: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8[k]: upper-case base at each position, 0 behind the contig's end. Raises InputError ``bad_fasta``."""
        found = np.zeros(len(pos), np.uint8)
        window = (pos - 1) >> _SHIFT
        for number in np.unique(window).tolist():
            here = np.flatnonzero(window == number)
            text = np.frombuffer(self._window(contig, number), np.uint8)
            offset = pos[here] - 1 - (number << _SHIFT)
            inside = offset < len(text)
            found[here[inside]] = text[offset[inside]]
        return found

    def _window(self, contig: str, number: int) -> bytes:
        key = (contig, number)
        if key not in self._windows:
            if len(self._windows) >= _CACHED:
                self._windows.pop(next(iter(self._windows)))
            try:
                text = self._file.fetch(self._names[normal_contig(contig)], number << _SHIFT, (number + 1) << _SHIFT)
            except (OSError, ValueError, IndexError):
                raise self._bad() from None
            self._windows[key] = text.upper().encode()
        return self._windows[key]

    def _bad(self) -> InputError:
        return InputError(
            "bad_fasta", f"{self.name}: not a FASTA that htslib can read with its index", hint=f"samtools faidx {self.name}"
        )
