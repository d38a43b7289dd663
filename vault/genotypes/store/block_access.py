"""The right to open some people's blocks in one part, made ready once: the place and the key of each block.

A ``BlockAccess`` is made after the decision whose blocks may be read. It holds no other key, so a read through it cannot open more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vault.crypto.primitives import Opener, openers
from vault.errors import UsageError


@dataclass(frozen=True, repr=False)
class GroupAccess:
    """Some slots of one group.

    ``slots`` int64[k] ascending; ``columns`` int64[k]: the column of the matrix that each goes to; ``openers``: of their block keys;
    ``numbers``: their slots as the nonces of blocks end in them.
    """

    group: int
    slots: NDArray[np.int64]
    columns: NDArray[np.int64]
    openers: Sequence[Opener]
    numbers: Sequence[bytes]

    @staticmethod
    def from_slots(
        group: int, slots: Sequence[int], block_keys: Sequence[bytes], columns: Sequence[int] | None = None
    ) -> GroupAccess:
        """Of ascending slots; columns 0, 1, 2 … unless given.

        Raises:
            UsageError: ``container_slots``: slots not ascending, or not one key for each.
        """
        wanted = np.array(slots, np.int64)
        if len(wanted) != len(block_keys) or (np.diff(wanted) <= 0).any() or (len(wanted) and wanted[0] < 0):
            raise UsageError("container_slots", "slots must be ascending, with one key each")
        raw = wanted.astype(">u4").tobytes()
        numbers = [raw[at : at + 4] for at in range(0, len(raw), 4)]
        placed = np.arange(len(wanted)) if columns is None else np.array(columns, np.int64)
        return GroupAccess(group, wanted, placed, openers(block_keys), numbers)

    def __len__(self) -> int:
        return len(self.slots)


@dataclass(frozen=True, repr=False)
class BlockAccess:
    """``groups`` ascending; between them their columns are 0 to ``size`` - 1."""

    groups: tuple[GroupAccess, ...]
    size: int

    @staticmethod
    def from_places(places: Sequence[tuple[int, int]], block_keys: Sequence[bytes]) -> BlockAccess:
        """Of people by (group, slot), with the block key of each; columns in the order given. Raises as ``GroupAccess.from_slots``."""
        table = np.array(places, np.int64).reshape(-1, 2)
        order = np.lexsort((table[:, 1], table[:, 0]))
        groups = table[order, 0]
        edges = [0, *(np.flatnonzero(np.diff(groups)) + 1).tolist(), len(order)] if len(order) else [0]
        made = []
        for a, b in pairwise(edges):
            columns = order[a:b].tolist()
            keys = [block_keys[column] for column in columns]
            made.append(GroupAccess.from_slots(int(groups[a]), table[order[a:b], 1].tolist(), keys, columns))
        return BlockAccess(tuple(made), len(table))

    def among(self, columns: NDArray[np.int64]) -> BlockAccess:
        """The right to some of the columns alone, int64[k] of different ones, which become columns 0 to k - 1 in this order."""
        groups, places = (found[columns] for found in self._placed)
        order = np.lexsort((places, groups))
        edges = [0, *(np.flatnonzero(np.diff(groups[order])) + 1).tolist(), len(order)] if len(order) else [0]
        made = []
        for a, b in pairwise(edges):
            whole, picked = self.groups[int(groups[order[a]])], places[order[a:b]]
            ready, numbers = [whole.openers[at] for at in picked.tolist()], [whole.numbers[at] for at in picked.tolist()]
            made.append(GroupAccess(whole.group, whole.slots[picked], order[a:b].astype(np.int64), ready, numbers))
        return BlockAccess(tuple(made), len(columns))

    @cached_property
    def _placed(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(int64[size], int64[size]): number of the group of each column, and place in it."""
        groups, places = np.zeros(self.size, np.int64), np.zeros(self.size, np.int64)
        for number, group in enumerate(self.groups):
            groups[group.columns], places[group.columns] = number, np.arange(len(group))
        return groups, places
