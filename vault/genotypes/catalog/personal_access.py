"""One person's own part as a dataset's reader reads it: opened when it is first asked for, kept for one access, and no longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from policies.loci import Interval
from vault.genotypes.catalog.row_mapping import owner_from_row, personal_from_row
from vault.genotypes.codec.callable_track import CallableTrack
from vault.genotypes.compute.threads import decoding_pool
from vault.genotypes.store.part_merge import PartCalls
from vault.genotypes.store.part_reader import PartReader
from vault.genotypes.store.personal_reader import PersonalPart
from vault.genotypes.store.reference_fill import OwnTrack, Spans, variant_spans
from vault.genotypes.store.selections import Chosen, PanelLoci, Selection, choose_rows
from vault.genotypes.store.windows import PartChoice
from vault.session.unlocked_vault import UnlockedVault
from vault.storage.book_tables import PersonalPartRow


def reader_of(vault: UnlockedVault, row: PersonalPartRow, key: bytes) -> PartReader:
    """Reader of a personal part. ``key``: the person's genotype key."""
    return _opened(vault, row, key).reader


class PersonalAccess:
    """A live personal part, and whose it is: ``column`` of the view. ``key``: that person's genotype key."""

    def __init__(self, vault: UnlockedVault, row: PersonalPartRow, column: int, key: bytes) -> None:
        self.ordinal, self.has_track = row.ordinal, row.has_track
        self._vault, self._row, self._key = vault, row, key
        self.column, self._columns = column, np.array([column], np.int64)
        self._opened: PersonalPart | None = None
        self.track = OwnTrack(self._bins)

    @property
    def holds_anyone(self) -> bool:
        """True: the part's one person is read."""
        return True

    def touches(self, _selection: Selection) -> bool:
        """True: where the sites are is in the sealed index, which is opened when they are read."""
        return True

    def derive(self, _panel: PanelLoci | None) -> None:
        """Derive the keys and open the index."""
        _ = self._part.access, self._part.reader

    def forget(self) -> None:
        """Let go of everything that was opened."""
        self._opened = None
        self.track.forget()

    def variants(self, contig: str, first: int, last: int) -> Spans:
        """As ``reference_fill.Variants``: of the records with an ALT called."""
        found = self.read(Selection(regions=(Interval.from_positions(contig, first, last),)))
        return variant_spans(found.sites, found.codes, found.escapes)

    def verify(self) -> int:
        """Open and decode everything; the number of blocks. Raises IntegrityError: something is not what was written."""
        part = self._part
        for ordinal in range(len(part.index.chunks)):
            part.reader.count([ordinal], None, part.access)
            part.reader.forget()
        for track in part.index.tracks:
            CallableTrack.decode(part.bins(track.contig, range(track.first_bin, track.first_bin + track.n_bins)))
        return len(part.index.chunks)

    def read(self, selection: Selection) -> PartCalls:
        """The chosen sites' calls, in one column."""
        part, chosen = self._part, self._choose(selection)
        ordinals, rows = [at for at, _ in chosen], [rows for _, rows in chosen]
        calls = PartCalls(*part.reader.read(ordinals, rows, part.access), self._columns)
        # Calls that came from a part of several people may be of ALTs that were blanked there.
        return calls if selection.panel is None else replace(calls, sites=selection.panel.named(calls.sites))

    def choose(self, selection: Selection) -> PartChoice:
        """The chosen sites, to be read or counted in windows."""
        return PartChoice.from_reader(
            self._part.reader, self._choose(selection), self._part.access, self._columns, selection.panel
        )

    @property
    def _part(self) -> PersonalPart:
        if self._opened is None:
            self._opened = _opened(self._vault, self._row, self._key)
        return self._opened

    def _bins(self, contig: str, wanted: Sequence[int]) -> dict[int, bytes]:
        return self._part.bins(contig, wanted)

    def _choose(self, selection: Selection) -> Chosen:
        return choose_rows(self._part.reader, selection, selection.chunks(self._part.reader.directory))


def _opened(vault: UnlockedVault, row: PersonalPartRow, key: bytes) -> PersonalPart:
    owner, record = owner_from_row(vault.vault_id, row), personal_from_row(row)
    return PersonalPart(owner, record, key, get_range=vault.objects.get_range, pool=decoding_pool())
