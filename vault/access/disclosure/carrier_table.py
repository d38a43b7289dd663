"""Carriers of a cohort in memory: how many of its people carry each allele, in pages of neighbouring positions.

A page is counted once from the calls of the whole cohort and then answers every question about its positions, until the cohort is another
one: somebody came or left, calls were moved, or other places are masked. Nothing of it is stored, so there is nothing to purge.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from policies.disclosure.alleles import Allele, trimmed
from policies.loci import Interval
from vault.access.scope import AccessScope
from vault.genotypes.codec.call_codes import DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, PHASED_OFFSET
from vault.genotypes.contigs import normal_contig
from vault.genotypes.store.part_merge import Calls
from vault.session.caches import Cache
from vault.session.unlocked_vault import UnlockedVault

PAGE = 1 << 14  # positions: about 500 sites of a dense data set
MAX_PAGES = 4_096  # of one cohort: about a hundred MiB

AT_ONCE = 8  # pages whose calls are in memory at a time

Read = Callable[[Sequence[Interval]], Calls]
"""Reads calls of a cohort in some places: ``codes`` uint8[m, n] of n people."""

_BASES = frozenset(b"ACGTN")
ALTS = 10  # allele numbers that a code can hold


class Table:
    """Carriers in one cohort, known by its digest. Safe among threads."""

    def __init__(self, digest: bytes) -> None:
        self.digest = digest
        self._pages: OrderedDict[tuple[str, int], dict[Allele, int]] = OrderedDict()
        self._lock = threading.Lock()

    def missing(self, alleles: Iterable[Allele]) -> list[Interval]:
        """Places that have to be counted before these alleles can be answered, in order."""
        with self._lock:
            wanted = sorted({_page(allele) for allele in alleles} - self._pages.keys())
        return [Interval(contig, number * PAGE, (number + 1) * PAGE) for contig, number in wanted]

    def fill(self, places: Sequence[Interval], read: Read) -> None:
        """Count these places, as ``missing`` gave them."""
        for first in range(0, len(places), AT_ONCE):
            self._fill(places[first : first + AT_ONCE], read)

    def _fill(self, places: Sequence[Interval], read: Read) -> None:
        pages: dict[tuple[str, int], dict[Allele, int]] = {(one.contig, one.start // PAGE): {} for one in places}
        for allele, people in carriers(read(places)).items():
            page = pages.get(_page(allele))
            if page is not None:
                page[allele] = people
        with self._lock:
            self._pages.update(pages)
            while len(self._pages) > MAX_PAGES:
                self._pages.popitem(last=False)

    def carriers(self, allele: Allele) -> int:
        """People who carry an allele of a page that was counted."""
        with self._lock:
            return self._pages[_page(allele)].get(allele, 0)


_TABLES: Cache[dict[tuple[bytes, bytes], Table]] = Cache(dict)  # by project and dataset: of the cohort last asked


def of_cohort(vault: UnlockedVault, scope: AccessScope, digest: bytes) -> Table:
    """The table of a cohort of project and dataset; of a cohort of before nothing is kept."""
    tables, key = vault.caches.get(_TABLES), (bytes(scope.project.project_id), bytes(scope.dataset.dataset_id))
    table = tables.get(key)
    if table is None or table.digest != digest:
        table = tables[key] = Table(digest)
    return table


def carriers(calls: Calls) -> dict[Allele, int]:
    """Number of people who carry each sequence allele of some calls; one who carries it in several records is one carrier."""
    rows: dict[Allele, list[tuple[int, int]]] = {}
    for allele, row, number in sequence_alleles(calls):
        rows.setdefault(allele, []).append((row, number))
    found = {}
    for allele, places in rows.items():
        people = np.zeros(calls.codes.shape[1], np.bool_)
        for row, number in places:
            people |= _carrying(calls, row, number)
        if people.any():
            found[allele] = int(people.sum())
    return found


def sequence_alleles(calls: Calls) -> Iterator[tuple[Allele, int, int]]:
    """Each sequence allele of some calls, with its site and its number there. Contigs have their normal names, alleles are trimmed."""
    sites = calls.sites
    for row, text in enumerate(sites.alleles.items()):
        ref, *alts = text.upper().split(b",")
        for number, alt in enumerate(alts, 1):
            if ref and alt and _BASES.issuperset(ref) and _BASES.issuperset(alt) and ref != alt:
                contig, position = normal_contig(sites.contigs[sites.contig[row]]), int(sites.pos[row])
                yield trimmed(contig, position, ref.decode(), alt.decode()), row, number


def _carrying(calls: Calls, row: int, number: int) -> NDArray[np.bool_]:
    """bool[n]: who carries allele ``number`` of a site."""
    found = _codes_with(number)[calls.codes[row]] if number < ALTS else np.zeros(calls.codes.shape[1], np.bool_)
    escapes = calls.escapes
    first, last = np.searchsorted(escapes.site, [row, row + 1])
    for at in range(int(first), int(last)):
        if number in escapes.alleles[escapes.offset[at] : escapes.offset[at + 1]]:
            found[escapes.sample[at]] = True
    return found


@cache
def _codes_with(number: int) -> NDArray[np.bool_]:
    """bool[256]: call codes that name an allele."""
    codes = np.arange(256)
    pair = codes % PHASED_OFFSET
    diploid = (pair // DIPLOID_STRIDE == number + 1) | (pair % DIPLOID_STRIDE == number + 1)
    found: NDArray[np.bool_] = np.where(codes >= HAPLOID_BASE, codes - HAPLOID_BASE == number + 1, diploid) & (codes < ESCAPE)
    return found


def _page(allele: Allele) -> tuple[str, int]:
    return allele.contig, (allele.position - 1) // PAGE
