"""Sample of a view's common sites, the same whatever the windows that it is read in, and held in bounded memory.

Common: two alleles, the rarer at 5 % or more of the calls, nine in ten of everybody's two copies called. Each site gets a number from a generator that is
seeded with the request; those with the least are kept.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.catalog import call_comparison
from vault.genotypes.catalog.call_comparison import AUTOSOMES
from vault.genotypes.contigs import normal_contig
from vault.views.pages import Page

LEAST_FREQUENCY, LEAST_CALLED = 0.05, 0.9
MOST_SITES, FEWEST_SITES = 8_192, 64
MOST_CALLS = 1 << 26  # calls, so bytes, that are kept of everybody

_NUMBERS = 1  # of the seed's generators


class CommonSites:
    """The sample of ``n_people``; add every page of a view, once and in order. ``seed``: 32 bytes."""

    def __init__(self, n_people: int, seed: bytes) -> None:
        self._most = max(FEWEST_SITES, min(MOST_SITES, MOST_CALLS // max(1, n_people)))
        self._random = generator(seed, _NUMBERS)
        self._numbers = np.zeros(0)
        self._dosage = np.zeros((0, n_people), np.int8)
        self._chromosome = np.zeros(0, "U8")
        self.met = 0

    @property
    def dosage(self) -> NDArray[np.int8]:
        """int8[k, n]: ALT counts of each person, negative where there is none, in random order of the sites."""
        return self._dosage

    def autosomal(self) -> NDArray[np.int8]:
        """int8[k, n]: those of ``dosage`` that lie on autosomes."""
        return self._dosage[np.isin(self._chromosome, sorted(AUTOSOMES))]

    def chromosomes(self) -> int:
        """Number of autosomes that the sample has sites of."""
        return len(AUTOSOMES.intersection(self._chromosome.tolist()))

    def add(self, page: Page) -> NDArray[np.intp]:
        """Take the common sites of a page into the sample, as far as their numbers are among the least; rows of all of them, intp[k]."""
        numbers, found = self._random.random(len(page.sites)), common_rows(page)
        self.met += len(found)
        rows = found
        if len(self._numbers) >= self._most:
            rows = rows[numbers[rows] < self._numbers[-1]]
        rows = rows[np.argsort(numbers[rows])[: self._most]]
        if not len(rows):
            return found
        names = np.array([normal_contig(name)[:8] for name in page.sites.contigs], "U8")
        joined = np.concatenate([self._numbers, numbers[rows]])
        least = np.argsort(joined)[: self._most]
        self._numbers = joined[least]
        self._dosage = np.concatenate([self._dosage, _dosages()[page.codes[rows]]])[least]
        self._chromosome = np.concatenate([self._chromosome, names[page.sites.contig[rows]]])[least]
        return found


def common_rows(page: Page) -> NDArray[np.intp]:
    """intp[k]: the common sites of a page."""
    counts = page.counts
    rows = np.flatnonzero(np.diff(counts.offsets) == 2)
    refs, alts = counts.counts[counts.offsets[rows]], counts.counts[counts.offsets[rows] + 1]
    rarer, called = np.minimum(refs, alts), refs + alts
    good = (rarer >= LEAST_FREQUENCY * called) & (rarer > 0) & (called >= LEAST_CALLED * 2 * page.codes.shape[1])
    found: NDArray[np.intp] = rows[good]
    return found


def generator(seed: bytes, use: int) -> np.random.Generator:
    """Generator of numbers that are the same for one seed and use: no secret hangs on them."""
    return np.random.Generator(np.random.PCG64([use, *np.frombuffer(seed, "<u4").tolist()]))


@cache
def _dosages() -> NDArray[np.int8]:
    """int8[256]: ALTs of each call code at a site of two alleles; -1 without a whole call."""
    low, high = call_comparison.pairs(np.arange(256, dtype=np.uint8))
    return np.where(low >= 0, low + high, -1).astype(np.int8)
