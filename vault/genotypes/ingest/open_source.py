"""Opening a genotype file by its content, whatever its name."""

from __future__ import annotations

from pathlib import Path

from vault.errors import InputError
from vault.genotypes.contigs import find_assembly
from vault.genotypes.ingest.source import GenotypeSource
from vault.genotypes.ingest.streams import open_file

PLINK_MAGIC = b"\x6c\x1b"  # .pgen and .bed alike


def open_source(path: str | Path, *, assembly: str = "", fasta: Path | None = None) -> GenotypeSource:
    """Open a genotype file by its content: VCF text (plain, gzip, BGZF, zstd), BCF, or PGEN with its .pvar and .psam beside it.

    Contigs are held to ``assembly`` where its contigs are known; VCF and BCF to the reference sequence ``fasta``, by which indels are left-aligned.

    Raises:
        InputError: ``no_such_file``, ``fasta_unused``, ``not_a_vcf``, ``bad_header``, ``duplicate_sample``, ``file_truncated``, ``assembly_mismatch``, ….
        UnavailableError: ``bcf_support_missing``, ``pgen_support_missing`` without the extra that a format needs.
    """
    # Kernels and libraries load with the first file, not with the command line.
    path = Path(path)
    with open_file(path) as file:
        start = file.read(len(PLINK_MAGIC))
    if start == PLINK_MAGIC:
        from vault.genotypes.ingest.pgen import open_pgen  # noqa: PLC0415

        if fasta is not None:
            raise InputError("fasta_unused", f"{path.name}: --fasta is for VCF, BCF and gVCF", hint="leave it out")
        return open_pgen(path, find_assembly(assembly))
    from vault.genotypes.ingest.vcf import open_vcf  # noqa: PLC0415

    return open_vcf(path, find_assembly(assembly), fasta)
