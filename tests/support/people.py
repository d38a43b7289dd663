"""Genotypes to attack: made up with fixed seeds, and of real people where the shared data folder is."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.support.outside import extra, shared

CHR22 = "data/1-real/1000G_p3_chr22_2504/1kg-phaseIII-v5a.20130502.genotypes.chr22-16-16.5mb.vcf.gz"
PANEL = "data/1-real/integrated_call_samples_v3.20130502.ALL.panel"
HAPMAP3 = "data/1-real/hapmap3_957_plink"
ELSEWHERE = (
    *(f"data/2-pgx/1kgp_GRCh38_3202/GRCh38/{gene}.vcf.gz" for gene in ("ABCG2", "CYP2C9", "CYP4F2", "NUDT15", "TPMT", "VKORC1")),
    "data/1-real/plink_1kg_chr21/TEST_PHASED_VCF/1kg_phase3_chr21_start.vcf.gz",
)
CHR20 = "data/1-real/1000G_chr20_shapeit4/unphased.bcf"
CHR20_HAPMAP = "data/1-real/hapmap_r22_CEU/hapmap_r22.chr20.CEU.hg19.recode.bcf"


@dataclass(frozen=True)
class Haplotypes:
    """Biallelic calls: ``positions`` int64[m] ascending, ``spelled`` REF and ALT, ``alleles`` int8[m, 2k] of 0 and 1, people's two side by side."""

    people: tuple[str, ...]
    positions: NDArray[np.int64]
    spelled: tuple[tuple[str, str], ...]
    alleles: NDArray[np.int8]

    @property
    def copies(self) -> NDArray[np.int8]:
        """int8[m, k] copies of ALT."""
        return self.alleles[:, 0::2] + self.alleles[:, 1::2]

    def rows(self, kept: NDArray[np.bool_]) -> Haplotypes:
        """Those sites alone, ``kept`` bool[m]."""
        spelled = tuple(one for one, keep in zip(self.spelled, kept.tolist(), strict=True) if keep)
        return Haplotypes(self.people, self.positions[kept], spelled, self.alleles[kept])


def frequencies(m: int, seed: int, low: float = 0.05, high: float = 0.5) -> NDArray[np.float64]:
    """float64[m] of uniform minor frequencies."""
    return np.random.default_rng(seed).uniform(low, high, m)


@functools.cache
def calls(relative: str) -> Haplotypes:
    """Biallelic sites of a file of the shared folder without missing calls; the order of a person's two means nothing where it has no phase."""
    reader = extra("cyvcf2").VCF(str(shared(relative)), gts012=True)
    positions, spelled, found = [], [], []
    for record in reader:
        if len(record.ALT) == 1:
            pairs = record.genotype.array()[:, :2]
            if (pairs >= 0).all():
                positions.append(record.POS)
                spelled.append((record.REF, record.ALT[0]))
                found.append(pairs.reshape(-1).astype(np.int8))
    return Haplotypes(tuple(reader.samples), np.array(positions, np.int64), tuple(spelled), np.array(found, np.int8))


def chr22() -> Haplotypes:
    """The 2,504 people of 1000 Genomes, 500 kb of chromosome 22."""
    return calls(CHR22)


def of_population(people: Sequence[str], group: str) -> list[int]:
    """Columns of a population, as TSI, or of a continent's, as EUR, by the panel of 1000 Genomes."""
    lines = (line.split("\t") for line in shared(PANEL).read_text().splitlines()[1:])
    where = {name: (population, continent) for name, population, continent, *_ in lines}
    return [at for at, name in enumerate(people) if group in where.get(name, ())]


@functools.cache
def hapmap3(*populations: str) -> NDArray[np.int8]:
    """int8[m, k] copies of PLINK's A1 of founders of some populations, autosomal sites without missing calls there, one in 50 kb."""
    folder = shared(HAPMAP3)

    def table(name: str) -> list[list[str]]:
        with gzip.open(folder / name, "rt") as file:
            return [line.split() for line in file]

    founders = {
        row[1] for row in table("relationships_w_pops_121708.txt.gz") if row[2] == row[3] == "0" and row[6] in populations
    }
    people, sites = table("data.fam.gz"), table("data.bim.gz")
    with gzip.open(folder / "data.bed.gz") as file:
        packed = np.frombuffer(file.read(), np.uint8)[3:].reshape(len(sites), -1)
    codes = ((packed[:, :, None] >> np.array([0, 2, 4, 6])) & 3).reshape(len(sites), -1)
    kept = [at for at, row in enumerate(people) if row[1] in founders]
    copies = np.array([2, -1, 1, 0], np.int8)[codes[:, kept]]
    last: dict[str, int] = {}
    rows = []
    for at, (contig, _, _, position, *_) in enumerate(sites):
        if int(contig) <= 22 and (copies[at] >= 0).all() and int(position) >= last.get(contig, -50_000) + 50_000:
            last[contig] = int(position)
            rows.append(at)
    return copies[rows]


@functools.cache
def several_places() -> NDArray[np.int8]:
    """int8[m, 2504] copies of the 2,504 people, in the order of ``chr22``, at eight places of the genome."""
    wanted = chr22().people
    found = [chr22().copies]
    for relative in ELSEWHERE:
        more = calls(relative)
        column = {name: at for at, name in enumerate(more.people)}
        found.append(more.copies[:, [column[name] for name in wanted]])
    return np.concatenate(found)
