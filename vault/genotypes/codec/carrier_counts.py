"""Carrier counts: how many people carry each ALT of a chunk's sites, counted while calls are encoded or from what is decoded.

As bytes (docs/formats/genotypes.md §12)::

    u32 sites ‖ u32 counts ‖ one zstd frame with its content size:
        u16 counts of each site (low bytes, high bytes) ‖ u32 counts (all lowest bytes first)

A site has counts up to its last ALT that anybody carries, so the bytes say nothing of what a site table lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import zstandard
from numpy.typing import NDArray

from vault.errors import IntegrityError
from vault.genotypes.codec.call_codes import DIPLOID_STRIDE, ESCAPE, HAPLOID_BASE, PHASED_OFFSET, Escapes
from vault.genotypes.codec.site_coding import MAX_SITES

if TYPE_CHECKING:
    from vault.genotypes.codec.decoder import DecodePlan, FieldCounts

_HEAD = np.dtype([("sites", "<u4"), ("counts", "<u4")])
_ALTS = 1 << 16  # more than any allele number
_MOST = 1 << 26  # counts of one chunk


@dataclass(frozen=True)
class CarrierCounts:
    """Carriers of the ALTs of m sites that anybody carries.

    ``place`` int64[k], ascending: 65,536 * site + ALT (1 is the first); ``people`` int64[k]: how many carry it, at least 1.
    """

    n_sites: int
    place: NDArray[np.int64]
    people: NDArray[np.int64]

    @staticmethod
    def nobody(n_sites: int) -> CarrierCounts:
        """Counts of nobody."""
        return CarrierCounts(n_sites, np.zeros(0, np.int64), np.zeros(0, np.int64))

    @staticmethod
    def from_calls(n_sites: int, site: NDArray[np.int64], alt: NDArray[np.int64], people: NDArray[np.int64]) -> CarrierCounts:
        """Counts added up from people int64[j] who carry ALT int64[j] of site int64[j], each person in one of them."""
        place, at = np.unique(_ALTS * site + alt, return_inverse=True)
        total = np.zeros(len(place), np.int64)
        np.add.at(total, at, people)
        kept = total > 0
        return CarrierCounts(n_sites, place[kept], total[kept])

    @staticmethod
    def from_fields(plan: DecodePlan, fields: FieldCounts) -> CarrierCounts:
        """Carriers among the people whose fields were counted, at the sites of the plan."""
        one, two = _alleles(plan.coding.alphabets.astype(np.int64))
        first, second = one[plan.alphabet], two[plan.alphabet]
        # columns 4 to 7: the same fields where the default is haploid, which have their first allele alone
        firsts = np.concatenate([first, first], axis=1)
        seconds = np.concatenate([second, np.full_like(second, -1)], axis=1)
        site, people = np.repeat(np.arange(len(plan)), 8), fields.tally.reshape(-1).astype(np.int64)
        coded = np.flatnonzero(fields.value < ESCAPE)
        a, b = _alleles(fields.value[coded].astype(np.int64))
        singles = np.ones(len(coded), np.int64)
        return _sum(
            len(plan),
            [
                *_named(site, firsts.reshape(-1), seconds.reshape(-1), people),
                *_named(fields.row[coded].astype(np.int64), a, b, singles),
                _escaped(fields.escapes),
            ],
        )

    @staticmethod
    def from_encoder(carriers: NDArray[np.uint32], escapes: Sequence[tuple[int, Escapes]]) -> CarrierCounts:
        """Counts of ``carriers`` uint32[m, ALTs] that call codes name, and of escapes in runs, each with its first site."""
        site, alt = np.nonzero(carriers)
        runs = [(first + sites, alts, people) for first, some in escapes for sites, alts, people in [_escaped(some)]]
        return _sum(len(carriers), [(site, alt, carriers[site, alt].astype(np.int64)), *runs])

    def of(self, alts: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64[j]: carriers of ``alts`` int64[j, 2] (site, ALT)."""
        wanted = _ALTS * alts[:, 0] + alts[:, 1]
        if not len(self.place):
            return np.zeros(len(wanted), np.int64)
        at = np.minimum(np.searchsorted(self.place, wanted), len(self.place) - 1)
        return np.where(self.place[at] == wanted, self.people[at], 0)

    def alts(self) -> NDArray[np.int64]:
        """int64[k, 2]: site and ALT of each count."""
        return np.stack([self.place // _ALTS, self.place % _ALTS], axis=1)

    def plus(self, others: CarrierCounts) -> CarrierCounts:
        """Counts of these people and of others."""
        (site, alt), (more, their_alt) = self.alts().T, others.alts().T
        people = np.concatenate([self.people, others.people])
        return CarrierCounts.from_calls(self.n_sites, np.concatenate([site, more]), np.concatenate([alt, their_alt]), people)

    def minus(self, alts: NDArray[np.int64], people: NDArray[np.int64]) -> CarrierCounts:
        """Counts without people int64[j], at least 1, who carry ``alts`` int64[j, 2] (site, ALT), each ALT once.

        Raises:
            IntegrityError: ``counts_damaged``: fewer people carry that by these counts.
        """
        wanted = _ALTS * alts[:, 0] + alts[:, 1]
        at = np.searchsorted(self.place, wanted)
        if (at == len(self.place)).any() or (self.place[at] != wanted).any() or (self.people[at] < people).any():
            raise damaged()
        left = self.people.copy()
        left[at] -= people
        kept = left > 0
        return CarrierCounts(self.n_sites, self.place[kept], left[kept])

    def to_bytes(self) -> bytes:
        """The serialised form."""
        site, alt = self.place // _ALTS, self.place % _ALTS
        lengths = np.zeros(self.n_sites, np.int64)
        np.maximum.at(lengths, site, alt)
        start = np.cumsum(lengths) - lengths
        counts = np.zeros(int(lengths.sum()), "<u4")
        counts[start[site] + alt - 1] = self.people
        plain = _planes(lengths.astype("<u2")) + _planes(counts)
        head = np.array([(self.n_sites, len(counts))], _HEAD)
        return head.tobytes() + zstandard.ZstdCompressor(level=3).compress(plain)

    @staticmethod
    def from_bytes(data: bytes) -> CarrierCounts:
        """The reverse of ``to_bytes``.

        Raises:
            IntegrityError: ``counts_damaged``: a length that does not fit, a site that ends in a zero, or no such form at all.
        """
        if len(data) < _HEAD.itemsize:
            raise damaged()
        head = np.frombuffer(data[: _HEAD.itemsize], _HEAD)[0]
        m, k = int(head["sites"]), int(head["counts"])
        if not 0 < m <= MAX_SITES or k > _MOST:
            raise damaged()
        raw = np.frombuffer(_unpacked(data[_HEAD.itemsize :], 2 * m + 4 * k), np.uint8)
        lengths, counts = _joined(raw[: 2 * m].reshape(2, m)), _joined(raw[2 * m :].reshape(4, k))
        ends = np.cumsum(lengths)
        if int(ends[-1]) != k or (counts[ends[lengths > 0] - 1] == 0).any():
            raise damaged()
        site = np.repeat(np.arange(m), lengths)
        alt = np.arange(k) - (ends - lengths)[site] + 1
        held = np.flatnonzero(counts)
        return CarrierCounts(m, _ALTS * site[held] + alt[held], counts[held])


def damaged() -> IntegrityError:
    """The one error of carrier counts that are not what the calls of a part add up to."""
    return IntegrityError(
        "counts_damaged",
        "the carrier counts of a part are not those of its people",
        hint="genovault dataset recount counts them anew",
    )


_Named = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]  # site, ALT, people


def _alleles(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The alleles of call codes, both of the codes' shape; -1 where there is none or it is missing."""
    pair = codes % PHASED_OFFSET
    single = codes >= HAPLOID_BASE
    one = np.where(single, codes - HAPLOID_BASE - 1, pair // DIPLOID_STRIDE - 1)
    two = np.where(single, -1, pair % DIPLOID_STRIDE - 1)
    other = codes >= ESCAPE
    return np.where(other, -1, one), np.where(other, -1, two)


def _named(site: NDArray[np.int64], one: NDArray[np.int64], two: NDArray[np.int64], people: NDArray[np.int64]) -> list[_Named]:
    """Carriers by ALT of calls with the alleles ``one`` and ``two``, all int64[j]; who has an ALT twice carries it once."""
    first, second = np.flatnonzero((one > 0) & (people > 0)), np.flatnonzero((two > 0) & (two != one) & (people > 0))
    return [(site[first], one[first], people[first]), (site[second], two[second], people[second])]


def _escaped(escapes: Escapes) -> _Named:
    """Carriers by ALT of calls that fit no byte."""
    call = np.repeat(np.arange(len(escapes)), np.diff(escapes.offset))
    alleles = escapes.alleles.astype(np.int64)
    pairs = np.unique(_ALTS * call[alleles > 0] + alleles[alleles > 0])
    return escapes.site[pairs // _ALTS], pairs % _ALTS, np.ones(len(pairs), np.int64)


def _sum(n_sites: int, named: Sequence[_Named]) -> CarrierCounts:
    site, alt, people = (np.concatenate([some[at] for some in named]).astype(np.int64) for at in range(3))
    return CarrierCounts.from_calls(n_sites, site, alt, people)


def _planes(values: NDArray[np.unsignedinteger]) -> bytes:
    """All lowest bytes of little-endian values, then the next …."""
    return np.ascontiguousarray(values.view(np.uint8).reshape(-1, values.itemsize).T).tobytes()


def _joined(planes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """int64[k] of their bytes uint8[width, k]."""
    found = np.zeros(planes.shape[1], np.int64)
    for at, plane in enumerate(planes):
        found |= plane.astype(np.int64) << (8 * at)
    return found


def _unpacked(packed: bytes, size: int) -> bytes:
    try:
        if zstandard.frame_content_size(packed) != size:
            raise damaged()
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError:
        raise damaged() from None
