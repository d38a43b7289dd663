"""State and statuses of the VCF body kernel (``vcf_kernel``), shared with its caller."""

from __future__ import annotations

from typing import Final

# Slots of ``fill``, the state that outlives a call.
ROW: Final = 0  # rows of the batch that are filled
TEXT: Final = 1  # bytes of ``text`` that are filled
ESCAPES: Final = 2  # escaped calls so far
ESCAPE_ALLELES: Final = 3  # their alleles so far
LAST_POSITION: Final = 4  # of the line before, on the same contig; -1 at a contig's start
CURSOR: Final = 5  # where in ``buf`` the next line starts
LINES: Final = 6  # body lines read so far
COLUMN: Final = 7  # 1-based column that an error status is about
HIGH: Final = 8  # bit 7 is set when some byte of this call's lines was above 127
LIMIT: Final = 9  # largest position that a site of the current contig may have or reach
FILL_SLOTS: Final = 10

# Statuses.
DONE: Final = 0
BATCH_FULL: Final = 1
NEW_CONTIG: Final = 2
TEXT_FULL: Final = 3
ESCAPES_FULL: Final = 4
BLANK_LINE: Final = 10
TOO_FEW_COLUMNS: Final = 11
TOO_MANY_COLUMNS: Final = 12
NUL_BYTE: Final = 13
CONTROL_BYTE: Final = 14
LINE_TOO_LONG: Final = 15
BAD_POSITION: Final = 16
UNSORTED: Final = 17
EMPTY_COLUMN: Final = 18
BAD_REF: Final = 19
BAD_ALT: Final = 20
TOO_MANY_ALTS: Final = 21
ALLELE_TOO_LONG: Final = 22
BAD_QUAL: Final = 23
BAD_FORMAT: Final = 24
BAD_END: Final = 25
BAD_GT: Final = 26
ALLELE_OUT_OF_RANGE: Final = 27
PLOIDY_TOO_HIGH: Final = 28
LEADING_PHASE: Final = 29
TOO_MANY_SUBFIELDS: Final = 30
COMMENT_LINE: Final = 31
BAD_FILTER: Final = 32
BEYOND_CONTIG: Final = 33
UNEXPECTED_BLOCK: Final = 34
BLOCKS_OF_SEVERAL: Final = 35  # what the caller makes of it in a file of several samples

SLACK: Final = 64  # bytes of ``buf`` behind ``stop`` that may be read

# Bounds of a row's text in ``text``: alleles, id, filter and info lie between consecutive ones.
BOUNDS: Final = 5
