"""Private alleles: ALTs of a part that only one subject carries, which the site tables lose when that subject is erased.

In two steps, because only the first needs the subject's own key: ``carried`` lists the subject's ALTs (one block per chunk) before the
keys are destroyed; ``private_alleles`` removes from the list what any other subject carries. No genotype leaves: results are rows and
allele numbers of a site table.
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

FIRST_BATCH = 256  # subjects; together they carry nearly every common allele
BATCH = 4_096  # subjects of each later batch: one container


def carried(reader: PartReader, ordinal: int, person: Place) -> Alts:
    """ALTs that a subject carries in a chunk, int64[n, 2]: (row, ALT number)."""
    return carried_by(reader, ordinal, _access([person]))


def carried_by(reader: PartReader, ordinal: int, access: BlockAccess) -> Alts:
    """ALTs that the people of an access carry in a chunk, int64[n, 2], as ``carried``."""
    _, counts = reader.count([ordinal], None, access)
    flat = np.flatnonzero(counts.counts)
    row = np.searchsorted(counts.offsets, flat, "right") - 1
    found = np.stack([row, flat - counts.offsets[row]], axis=1).astype(np.int64)
    return found[found[:, 1] > 0]


def private_alleles(reader: PartReader, ordinal: int, alts: Alts, others: Sequence[Place]) -> Alts:
    """ALTs of ``alts`` (int64[n, 2]) that no other subject carries; each batch reads only the rows still in question."""
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
