"""A read in windows of neighbouring sites, so that what is in memory is bounded by a window and not by what is asked for.

Windows lie in the order of the view: contigs as the parts bring them, positions ascending. Of one part they are whole chunks where
these fit, else pieces of a chunk; where several parts have sites on a contig, or a compacted one has, they are cut between positions, so
that all records of a position, which may be the same site, lie in one window. Reading window after window gives what one read would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from vault.errors import UnavailableError
from vault.genotypes.codec.allele_counts import AlleleCounts, count_calls
from vault.genotypes.codec.call_codes import Codes, Escapes
from vault.genotypes.sites import Sites
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.part_merge import Calls, PartCalls, PartCounts, merge_counts, merge_parts
from vault.genotypes.store.part_records import ChunkRecord
from vault.genotypes.store.reference_fill import ReferenceFill
from vault.genotypes.store.selections import Chosen, PanelLoci

if TYPE_CHECKING:
    from vault.genotypes.store.part_reader import Held


class SiteReader(Protocol):
    """Interface that a part's sites and calls are read through, as ``PartReader`` has it."""

    def known(self, ordinal: int, /) -> ChunkRecord | None:
        """As ``PartReader.known``."""

    def contig(self, ordinal: int, /) -> str | None:
        """As ``PartReader.contig``."""

    def read(
        self,
        chunks: Sequence[int],
        rows: Sequence[NDArray[np.int64] | None] | None,
        access: BlockAccess,
        *,
        held: Held | None = None,
    ) -> tuple[Sites, Codes, Escapes]:
        """As ``PartReader.read``: call codes uint8[m, n] among them."""

    def sites(self, ordinal: int, /) -> Sites:
        """As ``PartReader.sites``."""

    def read_and_count(
        self,
        chunks: Sequence[int],
        rows: Sequence[NDArray[np.int64] | None] | None,
        access: BlockAccess,
        *,
        held: Held | None = None,
    ) -> tuple[Sites, Codes, Escapes, AlleleCounts]:
        """As ``PartReader.read_and_count``: call codes uint8[m, n] among them."""

    def count(
        self,
        chunks: Sequence[int],
        rows: Sequence[NDArray[np.int64] | None] | None,
        access: BlockAccess,
        *,
        held: Held | None = None,
    ) -> tuple[Sites, AlleleCounts]:
        """As ``PartReader.count``."""


@dataclass(frozen=True)
class PartChoice:
    """The chosen sites of one part (or of a panel's build over it), and the right to open some people's blocks there.

    ``columns`` as in ``PartCalls``; ``spelled`` names in sites what was blanked, as far as a panel tells. What is read later is what was
    chosen: a chunk whose site table was rewritten meanwhile is refused. ``compacted`` as in ``PartCalls``.
    """

    reader: SiteReader
    chosen: Chosen
    access: BlockAccess
    columns: NDArray[np.int64]
    _known: Mapping[int, ChunkRecord | None]
    spelled: Callable[[Sites], Sites]
    compacted: bool = False
    _held: Held = field(default_factory=dict)  # of the chunk that is read in pieces

    @staticmethod
    def from_reader(
        reader: SiteReader,
        chosen: Chosen,
        access: BlockAccess,
        columns: NDArray[np.int64],
        panel: PanelLoci | None = None,
        *,
        compacted: bool = False,
    ) -> PartChoice:
        """Of a reader that knows the chosen chunks. ``panel``: by whose loci they were chosen."""
        known = {ordinal: reader.known(ordinal) for ordinal, _ in chosen}
        spelled = panel.named if panel else _as_they_are
        return PartChoice(reader, chosen, access, columns, known, spelled, compacted)

    def size(self, ordinal: int, rows: NDArray[np.int64] | None) -> int:
        """Number of sites in rows of a chunk (None: in all of it)."""
        record = self._known[ordinal]
        return len(rows) if rows is not None else record.n_sites if record else 0

    def read(self, piece: Chosen) -> tuple[PartCalls, PartCounts]:
        """Some of the chosen sites with their calls, counted."""
        sites, codes, escapes, counts = self.reader.read_and_count(*_apart(piece), self.access, held=self._held)
        self._check(piece)
        sites = self.spelled(sites)
        return PartCalls(sites, codes, escapes, self.columns, self.compacted), PartCounts(sites, counts, self.columns)

    def calls(self, piece: Chosen) -> PartCalls:
        """As ``read``, not counted."""
        sites, codes, escapes = self.reader.read(*_apart(piece), self.access, held=self._held)
        self._check(piece)
        return PartCalls(self.spelled(sites), codes, escapes, self.columns, self.compacted)

    def count(self, piece: Chosen) -> PartCounts:
        """Some of the chosen sites, and how often each allele is carried."""
        sites, counts = self.reader.count(*_apart(piece), self.access, held=self._held)
        self._check(piece)
        return PartCounts(self.spelled(sites), counts, self.columns)

    def _check(self, piece: Chosen) -> None:
        if any(self.reader.known(ordinal) != self._known[ordinal] for ordinal, _ in piece):
            raise UnavailableError("sites_rewritten", "a site table was rewritten while it was being read", hint="ask again")

    def by_contig(self) -> dict[str, Chosen]:
        """The chosen sites of each contig, in order."""
        found: dict[str, Chosen] = {}
        for ordinal, rows in self.chosen:
            contig = self.reader.contig(ordinal)
            if contig is not None:
                found.setdefault(contig, []).append((ordinal, rows))
                continue
            sites = self.reader.sites(ordinal)  # a panel's build: runs of several contigs
            picked = np.arange(len(sites)) if rows is None else rows
            for number in dict.fromkeys(sites.contig[picked].tolist()):
                found.setdefault(sites.contigs[number], []).append((ordinal, picked[sites.contig[picked] == number]))
        return found


@dataclass(frozen=True)
class Window:
    """Neighbouring sites of a read: of each part that has any, which chunks and rows. ``reference``: fills in who was assayed there."""

    pieces: Sequence[tuple[PartChoice, Chosen]]
    n_columns: int
    reference: ReferenceFill | None = None

    def read(self) -> tuple[Calls, AlleleCounts]:
        """The sites with the calls of all columns, and how often each allele is carried. Raises as ``PartReader.read_and_count``;
        UnavailableError: ``sites_rewritten``.
        """
        if self._needs_calls:
            calls = Calls(*merge_parts([part.calls(piece) for part, piece in self.pieces], self.n_columns))
            if self.reference is not None:
                calls = replace(calls, codes=self.reference.fill(calls.sites, calls.codes))
            return calls, count_calls(calls.sites, calls.codes, calls.escapes)
        found = [part.read(piece) for part, piece in self.pieces]
        calls = Calls(*merge_parts([calls for calls, _ in found], self.n_columns))
        united = merge_counts([counts for _, counts in found], self.n_columns)
        if united is None:  # parts that hold the same call: which of the two stands is said of calls, not of counts
            return calls, count_calls(calls.sites, calls.codes, calls.escapes)
        return calls, united[1]

    def count(self) -> tuple[Sites, AlleleCounts]:
        """The sites and allele counts of ``read``, without the calls. Raises as ``PartReader.count``; UnavailableError: ``sites_rewritten``."""
        if self._needs_calls:
            calls, counts = self.read()
            return calls.sites, counts
        united = merge_counts([part.count(piece) for part, piece in self.pieces], self.n_columns)
        if united is None:
            calls, counts = self.read()
            return calls.sites, counts
        return united

    @property
    def _needs_calls(self) -> bool:
        """True where the counts of parts do not tell: calls are filled in, or lines are made of who has which records."""
        return self.reference is not None or any(part.compacted for part, _ in self.pieces)


@dataclass(frozen=True)
class Choice:
    """The chosen sites of a dataset for some people, settled when it is made, to be read as often as need be."""

    parts: Sequence[PartChoice]
    n_columns: int
    reference: ReferenceFill | None = None

    @property
    def n_sites(self) -> int:
        """Sites of all parts; of the view there may be fewer, where parts have the same."""
        return sum(part.size(*each) for part in self.parts for each in part.chosen)

    @property
    def contigs(self) -> tuple[str, ...]:
        """All contigs on which sites are chosen, in the order of the view."""
        return tuple(dict.fromkeys(contig for part in self.parts for contig in part.by_contig()))

    @property
    def whole(self) -> Window:
        """All of it as one window."""
        return self._window([(part, part.chosen) for part in self.parts])

    @property
    def overlaps(self) -> bool:
        """True if counting may take the calls: two parts have sites on one contig, where a line may have reference calls of other records
        or two calls of one person, or somebody's reference calls are filled in, or a compacted part is read.
        """
        if self.reference is not None or any(part.compacted for part in self.parts):
            return True
        contigs = [contig for part in self.parts for contig in part.by_contig()]
        return len(set(contigs)) < len(contigs)

    def windows(self, n_sites: int) -> Iterator[Window]:
        """All of it in windows of at most ``n_sites`` sites from each part, but never less than all records of a position."""
        if self.n_sites <= n_sites:
            yield self.whole
            return
        here = [part for part in self.parts if part.chosen]
        if len(here) == 1 and not here[0].compacted:
            yield from (self._window([(here[0], piece)]) for piece in _cut(here[0], here[0].chosen, n_sites))
            return
        by_contig = [(part, part.by_contig()) for part in here]
        for contig in dict.fromkeys(contig for _, found in by_contig for contig in found):
            having = [(part, found[contig]) for part, found in by_contig if contig in found]
            if len(having) == 1 and not having[0][0].compacted:
                part, chosen = having[0]
                yield from (self._window([(part, piece)]) for piece in _cut(part, chosen, n_sites))
            else:
                yield from (self._window(pieces) for pieces in _between_positions(having, max(1, n_sites // len(having))))

    def _window(self, pieces: Sequence[tuple[PartChoice, Chosen]]) -> Window:
        return Window(pieces, self.n_columns, self.reference)


def _cut(part: PartChoice, chosen: Chosen, n_sites: int) -> Iterator[Chosen]:
    """Whole chunks together as far as they fit, larger ones in even pieces."""
    batch: Chosen = []
    size = 0
    for ordinal, rows in chosen:
        mine = part.size(ordinal, rows)
        if batch and size + mine > n_sites:
            yield batch
            batch, size = [], 0
        if mine <= n_sites:
            batch.append((ordinal, rows))
            size += mine
            continue
        every = np.arange(mine) if rows is None else rows
        for piece in np.array_split(every, -(-mine // n_sites)):
            yield [(ordinal, piece)]
    if batch:
        yield batch


def _between_positions(having: Sequence[tuple[PartChoice, Chosen]], n_sites: int) -> Iterator[list[tuple[PartChoice, Chosen]]]:
    """Stretches of one contig: from each part what lies in them."""
    cursors = [(part, _PartCursor(part, chosen)) for part, chosen in having]
    while any(cursor.left for _, cursor in cursors):
        last = min(cursor.reach(n_sites) for _, cursor in cursors if cursor.left)
        taken = [(part, cursor.take(last)) for part, cursor in cursors]
        yield [(part, piece) for part, piece in taken if piece]


class _PartCursor:
    """A position in a part's chosen sites of one contig: those before it were taken."""

    def __init__(self, part: PartChoice, chosen: Chosen) -> None:
        self._part, self._chosen, self._chunk, self._row = part, chosen, 0, 0
        self._open()

    @property
    def left(self) -> bool:
        return self._chunk < len(self._chosen)

    def reach(self, n_sites: int) -> int:
        """The position up to which about ``n_sites`` may be taken, all of them from the chunk where the cursor is."""
        return int(self._pos[min(self._row + n_sites, len(self._pos)) - 1])

    def take(self, last: int) -> Chosen:
        """Take the sites at positions up to ``last``, 1-based."""
        taken: Chosen = []
        while self.left:
            end = int(np.searchsorted(self._pos, last, "right"))
            if end == self._row:
                break
            whole = self._row == 0 and end == len(self._pos)
            ordinal, rows = self._chosen[self._chunk]
            taken.append((ordinal, rows if whole else self._rows[self._row : end]))
            self._row = end
            if end < len(self._pos):
                break
            self._chunk, self._row = self._chunk + 1, 0
            self._open()
        return taken

    def _open(self) -> None:
        if self.left:
            ordinal, rows = self._chosen[self._chunk]
            pos = self._part.reader.sites(ordinal).pos
            self._rows = np.arange(len(pos)) if rows is None else rows
            self._pos = pos[self._rows]


def _as_they_are(sites: Sites) -> Sites:
    return sites


def _apart(piece: Chosen) -> tuple[list[int], list[NDArray[np.int64] | None]]:
    """Chunk ordinals, and beside them the rows int64[k] of each, None for all."""
    return [ordinal for ordinal, _ in piece], [rows for _, rows in piece]
