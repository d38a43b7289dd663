"""Call codes: one byte for one genotype call, the in-memory form between ingest, codec, views and writers.

A call is what a VCF GT field says: ploidy, allele numbers (or missing), phase. Nearly every call fits one byte:

    0..241    diploid   phased * 121 + (first + 1) * 11 + (second + 1), alleles -1 (missing) .. 9
    242..252  haploid   242 + (allele + 1), allele -1 .. 9
    253       ESCAPE    any other call (allele > 9, ploidy > 2, mixed phase); its value is in ``Escapes``
    255       ABSENT    the part that holds this subject has no such site; written "./.", never a reference call

Order of alleles is kept as written ("1/0" is not "0/1"), so GT is lossless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

DIPLOID_STRIDE = 11
PHASED_OFFSET = 121
HAPLOID_BASE = 242
ESCAPE = 253
ABSENT = 255
MISSING_DIPLOID = 0  # ./.
MISSING_HAPLOID = 242  # .
MAX_CODED_ALLELE = 9

Codes = NDArray[np.uint8]  # [sites, subjects], C order


def diploid(first: int, second: int, *, phased: bool) -> int:
    """Code of a diploid call; alleles -1 (missing) .. 9."""
    return (PHASED_OFFSET if phased else 0) + (first + 1) * DIPLOID_STRIDE + (second + 1)


def haploid(allele: int) -> int:
    """Code of a haploid call; allele -1 (missing) .. 9."""
    return HAPLOID_BASE + allele + 1


@dataclass(frozen=True)
class Escapes:
    """The calls that do not fit one byte, sorted by (site, sample).

    ``site`` int64[k], ``sample`` int64[k]: coordinates in the code matrix. Call i has the alleles
    ``alleles[offset[i]:offset[i+1]]`` (int16, -1 missing) and separators ``phased`` of the same extent (uint8; the flag of an
    allele says whether the separator *before* it is "|"; the first allele's flag is 0).
    """

    site: NDArray[np.int64]
    sample: NDArray[np.int64]
    offset: NDArray[np.int64]
    alleles: NDArray[np.int16]
    phased: NDArray[np.uint8]

    @staticmethod
    def empty() -> Escapes:
        """No escapes."""
        return Escapes(
            np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(0, np.int16), np.zeros(0, np.uint8)
        )

    def __len__(self) -> int:
        return len(self.site)

    def take(self, rows: NDArray[np.intp]) -> Escapes:
        """The chosen escapes, in the order given; ``rows`` int64[j] index them. Coordinates stay as they are."""
        lengths = np.diff(self.offset)[rows]
        offset = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths, out=offset[1:])
        source = np.repeat(self.offset[:-1][rows] - offset[:-1], lengths) + np.arange(offset[-1])
        return Escapes(self.site[rows], self.sample[rows], offset, self.alleles[source], self.phased[source])

    def at_rows(self, rows: NDArray[np.int64], n_sites: int) -> Escapes:
        """The escapes of some of the ``n_sites`` rows of the code matrix, counted among ``rows`` int64[j], which ascend."""
        if not len(self):
            return self
        place = np.full(n_sites, -1, np.int64)
        place[rows] = np.arange(len(rows))
        kept = self.take(np.flatnonzero(place[self.site] >= 0))
        return replace(kept, site=place[kept.site])


def join_escapes(parts: Sequence[Escapes], first_row: Sequence[int]) -> Escapes:
    """Escapes of runs of sites, one run after another; run i's sites begin at row ``first_row[i]`` of the whole."""
    kept = [(e, row) for e, row in zip(parts, first_row, strict=False) if len(e)]
    if len(kept) == 1 and kept[0][1] == 0:
        return kept[0][0]
    if not kept:
        return Escapes.empty()
    lengths = np.concatenate([np.diff(e.offset) for e, _ in kept])
    return Escapes(
        np.concatenate([e.site + row for e, row in kept]),
        np.concatenate([e.sample for e, _ in kept]),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        np.concatenate([e.alleles for e, _ in kept]),
        np.concatenate([e.phased for e, _ in kept]),
    )


def allele_pairs() -> NDArray[np.int8]:
    """int8[256, 2]: allele numbers of each code; -1 missing, -2 absent (a haploid call's second). Escapes are in ``Escapes``; ABSENT reads as missing."""
    pairs = np.full((256, 2), -1, np.int8)
    code = np.arange(HAPLOID_BASE)
    pairs[:HAPLOID_BASE, 0] = (code % PHASED_OFFSET) // DIPLOID_STRIDE - 1
    pairs[:HAPLOID_BASE, 1] = (code % PHASED_OFFSET) % DIPLOID_STRIDE - 1
    pairs[HAPLOID_BASE:ESCAPE, 0] = np.arange(ESCAPE - HAPLOID_BASE) - 1
    pairs[HAPLOID_BASE:ESCAPE, 1] = -2
    return pairs


def call_texts() -> list[bytes]:
    """GT text of each of the 256 codes; ESCAPE and unused codes are empty."""
    texts = [b""] * 256
    for phased in (False, True):
        for a in range(-1, MAX_CODED_ALLELE + 1):
            for b in range(-1, MAX_CODED_ALLELE + 1):
                sep = b"|" if phased else b"/"
                texts[diploid(a, b, phased=phased)] = _allele(a) + sep + _allele(b)
    for a in range(-1, MAX_CODED_ALLELE + 1):
        texts[haploid(a)] = _allele(a)
    texts[ABSENT] = b"./."
    return texts


def escape_text(escapes: Escapes, index: int) -> bytes:
    """GT text of one escape."""
    extent = slice(int(escapes.offset[index]), int(escapes.offset[index + 1]))
    alleles = [_allele(number) for number in escapes.alleles[extent].tolist()]
    separators = [b"", *(b"|" if phased else b"/" for phased in escapes.phased[extent].tolist()[1:])]
    return b"".join(separator + allele for separator, allele in zip(separators, alleles, strict=True))


def _allele(number: int) -> bytes:
    return b"." if number < 0 else b"%d" % number
