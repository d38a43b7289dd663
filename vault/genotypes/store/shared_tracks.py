"""Tracks in a compacted part: of some of its people, the bins of a contig, read together (docs/formats/genotypes.md §10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from vault.crypto.secret import Secret
from vault.genotypes.codec.format_constants import Payload
from vault.genotypes.store.block_access import BlockAccess, GroupAccess
from vault.genotypes.store.containers import open_blocks
from vault.genotypes.store.part_records import TrackRecord
from vault.genotypes.store.site_tables import PartDirectory, TrackRun, find_contig

GetRange = Callable[[str, int, int], Payload]
"""As ``part_reader.GetRange``."""

Records = Callable[[int], TrackRecord]
"""``records(number)``: the record of a run of bins."""

Bins = list[dict[int, bytes]]
"""Of each person, bin → encoded intervals; bins without any are left out."""


class SharedTracks:
    """The tracks of some people of a part. ``access``: by their track keys; a person is a column of it. ``record``: as ``Records``.

    What was read last is kept, for the next person of the same read. Raises, from ``bins``, IntegrityError ``block_broken``.
    """

    def __init__(
        self, directory: PartDirectory, records: Records, access: BlockAccess, *, get_range: GetRange, length_key: Secret
    ) -> None:
        self._directory, self.record, self._access = directory, records, access
        self._get, self._key = get_range, length_key
        self._contig, self._have, self._bins = "", set[int](), list[dict[int, bytes]]()

    def bins(self, contig: str, wanted: Sequence[int]) -> Bins:
        """The wanted bins (ascending) of a contig, whichever way it is spelled, and perhaps others that were read before."""
        if contig != self._contig:
            self.forget()
            self._contig, self._bins = contig, [{} for _ in range(self._access.size)]
        missing = [at for at in wanted if at not in self._have]
        if missing:
            behind = {at for at in self._have if at < wanted[0]}  # reads go forward
            for person, more in zip(self._bins, self._read(contig, missing), strict=True):
                for at in behind & person.keys():
                    del person[at]
                person.update(more)
            self._have = (self._have - behind).union(missing)
        return self._bins

    def whole(self, contig: str) -> Bins:
        """Every bin of a contig."""
        return self.bins(contig, [at for _, run in self._runs(contig) for at in range(run.first, run.first + run.bins)])

    def forget(self) -> None:
        """Let go of what is kept."""
        self._contig, self._have, self._bins = "", set(), []

    def _runs(self, contig: str) -> list[tuple[int, TrackRun]]:
        name = find_contig(self._directory.contigs, contig)
        if name is None:
            return []
        number = self._directory.contigs.index(name)
        return [(at, run) for at, run in enumerate(self._directory.tracks) if run.contig == number]

    def _read(self, contig: str, wanted: Sequence[int]) -> Bins:
        found: Bins = [{} for _ in range(self._access.size)]
        for number, run in self._runs(contig):
            held = [at for at in wanted if run.first <= at < run.first + run.bins]
            if not held:
                continue
            record = self.record(number)
            for group in self._access.groups:
                ref, name = record.containers[group.group], record.container_names[group.group]
                slots = _slots(group, [at - run.first for at in held], ref.n_slots // run.bins)
                payloads, _ = open_blocks(ref, partial(self._get, name), self._key, slots)
                columns = group.columns.tolist()
                for nth, at in enumerate(held):
                    for column, payload in zip(columns, payloads[nth * len(columns) :], strict=False):
                        if payload:
                            found[column][at] = payload
        return found


def _slots(group: GroupAccess, bins: Sequence[int], people: int) -> GroupAccess:
    """Slots of some bins of a run, for the people of an access to the blocks of a group of so many ``people``."""
    slots = (np.array(bins, np.int64)[:, None] * people + group.slots[None, :]).reshape(-1)
    raw = slots.astype(">u4").tobytes()
    numbers = [raw[at : at + 4] for at in range(0, len(raw), 4)]
    return GroupAccess(group.group, slots, np.arange(len(slots)), list(group.openers) * len(bins), numbers)
