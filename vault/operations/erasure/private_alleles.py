"""Private alleles: ALTs of a part that nobody is left to carry, which its site tables lose.

Carriers are counted here, in the parts whose blocks are opened for it: of who leaves, while there is a key, and of everybody else only
where a part has no counts yet. No genotype leaves: results are rows, allele numbers and counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from vault.genotypes.codec.carrier_counts import CarrierCounts
from vault.genotypes.store.block_access import BlockAccess
from vault.genotypes.store.part_reader import PartReader
from vault.genotypes.store.part_records import Place
from vault.genotypes.store.site_redaction import Alts

BATCH = 4_096  # people counted together: one container

NONE: Alts = np.zeros((0, 2), np.int64)


def carried_by(reader: PartReader, ordinal: int, access: BlockAccess) -> Alts:
    """ALTs that the people of an access carry in a chunk, int64[n, 2]: (row, ALT number)."""
    return reader.count_carriers(ordinal, access).alts()


def carriers(reader: PartReader, ordinal: int, people: Sequence[Place]) -> CarrierCounts:
    """Number of the people who carry each ALT of a chunk; also one that was blanked since, because another left who carried it."""
    found = CarrierCounts.nobody(len(reader.sites(ordinal)))
    for batch in _batches(people):
        found = found.plus(reader.count_carriers(ordinal, _access(batch), listed=False))
    return found


def private_alleles(alts: Alts, left: CarrierCounts) -> Alts:
    """Those of ``alts`` (int64[n, 2]) that nobody carries by the counts of who is left."""
    nobodys: Alts = alts[left.of(alts) == 0]
    return nobodys


def _access(people: Sequence[Place]) -> BlockAccess:
    return BlockAccess.from_places([(place.group, place.slot) for place in people], [place.block_key for place in people])


def _batches(people: Sequence[Place]) -> Iterator[list[Place]]:
    remaining = iter(sorted(people, key=lambda place: (place.group, place.slot)))
    while batch := list(islice(remaining, BATCH)):
        yield batch
