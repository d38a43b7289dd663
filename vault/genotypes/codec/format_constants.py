"""Numbers of the block code and the track that their formats fix (docs/formats/genotypes.md §2-3, §10), and flags of counted sites.

Apart from the kernels, which take a second to load.
"""

from __future__ import annotations

TILE_SITES = 2048  # a site refers to earlier ones of its tile only
EMPTY = 0  # row classes: no ones at all
RAW = 1  # two bits a subject as they are
GOLOMB = 2  # GOLOMB + k: runs of zeros coded with parameter 2**k
MAX_K = 20
TOGGLE = 254  # in an exception list: the subject's default ploidy changes at this site
HAS_ESCAPES = 0x08  # bit of a payload's head

TRACK_BAND = 3  # bits of a track's level: the band of genotype quality, 1 to 3
TRACK_HAPLOID = 4  # bit of a track's level: the person has one copy
TRACK_BIN_SHIFT = 18  # bases in a bin of a track, as a power of two

# flags of a site, uint8 (``AlleleCounts.flags``)
HAS_ABSENT = 1  # the site has a call that its part does not assay
HAS_UNEVEN = 2  # the site has a call that is not diploid with one-digit alleles (haploid or escaped)
IS_INVALID = 4  # the site has a call that it cannot have

Payload = bytes | bytearray | memoryview
