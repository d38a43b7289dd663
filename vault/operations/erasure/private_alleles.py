"""Which sites and ALTs of a part only one person carries: what a site table must lose when that person is erased.

Two halves, because the first needs the person's own key and the second does not: what the person carries (``carried``, one block
per chunk) is listed before the keys are destroyed; which of it nobody else carries (``only_theirs``, everybody's blocks) is found
afterwards. No genotype leaves: the result is rows and allele numbers of a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.codec.allele_counts import AlleleCounts
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.part_reader import PartReader
from vault.genotypes.store.part_records import Place
from vault.genotypes.store.site_redaction import Alts

FIRST_BATCH = 256  # people who carry, between them, nearly every common allele
BATCH = 4_096  # people read at once after that: a container's worth


def carried(reader: PartReader, ordinal: int, person: Place) -> Alts:
    """The ALTs that a person carries in a chunk."""
    _, counts = reader.count([ordinal], None, _access([person]))
    flat = np.flatnonzero(counts.counts)
    row = np.searchsorted(counts.offsets, flat, "right") - 1
    found = np.stack([row, flat - counts.offsets[row]], axis=1).astype(np.int64)
    return found[found[:, 1] > 0]


def only_theirs(reader: PartReader, ordinal: int, alts: Alts, others: Sequence[Place]) -> Alts:
    """Those of the ALTs that none of the others carries. Reads fewer rows with each batch, and stops when nothing is left."""
    left = alts
    for batch in _batches(sorted(others, key=lambda place: (place.group, place.slot))):
        if not len(left):
            break
        rows = np.unique(left[:, 0])
        _, counts = reader.count([ordinal], [rows], _access(batch))
        left = left[~_has(counts, np.searchsorted(rows, left[:, 0]), left[:, 1])]
    return left


def _has(counts: AlleleCounts, at: NDArray[np.int64], allele: NDArray[np.int64]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = counts.counts[counts.offsets[at] + allele] > 0
    return found


def _access(people: Sequence[Place]) -> BlockAccess:
    return BlockAccess.from_places([(place.group, place.slot) for place in people], [place.block_key for place in people])


def _batches(people: Sequence[Place]) -> Iterator[list[Place]]:
    remaining = iter(people)
    size = FIRST_BATCH
    while batch := list(islice(remaining, size)):
        yield batch
        size = BATCH
