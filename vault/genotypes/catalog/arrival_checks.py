"""Checks of the samples of an import, before it is named: of how many the calls are few, or show another sex than they are registered with.

Counts alone: whom they concern, ``dataset check`` tells the steward. Looked at are SNPs of a few chunks of each new part, so that a large import takes no longer for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vault.genotypes.catalog import common_snps
from vault.genotypes.catalog.call_comparison import AUTOSOMES, LEAST_SNPS
from vault.genotypes.catalog.common_snps import CommonCalls, evenly
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.overlap import Source
from vault.genotypes.catalog.pairwise_kinship import MISSING
from vault.genotypes.contigs import normal_contig
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault
from vault.subjects.identities import open_identities

LEAST_CALL_RATE = 0.90
CHUNKS = 2  # of autosomes, and of X, that are looked at
SNPS = 1_024  # of each of them


@dataclass(frozen=True)
class SampleChecks:
    """Samples of an import whose X is not that of the sex they are registered with, and those with under 90 % of the SNPs called."""

    other_sex: int = 0
    few_calls: int = 0


UNREMARKABLE = SampleChecks()


def check(vault: UnlockedVault, dataset: Dataset, parts: Sequence[Source], known: Collection[SubjectId]) -> SampleChecks:
    """Look at what was written. ``known``: those of its people who were registered before, perhaps with their sex.

    Raises:
        IntegrityError: a stored object is not what was written.
    """
    declared = {subject: identity.sex for subject, identity in open_identities(vault, known).items()}
    other = few = 0
    for part in parts:
        people = sorted(part.people)
        autosomal, on_x = (_dosages(dataset, part, people, on_x=which) for which in (False, True))
        calls = CommonCalls(people, autosomal, on_x, np.full(len(people), np.nan))
        other += len(common_snps.of_sex(calls, declared))
        if len(autosomal) >= LEAST_SNPS:
            few += int(((autosomal != MISSING).mean(axis=0) < LEAST_CALL_RATE).sum())
        part.reader.forget()
    return SampleChecks(other, few)


def _dosages(dataset: Dataset, part: Source, people: Sequence[SubjectId], *, on_x: bool) -> NDArray[np.int8]:
    """ALT counts int8[m, n] at SNPs of a few chunks of autosomes, or of X outside the pseudoautosomal regions."""
    found = [np.zeros((0, len(people)), np.int8)]
    for ordinal in evenly(list(_chunks(part, on_x=on_x)), CHUNKS):
        sites = part.reader.sites(ordinal)
        rows = common_snps.snp_rows(sites)
        if on_x:
            rows = rows[~common_snps.pseudoautosomal(dataset, sites.pos[rows])]
        if len(rows):
            rows = rows[np.unique(np.linspace(0, len(rows) - 1, SNPS).astype(np.int64))]
            _, codes, _ = part.reader.read([ordinal], [rows], part.access(people))
            found.append(common_snps.dosage_of(codes))
    return np.concatenate(found)


def _chunks(part: Source, *, on_x: bool) -> Iterator[int]:
    directory = part.reader.directory
    for ordinal, contig in enumerate(directory.contig):
        name = normal_contig(directory.contigs[int(contig)])
        if name == "X" if on_x else name in AUTOSOMES:
            yield ordinal
