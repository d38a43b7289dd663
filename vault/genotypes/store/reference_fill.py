"""Filling in reference calls where a person has no record and was confidently assayed (docs/design/genotypes.md §15).

A person without a record at a site is 0/0 there, or 0 where they have one copy, if and only if every ALT is a sequence or ``*``, REF and ALTs
have at most 50 bases, and every base of REF is confident in the person's track; else the call stays absent. A track is cut where its file
has a variant of the person, and where they have several parts, variants of one part hold against the tracks of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.allele_counts import count_calls
from vault.genotypes.codec.call_codes import ABSENT, Codes, Escapes
from vault.genotypes.codec.callable_track import ONE_COPY, TWO_COPIES, CallableTrack, PeoplesTracks
from vault.genotypes.codec.format_constants import TRACK_BIN_SHIFT
from vault.genotypes.sites import Sites, short_sequences

FEW = 4  # people of whom each one's track is looked at alone
AT_ONCE = 1_024  # people whose tracks are in memory together
MAX_BASES = 50  # of REF and of each ALT: what a caller of short variants would have seen
_REFERENCE = np.zeros(1 + max(TWO_COPIES, ONE_COPY), np.uint8)  # call codes by copies
_REFERENCE[TWO_COPIES], _REFERENCE[ONE_COPY] = 12, 243  # 0/0 and 0
_CALLS = (12, 243, ABSENT)

Spans = tuple[NDArray[np.int64], NDArray[np.int64]]
"""int64[k] first and last positions, 1-based."""


NO_SPANS: Spans = (np.zeros(0, np.int64), np.zeros(0, np.int64))

Variants = Callable[[str, int, int], Spans]
"""Extents of a part's variants of which REF has a base between two positions of a contig (1-based, inclusive)."""


def variant_spans(sites: Sites, codes: Codes, escapes: Escapes) -> Spans:
    """Extents of the records of which an ALT is called. ``codes`` uint8[m, n]."""
    rows = np.flatnonzero(count_calls(sites, codes, escapes).carried())
    pos = sites.pos[rows]
    return pos, pos + sites.ref_lengths()[rows] - 1


@dataclass
class OwnTrack:
    """One part's track. ``bins``: the encoded bins of a contig, of those asked for."""

    bins: Callable[[str, Sequence[int]], dict[int, bytes]]
    _held: tuple[str, tuple[int, ...], CallableTrack] | None = field(default=None, repr=False)

    def over(self, contig: str, wanted: tuple[int, ...]) -> CallableTrack:
        """The track in some bins of a contig; what was asked for last is kept."""
        if self._held is None or self._held[:2] != (contig, wanted):
            self._held = (contig, wanted, CallableTrack.decode(self.bins(contig, wanted)))
        return self._held[2]

    def copies(self, contig: str, first: NDArray[np.int64], last: NDArray[np.int64], *, at_least: int) -> NDArray[np.uint8]:
        """uint8[k]: copies that are confidently reference over each run of bases, as ``CallableTrack.covered``."""
        return self.over(contig, _bins(first, last)).covered(first, last, at_least=at_least)

    def forget(self) -> None:
        """Let go of what is kept."""
        self._held = None


@dataclass(frozen=True)
class TrackedPerson:
    """A person with one track or more. ``column`` of the view; ``variants``: of each of several parts."""

    column: int
    tracks: Sequence[OwnTrack]
    variants: Sequence[Variants] = ()


@dataclass(frozen=True)
class ReferenceFill:
    """Fills the calls of tracked people. ``at_least``: the band of genotype quality that counts."""

    people: Sequence[TrackedPerson]
    at_least: int
    _kept: dict[int, tuple[str, tuple[int, ...], PeoplesTracks]] = field(default_factory=dict, repr=False)

    def fill(self, sites: Sites, codes: Codes) -> Codes:
        """``codes`` uint8[m, n] with reference calls in place of absent ones; the array that was given is not written to."""
        rows = fillable(sites)
        if not len(rows) or int(codes.max(initial=0)) != ABSENT:
            return codes
        filled = np.array(codes, order="C")
        first = sites.pos[rows]
        last = first + sites.ref_lengths()[rows] - 1
        simple = [person for person in self.people if len(person.tracks) == 1 and not person.variants]
        together = sorted(simple, key=attrgetter("column")) if len(simple) >= FEW else []
        taken = {person.column for person in together}
        apart = [person for person in self.people if person.column not in taken]
        for contig, here in _by_contig(sites, rows):
            wanted = _bins(first[here], last[here])
            for begin in range(0, len(together), AT_ONCE):
                some = together[begin : begin + AT_ONCE]
                columns = np.array([person.column for person in some], np.int64)
                tracks = self._together(begin, contig, wanted, some)
                runs = first[here], last[here]
                tracks.fill(filled, columns, rows[here], runs, at_least=self.at_least, calls=_CALLS)
            for person in apart:
                absent = here[filled[rows[here], person.column] == ABSENT]
                if len(absent):
                    copies = self._copies(person, contig, wanted, first[absent], last[absent])
                    known = np.flatnonzero(copies)
                    filled[rows[absent[known]], person.column] = _REFERENCE[copies[known]]
        return filled

    def forget(self) -> None:
        """Let go of what is kept."""
        self._kept.clear()

    def _together(self, number: int, contig: str, wanted: tuple[int, ...], some: Sequence[TrackedPerson]) -> PeoplesTracks:
        """The tracks of people with one track each; those of the last read are kept where all of them are read at once."""
        kept = self._kept.get(number)
        if kept is None or kept[:2] != (contig, wanted):
            kept = (contig, wanted, PeoplesTracks.of([person.tracks[0].bins(contig, wanted) for person in some]))
            if len(self.people) <= AT_ONCE:
                self._kept[number] = kept
        return kept[2]

    def _copies(
        self, person: TrackedPerson, contig: str, wanted: tuple[int, ...], first: NDArray[np.int64], last: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        """uint8[k]: copies that are confidently reference over each run of bases, as ``CallableTrack.covered``. ``wanted``: bins over them."""
        found = np.zeros(len(first), np.uint8)
        for track in person.tracks:
            open_yet = np.flatnonzero(found == 0)
            found[open_yet] = track.over(contig, wanted).covered(first[open_yet], last[open_yet], at_least=self.at_least)
        for variants in person.variants:
            found[_overlapping(first, last, variants(contig, int(first.min()), int(last.max())))] = 0
        return found


def fillable(sites: Sites) -> NDArray[np.int64]:
    """int64[k]: rows of the sites at which somebody without a record may be reference."""
    return np.flatnonzero(short_sequences(sites, MAX_BASES))


def _by_contig(sites: Sites, rows: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """(contig, int64[j]: places in ``rows`` that are on it)."""
    contig = sites.contig[rows]
    for number in np.unique(contig).tolist():
        yield sites.contigs[number], np.flatnonzero(contig == number)


def _bins(first: NDArray[np.int64], last: NDArray[np.int64]) -> tuple[int, ...]:
    """Numbers of the bins that hold any of the runs, ascending."""
    inner = {
        at
        for a, b in set(zip((first - 1 >> TRACK_BIN_SHIFT).tolist(), (last - 1 >> TRACK_BIN_SHIFT).tolist(), strict=True))
        for at in range(a, b + 1)
    }
    return tuple(sorted(inner))


def _overlapping(first: NDArray[np.int64], last: NDArray[np.int64], spans: Spans) -> NDArray[np.bool_]:
    """bool[k]: a span has a base of the run."""
    low, high = spans
    order = np.argsort(low, kind="stable")
    reach = np.maximum.accumulate(high[order]) if len(order) else high
    before = np.searchsorted(low[order], last, "right") - 1  # the last span that begins no later than the run ends
    found: NDArray[np.bool_] = np.zeros(len(first), np.bool_)
    some = before >= 0
    found[some] = reach[before[some]] >= first[some]
    return found
