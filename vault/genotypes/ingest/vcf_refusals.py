"""Refusals of a line of a VCF: the code and the words of each status of the kernels."""

from __future__ import annotations

from types import MappingProxyType
from typing import NoReturn

from vault.errors import InputError
from vault.genotypes.ingest import gvcf_kernel_state as blocks
from vault.genotypes.ingest import vcf_kernel_state as state
from vault.limits import MAX_ALLELE_BYTES, MAX_ALTS, MAX_LINE_BYTES, MAX_PLOIDY, MAX_POSITION

_REASONS: dict[int, tuple[str, str, str]] = {
    state.BLANK_LINE: ("column_count", "", "the line is empty"),
    state.COMMENT_LINE: ("column_count", "", "a line behind the header starts with #"),
    state.TOO_FEW_COLUMNS: ("column_count", "", "fewer columns than the header"),
    state.TOO_MANY_COLUMNS: ("column_count", "", "more columns than the header"),
    state.NUL_BYTE: ("nul_byte", "column", "a NUL byte"),
    state.CONTROL_BYTE: ("control_character", "column", "a control character"),
    state.LINE_TOO_LONG: ("line_too_long", "", f"longer than {MAX_LINE_BYTES >> 20} MiB"),
    state.BAD_POSITION: ("bad_position", "column", f"not a whole number from 0 to {MAX_POSITION}"),
    state.BEYOND_CONTIG: ("beyond_contig", "column", "beyond the end of the contig in this assembly"),
    state.UNSORTED: ("unsorted", "column", "the position is smaller than the line before's"),
    state.EMPTY_COLUMN: ("empty_column", "column", "empty"),
    state.BAD_REF: ("bad_ref", "column", "not a sequence of bases"),
    state.BAD_ALT: ("bad_alt", "column", "not bases, *, <symbol> or a breakend, separated by commas"),
    state.TOO_MANY_ALTS: ("too_many_alts", "column", f"more than {MAX_ALTS} ALT alleles"),
    state.ALLELE_TOO_LONG: ("allele_too_long", "column", f"an allele longer than {MAX_ALLELE_BYTES >> 20} MiB"),
    state.BAD_QUAL: ("bad_qual", "column", "not a number"),
    state.BAD_FILTER: ("bad_filter", "column", "an empty filter name, or one with a space, a comma or an angle bracket"),
    state.BAD_FORMAT: ("bad_format", "column", "an empty or repeated key"),
    state.BAD_END: ("bad_info", "column", "END is not a whole number, or SVLEN is none where there is no END"),
    state.BAD_GT: ("bad_genotype", "column", "GT is malformed"),
    state.ALLELE_OUT_OF_RANGE: ("bad_genotype", "column", "GT names an allele that the line does not have"),
    state.PLOIDY_TOO_HIGH: ("bad_genotype", "column", f"GT has more than {MAX_PLOIDY} alleles"),
    state.LEADING_PHASE: ("bad_genotype", "column", "GT's leading phase mark says something that the vault cannot keep"),
    state.TOO_MANY_SUBFIELDS: ("bad_genotype", "column", "more subfields than FORMAT names"),
    state.UNEXPECTED_BLOCK: ("blocks_unexpected", "", "a reference block, of which the first 10,000 records had none"),
    state.BLOCKS_OF_SEVERAL: ("multi_sample_blocks", "", "a reference block in a file of several samples"),
    blocks.BLOCK_END_TEXT: ("bad_block", "column", "END is not a whole number"),
    blocks.BLOCK_END_BEFORE: ("bad_block", "column", "END is smaller than POS"),
    blocks.BLOCK_LENGTH: ("bad_block", "", "LEN is not a whole number of 1 or more"),
    blocks.BLOCK_DISAGREES: ("bad_block", "", "END and LEN do not agree"),
    blocks.BLOCK_BEYOND: ("beyond_contig", "column", "the block reaches beyond the end of the contig in this assembly"),
    blocks.BAD_NUMBER: ("bad_block", "column", "a quality or a depth is not a number"),
    blocks.NO_CONFIDENCE: ("no_confidence", "", "a reference block without GQ, RGQ or GQX: nothing says how sure it is"),
}  # fmt: skip
_COLUMN_NAMES = ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")


_WRITTEN_WRONG = "have the caller write the gVCF again: what this block says cannot be relied on"
_HINTS = MappingProxyType(
    {
        blocks.BLOCK_END_TEXT: _WRITTEN_WRONG,
        blocks.BLOCK_END_BEFORE: _WRITTEN_WRONG,
        blocks.BLOCK_LENGTH: _WRITTEN_WRONG,
        blocks.BLOCK_DISAGREES: _WRITTEN_WRONG,
        blocks.BAD_NUMBER: _WRITTEN_WRONG,
        blocks.BLOCK_BEYOND: "the file may be of another assembly: --assembly; else have the caller write the gVCF again",
        state.UNEXPECTED_BLOCK: "import the caller's whole gVCF, or drop the blocks first (bcftools view -e 'N_ALT=1 & ALT=\"<NON_REF>\"')",
        state.BLOCKS_OF_SEVERAL: "import the gVCF of each person as it was called, or call them jointly first (GLnexus, GATK GenotypeGVCFs)",
        blocks.NO_CONFIDENCE: "have the caller write GQ, or begin a dataset of its own with --min-gq 0, which takes blocks without a quality",
    }
)


def refuse(file: str, line: int, status: int, column: int) -> NoReturn:
    """Raise the error of a line's status; ``column`` is the 1-based column that it is about."""
    code, where, reason = _REASONS[status]
    if where:
        where = _COLUMN_NAMES[column - 1] if column <= len(_COLUMN_NAMES) else f"column {column}"
        where = f" {where}:"
    raise InputError(code, f"{file}: line {line}:{where} {reason}", hint=_HINTS.get(status, ""))
