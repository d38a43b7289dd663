"""Contigs of a VCF's lines as they come up: each once, of the assembly, with the largest position that it can have."""

from __future__ import annotations

from types import MappingProxyType

from vault.errors import InputError
from vault.genotypes.contigs import Assembly
from vault.genotypes.ingest.vcf_header import require_contig_name

_ONE_X = "plink2 --pfile … --merge-par --sort-vars --make-pgen puts the pseudoautosomal regions back on X"
_NUMBERED = "plink2 … --output-chr chrM names chromosomes as assemblies do (23 is X, 24 Y, 25 X's PAR, 26 MT)"
_CONTIG_HINTS = MappingProxyType(
    {**dict.fromkeys(("PAR1", "PAR2", "XY", "25"), _ONE_X), **dict.fromkeys(("23", "24", "26"), _NUMBERED)}
)
"""Advice about a contig that only PLINK knows, by its name in capitals without ``CHR``."""


class ContigOrder:
    """Contigs of ``file`` so far, held to an assembly."""

    def __init__(self, file: str, assembly: Assembly) -> None:
        self._file = file
        self._assembly = assembly
        self._seen: dict[str, None] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Contigs in the order in which they came up."""
        return tuple(self._seen)

    def __len__(self) -> int:
        return len(self._seen)

    def enter(self, name: bytes, line: int) -> int:
        """Begin the contig that comes up on this line; the largest position that it can have.

        Raises:
            InputError: ``bad_contig``, ``assembly_mismatch``, ``contig_unknown``; ``unsorted``: it was there before.
        """
        text = require_contig_name(name, self._file, line)
        where = f"{self._file}: line {line}: CHROM:"
        other = self._assembly.other_of(text)
        if other is not None:
            hint = "say the assembly that the positions are on"
            raise InputError(
                "assembly_mismatch", f"{where} {text} is a contig of {other}, not of {self._assembly.name}", hint=hint
            )
        limit = self._assembly.limit(text)
        if limit is None:
            hint = _CONTIG_HINTS.get(text.upper().removeprefix("CHR"), "")
            raise InputError("contig_unknown", f"{where} not a contig of {self._assembly.name}", hint=hint)
        if text in self._seen:
            raise InputError("unsorted", f"{where} the contig comes back after another one; records must be sorted")
        self._seen[text] = None
        return limit
