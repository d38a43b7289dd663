"""Marks of people over all sites of a view: whose record is like nobody else's, and which calls are missing together.

A mark is Σ factor·call modulo 2^64 with a random odd factor for each site: two records that differ have one mark with a probability below
2^-55. A missing call counts as a value of its own, phase and order as they are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.call_codes import Escapes
from vault.genotypes.compute.threads import over_rows
from vault.risk import kernels
from vault.risk.common_sites import generator
from vault.views.pages import Page

Marks = NDArray[np.uint64]

_FACTORS = 2  # of the seed's generators
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd: of the polynomial that a call of many alleles is


@dataclass(frozen=True)
class MissingPatterns:
    """Sets of calls that are missing together: how many ``patterns`` there are, people of the ``largest``, and people who are ``alone`` in theirs."""

    patterns: int
    largest: int
    alone: int


class PeopleTally:
    """Marks of ``n_people``; add every page of a view, once and in order. ``seed``: 32 bytes."""

    def __init__(self, n_people: int, seed: bytes) -> None:
        self._random = generator(seed, _FACTORS)
        self._records: Marks = np.zeros(n_people, np.uint64)
        self._gaps: Marks = np.zeros(n_people, np.uint64)

    def add(self, page: Page) -> None:
        """Add the sites of a page."""
        codes, lock = np.ascontiguousarray(page.codes), Lock()
        factors = self._random.integers(0, 1 << 64, len(codes), np.uint64) | np.uint64(1)

        def kernel(first: int, last: int) -> None:
            records, gaps = np.zeros_like(self._records), np.zeros_like(self._gaps)
            kernels.add_marks(codes, first, last, factors, records, gaps)
            with lock:
                self._records += records
                self._gaps += gaps

        over_rows(kernel, len(codes), work=codes.size)
        if len(page.escapes):
            self._add_escapes(page.escapes, factors)

    def unique(self) -> float:
        """Share of people whose whole record nobody else has."""
        return unique_share(self._records)

    def missing(self) -> MissingPatterns:
        """Patterns of missing calls."""
        sizes = np.unique(self._gaps, return_counts=True)[1]
        return MissingPatterns(len(sizes), int(sizes.max(initial=0)), int((sizes == 1).sum()))

    def _add_escapes(self, escapes: Escapes, factors: Marks) -> None:
        """Tell calls apart that one code stands for, by their alleles and separators."""
        lengths = np.diff(escapes.offset)
        place = (np.arange(len(escapes.alleles)) - np.repeat(escapes.offset[:-1], lengths)).astype(np.uint64)
        values = (escapes.alleles.astype(np.int64) + 2).astype(np.uint64) * np.uint64(2) + escapes.phased
        with np.errstate(over="ignore"):
            terms = values * _BASE ** (place + np.uint64(1))
            calls = np.add.reduceat(terms, escapes.offset[:-1])
            np.add.at(self._records, escapes.sample, calls * factors[escapes.site])


def unique_share(marks: Marks) -> float:
    """Share of marks uint64[n] that no other equals; 0 of nobody's."""
    sizes = np.unique(marks, return_counts=True)[1]
    return float((sizes == 1).sum() / max(1, len(marks)))
