"""The benchmark cohorts: D1, D2 and D3, synthetic, the same on every machine, made once and kept.

    python benchmarks/cohorts.py D1 D3 --work FOLDER [--scale 0.05]

| | people | sites | content |
|---|---|---|---|
| D1 | 2,504 | first 100,000 of 15 Mb | GT |
| D2 | 50,000 | first 20,000 of 1 Mb | GT |
| D3 | 500 of D1 | first 50,000 of D1 | GT:AD:DP:GQ:PL; 1 % missing, 5 % multi-allelic, 10 % indels, half the records unphased, 100 records with half-calls, 100 with haploid calls |

``--scale`` multiplies people and sites. Needs msprime, and bgzip and bcftools for the files.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cli.demo_cohort import OFFSET, gt_columns, simulate, thirds

CONTIG = "22"
LENGTH = 50_818_468
BASES = (("A", "G"), ("G", "A"), ("C", "T"), ("T", "C"), ("A", "C"), ("G", "T"), ("C", "A"), ("T", "G"))


@dataclass(frozen=True)
class Plan:
    """One simulation: people, how many of its first sites are written, over how many base pairs."""

    people: int
    sites: int
    span: int
    seed: int

    def scaled(self, scale: float) -> Plan:
        """Fewer people and sites. The span shrinks less than the sites: fewer people show fewer sites."""
        if scale == 1:
            return self
        return Plan(
            max(6, round(self.people * scale)),
            max(20, round(self.sites * scale)),
            round(self.span * min(1, scale * 4)),
            self.seed,
        )


PLANS = {"D1": Plan(2_504, 100_000, 15_000_000, 220_101), "D2": Plan(50_000, 20_000, 1_000_000, 220_202)}
D3_PEOPLE, D3_SITES, D3_SEED = 500, 50_000, 220_303


def cohort(name: str, work: Path, *, scale: float = 1) -> Path:
    """Path of the cohort's BGZF VCF in ``work``, made with its index if it is not there yet. ``name``: D1, D2 or D3."""
    path = work / (f"{name}.vcf.gz" if scale == 1 else f"{name}-{scale:g}.vcf.gz")
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        lines = _with_fields(scale) if name == "D3" else _genotypes_only(PLANS[name].scaled(scale))
        _write(lines, path)
    return path


def bcf(vcf: Path) -> Path:
    """The same records as BCF with its index, beside ``vcf``."""
    path = vcf.with_name(vcf.name.removesuffix(".vcf.gz") + ".bcf")
    if not path.exists():
        part = path.with_name(path.name + ".part")
        subprocess.run(["bcftools", "view", "--no-version", "--threads", "2", "-Ob", "-o", part, vcf], check=True)
        subprocess.run(["bcftools", "index", "-f", part, "-o", f"{path}.csi"], check=True)
        part.rename(path)
    return path


def _write(lines: Iterator[bytes], path: Path) -> None:
    """Index first, then the name: a file under its name is whole."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as out, subprocess.Popen(["bgzip", "-@", "2", "-c"], stdin=subprocess.PIPE, stdout=out) as packer:
        if packer.stdin is None:
            raise RuntimeError("bgzip has no input")
        packer.stdin.writelines(lines)
        packer.stdin.close()
        if packer.wait():
            raise RuntimeError("bgzip failed")
    subprocess.run(["bcftools", "index", "-f", "-c", part, "-o", f"{path}.csi"], check=True)
    part.rename(path)


def _header(people: int, formats: tuple[str, ...] = ()) -> bytes:
    lines = [
        "##fileformat=VCFv4.3",
        '##FILTER=<ID=PASS,Description="All filters passed">',
        f"##contig=<ID={CONTIG},length={LENGTH}>",
    ]
    lines += ['##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">', *formats]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *(f"P{i:06d}" for i in range(people))]
    return "\n".join([*lines, "\t".join(columns)]).encode() + b"\n"


def _variants(plan: Plan) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Position and haplotypes uint8[2 x people] of the first ``plan.sites`` sites."""
    variants = simulate(thirds(plan.people), plan.span, plan.seed).variants()
    shown = ((int(v.site.position), v.genotypes.astype(np.uint8)) for v in variants)
    varying = ((OFFSET + position + 1, haplotypes) for position, haplotypes in shown if haplotypes.any())
    return itertools.islice(varying, plan.sites)


def _genotypes_only(plan: Plan) -> Iterator[bytes]:
    random = np.random.default_rng(plan.seed)
    yield _header(plan.people)
    for position, haplotypes in _variants(plan):
        ref, alt = BASES[random.integers(len(BASES))]
        yield f"{CONTIG}\t{position}\t.\t{ref}\t{alt}\t.\tPASS\t.\tGT\t".encode()
        yield gt_columns(haplotypes)[:-1].tobytes()
        yield b"\n"


def _with_fields(scale: float) -> Iterator[bytes]:
    plan = PLANS["D1"].scaled(scale)
    random = np.random.default_rng(D3_SEED)
    people = max(3, round(D3_PEOPLE * scale))
    n_sites = max(10, round(D3_SITES * scale))
    chosen = np.sort(random.choice(plan.people, people, replace=False))
    columns = (chosen[:, None] * 2 + np.arange(2)).reshape(-1)
    odd = random.permutation(n_sites)[: 2 * max(1, round(100 * scale))]
    half, haploid = set(odd[::2].tolist()), set(odd[1::2].tolist())
    suffixes = {n: _Suffixes(n, random) for n in (2, 3)}
    yield _header(people, FIELDS)
    for index, (position, haplotypes) in enumerate(itertools.islice(_variants(plan), n_sites)):
        pairs = haplotypes[columns].reshape(-1, 2).astype(np.int8)
        ref, alts = _alleles(random)
        if len(alts) > 1:
            pairs[(pairs == 1) & (random.random(pairs.shape) < 0.3)] = 2
        gts = _gt_texts(pairs, random, half=index in half, haploid=index in haploid)
        rest = suffixes[len(alts) + 1].draw(pairs, random)
        if index in haploid:  # a haploid call has fewer PL values: its trailing fields are left out
            rest = [text if len(gt) > 1 else b"" for text, gt in zip(rest, gts, strict=True)]
        cells = b"\t".join(map(bytes.__add__, gts, rest))
        yield f"{CONTIG}\t{position}\t.\t{ref}\t{','.join(alts)}\t50\tPASS\t.\tGT:AD:DP:GQ:PL\t".encode() + cells + b"\n"


FIELDS = (
    '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Reads of each allele">',
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Read depth">',
    '##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="Genotype quality">',
    '##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Phred-scaled genotype likelihoods">',
)


def _alleles(random: np.random.Generator) -> tuple[str, list[str]]:
    ref, alt = BASES[random.integers(len(BASES))]
    kind = random.random()
    if kind < 0.10:
        tail = "".join(random.choice(list("ACGT"), random.integers(1, 9)))
        return (ref, [ref + tail]) if kind < 0.05 else (ref + tail, [ref])
    if kind < 0.15:
        return ref, [alt, next(base for base in "ACGT" if base not in (ref, alt))]
    return ref, [alt]


def _gt_texts(pairs: NDArray[np.int8], random: np.random.Generator, *, half: bool, haploid: bool) -> list[bytes]:
    """GT of each person: half the records unphased (lower allele first), 1 % of calls missing, odd ploidies where asked."""
    phased = random.random() < 0.5
    separator = "|" if phased else "/"
    shown = pairs if phased else np.sort(pairs, axis=1)
    table = [f"{a}{separator}{b}".encode() for a in range(3) for b in range(3)]
    texts = [table[i] for i in (shown[:, 0] * 3 + shown[:, 1]).tolist()]
    for i in np.flatnonzero(random.random(len(texts)) < 0.01).tolist():
        texts[i] = f".{separator}.".encode()
    for i in random.choice(len(texts), max(1, len(texts) // 20), replace=False).tolist() if half or haploid else ():
        texts[i] = f".{separator}{shown[i, 1]}".encode() if half else str(shown[i, 1]).encode()
    return texts


class _Suffixes:
    """The AD:DP:GQ:PL part of cells for each diploid genotype of a site with ``n`` alleles, drawn from a pool of 8,192 for each."""

    POOL = 8_192

    def __init__(self, n: int, random: np.random.Generator) -> None:
        genotypes = [(a, b) for b in range(n) for a in range(b + 1)]
        self._index = np.zeros((3, 3), np.int64)
        self._texts: list[bytes] = []
        for row, (a, b) in enumerate(genotypes):
            self._index[a, b] = self._index[b, a] = row * self.POOL
            for depth in random.poisson(30, self.POOL).tolist():
                self._texts.append(_fields(n, (a, b), genotypes, depth, random))

    def draw(self, pairs: NDArray[np.int8], random: np.random.Generator) -> list[bytes]:
        rows = self._index[pairs[:, 0], pairs[:, 1]] + random.integers(self.POOL, size=len(pairs))
        return [self._texts[row] for row in rows.tolist()]


def _fields(n: int, own: tuple[int, int], genotypes: list[tuple[int, int]], depth: int, random: Any) -> bytes:
    reads = [0] * n
    first = depth if own[0] == own[1] else int(random.binomial(depth, 0.5))
    reads[own[0]] += first
    reads[own[1]] += depth - first
    likelihoods = [0 if genotype == own else int(random.integers(20, 40)) * max(depth, 1) // 2 for genotype in genotypes]
    quality = min(99, *(value for genotype, value in zip(genotypes, likelihoods, strict=True) if genotype != own))
    return f":{','.join(map(str, reads))}:{depth}:{quality}:{','.join(map(str, likelihoods))}".encode()


def main() -> None:
    parser = argparse.ArgumentParser(description="Make benchmark cohorts.")
    parser.add_argument("names", nargs="+", choices=["D1", "D2", "D3"])
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps them")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--bcf", action="store_true", help="make the BCF too")
    options = parser.parse_args()
    for name in options.names:
        path = cohort(name, options.work, scale=options.scale)
        print(path, path.stat().st_size)
        if options.bcf:
            print(bcf(path), bcf(path).stat().st_size)


if __name__ == "__main__":
    main()
