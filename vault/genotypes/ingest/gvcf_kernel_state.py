"""State, statuses and tables of the gVCF body kernel (``gvcf_kernel``), beside those that it shares with the VCF kernel."""

from __future__ import annotations

from typing import Final

from vault.genotypes.ingest import vcf_kernel_state as shared

# Slots of ``fill`` behind the shared ones.
INTERVALS: Final = shared.FILL_SLOTS  # intervals of the contig so far
BLOCK_END: Final = shared.FILL_SLOTS + 1  # farthest base of a block so far, on the same contig
RECORD_END: Final = shared.FILL_SLOTS + 2  # farthest base of REF of a record of the person's own so far
TOLD: Final = shared.FILL_SLOTS + 3  # reference calls that say how sure they are
UNTOLD_LINE: Final = shared.FILL_SLOTS + 4  # line of the body, from 1, of the first one that does not
FILL_SLOTS: Final = shared.FILL_SLOTS + 5

# Statuses beside the shared ones.
INTERVALS_FULL: Final = 5
KEYS_FULL: Final = 6
BLOCK_END_TEXT: Final = 41
BLOCK_END_BEFORE: Final = 42
BLOCK_LENGTH: Final = 43
BLOCK_DISAGREES: Final = 44
BLOCK_BEYOND: Final = 45
BAD_NUMBER: Final = 46
NO_CONFIDENCE: Final = 47

# Slots of ``counts``: the fields of ``GvcfCounts``, as far as the kernel counts them.
COUNTED: Final = (
    "blocks",
    "confident_blocks",
    "filtered_blocks",
    "low_gq",
    "low_dp",
    "no_call_blocks",
    "overlapping_blocks",
    "blocks_over_variants",
    "no_call_records",
    "filtered_records",
    "unknown_allele_records",
)
BLOCKS: Final = 0
CONFIDENT: Final = 1
FILTERED_BLOCKS: Final = 2
LOW_GQ: Final = 3
LOW_DP: Final = 4
NO_CALL_BLOCKS: Final = 5
OVERLAPPING: Final = 6
OVER_VARIANTS: Final = 7
NO_CALL_RECORDS: Final = 8
FILTERED_RECORDS: Final = 9
UNKNOWN_ALLELE: Final = 10

# Slots of ``rule``.
RULE_GQ: Final = 0
RULE_DP: Final = 1
RULE_DP_HAPLOID: Final = 2
RULE_KEEP: Final = 3  # 1: calls under other filters are kept
RULE_SLOTS: Final = 4

# Subfields of FORMAT that matter, in the order of their slots.
KEYS: Final = (b"GT", b"PS", b"PSL", b"FT", b"GQ", b"RGQ", b"GQX", b"DP", b"MIN_DP", b"MinDP", b"LEN")
GT: Final = 0
PS: Final = 1
PSL: Final = 2
FT: Final = 3
GQ: Final = 4
RGQ: Final = 5
GQX: Final = 6
DP: Final = 7
MIN_DP: Final = 8
OLD_MIN_DP: Final = 9
LEN: Final = 10

# Slots of the numbers that INFO has: of a block its last base and its least depth.
INFO_END: Final = 0
INFO_MIN_DP: Final = 1
INFO_OLD_MIN_DP: Final = 2
INFO_SLOTS: Final = 3

# Kinds of an ALT.
BASES: Final = 1
SYMBOLIC: Final = 2  # or a breakend
STARRED: Final = 3
UNKNOWN: Final = 4  # <NON_REF> or <*>: any allele that the caller did not see

ABSENT: Final = -1  # of a number that is not there, or "."
MALFORMED: Final = -2
