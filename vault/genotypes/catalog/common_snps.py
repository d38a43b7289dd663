"""A dataset's common SNPs, chosen from the data itself, and its people's ALT counts at them.

There is no public list at hand, so up to 4,096 SNPs of autosomes and 1,024 of X (outside the pseudoautosomal regions) are taken from chunks
spread over the dataset: two alleles of one base, the rarer at 5 % or more, called in 90 % of the largest part's people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vault.crypto.key_wrapping import KeyPurpose
from vault.genotypes.catalog import call_comparison, leaving, overlap
from vault.genotypes.catalog.call_comparison import AUTOSOMES
from vault.genotypes.catalog.datasets import Dataset
from vault.genotypes.catalog.overlap import Source
from vault.genotypes.catalog.pairwise_kinship import MISSING
from vault.genotypes.contigs import normal_contig
from vault.genotypes.sites import Sites
from vault.ids import SubjectId
from vault.session.unlocked_vault import UnlockedVault

MOST_AUTOSOMAL, MOST_ON_X = 4_096, 1_024
CHUNKS = 64  # of which the SNPs are chosen, at most
LEAST_FREQUENCY, LEAST_CALLED = 0.05, 0.90
LEAST_ON_X = 100  # called SNPs of X, for their share to say anything
LEAST_EXPECTED = 20  # heterozygous ones among them, if they were as common as on autosomes
MOST_OF_MEN, LEAST_OF_WOMEN = 0.30, 0.20
# Pseudoautosomal regions of X, where men are heterozygous as women are: 1-based, both ends in (Genome Reference Consortium).
_PSEUDOAUTOSOMAL = {
    "GRCh37": ((60_001, 2_699_520), (154_931_044, 155_260_560)),
    "GRCh38": ((10_001, 2_781_479), (155_701_383, 156_030_895)),
}

T = TypeVar("T")
Snp = tuple[str, int, bytes]
"""Contig by its normal name, position, alleles."""


@dataclass(frozen=True)
class CommonCalls:
    """ALT counts int8[m, n] of people at autosomal SNPs and at those of X, ``MISSING`` where there is none; of two parts' the earlier one's.

    ``self_kinship`` float64[n]: the least φ of a person's later part with the earlier ones, NaN where too little is shared.
    """

    people: Sequence[SubjectId]
    autosomal: NDArray[np.int8]
    on_x: NDArray[np.int8]
    self_kinship: NDArray[np.float64]


def keys_of_everybody(vault: UnlockedVault, dataset: Dataset) -> dict[bytes, bytes]:
    """Genotype keys of all of a dataset's people who have one, in the order of their ids."""
    with vault.books.read() as tx:
        everyone = sorted(leaving.everybody(tx, dataset.dataset_id))
    keys = vault.keys.open_many(KeyPurpose.GENOTYPE, everyone)
    return {subject: keys[subject] for subject in everyone if subject in keys}


def read(vault: UnlockedVault, dataset: Dataset, keys: Mapping[bytes, bytes]) -> CommonCalls:
    """Choose the SNPs and read them in everybody. ``keys``: as ``keys_of_everybody``; the caller has logged whose they are.

    Raises:
        IntegrityError: a stored object is not what was written. UnavailableError: ``erasure_pending``.
    """
    people = [SubjectId(subject) for subject in keys]
    held = overlap.sources(vault, dataset.dataset_id, people, keys, together=True)
    column = {subject: at for at, subject in enumerate(people)}
    row = {snp: at for at, snp in enumerate(_chosen(dataset, held))}
    dosage = np.full((len(row), len(people)), MISSING, np.int8)
    least = np.full(len(people), np.nan)
    for part in held:
        members = sorted(part.people)
        mine = np.array([column[subject] for subject in members], np.int64)
        fresh = np.full((len(row), len(mine)), MISSING, np.int8)
        for ordinal, sites in _sites(part):
            known = [(row[snp], at) for at, snp in snps_of(sites) if snp in row]
            if known:
                into, rows = (np.array(numbers, np.int64) for numbers in zip(*known, strict=True))
                found = dosage_of(part.reader.read([ordinal], [rows], part.access(members))[1])
                np.maximum.at(fresh, into, found)  # a compacted part may have several records of a SNP, each person one of them
        _fill_reference(part, members, row, fresh)
        least[mine] = np.fmin(least[mine], _kinship(dosage[:, mine], fresh))
        dosage[:, mine] = np.where(dosage[:, mine] == MISSING, fresh, dosage[:, mine])
    on_x = np.array([snp[0] == "X" for snp in row], np.bool_)
    return CommonCalls(people, dosage[~on_x], dosage[on_x], least)


def _sites(part: Source, ordinals: Sequence[int] | None = None) -> Iterator[tuple[int, Sites]]:
    """(ordinal, sites) of chunks of chromosomes that SNPs are chosen of."""
    directory = part.reader.directory
    names = [normal_contig(name) for name in directory.contigs]
    wanted = range(len(directory)) if ordinals is None else ordinals
    for ordinal in wanted:
        if names[int(directory.contig[ordinal])] in AUTOSOMES | {"X"}:
            part.learn([ordinal])
            yield ordinal, part.reader.sites(ordinal)


def _chosen(dataset: Dataset, held: Sequence[Source]) -> list[Snp]:
    """SNPs of the largest parts that cover each chromosome, evenly over chunks."""
    chunks: list[tuple[Source, int, bool]] = []
    covered: set[str] = set()
    for part in sorted(held, key=lambda one: -len(one.people)):
        directory = part.reader.directory
        names = [normal_contig(name) for name in directory.contigs]
        fresh = {name for name in names if name in AUTOSOMES | {"X"}} - covered
        of_chunk = [names[int(contig)] for contig in directory.contig]
        chunks += [(part, ordinal, name == "X") for ordinal, name in enumerate(of_chunk) if name in fresh]
        covered |= fresh
    found: list[Snp] = []
    for on_x, most in ((False, MOST_AUTOSOMAL), (True, MOST_ON_X)):
        spread = evenly([chunk for chunk in chunks if chunk[2] == on_x], CHUNKS)
        share = -(-most // max(1, len(spread)))
        for part, ordinal, _ in spread:
            found += evenly(_common(dataset, part, ordinal), share)
    return list(dict.fromkeys(found))


def _common(dataset: Dataset, part: Source, ordinal: int) -> list[Snp]:
    ((_, sites),) = _sites(part, [ordinal])
    candidates = list(snps_of(sites))
    if not candidates:
        return []
    rows = np.array([at for at, _ in candidates], np.int64)
    _, counts = part.reader.count([ordinal], [rows], part.access(sorted(part.people)))
    alts, refs = counts.counts[counts.offsets[:-1] + 1], counts.counts[counts.offsets[:-1]]
    if part.compacted:  # who has no record of an import of their own is most often reference there
        refs = np.maximum(2 * len(part.people) - alts, 0)
    total = refs + alts
    rarer = np.minimum(refs, alts) / np.maximum(total, 1)
    copies = len(part.people) * (1 if candidates[0][1][0] == "X" else 2)  # men may have one X
    good = (rarer >= LEAST_FREQUENCY) & (total >= LEAST_CALLED * copies)
    if candidates[0][1][0] == "X":
        good &= ~pseudoautosomal(dataset, np.array([snp[1] for _, snp in candidates], np.int64))
    return [snp for (_, snp), fits in zip(candidates, good.tolist(), strict=True) if fits]


def pseudoautosomal(dataset: Dataset, pos: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool[k]: positions of X where men have two copies."""
    found = np.zeros(len(pos), np.bool_)
    for first, last in _PSEUDOAUTOSOMAL.get(dataset.assembly, ()):
        found |= (first <= pos) & (pos <= last)
    return found


def _fill_reference(part: Source, members: Sequence[SubjectId], row: Mapping[Snp, int], dosage: NDArray[np.int8]) -> None:
    """Reference calls of who has no record at a SNP and was assayed there; ``dosage`` int8[m, n] of the ``members`` of a part."""
    contigs = dict.fromkeys(contig for subject in members for contig in part.tracks.get(subject, ()))
    for contig in contigs:
        name = normal_contig(contig)
        places = [(at, snp[1]) for snp, at in row.items() if snp[0] == name]
        rows, pos = np.array(places, np.int64).reshape(-1, 2).T
        for column, subject in enumerate(members):
            track, here = part.tracks.get(subject, {}).get(contig), np.flatnonzero(dosage[rows, column] == MISSING)
            if track is not None and len(here):
                found = track.copies(contig, pos[here], pos[here], at_least=1) > 0
                dosage[rows[here[found]], column] = 0


def snps_of(sites: Sites) -> Iterator[tuple[int, Snp]]:
    """(row, SNP) of each site of two alleles of one base."""
    names = [normal_contig(name) for name in sites.contigs]
    for row in snp_rows(sites).tolist():
        yield row, (names[int(sites.contig[row])], int(sites.pos[row]), sites.alleles[row])


def snp_rows(sites: Sites) -> NDArray[np.int64]:
    """int64[k]: rows of two alleles of one base."""
    return np.flatnonzero(np.diff(sites.alleles.offsets) == 3)


def dosage_of(codes: NDArray[np.uint8]) -> NDArray[np.int8]:
    """ALT counts int8, of the shape of ``codes``, at SNPs of two alleles; ``MISSING`` where there is no call."""
    low, high = call_comparison.pairs(codes)
    return np.where(low >= 0, low + high, MISSING).astype(np.int8)


def _kinship(earlier: NDArray[np.int8], later: NDArray[np.int8]) -> NDArray[np.float64]:
    """φ of each column of one with the same of the other, float64[n]; NaN where fewer than 200 SNPs are shared."""
    both = (earlier != MISSING) & (later != MISSING)
    het = np.minimum(((earlier == 1) & both).sum(axis=0), ((later == 1) & both).sum(axis=0))
    square = np.where(both, (earlier.astype(np.int64) - later) ** 2, 0).sum(axis=0)
    enough = (both.sum(axis=0) >= call_comparison.LEAST_SNPS) & (het > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(enough, 0.5 - square / (4 * het), np.nan)


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most so many of the items, evenly spread. Pure."""
    if len(items) <= most:
        return list(items)
    return [items[at * len(items) // most] for at in range(most)]


def of_sex(calls: CommonCalls, declared: Mapping[SubjectId, str]) -> list[tuple[SubjectId, float]]:
    """People whose share of heterozygous SNPs on X, over that on autosomes, is not that of the sex they are registered with, and that share.

    Women are about as heterozygous on X as elsewhere; men, with one X, are not at all, whether written ``0`` or ``0/0``.
    """
    on_x, autosomal = _het_share(calls.on_x, least=LEAST_ON_X), _het_share(calls.autosomal, least=call_comparison.LEAST_SNPS)
    expected = autosomal * (calls.on_x != MISSING).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(expected >= LEAST_EXPECTED, on_x / autosomal, np.nan)
    wrong = []
    for at, subject in enumerate(calls.people):
        sex = declared.get(subject, "")
        if (sex == "male" and ratio[at] > MOST_OF_MEN) or (sex == "female" and ratio[at] < LEAST_OF_WOMEN):
            wrong.append((subject, float(ratio[at])))
    return wrong


def _het_share(dosage: NDArray[np.int8], *, least: int) -> NDArray[np.float64]:
    called = (dosage != MISSING).sum(axis=0)
    return np.where(called >= least, (dosage == 1).sum(axis=0) / np.maximum(called, 1), np.nan)
