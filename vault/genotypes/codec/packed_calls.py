"""Call rows: the calls of consecutive sites on their way from a file to the encoder.

Most sites of a cohort have nothing but 0/0, 0/1, 1/0 and 1/1 in one phase. A reader that sees this keeps such a site in two bits a call,
which is what the encoder works on, and never makes a byte of each. Any other site is a row of call codes (``call_codes``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.call_codes import PHASED_OFFSET, Codes, diploid

CODED: Final = 0  # the site's calls are in ``codes``
UNPHASED: Final = 1  # they are in ``bits``, all unphased
PHASED: Final = 2  # they are in ``bits``, all phased

_HOMOZYGOUS_REF = diploid(0, 0, phased=False)
_FIRST_ALLELE = diploid(1, 0, phased=False) - _HOMOZYGOUS_REF


@dataclass(frozen=True)
class CallRows:
    """Calls of m sites by n people; ``form`` uint8[m] says where those of a site are, the other place holds rubbish.

    ``bits`` uint64[m, ceil(n / 32)]: person j's first allele is bit ``2 * (j % 32) + 1`` of word ``j // 32``, the second allele the
    bit below; bits behind the last person are 0. ``codes`` uint8[m, n].
    """

    form: NDArray[np.uint8]
    bits: NDArray[np.uint64]
    codes: Codes

    @staticmethod
    def from_codes(codes: Codes) -> CallRows:
        """Rows that are all call codes, ``codes`` uint8[m, n]."""
        m, n = codes.shape
        return CallRows(np.zeros(m, np.uint8), np.empty((m, words_of(n)), np.uint64), codes)

    @property
    def shape(self) -> tuple[int, int]:
        """(sites, people)."""
        return self.codes.shape[0], self.codes.shape[1]

    def run(self, first: int, end: int) -> CallRows:
        """Sites ``first`` to ``end``, on the same memory."""
        return CallRows(self.form[first:end], self.bits[first:end], self.codes[first:end])

    def matrix(self) -> Codes:
        """uint8[m, n]: every call's code. A copy where any row is packed."""
        packed = np.flatnonzero(self.form != CODED)
        if not len(packed):
            return self.codes
        n = self.codes.shape[1]
        alleles = np.unpackbits(self.bits[packed].view(np.uint8), axis=1, bitorder="little")[:, : 2 * n]
        base = np.where(self.form[packed] == PHASED, _HOMOZYGOUS_REF + PHASED_OFFSET, _HOMOZYGOUS_REF).astype(np.uint8)
        codes = self.codes.copy()
        codes[packed] = base[:, None] + _FIRST_ALLELE * alleles[:, 1::2] + alleles[:, 0::2]
        return codes


def words_of(people: int) -> int:
    """64-bit words in a packed row."""
    return (people + 31) // 32
