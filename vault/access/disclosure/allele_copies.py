"""Copies of alleles that people carry, from their calls: what an exact frequency table is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from policies.disclosure import tables
from policies.disclosure.alleles import Allele
from policies.loci import Interval
from vault.access.disclosure.carrier_table import ALTS, Read, sequence_alleles
from vault.genotypes.codec.call_codes import DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, PHASED_OFFSET
from vault.genotypes.store.part_merge import Calls

AT_ONCE = 64  # alleles whose surroundings are read at a time

Copies = NDArray[np.int8]


@dataclass(frozen=True)
class AlleleCopies:
    """Copies of some alleles in some people, int8[m, n], -1 without a whole call; ``called`` int8[m, n]: alleles of each call, 1 or 2."""

    copies: Copies
    called: Copies

    def of(self, row: int) -> tuple[int, int, int, int]:
        """Copies, alleles called, carriers and people with a call, of one allele."""
        known = self.copies[row] >= 0
        copies = self.copies[row][known].astype(np.int64)
        return int(copies.sum()), int(self.called[row][known].sum(dtype=np.int64)), int((copies > 0).sum()), int(known.sum())

    def shown(self, row: int) -> bool:
        """True if the allele may stand in a table (``tables.shown``)."""
        copies, called, carriers, people = self.of(row)
        return tables.shown(copies, called, carriers=carriers, people=people)


def count(asked: Sequence[Allele], read: Read, *, people: int) -> AlleleCopies:
    """Copies of each allele asked for in ``people``. Somebody of whom several records tell of one allele has the most that any of them says.

    An allele of which no record tells is called in nobody, and a call of more than two alleles, or of one that is missing, is none.
    """
    copies, called = np.full((len(asked), people), -1, np.int8), np.full((len(asked), people), 2, np.int8)
    row_of = {allele: row for row, allele in enumerate(asked)}
    wanted = sorted(asked, key=lambda one: (one.contig, one.position))
    for first in range(0, len(wanted), AT_ONCE):
        places = [
            Interval(one.contig, one.position - 1, one.position - 1 + len(one.ref)) for one in wanted[first : first + AT_ONCE]
        ]
        calls = read(places)
        for allele, site, number in sequence_alleles(calls):
            row = row_of.get(allele)
            if row is None:
                continue
            found, ploidy = _called(calls, site, number)
            better = found > copies[row]
            copies[row][better], called[row][better] = found[better], ploidy[better]
    return AlleleCopies(copies, called)


def _called(calls: Calls, site: int, number: int) -> tuple[Copies, Copies]:
    """int8[n] copies of an allele at a site, -1 without a whole call, and int8[n] alleles of each call."""
    copies_of, ploidy_of = _codes(number if number < ALTS else -2)
    copies, ploidy = copies_of[calls.codes[site]], ploidy_of[calls.codes[site]]
    escapes = calls.escapes
    first, last = np.searchsorted(escapes.site, [site, site + 1])
    for at in range(int(first), int(last)):
        held = escapes.alleles[escapes.offset[at] : escapes.offset[at + 1]]
        if len(held) in (1, 2) and (held >= 0).all():
            copies[escapes.sample[at]], ploidy[escapes.sample[at]] = int((held == number).sum()), len(held)
    return copies, ploidy


@cache
def _codes(number: int) -> tuple[Copies, Copies]:
    """int8[256] copies of an allele in each call code, -1 in one that is not whole, and int8[256] alleles of each."""
    codes = np.arange(256)
    pair = codes % PHASED_OFFSET
    one, two = pair // DIPLOID_STRIDE - 1, pair % DIPLOID_STRIDE - 1
    haploid = (codes >= HAPLOID_BASE) & (codes < ESCAPE)
    single = codes - HAPLOID_BASE - 1
    copies = np.where(haploid, single == number, (one == number).astype(int) + (two == number))
    whole = np.where(haploid, single >= 0, (one >= 0) & (two >= 0)) & (codes < ESCAPE)
    return np.where(whole, copies, -1).astype(np.int8), np.where(haploid, 1, 2).astype(np.int8)
